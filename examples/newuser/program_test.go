// An inside test: the test binary plays the program.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

const asProgram = "EARSHOT_NEWUSER_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		go func() { // it does not outlive the test
			io.Copy(io.Discard, os.Stdin)
			os.Exit(3)
		}()
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

const bound = time.Minute // for things that take milliseconds on an idle machine

// A program is the example, running.
type program struct {
	cmd   *exec.Cmd
	input io.Closer
	ended chan struct{} // closed when the process has ended

	mu    sync.Mutex
	lines []string
	fresh chan struct{} // closed when there is another line
}

func start(t *testing.T, args ...string) *program {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	p := &program{cmd: exec.Command(self, args...), ended: make(chan struct{}), fresh: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), asProgram+"=1", "GORACE=halt_on_error=1 exitcode=66 atexit_sleep_ms=0")
	p.input, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	out, in, err := os.Pipe()
	require.NoError(t, err)
	p.cmd.Stdout, p.cmd.Stderr = in, in
	require.NoError(t, p.cmd.Start())
	in.Close()
	go func() {
		defer close(p.ended)
		defer out.Close()
		for s := bufio.NewScanner(out); s.Scan(); {
			p.add(s.Text())
		}
		p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("newuser %s said:\n  %s", strings.Join(args, " "), strings.Join(p.said(), "\n  "))
		}
	})
	return p
}

func (p *program) add(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, line)
	close(p.fresh)
	p.fresh = make(chan struct{})
}

func (p *program) said() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.lines...)
}

// saying waits for a line that matches, and returns what its parentheses match.
func (p *program) saying(t *testing.T, pattern string) []string {
	t.Helper()
	re, giveUp := regexp.MustCompile(pattern), time.After(bound)
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
			t.Fatalf("it has not said %q in %v", pattern, bound)
		}
	}
}

// kill is kill -9.
func (p *program) kill() {
	p.cmd.Process.Kill()
	<-p.ended
}

// stop asks it to end, and returns its status.
func (p *program) stop(t *testing.T) int {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	return p.status(t)
}

func (p *program) status(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(bound):
		t.Fatal("it does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// A site is what a server serves.
type site struct {
	url    string
	client *http.Client
}

func (p *program) site(t *testing.T) site {
	t.Helper()
	s := site{"http://" + p.saying(t, `serving http://([^/]+)/`)[1], &http.Client{Timeout: bound, Transport: &http.Transport{}}}
	t.Cleanup(s.client.CloseIdleConnections)
	return s
}

func (s site) do(t *testing.T, method, path string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequest(method, s.url+path, nil)
	require.NoError(t, err)
	resp, err := s.client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

// create makes users, named after the prefix and a number.
func (s site) create(t *testing.T, prefix string, n int) (names []string) {
	t.Helper()
	for i := range n {
		name := fmt.Sprintf("%s%02d", prefix, i)
		status, body := s.do(t, http.MethodPost, "/users/"+name+"/new")
		require.Equal(t, http.StatusCreated, status, body)
		names = append(names, name)
	}
	return names
}

// until waits for a condition. It asks in the test's own goroutine.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for giveUp := time.Now().Add(bound); !holds(); <-again.C {
		if time.Now().After(giveUp) {
			t.Fatalf("%s: not in %v", what, bound)
		}
	}
}

// A mailbox is the file that a mailer writes to.
type mailbox string

func (m mailbox) users(t testing.TB) (names []string) {
	text, err := os.ReadFile(string(m))
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, "@")
		require.Equal(t, "example.com: welcome to our great platform!!!\n", rest)
		names = append(names, name)
	}
	return names
}

// has waits until the mailbox has n mails, and requires that they are for these, once each, in this order if the engine
// promises one.
func (m mailbox) has(t *testing.T, ordered bool, want ...string) {
	t.Helper()
	until(t, fmt.Sprintf("%d mails", len(want)), func() bool { return len(m.users(t)) >= len(want) })
	if ordered {
		require.Equal(t, want, m.users(t))
	} else {
		require.ElementsMatch(t, want, m.users(t))
	}
}
