//go:build unix

package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// assertRestored sees that the terminal is as it was: its modes, the cursor, the screen, the wrap.
func assertRestored(t *testing.T, p *pty, before any) {
	t.Helper()
	assert.Equal(t, before, p.state(t), "terminal modes")
	p.close() // so that all that was written has been read
	text := p.text()
	for _, pair := range [][2]string{{"\x1b[?1049h", "\x1b[?1049l"}, {"\x1b[?25l", "\x1b[?25h"}, {"\x1b[?7l", "\x1b[?7h"}} {
		assert.Contains(t, text, pair[0])
		assert.Greater(t, strings.LastIndex(text, pair[1]), strings.LastIndex(text, pair[0]), "%q is never taken back", pair[0])
	}
}

func TestTopEnds(t *testing.T) {
	url := serve(t, newFake())
	for name, c := range map[string]struct {
		keys string
		sig  os.Signal
		env  string
		code int
	}{
		"q":                          {keys: "q", code: exitOK},
		"Ctrl-C":                     {keys: "\x03", code: exitInterrupted},
		"INT":                        {sig: os.Interrupt, code: exitInterrupted},
		"TERM":                       {sig: syscall.SIGTERM, code: 143},
		"HUP":                        {sig: syscall.SIGHUP, code: 129},
		"panic":                      {keys: "r", env: "EARSHOT_TEST_PANIC=draw", code: 2},
		"panic in another goroutine": {keys: "s", env: "EARSHOT_TEST_PANIC=look", code: 2},
	} {
		t.Run(name, func(t *testing.T) {
			p := openPty(t, 80, 24)
			before := p.state(t)
			cmd := child(t, url, "top", "--every", "1m")
			cmd.Env = append(cmd.Env, c.env)
			p.start(t, cmd)
			p.awaitText(t, "orders.paid")
			assert.NotEqual(t, before, p.state(t), "raw mode")
			if c.sig != nil {
				require.NoError(t, cmd.Process.Signal(c.sig))
			} else {
				p.press(t, c.keys)
			}
			assert.Equal(t, c.code, status(t, cmd.Wait()))
			assertRestored(t, p, before)
			if c.env != "" {
				text := p.text()
				assert.Greater(t, strings.Index(text, "planted"), strings.LastIndex(text, "\x1b[?1049l"), "the trace is on the ordinary screen")
			}
		})
	}
}

func TestTopKeys(t *testing.T) {
	url := serve(t, newFake())
	p := openPty(t, 100, 24)
	cmd := child(t, url, "top", "--every", "100ms")
	p.start(t, cmd)
	before := func(first, second string) func(string) bool {
		return func(screen string) bool {
			i, j := strings.Index(screen, first), strings.Index(screen, second)
			return i >= 0 && j > i
		}
	}
	p.await(t, "the busiest first", before("db.query", "orders.paid"))
	p.awaitText(t, "RATE▼")
	p.press(t, "r")
	p.awaitText(t, "RATE▲")
	p.await(t, "the other way round", before("orders.paid", "db.query"))
	p.press(t, "\x1b[C")
	p.awaitText(t, "LAST▼")
	p.press(t, "<<")
	p.awaitText(t, "SENT▼")
	p.press(t, "s")
	p.awaitText(t, "DEPTH▼")
	p.await(t, "the deepest first", before("warehouse", "mailer"))
	p.press(t, "\t")
	p.awaitText(t, "Nobody is slow.")
	p.press(t, "c \x1b[Zx\x1b") // and keys that mean nothing
	p.awaitText(t, "PAUSED")
	p.press(t, " ")
	p.await(t, "going on", func(s string) bool { return !strings.Contains(s, "PAUSED") && strings.Contains(s, "db.query") })
	p.press(t, "q")
	assert.Equal(t, exitOK, status(t, cmd.Wait()))
	p.await(t, "frames that fit", func(string) bool { return p.grid.fits })
}

func TestTopResize(t *testing.T) {
	f := newFake()
	var rows []string
	for _, name := range strings.Fields("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron 李雷") {
		rows = append(rows, `{"channel":"channel.`+name+`","type":"shop.Order","doc":"a long text about it that never ends","sent":1234567890,"rate":1.5,"last":"2026-11-20T10:00:00Z"}`)
	}
	f.set("channels.json", `{"title":"Channels","status":"ok","summary":"16 channels.","channels":[`+strings.Join(rows, ",")+`]}`)
	url := serve(t, f)
	p := openPty(t, 120, 40)
	cmd := child(t, url, "top", "--every", "1m", "--sort", "channel")
	p.start(t, cmd)
	p.awaitText(t, "a long text about it")
	for _, size := range [][2]int{{40, 12}, {20, 5}, {200, 50}, {1, 1}, {10, 3}, {80, 8}} {
		p.resize(t, size[0], size[1])
		// The first one may still be of the old size.
		p.await(t, fmt.Sprint("a frame that fits ", size), func(string) bool { return p.grid.fits })
	}
	p.awaitText(t, "channel.alpha")
	p.press(t, "G")
	p.awaitText(t, "channel.李 雷") // wide runes have an empty cell behind them
	p.press(t, "\x1b[5~\x1b[5~\x1b[5~\x1b[5~\x1b[5~\x1b[5~\x1b[5~\x1b[5~\x1b[5~")
	p.awaitText(t, "channel.alpha")
	p.press(t, "jj")
	p.await(t, "scrolled", func(s string) bool { return !strings.Contains(s, "channel.alpha") })
	p.press(t, "q")
	assert.Equal(t, exitOK, status(t, cmd.Wait()))
}

// A server that goes away and comes back costs no restart.
func TestTopLosesItsServer(t *testing.T) {
	f := newFake()
	var down atomic.Bool
	f.override = func(http.ResponseWriter, *http.Request) bool {
		if down.Load() {
			panic(http.ErrAbortHandler)
		}
		return false
	}
	p := openPty(t, 100, 24)
	cmd := child(t, serve(t, f), "top", "--every", "100ms")
	p.start(t, cmd)
	p.awaitText(t, "OK  All well.")
	down.Store(true)
	p.awaitText(t, "LOST  trying again")
	p.awaitText(t, "db.query") // what was there stays
	down.Store(false)
	p.awaitText(t, "OK  All well.")
	p.press(t, "q")
	assert.Equal(t, exitOK, status(t, cmd.Wait()))
}

func TestDecodeKey(t *testing.T) {
	for in, want := range map[string]string{
		"q": "q", "\x1b[A": "up", "\x1bOB": "down", "\x1b[6~": "pagedown", "\x1b[1;5A": "", "\x1b": "escape", "\x1b[": "escape", "\x03": "interrupt", "\t": "tab", "\x1b[200~": "",
	} {
		key, n := decodeKey([]byte(in))
		assert.Equal(t, want, key, "%q", in)
		assert.Equal(t, len(in), n, "%q", in)
	}
	key, n := decodeKey([]byte("\x1b[Aq"))
	assert.Equal(t, "up", key)
	assert.Equal(t, 3, n)
}
