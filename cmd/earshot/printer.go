package main

import (
	"bufio"
	"fmt"
	"time"
	"unicode/utf8"
)

// A printer writes records to stdout: as JSON, or as a line for people.
type printer struct {
	app         *app
	w           *bufio.Writer
	time, delta bool
	limit       int // cells of a line on a terminal, 0 for no limit
	last        time.Time
	line        []byte // of the record in hand, kept for the next
}

// On a terminal a record of 64 KiB would push the others off the screen.
const screenLines = 8

func newPrinter(t *listener) printer {
	return printer{app: t.app, w: bufio.NewWriterSize(t.out, 32<<10), time: t.time, delta: t.delta, limit: screenLines * t.width()}
}

func (p *printer) flush() error { return p.w.Flush() }

func (p *printer) record(f frame) error {
	p.line = p.line[:0]
	if p.app.json {
		var ok bool
		if p.line, ok = appendCleanJSON(p.line, f.raw); !ok {
			return fail(exitFailed, "", "the stream is broken: not JSON: %s", snippet(f.raw))
		}
	} else {
		p.human(f)
	}
	p.line = append(p.line, '\n')
	_, err := p.w.Write(p.line)
	return err
}

// human appends the record as
//
//	orders.paid #12 shop.OrderPaid {"id":7}
func (p *printer) human(f frame) {
	paint := p.app.paint()
	if p.time || p.delta {
		p.stamp(paint, f.Time)
	}
	p.line = fmt.Appendf(p.line, "%s %s", paint.channel(clean(*f.Channel)), paint.dim("#"+clean(f.Seq.String())))
	if f.Type != "" {
		p.line = append(append(p.line, ' '), paint.dim(clean(f.Type))...)
	}
	if len(f.Event) == 0 {
		if f.Size != "" {
			p.line = append(append(p.line, ' '), paint.dim("("+kindBytes.number(f.Size)+")")...)
		}
		return
	}
	p.line = append(p.line, ' ')
	at := len(p.line)
	p.line, _ = appendCleanJSON(p.line, f.Event)
	if event := p.line[at:]; p.limit > 0 && utf8.RuneCount(event) > p.limit {
		text := cutRight(string(event), p.limit)
		p.line = fmt.Appendf(p.line[:at], "%s %s", text, paint.dim("("+byteSize(float64(len(f.Event)))+"; --json has all)"))
	}
}

// stamp appends the record's time, or that since the record before.
func (p *printer) stamp(paint paint, text string) {
	at, err := time.Parse(time.RFC3339Nano, text)
	if p.time {
		shown := clean(text)
		if err == nil {
			shown = at.Local().Format("15:04:05.000000")
		}
		p.line = append(append(p.line, paint.dim(shown)...), ' ')
	}
	if p.delta {
		since := "+0s"
		if !p.last.IsZero() && err == nil {
			since = "+" + short(at.Sub(p.last))
		}
		p.line = append(append(p.line, paint.dim(fmt.Sprintf("%10s", since))...), ' ')
	}
	if err == nil {
		p.last = at
	}
}
