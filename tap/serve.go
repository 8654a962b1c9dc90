package tap

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/earshot-go/earshot/tap/filter"
	"github.com/earshot-go/earshot/tap/internal/web"
	"github.com/earshot-go/earshot/tap/panel"
)

// serveView answers with a page, or its JSON twin.
func (p *Page) serveView(w http.ResponseWriter, r *http.Request, a Access, name string) {
	name, asJSON := strings.CutSuffix(name, ".json")
	if name == "overview" {
		name = ""
	}
	if !p.observe(w, r) {
		return
	}
	q := r.URL.Query()
	f := p.frame(r, a, name)
	switch ok := true; name {
	case "":
		f.View = p.overview(r.Context(), a)
	case "channels":
		f.View = p.look(a).channelsView()
	case "subscribers":
		f.View = p.look(a).subscribersView()
	case "slow":
		f.View = p.look(a).slowView()
	case "tap", "help":
		if asJSON {
			p.fail(w, r, http.StatusNotFound, "there is no page "+strconv.Quote(name+".json"), "the twin of the tap is events.ndjson")
			return
		}
	case "channel":
		f.View, ok = p.look(a).channelView(q.Get("name"))
		f.Tap = p.liveTap(q, a, "chan:"+filter.Quote(q.Get("name")))
		if !ok {
			p.fail(w, r, http.StatusNotFound, "there is no channel "+strconv.Quote(q.Get("name")),
				"it is neither declared nor does anybody listen; the list of channels has those that are")
			return
		}
	case "subscriber":
		if f.View, ok = p.look(a).subscriberView(q.Get("ref")); !ok {
			p.fail(w, r, http.StatusNotFound, "there is no subscription "+strconv.Quote(q.Get("ref")),
				"it may have ended; the list of subscribers has those that are there")
			return
		}
	default:
		x := p.panels[name]
		if x == nil {
			p.fail(w, r, http.StatusNotFound, "there is no page "+strconv.Quote(name),
				"begin at the overview; the handler has to be mounted under a path that ends in a slash")
			return
		}
		f.View = p.ask(r.Context(), x)
	}
	var b bytes.Buffer
	switch {
	case asJSON:
		w.Header().Set("Content-Type", "application/json")
		web.JSON(&b, web.Arrange(f.View, q))
	case name == "tap":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		f.Tap = p.liveTap(q, a, "")
		web.TapHTML(&b, f)
	case name == "help":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		web.HelpHTML(&b, f)
	default:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		web.HTML(&b, f)
	}
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.Write(b.Bytes())
}

// overview is the tap's own and what the panels say of themselves.
func (p *Page) overview(ctx context.Context, a Access) panel.View {
	v := p.look(a).overview()
	for _, x := range p.opts.Panels {
		pv := p.ask(ctx, x)
		if pv.Status > v.Status {
			v.Summary = pv.Title + ": " + pv.Summary
		}
		v.Status = v.Status.Worst(pv.Status)
	}
	return v
}

// most is how long an observation asked for with ?over= may take.
const mostOver = 10 * time.Second

// observe looks twice if the request says over=, so that rates and slow subscribers are known at the
// first look. It answers itself, and reports false, if the request is wrong or its sender gone.
func (p *Page) observe(w http.ResponseWriter, r *http.Request) bool {
	text := r.URL.Query().Get("over")
	if text == "" {
		return true
	}
	over, err := time.ParseDuration(text)
	if err != nil || over < 0 || over > mostOver {
		p.fail(w, r, http.StatusBadRequest, "over is not a time up to 10s: "+strconv.Quote(text), "write over=1s")
		return false
	}
	// A timeout of the web server is for requests that are answered at once.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(over + writeWithin))
	p.look(0)
	t := time.NewTimer(over)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.done:
		p.fail(w, r, http.StatusServiceUnavailable, "the page has been closed", "the program is shutting down")
	case <-r.Context().Done():
	}
	return false
}

func (p *Page) frame(r *http.Request, a Access, name string) web.Frame {
	f := web.Frame{Page: name, Menu: menu[: len(menu)-1 : len(menu)-1], Query: r.URL.Query(), Now: time.Now()}
	for _, x := range p.opts.Panels {
		f.Menu = append(f.Menu, web.Item{Name: x.Name(), Title: strings.ToUpper(x.Name()[:1]) + x.Name()[1:]})
	}
	f.Menu = append(f.Menu, menu[len(menu)-1])
	if a&Look == 0 {
		f.Menu = nil
	}
	f.Access = a.String()
	if a&Look != 0 {
		f.Version = version()
	}
	return f
}

// liveTap is what the live part of a page begins with.
func (p *Page) liveTap(q url.Values, a Access, fixed string) *web.Tap {
	t := &web.Tap{Filter: q.Get("filter"), Rate: q.Get("rate"), Fixed: fixed, Payloads: a&Payloads != 0}
	f, err := filter.Parse(t.Filter)
	switch {
	case err != nil:
		t.Problem, t.Hint = err.Error(), "the help page has the grammar"
		var e *filter.Error
		if errors.As(err, &e) {
			line, mark := e.Caret()
			t.Problem = e.Msg + "\n" + line + "\n" + mark
			t.Hint = cmp.Or(e.Hint, t.Hint)
		}
	case f.LooksInside() && !t.Payloads:
		t.Problem = "this filter looks inside of payloads, which are hidden from you"
		t.Hint = "filter by chan: and type:"
	}
	return t
}

// serveMetrics answers in the text format of Prometheus. The numbers are those of the pages.
func (p *Page) serveMetrics(w http.ResponseWriter, r *http.Request) {
	x := p.glance(Look)
	views := []panel.View{buildInfo(), x.overview(), x.channelsView(), x.subscribersView()}
	for _, pl := range p.opts.Panels {
		views = append(views, p.ask(r.Context(), pl))
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	web.Metrics(w, views...)
}
