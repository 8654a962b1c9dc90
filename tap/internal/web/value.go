package web

import (
	"time"

	"github.com/earshot-go/earshot/tap/panel"
)

// cell writes a value in its place in a row.
func (p *page) cell(kind panel.Kind, v any, now time.Time) {
	c := read(kind, v)
	p.raw(`<td`)
	switch {
	case kind.Number() && !c.known:
		p.raw(` class="n z"`)
	case !c.known, kind == panel.Flag && !c.flag:
		p.raw(` class="z"`)
	case kind.Number() && c.isNum && c.num.isZero():
		p.raw(` class="n z"`)
	case kind.Number():
		p.raw(` class="n"`)
	case kind == panel.Code:
		p.raw(` class="code"`)
	}
	p.raw(`>`)
	p.value(c, kind, now)
	p.raw(`</td>`)
}

// value writes a cell so that the script can tell the exact value from the
// words: <data> and <time> have both.
func (p *page) value(c cell, kind panel.Kind, now time.Time) {
	switch {
	case !c.known:
		p.raw(`–`)
	case kind == panel.Time && c.isNum:
		p.raw(`<time`)
		p.attr("datetime", c.when.UTC().Format(time.RFC3339Nano))
		p.attr("title", c.when.UTC().Format("2006-01-02 15:04:05.000 MST"))
		p.raw(`>`)
		p.text(c.shown(kind, now))
		p.raw(`</time>`)
	case kind == panel.Flag && c.isNum:
		p.text(c.shown(kind, now))
	case c.isNum:
		p.raw(`<data`)
		p.attr("value", string(c.appendJSON(nil, kind)))
		p.raw(`>`)
		p.text(c.shown(kind, now))
		p.raw(`</data>`)
	default:
		p.name(c)
	}
}

// name writes words from the program, apart from the direction of the page.
func (p *page) name(c cell) {
	if c.link != nil {
		p.raw(`<a`)
		p.link(c.link.Page, c.link.Query)
		p.raw(`>`)
	}
	p.raw(`<bdi`)
	if !isPlain(c.text) {
		p.attr("data-value", c.text)
	}
	p.raw(`>`)
	p.text(c.text)
	p.raw(`</bdi>`)
	if c.link != nil {
		p.raw(`</a>`)
	}
}

// facts writes the one row of a table as names and values.
func (p *page) facts(t *panel.Table, r row, now time.Time) {
	figures := 0
	for i := range t.Columns {
		if t.Columns[i].Kind.Number() {
			figures++
		}
	}
	p.raw(`<dl class="facts`)
	if 2*figures > len(t.Columns) { // large, when numbers are what it is about
		p.raw(` figures`)
	}
	p.raw(`">`)
	for i := range t.Columns {
		col := &t.Columns[i]
		var v any
		if i < len(r) {
			v = r[i]
		}
		c := read(col.Kind, v)
		p.raw(`<div`)
		p.attr("data-key", col.Key)
		p.attr("data-kind", col.Kind.String())
		switch {
		case col.Kind.Number() && (!c.known || c.isNum && c.num.isZero()):
			p.raw(` class="n z"`)
		case col.Kind.Number():
			p.raw(` class="n"`)
		case col.Kind == panel.Code:
			p.raw(` class="code"`)
		}
		if col.Doc != "" {
			p.attr("title", col.Doc)
		}
		p.raw(`><dt>`)
		p.text(label(col))
		p.raw(`</dt><dd>`)
		p.value(c, col.Kind, now)
		p.raw(`</dd></div>`)
	}
	p.raw(`</dl>`)
}
