package tap

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/earshot-go/earshot/tap/internal/web"
)

// The pages in the order of the menu, "" being the overview.
var menu = []web.Item{
	{Name: "", Title: "Overview"}, {Name: "channels", Title: "Channels"}, {Name: "subscribers", Title: "Subscribers"},
	{Name: "slow", Title: "Slow"}, {Name: "tap", Title: "Tap"}, {Name: "help", Title: "Help"},
}

// ownPage reports whether a name is one of the tap's own, so that no panel can have it.
func ownPage(name string) bool {
	switch name {
	case "overview", "channel", "subscriber", "events", "metrics", "emit", "index":
		return true
	}
	return slices.ContainsFunc(menu, func(i web.Item) bool { return i.Name == name })
}

// Every page is one segment at the end of the path, so that its links to the others hold under any prefix, of
// which this handler knows nothing.

// ServeHTTP answers a request; see [Handler].
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	access, what, hint := p.refuse(r)
	if what != "" {
		p.fail(w, r, http.StatusForbidden, what, hint)
		return
	}
	select {
	case <-p.done:
		p.fail(w, r, http.StatusServiceUnavailable, "the page has been closed", "the program is shutting down")
		return
	default:
	}
	name := lastSegment(r)
	if name == mountPoint {
		p.redirect(w, r)
		return
	}
	if name == "emit" {
		if p.methods(w, r, http.MethodPost) {
			p.serveEmit(w, r, access)
		}
		return
	}
	if !p.methods(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	if body, contentType, etag, ok := web.Asset(name); ok {
		p.serveAsset(w, r, body, contentType, etag)
		return
	}
	switch name {
	case "events", "events.ndjson":
		p.serveEvents(w, r, access)
	case "metrics":
		p.serveMetrics(w, r)
	default:
		p.serveView(w, r, access, name)
	}
}

func (p *Page) methods(w http.ResponseWriter, r *http.Request, allowed ...string) bool {
	if slices.Contains(allowed, r.Method) {
		return true
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	p.fail(w, r, http.StatusMethodNotAllowed, "the method "+r.Method+" is not for this page", "use "+strings.Join(allowed, " or "))
	return false
}

// mountPoint stands for a path that lacks the slash at its end.
const mountPoint = "."

// lastSegment returns which page a request is for. How deep the handler is mounted nobody tells: routers other
// than ServeMux set no pattern, or one of their own.
func lastSegment(r *http.Request) string {
	full := r.URL.Path
	if full == "" { // http.StripPrefix has taken everything, with the last slash or without
		if u, err := url.ParseRequestURI(r.RequestURI); err == nil && strings.HasSuffix(u.Path, "/") {
			return ""
		}
		return mountPoint
	}
	return full[strings.LastIndexByte(full, '/')+1:]
}

// redirect adds the slash. http.Redirect would make the place absolute, and who knows what the prefix is
// called outside.
func (p *Page) redirect(w http.ResponseWriter, r *http.Request) {
	to := "./"
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
		to = "./" + path.Base(u.EscapedPath()) + "/"
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusPermanentRedirect)
}

// secure sets the headers that keep a page to itself.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
		"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

func (p *Page) serveAsset(w http.ResponseWriter, r *http.Request, body []byte, contentType, etag string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Etag", etag)
	h.Set("Cache-Control", "no-cache") // ask each time: the next version has the same URL
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Write(body)
}
