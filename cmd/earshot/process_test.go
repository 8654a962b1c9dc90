//go:build unix

package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/earshot-go/earshot/internal/need"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// status returns how a process ended: its exit code, or -1 and the signal.
func status(t testing.TB, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	var exit *exec.ExitError
	require.True(t, errors.As(err, &exit), "%v", err)
	return exit.ExitCode()
}

// Ctrl-C ends a tap with its account, and with the exit code that shells expect.
func TestInterrupt(t *testing.T) {
	for sig, code := range map[os.Signal]int{os.Interrupt: 130, syscall.SIGTERM: 143, syscall.SIGHUP: 129} {
		for _, args := range [][]string{{"tap"}, {"tap", "--json", "--strict"}, {"slow", "--watch", "--every", "100ms"}} {
			f := newFake()
			f.stream = endlessStream(time.Millisecond)
			c := child(t, serve(t, f), args...)
			var notes bytes.Buffer
			c.Stderr = &notes
			out, err := c.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, c.Start())
			if args[0] == "tap" {
				_, err = bufio.NewReader(out).ReadString('\n')
				require.NoError(t, err)
			} else { // it asks again: so it has begun to watch
				require.Eventually(t, func() bool { return len(f.snapshotRequests()) > 1 }, patience, 5*time.Millisecond)
			}
			require.NoError(t, c.Process.Signal(sig))
			io.Copy(io.Discard, out)
			assert.Equal(t, code, status(t, c.Wait()), "%v %v: %s", sig, args, notes.String())
			if args[0] == "tap" {
				assert.Regexp(t, `^\[tap\] seen [0-9,]+ = shown [0-9,]+ \+ filtered [0-9,]+ \+ shed 0$`, lastLine(notes.String()))
				assert.NotContains(t, notes.String(), "interrupted")
			}
		}
	}
}

// "earshot tap | head -1" works, and complains about nothing.
func TestPipeClosedEarly(t *testing.T) {
	head := need.Program(t, "head")
	for _, args := range [][]string{{"tap", "--count", "3"}, {"tap"}, {"tap", "--json"}, {"ls"}, {"help"}} {
		f := newFake()
		if len(args) < 3 {
			f.stream = endlessStream(time.Millisecond)
		}
		c := child(t, serve(t, f), args...)
		var notes bytes.Buffer
		c.Stderr = &notes
		r, w, err := os.Pipe()
		require.NoError(t, err)
		c.Stdout = w
		require.NoError(t, c.Start())
		w.Close()
		h := exec.Command(head, "-1")
		h.Stdin = r
		line, err := h.Output()
		require.NoError(t, err)
		r.Close()
		assert.Equal(t, 1, strings.Count(string(line), "\n"))
		assert.Equal(t, exitOK, status(t, c.Wait()), "%v: %s", args, notes.String())
		assert.NotContains(t, notes.String(), "pipe", args)
		assert.NotContains(t, notes.String(), "panic", args)
	}
}

// Nothing but data is on stdout, whatever happens, and no colour where nobody sees it.
func TestStreamsAreApart(t *testing.T) {
	url := serve(t, newFake())
	for _, c := range []struct {
		args []string
		out  bool
		code int
	}{
		{[]string{"tap"}, true, 0}, {[]string{"ls"}, true, 0}, {[]string{"tap", "-bogus"}, false, 2}, {[]string{"bogus"}, false, 2},
		{[]string{"ls", "bogus"}, false, 1}, {[]string{"ls", "--url", "http://127.0.0.1:1/"}, false, 3}, {[]string{"-h"}, true, 0},
	} {
		cmd := child(t, url, c.args...)
		var out, notes bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &notes
		assert.Equal(t, c.code, status(t, cmd.Run()), c.args)
		assert.Equal(t, c.out, out.Len() > 0, c.args)
		assert.NotContains(t, out.String(), "[tap]")
		assert.NotContains(t, out.String()+notes.String(), "\x1b", c.args)
	}
}

// Colour is for terminals, and for those who want it.
func TestColour(t *testing.T) {
	f := newFake()
	w := world{url: serve(t, f), width: 100}
	for _, args := range [][]string{{}, {"ls"}, {"tap"}} {
		assert.Contains(t, w.run(t, args...).out, "\x1b[", args)
		plain := world{url: w.url, width: 100, env: map[string]string{"NO_COLOR": "1"}}.run(t, args...)
		assert.NotContains(t, plain.out, "\x1b", args)
		assert.Equal(t, exitOK, plain.code)
	}
}

func TestColourOfARealTerminal(t *testing.T) {
	url := serve(t, newFake())
	for env, want := range map[string]bool{"": true, "NO_COLOR=1": false, "TERM=dumb": false} {
		p := openPty(t, 100, 24)
		c := child(t, url, "ls")
		if env != "" {
			c.Env = append(c.Env, env)
		}
		p.start(t, c)
		assert.Equal(t, 0, status(t, c.Wait()))
		p.close()
		assert.Equal(t, want, strings.Contains(p.text(), "\x1b["), "%q: %q", env, p.text())
	}
}

// Completions must at least be scripts of their shells, and bash's must complete.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		t.Run(shell, func(t *testing.T) {
			r := world{}.run(t, "completion", shell)
			require.Equal(t, exitOK, r.code)
			for _, c := range flatten(commands) {
				assert.Contains(t, r.out, c.last())
			}
			path := need.Program(t, shell)
			file := filepath.Join(t.TempDir(), "completion")
			require.NoError(t, os.WriteFile(file, []byte(r.out), 0o600))
			out, err := exec.Command(path, "-n", file).CombinedOutput()
			require.NoError(t, err, "%s", out)
			assert.Empty(t, string(out))
		})
	}
}

func TestBashCompletes(t *testing.T) {
	bash := need.Program(t, "bash")
	script := world{}.run(t, "completion", "bash").out
	for words, want := range map[string]string{
		"earshot t":              "tap top",
		"earshot tap --un":       "--until-idle",
		"earshot tap -":          "--count -d --for --rate --strict -t --until-idle --json --url",
		"earshot completion ":    "bash zsh fish --json",
		"earshot help sl":        "slow",
		"earshot --url x ls sub": "subscribers",
		"earshot --json ls cha":  "channels",
		"earshot tap --rate ":    "",
		"earshot nosuch ":        "",

		"earshot queue re":                               "retry redrive",
		"earshot queue ls --st":                          "--state --store",
		"earshot queue cron ":                            "next --json",
		"earshot queue cron next --t":                    "--tz",
		"earshot queue --store sqlite : jobs.db dr":      "drain",
		"earshot --url = http : //x : 1 queue cance":     "cancel",
		"earshot queue --store redis : //x : 1/0 ls --n": "--name",
	} {
		ask := script + "\nCOMP_WORDS=(" + words + ")\n"
		if strings.HasSuffix(words, " ") {
			ask += "COMP_WORDS+=('')\n"
		}
		ask += "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _earshot; echo \"${COMPREPLY[*]}\""
		out, err := exec.Command(bash, "--norc", "-c", ask).CombinedOutput()
		require.NoError(t, err, "%s", out)
		assert.Equal(t, want, strings.TrimSpace(string(out)), words)
	}
}
