package web

import (
	"net/url"

	"github.com/earshot-go/earshot/tap/panel"
)

// open writes everything above the main part.
func (f *Frame) open() *page {
	p := &page{b: make([]byte, 0, 16<<10)}
	p.raw(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><meta name="robots" content="noindex"><title>`)
	switch f.View.Status { // seen in the row of tabs
	case panel.OK:
	case panel.Warn:
		p.raw("▲ ")
	default:
		p.raw("■ ")
	}
	p.text(f.View.Title)
	// The script comes before the style and without defer: the theme that was
	// chosen must be set before the first line is drawn.
	p.raw(` · earshot</title><script src="./app.js"></script><link rel="stylesheet" href="./style.css"><link rel="icon" href="./icon.svg" type="image/svg+xml"></head>
<body><a class="skip" href="#main">Skip to content</a>
<header><a class="brand" href="./"><svg viewBox="0 0 32 32" aria-hidden="true"><path d="M8 24V13a8 8 0 0 1 16 0c0 5-5 6-5 10a4 4 0 0 1-7 2"/><path d="M13 14a3 3 0 0 1 6 0c0 2-2 3-3 4"/></svg>earshot</a>
<nav aria-label="Pages">`)
	for _, it := range f.Menu {
		p.raw(`<a`)
		p.link(it.Name, nil)
		if it.Name == f.Page || f.Page != "" && it.Name == f.Page+"s" { // a channel is one of the channels
			p.raw(` aria-current="page"`)
		}
		p.raw(`>`)
		p.text(it.Title)
		p.raw(`</a>`)
	}
	p.raw(`</nav><div class="tools">`)
	if f.Access != "" {
		p.raw(`<span class="badge" title="What this page may do">`)
		p.text(f.Access)
		p.raw(`</span>`)
	}
	p.raw(`<noscript><a href="">Refresh</a></noscript><span class="js" id="conn" role="status" data-state="live">live</span><button class="js" id="pause" type="button" aria-pressed="false" aria-keyshortcuts="Space" title="Hold the page still (space)">Pause</button><button class="js" id="theme" type="button" title="Dark or light"><span class="sr">Theme: </span><span id="theme-name">auto</span></button></div></header>
<p class="js banner" id="banner" role="alert" hidden></p>
`)
	return p
}

// heading writes the title of the page.
func (p *page) heading(f *Frame) {
	p.raw(`<h1>`)
	p.text(f.View.Title)
	p.raw(`</h1>`)
	if f.View.Summary != "" && f.Page == "tap" {
		p.raw(`<p class="doc">`)
		p.text(f.View.Summary)
		p.raw(`</p>`)
	}
}

// foot writes what is below the main part.
func (p *page) foot(f *Frame) {
	p.raw("\n<footer><p><span>earshot")
	if f.Version != "" {
		p.raw(` `)
		p.text(f.Version)
	}
	p.raw(`</span>`)
	if f.Page != "help" && f.Page != "tap" && !f.failed {
		twin := f.Page
		if twin == "" {
			twin = "overview"
		}
		p.raw(`<a`)
		p.link(twin+".json", f.Query)
		p.raw(`>JSON</a>`)
	}
	p.raw(`<a href="./metrics">Metrics</a><a href="./help">Help and keys</a></p><p class="js sr" id="note" role="status"></p></footer></body></html>
`)
}

// with answers the query with one value changed, and without the others that
// would no longer fit.
func with(q url.Values, key, value string, without ...string) url.Values {
	out := make(url.Values, len(q)+1)
	for k, v := range q {
		out[k] = v
	}
	for _, k := range without {
		delete(out, k)
	}
	if value == "" {
		delete(out, key)
	} else {
		out[key] = []string{value}
	}
	return out
}
