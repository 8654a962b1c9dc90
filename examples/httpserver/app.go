package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
)

// A Request is what the server tells about a request it has answered.
type Request struct {
	Method, Path string
	Status       int
	Bytes        int64
	Took         time.Duration
}

func (r Request) String() string {
	return fmt.Sprintf("%-6s %-20s %d %8d B %9v", r.Method, r.Path, r.Status, r.Bytes, r.Took.Round(100*time.Nanosecond))
}

// observe is the instrumentation: it sends one event for each request that next has answered.
func observe(requests *earshot.Channel[Request], next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !requests.Listening() { // nobody wants to know: not even the clock is read
			next.ServeHTTP(w, r)
			return
		}
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		start := time.Now()
		next.ServeHTTP(rec, r)
		requests.Send(Request{
			Method: r.Method,
			Path:   r.URL.EscapedPath(), // escaped, because it will be printed
			Status: rec.status,
			Bytes:  rec.bytes,
			Took:   time.Since(start),
		})
	})
}

// A recorder remembers what became of a response.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	r.status = status // the last one counts: 1xx may come before it
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController find what else the writer can do.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// An app is the web server's state: its channel, and those who listen or fail to.
type app struct {
	events   *earshot.Server
	requests *earshot.Channel[Request]
	out      io.Writer
	console  *earshot.Mailbox[any] // what is printed: one mailbox, whatever it listens to
	page     *tap.Page

	mu    sync.Mutex                // guards the fields below
	tap   *earshot.Ref              // the console's subscription to "http.*"
	stuck *earshot.Mailbox[Request] // the subscriber that never reads
}

func newApp(out io.Writer) *app {
	s := earshot.NewServer(nil)
	return &app{
		events: s,
		requests: earshot.NewChannel[Request](s, "http.request", &earshot.ChannelOptions{
			Doc: "one event per HTTP request, when it has been answered",
		}),
		out:     out,
		console: earshot.NewMailbox[any](context.Background(), s, &earshot.MailboxOptions{Name: "console"}),
		page:    tap.Handler(s, &tap.Options{Allow: tap.Loopback(tap.Look | tap.Payloads)}),
	}
}

// shutdown ends all subscribers, the console after it has printed everything.
func (a *app) shutdown(ctx context.Context) error {
	a.stuckOff() // Shutdown would wait for somebody to read
	return a.events.Shutdown(ctx)
}

// tapOn has the console listen to everything about HTTP. It may be on already.
func (a *app) tapOn() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tap != nil {
		return nil
	}
	ref, err := a.console.SubscribePattern("http.*")
	if err == nil {
		a.tap = &ref
	}
	return err
}

func (a *app) tapOff() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tap == nil {
		return nil
	}
	ref := *a.tap
	a.tap = nil
	return a.console.Unsubscribe(ref)
}

// stuckOn adds a subscriber with a bug that everybody has written once: it subscribes, and then nobody
// calls Receive.
func (a *app) stuckOn() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stuck != nil {
		return nil
	}
	m := earshot.NewMailbox[Request](context.Background(), a.events, &earshot.MailboxOptions{Name: "stuck", Capacity: 4})
	if _, err := a.requests.Subscribe(m); err != nil { // this is the line that the slow notice names
		return err
	}
	a.stuck = m
	return nil
}

// stuckOff ends it, if it is on, and returns what became of the events that it was sent.
func (a *app) stuckOff() (st earshot.MailboxStats, was bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stuck == nil {
		return st, false
	}
	st = a.stuck.Stats()
	a.stuck.Close()
	a.stuck = nil
	return st, true
}

// print prints what the console receives until its mailbox ends.
func (a *app) print() {
	for channel, msg := range a.console.Named(context.Background()) {
		a.printOne(channel, msg)
	}
}

func (a *app) printOne(channel any, msg earshot.Message[any]) {
	if msg.Missed > 0 {
		fmt.Fprintf(a.out, "  (%d events came too fast to be printed)\n", msg.Missed)
	}
	switch e := msg.Event.(type) {
	case earshot.Slow:
		if e.Recovered {
			fmt.Fprintf(a.out, "  %-13v  %s reads again\n", channel, e.Site)
			return
		}
		fmt.Fprintf(a.out, "  %-13v  %s stuck for %d ms: %d waiting, %d missed\n",
			channel, e.Site, e.Running.Milliseconds(), e.Depth, e.Missed)
	default:
		fmt.Fprintf(a.out, "  %-13v  %v\n", channel, e)
	}
}
