// Package web draws the pages of the tap.
//
// Everything a page shows is a [panel.View]. This package turns a view into
// an HTML document, into JSON and into Prometheus text, always from the same
// value, so that the three cannot disagree. It knows nothing of HTTP and
// nothing of servers: bytes in, bytes out, no state, safe from many
// goroutines.
//
// HTML is written by hand, because html/template brings text/template and
// reflection into every binary that mounts the tap. What keeps that safe is
// the type of [page.raw], and the tests in xss_test.go.
//
// All links are relative and all pages lie in one folder, so the tap works
// under any prefix and behind any proxy. There is no inline script, no inline
// style and no request to another origin; the pages work under
//
//	default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'
package web

import (
	"io"
	"net/url"
	"time"

	"github.com/earshot-go/earshot/tap/panel"
)

// A Frame is a page: the view, and what is around it.
type Frame struct {
	// Page is the last segment of the page's URL without .json: "channels",
	// "" for the overview.
	Page string
	Menu []Item
	View panel.View

	// Access says in a few words what the viewer may do: "read-only, payloads
	// hidden". It is shown on every page.
	Access string

	// Query is the query of the request. It says how tables are sorted,
	// searched and paged, see [Arrange], and is kept in links to the same
	// page.
	Query url.Values

	// Tap, if not nil, puts the live tap below the tables.
	Tap *Tap

	Version string    // of earshot; for the footer
	Now     time.Time // what ages are counted from; zero means time.Now()

	failed bool // it is the page of an error, which has no twin
}

// An Item is an entry of the menu.
type Item struct{ Name, Title string }

// A Tap is the live part of a page: the filter bar and the stream.
type Tap struct {
	Filter string // as it was typed
	Rate   string // "50/s", "all"; "" is DefaultRate
	Fixed  string // a filter that always holds as well, on the page of one channel: chan:orders.paid

	// Problem is why Filter does not parse: the error's text with its caret
	// line, shown as it is in letters of one width. Hint says what to do.
	Problem string
	Hint    string

	// Payloads says whether the viewer may see payloads. It changes the words
	// only: what must not be seen is not sent.
	Payloads bool
}

// DefaultRate is how many events the live tap shows unless it is told otherwise.
const DefaultRate = "50/s"

// HTML writes the page of f.View, with the live tap below it if there is f.Tap.
func HTML(w io.Writer, f Frame) error {
	p := f.open()
	p.raw(`<main id="main" tabindex="-1">`)
	p.heading(&f)
	p.view(&f)
	if f.Tap != nil {
		p.raw(`<section class="listen"><h2 id="live">Live</h2>`)
		p.tap(&f)
		p.raw(`</section>`)
	}
	p.raw(`</main>`)
	return p.finish(w, &f)
}

// TapHTML writes the page of the live tap. f.View gives its title and, if
// there is one, its sentence; f.Tap may be nil.
func TapHTML(w io.Writer, f Frame) error {
	if f.Tap == nil {
		f.Tap = new(Tap)
	}
	if f.View.Title == "" {
		f.View.Title = "Tap"
	}
	p := f.open()
	p.raw(`<main id="main" tabindex="-1" class="wide">`)
	p.heading(&f)
	p.tap(&f)
	p.raw(`</main>`)
	return p.finish(w, &f)
}

// HelpHTML writes the page about keys, the filter grammar and the terms.
func HelpHTML(w io.Writer, f Frame) error {
	if f.View.Title == "" {
		f.View.Title = "Help"
	}
	p := f.open()
	p.raw(`<main id="main" tabindex="-1">`)
	p.heading(&f)
	p.raw(markup(helpHTML))
	p.raw(`</main>`)
	return p.finish(w, &f)
}

// ErrorHTML writes a page that says what went wrong and what to do about it,
// in the words that the JSON error of the same request has.
func ErrorHTML(w io.Writer, f Frame, status int, what, hint string) error {
	f.View = panel.View{Title: what, Status: panel.Bad}
	if len(f.Menu) == 0 { // whoever may see nothing may not see the files of the page either
		return bareError(w, status, what, hint)
	}
	f.failed = true
	p := f.open()
	p.raw(`<main id="main" tabindex="-1"><div id="view" data-error="`)
	p.int(status)
	p.raw(`"><p class="big">`)
	p.int(status)
	p.raw(`</p><h1 id="status" class="say">`)
	p.text(what)
	p.raw(`</h1>`)
	if hint != "" {
		p.raw(`<p class="hint">`)
		p.text(hint)
		p.raw(`</p>`)
	}
	p.raw(`<p><a href="./">Overview</a></p></div></main>`)
	return p.finish(w, &f)
}

func bareError(w io.Writer, status int, what, hint string) error {
	p := &page{}
	p.raw(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><title>`)
	p.int(status)
	p.raw(`</title></head><body><main data-error="`)
	p.int(status)
	p.raw(`"><h1 id="status">`)
	p.text(what)
	p.raw(`</h1><p>`)
	p.text(hint)
	p.raw("</p></main></body></html>\n")
	_, err := w.Write(p.b)
	return err
}

// now is what ages are counted from.
func (f *Frame) now() time.Time {
	if f.Now.IsZero() {
		return time.Now()
	}
	return f.Now
}
