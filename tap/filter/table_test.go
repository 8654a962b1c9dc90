package filter_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/tap/filter"
)

// A sample is an event of cases.txt.
type sample struct {
	name, channel string
	value         any
}

// A row is a filter of cases.txt.
type row struct {
	line     int
	text     string
	match    []string
	canon    *string
	pos, len int
	failure  string
}

// readTable reads cases.txt, whose first lines say what it looks like.
func readTable(t testing.TB) (samples []sample, rows []row) {
	t.Helper()
	text, err := os.ReadFile("testdata/cases.txt")
	require.NoError(t, err)
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		word, rest, _ := strings.Cut(line, " ")
		last := len(rows) - 1
		switch word {
		case "", "#":
		case "event":
			f := strings.SplitN(rest, " ", 3)
			var v map[string]any
			d := json.NewDecoder(strings.NewReader(f[2]))
			d.UseNumber()
			require.NoError(t, d.Decode(&v), "line %d", i+1)
			samples = append(samples, sample{f[0], f[1], v})
		case "go":
			name, channel, _ := strings.Cut(rest, " ")
			require.Contains(t, goEvents, name, "line %d", i+1)
			samples = append(samples, sample{name, channel, goEvents[name]})
		case "filter":
			rows = append(rows, row{line: i + 1, text: rest})
		case "filterq":
			text, err := strconv.Unquote(rest)
			require.NoError(t, err, "line %d", i+1)
			rows = append(rows, row{line: i + 1, text: text})
		case "match":
			rows[last].match = strings.Fields(rest)
		case "canon":
			rows[last].canon = &rest
		case "error":
			_, err := fmt.Sscanf(rest, "%d %d", &rows[last].pos, &rows[last].len)
			require.NoError(t, err, "line %d", i+1)
			rows[last].failure = strings.SplitN(rest, " ", 3)[2]
		default:
			if !strings.HasPrefix(line, "#") {
				t.Fatalf("cases.txt:%d: what is %q?", i+1, line)
			}
		}
	}
	return samples, rows
}

func TestTable(t *testing.T) {
	samples, rows := readTable(t)
	require.GreaterOrEqual(t, len(rows), 200)
	for _, r := range rows {
		t.Run(fmt.Sprintf("line %d", r.line), func(t *testing.T) {
			f, err := filter.Parse(r.text)
			if r.failure != "" {
				var e *filter.Error
				require.ErrorAs(t, err, &e, "%s", r.text)
				require.Equal(t, []int{r.pos, r.len}, []int{e.Pos, e.Len}, "%v", e)
				require.Contains(t, e.Msg, r.failure)
				require.Equal(t, r.text, e.Text)
				return
			}
			require.NoError(t, err)
			require.NotNil(t, r.match, "neither match nor error")
			want := r.text
			if r.canon != nil {
				want = *r.canon
			}
			require.Equal(t, want, f.String())
			again, err := filter.Parse(f.String())
			require.NoError(t, err)
			require.Equal(t, f.String(), again.String())
			for _, f := range []*filter.Filter{f, again} {
				require.Equal(t, r.wants(samples), passing(f, samples), "%s", r.text)
			}
		})
	}
}

// wants returns the names of the events that a filter is to let through.
func (r row) wants(samples []sample) []string {
	names := []string{}
	for _, s := range samples {
		own := strings.HasPrefix(s.channel, "earshot.")
		if slices.Contains(r.match, s.name) || r.match[0] == "+*" || r.match[0] == "*" && !own {
			names = append(names, s.name)
		}
	}
	return names
}

func passing(f *filter.Filter, samples []sample) []string {
	names := []string{}
	for _, s := range samples {
		if f.Channel(s.channel) && f.Match(reflect.ValueOf(s.value)) {
			names = append(names, s.name)
		}
	}
	return names
}
