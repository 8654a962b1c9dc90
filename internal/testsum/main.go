// Testsum runs a "go test -json" command, shows what is going on while it
// runs, and ends with counts.
//
//	testsum [-note text]... [-failed what]... [-module path]... go test -json work
//
// One line appears when a package ends; the output of a failed test is shown
// in full, that of a passed one not at all. The summary counts tests per
// module and names what failed and what was skipped, with the reason. The last
// line is always
//
//	N passed, N failed, N skipped
//
// alone and without decoration, so that a program can read it. The exit status
// is 0 only if nothing failed and the command itself ended well.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// quiet is how long nothing may be printed before a line says what runs.
// Build logs with no sign of life for a minute get cancelled by their readers.
const quiet = 20 * time.Second

func main() {
	var notes, failed, modules list
	flag.Var(&notes, "note", "a `text` to repeat in the summary (repeatable)")
	flag.Var(&failed, "failed", "`what` failed before the tests; counted as a failure (repeatable)")
	flag.Var(&modules, "module", "module `path` to count tests under (repeatable)")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "testsum: no command; use: testsum [flags] go test -json work")
		os.Exit(2)
	}
	s := newSummary(os.Stdout, modules)
	for _, what := range failed {
		s.fail(what)
	}
	if err := run(s, flag.Args()); err != nil && s.failures() == len(failed) {
		// Exit status 1 with a failed test says nothing new. Without one, the
		// command could not do its work (no such module, killed, …).
		s.fail(fmt.Sprintf("%s: %v", strings.Join(flag.Args(), " "), err))
	}
	s.print(notes)
	if s.failures() > 0 {
		os.Exit(1)
	}
}

// run starts the command and feeds its events to s until both have ended.
func run(s *summary, command []string) error {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	follow(s, out, quiet)
	s.cut()
	return cmd.Wait()
}

// follow reads events from r to its end. The summary has one owner, the
// calling goroutine; the reader, which ends with r, only hands lines over.
func follow(s *summary, r io.Reader, quiet time.Duration) {
	lines := make(chan []byte)
	go func() {
		defer close(lines)
		// A Reader, not a Scanner: a test may print a line of any length.
		br := bufio.NewReader(r)
		for {
			line, err := br.ReadBytes('\n')
			if len(line) > 0 {
				lines <- line
			}
			if err != nil {
				return
			}
		}
	}()
	tick := time.NewTicker(quiet)
	defer tick.Stop()
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return
			}
			var ev event
			if json.Unmarshal(line, &ev) != nil || ev.Action == "" {
				s.line("%s", strings.TrimRight(string(line), "\n"))
			} else {
				s.add(ev)
			}
			if s.printed {
				s.printed = false
				tick.Reset(quiet)
			}
		case <-tick.C:
			s.alive()
			s.printed = false
		}
	}
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, ", ") }
func (l *list) Set(v string) error { *l = append(*l, v); return nil }
