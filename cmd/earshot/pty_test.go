//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/term"
)

// A pty is a terminal whose screen and keyboard are the test's.
type pty struct {
	master, slave *os.File
	reading       chan struct{} // closed when there is nothing more to read

	mu   sync.Mutex // guards the fields below
	all  bytes.Buffer
	grid *emulator
}

func openPty(t testing.TB, columns, rows int) *pty {
	t.Helper()
	master, slave := ptyPair(t)
	p := &pty{master: master, slave: slave, reading: make(chan struct{}), grid: newEmulator(columns, rows)}
	resizePty(t, master, columns, rows)
	go func() {
		defer close(p.reading)
		buf := make([]byte, 32<<10)
		for {
			n, err := master.Read(buf)
			p.mu.Lock()
			p.all.Write(buf[:n])
			p.grid.write(buf[:n])
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(p.close)
	return p
}

// start runs a command in the terminal.
func (p *pty) start(t testing.TB, c *exec.Cmd) {
	t.Helper()
	c.Stdin, c.Stdout, c.Stderr = p.slave, p.slave, p.slave
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, c.Start())
}

func (p *pty) close() {
	p.slave.Close()
	select {
	case <-p.reading: // the other end is closed when the command has ended
	case <-time.After(time.Second):
	}
	p.master.Close()
	<-p.reading
}

func (p *pty) press(t testing.TB, keys string) {
	t.Helper()
	_, err := p.master.WriteString(keys)
	require.NoError(t, err)
}

func (p *pty) resize(t testing.TB, columns, rows int) {
	t.Helper()
	p.mu.Lock()
	p.grid = newEmulator(columns, rows)
	p.mu.Unlock()
	resizePty(t, p.master, columns, rows)
}

// text is everything that was ever written.
func (p *pty) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all.String()
}

// screen is what is on it now.
func (p *pty) screen() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.grid.String()
}

// await waits until the screen is as wanted.
func (p *pty) await(t testing.TB, what string, ok func(screen string) bool) {
	t.Helper()
	is := func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return ok(p.grid.String())
	}
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	end := time.After(patience)
	for !is() {
		select {
		case <-look.C:
		case <-end:
			t.Fatalf("waited %v for %s; the screen is\n%s\nwritten was %q", patience, what, p.screen(), lastOf(p.text(), 2000))
		}
	}
}

func (p *pty) awaitText(t testing.TB, text string) {
	t.Helper()
	p.await(t, text, func(screen string) bool { return strings.Contains(screen, text) })
}

// state is the terminal's modes, to be compared.
func (p *pty) state(t testing.TB) term.State {
	t.Helper()
	s, err := term.GetState(int(p.slave.Fd()))
	require.NoError(t, err)
	return *s
}

func lastOf(s string, n int) string { return s[max(0, len(s)-n):] }

// An emulator knows as much of a terminal as the full screen uses: what it does not know is a fault
// that shows up in the cells.
type emulator struct {
	columns, rows, x, y int
	cells               [][]rune
	rest                []byte // of what was written, to be understood with what follows
	wrapped             int    // characters of this frame that found no room in their line
	fits                bool   // the last whole frame had none
}

func newEmulator(columns, rows int) *emulator {
	e := &emulator{columns: columns, rows: rows, cells: make([][]rune, rows)}
	for y := range e.cells {
		e.eraseLine(y)
	}
	return e
}

func (e *emulator) eraseLine(y int) {
	e.cells[y] = []rune(strings.Repeat(" ", e.columns))
}

func (e *emulator) String() string {
	var lines []string
	for _, row := range e.cells {
		lines = append(lines, strings.TrimRight(string(row), " "))
	}
	return strings.Join(lines, "\n")
}

func (e *emulator) write(b []byte) {
	e.rest = append(e.rest, b...)
	for utf8.FullRune(e.rest) { // what is cut off goes on in the next read
		r, size := utf8.DecodeRune(e.rest)
		if r == 0x1b {
			size = slices.IndexFunc(e.rest[min(2, len(e.rest)):], func(c byte) bool { return c >= '@' && c <= '~' }) + 3
			if size < 3 {
				return
			}
			e.control(string(e.rest[2:size]))
		} else {
			e.put(r)
		}
		e.rest = e.rest[size:]
	}
}

func (e *emulator) put(r rune) {
	switch {
	case r == '\r':
		e.x = 0
	case r == '\n':
		e.y = min(e.y+1, e.rows-1)
	case e.x >= e.columns:
		e.wrapped++
	default:
		e.cells[e.y][e.x] = r
		e.x += runeWidth(r)
	}
}

func (e *emulator) control(seq string) {
	switch seq {
	case "H":
		e.x, e.y = 0, 0
	case "?2026h":
		e.wrapped = 0
	case "?2026l":
		e.fits = e.wrapped == 0
	case "2K":
		e.eraseLine(e.y)
	case "2J":
		for y := range e.cells {
			e.eraseLine(y)
		}
	}
}
