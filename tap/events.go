package tap

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap/filter"
	"github.com/earshot-go/earshot/tap/internal/payload"
)

// request is what a viewer asks of the stream.
type request struct {
	filter *filter.Filter
	rate   *filter.Filter // of the parameter rate, or nil
	count  uint64         // of records, 0 for no end
	sse    bool           // server-sent events, otherwise a line of JSON each
	stats  bool
	lastID string
	enc    *payload.Encoder // nil hides payloads
}

// serveEvents answers with a stream, until the viewer goes or the server does.
func (p *Page) serveEvents(w http.ResponseWriter, r *http.Request, access Access) {
	q, ok := p.parseRequest(w, r, access)
	if !ok {
		return
	}
	if !canFlush(w) {
		p.fail(w, r, http.StatusNotImplemented, fmt.Sprintf("this server cannot stream: its %T cannot flush", w),
			"mount the handler outside of the middleware that wraps the ResponseWriter, or give the wrapper an Unwrap method")
		return
	}
	channels := q.filter.ChannelKey()
	if what, hint := p.enter(channels); what != "" {
		w.Header().Set("Retry-After", "5")
		p.fail(w, r, http.StatusServiceUnavailable, what, hint)
		return
	}
	defer p.leave(channels)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	s, gap, err := p.session(q, cancel)
	if err != nil {
		p.fail(w, r, http.StatusServiceUnavailable, err.Error(), "the program is shutting down")
		return
	}
	c := newConn(w, q, s, p.pace)
	h := w.Header()
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no") // nginx would collect a buffer first
	if q.sse {
		h.Set("Content-Type", "text/event-stream")
	} else {
		h.Set("Content-Type", "application/x-ndjson")
	}
	if r.Method == http.MethodHead {
		p.parked.release(s, false)
		return
	}
	back := c.serve(ctx, p.done, gap)
	p.parked.release(s, back && q.sse)
}

// parseRequest reads the query, and answers itself if there is something wrong with it.
func (p *Page) parseRequest(w http.ResponseWriter, r *http.Request, access Access) (q request, ok bool) {
	form := r.URL.Query()
	accept := r.Header.Get("Accept")
	q.sse = strings.Contains(accept, "text/event-stream") && !strings.HasSuffix(r.URL.Path, ".ndjson")
	q.stats = q.sse || form.Get("stats") == "1"
	q.lastID = r.Header.Get("Last-Event-ID")
	var err error
	if q.filter, err = filter.Parse(form.Get("filter")); err != nil {
		p.failFilter(w, r, err)
		return q, false
	}
	if rate := form.Get("rate"); rate != "" && rate != "all" {
		q.rate, err = filter.Parse("rate:" + rate)
		if err != nil || strings.ContainsAny(rate, " \t\r\n") {
			p.fail(w, r, http.StatusBadRequest, "rate is no number of events in a time: "+strconv.Quote(rate), "write rate=50/s, or rate=all")
			return q, false
		}
	}
	if n := form.Get("count"); n != "" {
		if q.count, err = strconv.ParseUint(n, 10, 64); err != nil || q.count == 0 {
			p.fail(w, r, http.StatusBadRequest, "count is not a number of records: "+strconv.Quote(n), "write count=10")
			return q, false
		}
	}
	if access&Payloads != 0 {
		q.enc = &p.payload
	} else if q.filter.LooksInside() {
		// What a filter finds tells what is inside.
		p.fail(w, r, http.StatusForbidden, "this filter looks inside of payloads, which are hidden from you",
			"filter by chan: and type:, or have tap.Options.Allow give you tap.Payloads")
		return q, false
	}
	return q, true
}

// session returns the one that the request wants to go on with, or a new one and, if it wanted one that is
// gone, that it has missed something.
func (p *Page) session(q request, cancel context.CancelFunc) (s *session, gap bool, err error) {
	key := fmt.Sprint(q.filter, "\x00", q.rate, q.enc != nil, q.count)
	if id, _, ok := strings.Cut(q.lastID, "-"); ok {
		if s := p.parked.claim(id, key, cancel); s != nil {
			return s, false, nil
		}
		gap = true
	}
	st, err := open(p.srv, q.filter.Hide(p.opts.Secret), pageCapacity)
	if err != nil {
		return nil, false, err
	}
	if q.rate != nil {
		n, per, _ := q.rate.Rate()
		st.limit = st.limit.stricter(newLimiter(n, per))
	}
	s = newSession(key, st)
	p.parked.attach(s, cancel)
	return s, gap, nil
}

// canFlush looks for what http.ResponseController would find, without sending anything.
func canFlush(w http.ResponseWriter) bool {
	for {
		switch x := w.(type) {
		case http.Flusher, interface{ FlushError() error }:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = x.Unwrap()
		default:
			return false
		}
	}
}

// reason is why a stream has ended, for people.
func reason(err error) string {
	if errors.Is(err, earshot.ErrServerClosed) {
		return "server closed"
	}
	return "page closed"
}
