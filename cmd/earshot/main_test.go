// These tests look inside: a command is a function of an app, whose world a test can make up. What a
// command does as a process is tested with this test binary as that process.
package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// patience is how long a test waits for what has to happen; it is no measure of speed.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	// A child that a test starts is the command itself.
	if os.Getenv("EARSHOT_TEST_COMMAND") != "" {
		becomeChild()
	}
	watchStream, observe = 400*time.Millisecond, "20ms"
	goleak.VerifyTestMain(m)
}

// A result is what a command leaves behind.
type result struct {
	code     int
	out, err string
}

// A world is what a test says about the surroundings of a command.
type world struct {
	url   string
	env   map[string]string
	width int // 0: stdout is no terminal
	stdin string
	ctx   context.Context
}

// run runs a command line within the test.
func (w world) run(t testing.TB, args ...string) result {
	t.Helper()
	var out, err bytes.Buffer
	a := &app{in: strings.NewReader(w.stdin), out: &out, err: &err, now: time.Now}
	a.env = func(name string) string {
		if v, ok := w.env[name]; ok {
			return v
		}
		if name == "EARSHOT_URL" {
			return w.url
		}
		return ""
	}
	a.term = terminal{out: w.width > 0, colour: w.width > 0 && w.env["NO_COLOR"] == "", size: func() (int, int) { return w.width, 24 }}
	ctx := w.ctx
	if ctx == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.Background(), patience)
		defer cancel()
	}
	code := a.run(ctx, args)
	return result{code, out.String(), err.String()}
}

// child returns a command line as a process, not yet started.
func child(t testing.TB, url string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, self, args...)
	c.Env = append(os.Environ(), "EARSHOT_TEST_COMMAND=1", "EARSHOT_URL="+url, "EARSHOT_TOKEN=", "NO_COLOR=", "TERM=xterm")
	return c
}

// serve runs a handler as a server for the test, and returns the URL of a page mounted in it.
func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	s := startServer(h)
	t.Cleanup(s.Close)
	return s.URL + defaultPath
}
