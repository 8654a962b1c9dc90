package main

import (
	"fmt"
	"strings"
	"time"
)

// progressEvery is how often a terminal is told of progress; a log is told ten times less often. A test has
// less patience.
var progressEvery = time.Second

// A progress tells people how far something has come. On a terminal it has one line, which ends with end.
type progress struct {
	app     *app
	command string
	last    time.Time
	width   int // of the line on the terminal, 0 if there is none
}

// newProgress returns one that is silent at first: what is soon done needs no progress.
func (a *app) newProgress(command string) *progress {
	return &progress{app: a, command: command, last: a.now()}
}

// say tells how far it is, unless that was told just now.
func (p *progress) say(format string, args ...any) {
	every := progressEvery
	if !p.app.term.err {
		every *= 10
	}
	if now := p.app.now(); now.Sub(p.last) < every {
		return
	} else {
		p.last = now
	}
	text := "[" + p.command + "] " + fmt.Sprintf(format, args...)
	if !p.app.term.err {
		p.app.notef("%s", text)
		return
	}
	if w := p.app.width(); w > 1 {
		text = cutRight(text, w-1)
	}
	was := p.width
	p.width = cells(text)
	fmt.Fprint(p.app.err, "\r", pad(text, was))
}

// end takes the line off the terminal.
func (p *progress) end() {
	if p.width > 0 {
		fmt.Fprint(p.app.err, "\r", strings.Repeat(" ", p.width), "\r")
		p.width = 0
	}
}
