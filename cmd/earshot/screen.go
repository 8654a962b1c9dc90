package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// The alternate screen leaves what was on the terminal as it was. Without the automatic wrap, a line
// whose width was misjudged is cut and does not push the others down.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J"
	leaveScreen = "\x1b[?7h\x1b[?25h\x1b[0m\x1b[?1049l"
)

// A screen is the whole terminal, for as long as it is entered.
type screen struct {
	in  *os.File
	out io.Writer
	old *term.State // nil unless entered
}

func (s *screen) enter() error {
	old, err := term.MakeRaw(int(s.in.Fd()))
	if err != nil {
		return err
	}
	s.old = old
	_, err = io.WriteString(s.out, enterScreen)
	return err
}

// leave gives the terminal back as it was found. It may be called again.
func (s *screen) leave() {
	if s.old == nil {
		return
	}
	io.WriteString(s.out, leaveScreen)
	term.Restore(int(s.in.Fd()), s.old)
	s.old = nil
}

// draw replaces what is on the screen, in one write so that nothing half done is seen. Each line is
// erased before it is written: after a character in the last column, erasing would take that one.
func (s *screen) draw(lines []string) error {
	frame := "\x1b[?2026h\x1b[H"
	for i, line := range lines {
		if i > 0 {
			frame += "\r\n"
		}
		frame += "\x1b[2K" + line
	}
	_, err := io.WriteString(s.out, frame+"\x1b[?2026l")
	return err
}

// keys reads key presses and sends each by its name, until stdin ends. It is blocked in a read when
// the program ends.
func (s *screen) keys(send func(key string)) {
	buf := make([]byte, 64)
	for {
		n, err := s.in.Read(buf)
		if err != nil {
			send("eof")
			return
		}
		for rest := buf[:n]; len(rest) > 0; {
			key, size := decodeKey(rest)
			rest = rest[size:]
			if key != "" {
				send(key)
			}
		}
	}
}

// decodeKey returns the name of the first key in b, and how many bytes it took. Keys that nobody knows
// have no name.
func decodeKey(b []byte) (key string, size int) {
	if b[0] != 0x1b {
		switch b[0] {
		case 0x03:
			return "interrupt", 1
		case 0x1a:
			return "suspend", 1
		case '\t':
			return "tab", 1
		}
		return string(b[:1]), 1
	}
	if len(b) < 3 || b[1] != '[' && b[1] != 'O' {
		return "escape", len(b)
	}
	// CSI: parameters, and a letter or ~ at the end.
	end := 2
	for end < len(b)-1 && (b[end] < '@' || b[end] > '~') {
		end++
	}
	return map[string]string{
		"A": "up", "B": "down", "C": "right", "D": "left", "5~": "pageup", "6~": "pagedown",
		"H": "home", "F": "end", "1~": "home", "4~": "end",
	}[string(b[2:end+1])], end + 1
}
