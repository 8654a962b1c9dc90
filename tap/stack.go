package tap

import (
	"bufio"
	"bytes"
	"path"
	"runtime/pprof"
	"strconv"
	"strings"

	"github.com/earshot-go/earshot/tap/panel"
)

// runningTable shows where the handler of a subscriber is at this moment: what a slow one is stuck in. It
// stops the program for as long as listing its goroutines takes, some microseconds for each, so it is
// made only for the page of one subscriber that has something to do.
func runningTable(ref string) panel.Table {
	t := panel.Table{
		Name: "running", Title: "Running now", Doc: "The handler's stack, innermost call first.",
		Empty: "No goroutine of the server works for it: it is its program that receives.",
		Columns: []panel.Column{
			{Key: "function", Label: "Function", Kind: panel.Code}, {Key: "site", Label: "At", Kind: panel.Code},
		},
	}
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		return t
	}
	// The text has a paragraph for each stack: a count, the labels, and a line for each call.
	who := `"earshot_ref":` + strconv.Quote(ref)
	mine := false
	for lines := bufio.NewScanner(&b); lines.Scan(); {
		line := lines.Text()
		if line == "" {
			if mine && len(t.Rows) > 0 {
				return t
			}
			mine = false
		} else if labels, ok := strings.CutPrefix(line, "# labels: "); ok {
			mine = strings.Contains(labels, who)
		} else if call := strings.Split(line, "\t"); mine && call[0] == "#" && len(call) > 3 {
			function, place := call[2], call[len(call)-1]
			if i := strings.LastIndexByte(function, '+'); i > 0 {
				function = function[:i]
			}
			t.Rows = append(t.Rows, []any{function, path.Join(path.Base(path.Dir(place)), path.Base(place))})
		}
	}
	return t
}
