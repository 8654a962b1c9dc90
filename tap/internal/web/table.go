package web

import (
	"net/url"
	"strconv"

	"github.com/earshot-go/earshot/tap/panel"
)

// view writes the part of the page that the script keeps fresh: it fetches
// the same URL again and takes #view out of it.
func (p *page) view(f *Frame) {
	lists := 0
	for i := range f.View.Tables {
		if !f.View.Tables[i].Facts {
			lists++
		}
	}
	if lists > 0 && f.Page != "" && f.Tap == nil { // a tap has a field of its own
		p.search(f)
	}
	p.raw(`<div id="view">`)
	p.state(&f.View)
	for i := range f.View.Tables {
		p.table(f, &f.View.Tables[i], len(f.View.Tables) > 1)
	}
	p.raw(`</div>`)
}

// state writes the sentence at the top. Its colour is told by a shape and a
// word as well.
func (p *page) state(v *panel.View) {
	p.raw(`<p class="state"`)
	p.attr("data-status", v.Status.String())
	p.raw(`><span class="sr">Status: `)
	p.text(v.Status.String())
	p.raw(`. </span><span class="mark" aria-hidden="true"></span><span id="status" class="say">`)
	p.text(v.Summary)
	p.raw(`</span></p>`)
}

// search writes the field that searches the tables of the page.
func (p *page) search(f *Frame) {
	p.raw(`<form class="search" role="search" method="get"`)
	p.attr("action", address(f.Page, nil))
	p.raw(`>`)
	p.hidden(f.Query, "q", "page", "filter", "rate")
	p.raw(`<label class="sr" for="q">Search this page</label><input id="q" name="q" type="search" placeholder="Search names" autocomplete="off" autocapitalize="off" spellcheck="false" aria-keyshortcuts="/"`)
	p.attr("value", f.Query.Get("q"))
	p.raw(`></form>`)
}

// hidden writes what else the query has, so that a form keeps it.
func (p *page) hidden(q url.Values, without ...string) {
	rest := with(q, "", "", without...)
	for _, k := range sortedKeys(rest) {
		for _, v := range rest[k] {
			p.raw(`<input type="hidden"`)
			p.attr("name", k)
			p.attr("value", v)
			p.raw(`>`)
		}
	}
}

func (p *page) table(f *Frame, t *panel.Table, several bool) {
	p.raw(`<section`)
	p.attr("id", t.Name)
	p.raw(`>`)
	if t.Title != "" {
		p.raw(`<h2`)
		if t.Title == f.View.Title { // says it already, for those who see
			p.raw(` class="sr"`)
		}
		p.raw(`>`)
		p.text(t.Title)
		p.raw(`</h2>`)
	}
	if t.Doc != "" {
		p.raw(`<p class="doc">`)
		p.text(t.Doc)
		p.raw(`</p>`)
	}
	a := arrange(t, f.Query)
	switch q := f.Query.Get("q"); {
	case len(a.rows) == 0 && a.all > 0:
		p.raw(`<p class="empty">No name here contains “<bdi>`)
		p.text(q)
		p.raw(`</bdi>”. <a`)
		p.link(f.Page, with(f.Query, "", "", "q", "page"))
		p.raw(`>Show all `)
		p.text(count(integer(int64(max(a.all, t.Total)))))
		p.raw(`</a></p>`)
	case len(a.rows) == 0:
		p.raw(`<p class="empty">`)
		if t.Empty == "" {
			p.raw(`Nothing yet.`)
		}
		p.text(t.Empty)
		p.raw(`</p>`)
	case t.Facts:
		for _, r := range a.rows {
			p.facts(t, r, f.now())
		}
	default:
		p.rows(f, t, a, several)
		p.pager(f, t, a)
	}
	p.raw(`</section>`)
}

func (p *page) rows(f *Frame, t *panel.Table, a *arranged, several bool) {
	p.raw(`<div class="scroll" role="region" tabindex="0"`)
	name := t.Title
	if name == "" {
		name = f.View.Title
	}
	p.attr("aria-label", name)
	p.raw(`><table><thead><tr>`)
	at, down := sorting(t, f.Query)
	for i := range t.Columns {
		col := &t.Columns[i]
		p.raw(`<th scope="col"`)
		p.attr("data-key", col.Key)
		p.attr("data-kind", col.Kind.String())
		if col.Kind.Number() {
			p.raw(` class="n"`)
		}
		if col.Doc != "" {
			p.attr("title", col.Doc)
		}
		key := col.Key
		if several {
			key = t.Name + "." + key
		}
		switch {
		case i == at && down:
			p.raw(` aria-sort="descending"`)
		case i == at:
			p.raw(` aria-sort="ascending"`)
			key = "-" + key
		case col.Kind.Number(): // the largest is what one looks for
			key = "-" + key
		}
		p.raw(`><a data-soft`)
		p.link(f.Page, with(f.Query, "sort", key, "page"))
		p.raw(`>`)
		p.text(label(col))
		p.raw(`</a></th>`)
	}
	p.raw(`</tr></thead><tbody>`)
	for _, r := range a.shown() {
		p.raw(`<tr`)
		p.attr("data-key", rowKey(t, r))
		p.raw(`>`)
		for i := range t.Columns {
			var v any
			if i < len(r) {
				v = r[i]
			}
			p.cell(t.Columns[i].Kind, v, f.now())
		}
		p.raw("</tr>\n")
	}
	p.raw(`</tbody></table></div>`)
}

func label(col *panel.Column) string {
	if col.Label != "" {
		return col.Label
	}
	return col.Key
}

// rowKey is by what the script finds a row again when the table has changed:
// the first name in it.
func rowKey(t *panel.Table, r row) string {
	for i, col := range t.Columns {
		if i < len(r) {
			if c := read(col.Kind, r[i]); c.known && !c.isNum {
				return c.text
			}
		}
	}
	return ""
}

// pager says which rows these are, when they are not all.
func (p *page) pager(f *Frame, t *panel.Table, a *arranged) {
	n := len(a.rows)
	of := n
	if t.Total > a.all && n == a.all { // the panel brought only a part
		of = t.Total
	}
	if a.pages() == 1 && of == n && n == a.all {
		return
	}
	first := (a.page - 1) * PageRows
	p.raw(`<nav class="pager" aria-label="Rows"><span>`)
	p.text(count(integer(int64(first+1))) + "–" + count(integer(int64(first+len(a.shown())))) + " of " + count(integer(int64(of))))
	if n < a.all {
		p.raw(` that match, of `)
		p.text(count(integer(int64(max(a.all, t.Total)))))
	}
	p.raw(`</span>`)
	step := func(to int, rel, word markup) {
		p.raw(`<a data-soft rel="`)
		p.raw(rel)
		p.raw(`"`)
		p.link(f.Page, with(f.Query, "page", strconv.Itoa(to)))
		p.raw(`>`)
		p.raw(word)
		p.raw(`</a>`)
	}
	if a.page > 1 {
		step(a.page-1, "prev", "Previous")
	}
	if a.page < a.pages() {
		step(a.page+1, "next", "Next")
	}
	p.raw(`</nav>`)
}
