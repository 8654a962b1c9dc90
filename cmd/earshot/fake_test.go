package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// A fake is a tap page as the commands know it, with faults to order. What needs no fault is tested
// with the real page, see real_test.go.
type fake struct {
	mu       sync.Mutex // guards the fields below
	requests []*http.Request
	bodies   []string

	pages    map[string]string                                      // name.json -> body
	stream   func(w http.ResponseWriter, r *http.Request, f func()) // f flushes
	override func(w http.ResponseWriter, r *http.Request) bool
}

const (
	fakeOverview = `{"title":"Overview","status":"ok","summary":"All well.",
"totals":[{"channels_live":3,"channels_declared":4,"subscribers":2,"sent":18446744073709551615,"rate":1234.5,"missed":0,"depth":7}],
"deepest":[{"ref":"ref#2","channel":"orders.paid","subscriber":"warehouse","site":"shop/staff.go:41","depth":7}],
"slow":[],
"about":[{"earshot":"v1.2.3","go":"go1.26.8","program":"shop","started":"2026-11-20T10:00:00Z","uptime":3605.25,"access":"read-only, payloads shown","pid":4711}]}`
	fakeChannels = `{"title":"Channels","status":"ok","summary":"3 channels.","channels":[
{"channel":"orders.paid","type":"shop.Order","doc":"somebody has paid","live":true,"declared":true,"subscribers":2,"tapped":0,"sent":18446744073709551615,"rate":2.25,"last":"2026-11-20T10:00:00Z"},
{"channel":"db.query","type":"shop.Query","doc":"","live":true,"declared":true,"subscribers":1,"tapped":1,"sent":1234567,"rate":912,"last":null},
{"channel":"debug.cache","type":null,"doc":"","live":false,"declared":true,"subscribers":0,"tapped":0,"sent":null,"rate":null,"last":null}]}`
	fakeSubscribers = `{"title":"Subscribers","status":"ok","summary":"2 subscribers.","subscribers":[
{"ref":"ref#1","channel":"orders.paid","subscriber":"mailer","site":"shop/staff.go:28","overflow":"drop-oldest","capacity":4096,"depth":0,"high_water":3,"oldest":null,"offered":10,"received":10,"missed":0,"discarded":0,"mismatched":0},
{"ref":"ref#2","channel":"orders.paid","subscriber":"warehouse","site":"shop/staff.go:41","overflow":"drop-oldest","capacity":4096,"depth":7,"high_water":9,"oldest":0.75,"offered":10,"received":3,"missed":0,"discarded":0,"mismatched":0}]}`
	fakeSlow = `{"title":"Slow","status":"ok","summary":"Nobody is slow.","slow":[],"past":[]}`
)

func newFake() *fake {
	return &fake{pages: map[string]string{
		"overview.json": fakeOverview, "channels.json": fakeChannels, "subscribers.json": fakeSubscribers, "slow.json": fakeSlow,
	}}
}

func startServer(h http.Handler) *httptest.Server { return httptest.NewServer(h) }

func (f *fake) set(name, body string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pages[name] = body
}

// last returns the latest request.
func (f *fake) last() *http.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests[len(f.requests)-1]
}

// first returns the first request for a page.
func (f *fake) first(name string) *http.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.requests {
		if strings.HasSuffix(r.URL.Path, "/"+name) {
			return r
		}
	}
	return nil
}

func problem(w http.ResponseWriter, status int, what, hint string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"error": what, "hint": hint, "status": status})
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body strings.Builder
	if r.Body != nil {
		buf := make([]byte, 4096)
		for {
			n, err := r.Body.Read(buf)
			body.Write(buf[:n])
			if err != nil {
				break
			}
		}
	}
	name := strings.TrimPrefix(r.URL.Path, defaultPath)
	f.mu.Lock()
	f.requests = append(f.requests, r.Clone(r.Context()))
	f.bodies = append(f.bodies, body.String())
	page, known := f.pages[name]
	override, stream := f.override, f.stream
	f.mu.Unlock()

	w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch {
	case override != nil && override(w, r):
	case !strings.HasPrefix(r.URL.Path, defaultPath):
		http.NotFound(w, r)
	case r.Header.Get("Origin") != "":
		problem(w, 403, "the request comes from another origin", "")
	case !strings.HasPrefix(r.Host, "127.0.0.1:") || r.Header.Get("X-Forwarded-For") != "":
		problem(w, 403, "the client is not on this machine", "")
	case known:
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, page)
	case name == "":
		fmt.Fprint(w, "<!doctype html>")
	case name == "emit":
		fmt.Fprintf(w, `{"channel":%q,"type":"shop.Order","listeners":3}`, r.URL.Query().Get("channel"))
	case strings.HasPrefix(name, "events"):
		flush := func() { http.NewResponseController(w).Flush() }
		if stream == nil {
			stream = defaultStream
		}
		stream(w, r, flush)
	default:
		problem(w, 404, "there is no such page", "begin at the overview")
	}
}

// defaultStream is five records, counted, and the end; as server-sent events it is counts each second.
func defaultStream(w http.ResponseWriter, r *http.Request, flush func()) {
	if strings.Contains(r.Header.Get("Accept"), "event-stream") {
		for {
			fmt.Fprint(w, "event: stats\ndata: {}\n\n")
			flush()
			if !wait(r, second) {
				return
			}
		}
	}
	fmt.Fprintln(w, `{"stats":{"seen":0,"shown":0,"filtered":0,"shed":0,"payloads":true}}`)
	flush()
	for i := 1; i <= 5; i++ {
		fmt.Fprintln(w, record(i))
	}
	fmt.Fprintln(w, `{"stats":{"seen":9,"shown":5,"filtered":4,"shed":0,"payloads":true}}`)
	fmt.Fprintln(w, `{"end":{"reason":"server closed"}}`)
}

func record(i int) string {
	return fmt.Sprintf(`{"channel":"orders.paid","seq":%d,"time":"2026-11-21T10:00:00.%03dZ","type":"shop.Order","size":48,"event":{"id":9007199254740993,"amount":%d}}`, i, i, i*100)
}

func (f *fake) snapshotRequests() []*http.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*http.Request(nil), f.requests...)
}
