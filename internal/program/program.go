// Package program is for tests of a program as a process, which can be killed: the test binary plays it.
//
//	func TestMain(m *testing.M) {
//		program.Main(main)
//		goleak.VerifyTestMain(m)
//	}
//
//	p := program.Start(t, "-listen", "127.0.0.1:0")
//	p.Saying(t, `serving`)
//	p.Kill()
package program

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Bound is for things that take milliseconds on an idle machine.
const Bound = time.Minute

const asProgram = "EARSHOT_TEST_AS_PROGRAM"

// Main runs main and ends the process, if Start has started it. In the process of the tests it does nothing.
func Main(main func()) {
	if os.Getenv(asProgram) == "" {
		return
	}
	go func() { // the program does not outlive the test
		io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	main()
	os.Exit(0)
}

// A Program is a process. Its methods may be called from many goroutines, those with a testing.TB only from the test's
// own.
type Program struct {
	cmd   *exec.Cmd
	input io.Closer     // of the program, which ends when this is closed, so also when the test dies
	ended chan struct{} // closed when the process has ended

	mu    sync.Mutex // guards the fields below
	lines []string
	fresh chan struct{} // closed when there is another line
}

// Start starts the program. It is killed at the end of the test.
func Start(t testing.TB, args ...string) *Program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &Program{cmd: exec.Command(self, args...), ended: make(chan struct{}), fresh: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), asProgram+"=1", "GORACE=halt_on_error=1 exitcode=66 atexit_sleep_ms=0")
	if p.input, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = in, in
	err = p.cmd.Start()
	in.Close()
	if err != nil {
		out.Close()
		t.Fatal(err)
	}
	go func() { // ends with the process
		defer close(p.ended)
		defer out.Close()
		for s := bufio.NewScanner(out); s.Scan(); {
			p.add(s.Text())
		}
		p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("%s %s said:\n  %s", filepath.Base(self), strings.Join(args, " "), strings.Join(p.Said(), "\n  "))
		}
	})
	return p
}

func (p *Program) add(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, line)
	close(p.fresh)
	p.fresh = make(chan struct{})
}

// Said returns the lines that the program has written, to its standard output or error.
func (p *Program) Said() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.lines)
}

// Saying waits for a line that matches, and returns what its parentheses match.
func (p *Program) Saying(t testing.TB, pattern string) []string {
	t.Helper()
	re, giveUp := regexp.MustCompile(pattern), time.After(Bound)
	for {
		p.mu.Lock()
		lines, fresh := p.lines, p.fresh
		p.mu.Unlock()
		for _, line := range lines {
			if m := re.FindStringSubmatch(line); m != nil {
				return m
			}
		}
		select {
		case <-fresh:
		case <-p.ended:
			select {
			case <-fresh: // its last words
				continue
			default:
			}
			t.Fatalf("it has ended without saying %q", pattern)
		case <-giveUp:
			t.Fatalf("it has not said %q in %v", pattern, Bound)
		}
	}
}

// Kill is kill -9. It returns when the process has ended.
func (p *Program) Kill() {
	p.cmd.Process.Kill()
	<-p.ended
}

// Signal sends a signal.
func (p *Program) Signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// Stop asks the program to end, by SIGTERM, and returns its status.
func (p *Program) Stop(t testing.TB) int {
	t.Helper()
	p.Signal(t, syscall.SIGTERM)
	return p.Status(t)
}

// Status waits for the end of the program and returns its status.
func (p *Program) Status(t testing.TB) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(Bound):
		t.Fatal("it does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// Until waits for a condition. It asks in the test's own goroutine.
func Until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for giveUp := time.Now().Add(Bound); !holds(); <-again.C {
		if time.Now().After(giveUp) {
			t.Fatalf("%s: not in %v", what, Bound)
		}
	}
}
