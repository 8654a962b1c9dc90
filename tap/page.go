package tap

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap/internal/payload"
	"github.com/earshot-go/earshot/tap/panel"
)

// Options configure a [Page]. A nil *Options means the defaults.
type Options struct {
	// Allow says what the sender of a request may do. nil means Loopback(Look): programs on this
	// machine may look, and see no payloads; Loopback(Look|Payloads) shows them, too. Whoever it lets in is
	// let in, from anywhere: have it look at a session, or a token in a header. One that looks at nothing can
	// be reached by any page that your browser shows, through a name of that page's own that resolves to this
	// machine. It may be called from many goroutines.
	Allow func(*http.Request) Access

	// Panels are pages that other packages bring. Two of the same name, or one of the tap's own, panic.
	Panels []panel.Panel

	// Secret names fields and keys of payloads that nobody may see, besides those with the tag
	// earshot:"secret" and those called password, token and the like.
	Secret func(name string) bool

	// Viewers is how many streams there may be at a time, 128 if it is not positive. Further ones are told to
	// try again. Together they may look at 16 different sets of channels.
	Viewers int

	// Logger is told who emits events. nil means nobody is.
	Logger *slog.Logger
}

// A Page is the live page of a server, an http.Handler. Make it with [Handler].
type Page struct {
	srv     *earshot.Server
	opts    Options
	panels  map[string]panel.Panel
	asking  map[string]chan struct{} // by panel; taken while it is asked
	payload payload.Encoder
	born    time.Time
	done    chan struct{} // closed by Close
	close   func()
	watch   watch
	parked  parked
	pace    *pace

	mu      sync.Mutex // guards the fields below
	viewers int
	choices map[string]int // how many viewers look at a set of channels
}

const (
	defaultViewers = 128
	// Senders pay for each set of channels that streams choose, not for each stream.
	mostChoices = 16
	// A stream of a page keeps less than one of a program, which is there to read it.
	pageCapacity = 1 << 14
)

// Handler returns the page of server s, or of [earshot.Default] if s is nil. Mount it under any path
// that ends in a slash, on any mux:
//
//	mux.Handle("/debug/earshot/", tap.Handler(srv, nil))
//
// Nothing runs, and no channel is listened to, until somebody looks; half a minute after the last look
// that is so again. It may be called from many goroutines, like all handlers.
//
// It works behind middleware that wraps the ResponseWriter if the wrapper can flush or has Unwrap. With
// Unwrap, or without a wrapper, it works whatever the http.Server's timeouts are, and a viewer that does not
// read for ten seconds is let go; behind a wrapper that can only flush there is no way to do either.
func Handler(s *earshot.Server, opts *Options) *Page {
	if s == nil {
		s = earshot.Default()
	}
	p := &Page{srv: s, born: time.Now(), done: make(chan struct{}), pace: newPace(), panels: map[string]panel.Panel{}, choices: map[string]int{}, asking: map[string]chan struct{}{}}
	if opts != nil {
		p.opts = *opts
	}
	if p.opts.Viewers <= 0 {
		p.opts.Viewers = defaultViewers
	}
	p.close = sync.OnceFunc(func() { close(p.done) })
	p.payload.Secret = p.opts.Secret
	p.watch.srv = s
	p.parked.most = 2 * p.opts.Viewers
	for _, x := range p.opts.Panels {
		name := x.Name()
		if !validPanel(name) || p.panels[name] != nil || ownPage(name) {
			panic("tap: Handler: a panel's name is invalid or taken: " + name)
		}
		p.panels[name], p.asking[name] = x, make(chan struct{}, 1)
	}
	return p
}

func validPanel(name string) bool {
	for i, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (i == 0 || (c < '0' || c > '9') && c != '-') {
			return false
		}
	}
	return name != ""
}

// Close ends all streams, so that a web server can shut down, and what the page watches. Later requests
// are answered with 503. It is idempotent, does not wait, and returns nil. Streams end with the earshot
// server too; Close is for when the web server goes first:
//
//	httpServer.RegisterOnShutdown(func() { page.Close() })
func (p *Page) Close() error {
	p.close()
	p.parked.clear()
	p.watch.end()
	return nil
}

// enter counts a viewer of a choice of channels, unless there are too many: then it says so. leave must
// follow otherwise.
func (p *Page) enter(channels string) (what, hint string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.viewers >= p.opts.Viewers {
		return fmt.Sprintf("too many viewers: %d streams are open", p.viewers), "close some, or raise tap.Options.Viewers"
	}
	if p.choices[channels] == 0 && len(p.choices) >= mostChoices {
		return fmt.Sprintf("too many choices of channels: %d different sets of chan: terms are looked at", len(p.choices)),
			"use the chan: terms of a stream that is open, or close some; each set costs senders time"
	}
	p.viewers++
	p.choices[channels]++
	return "", ""
}

func (p *Page) leave(channels string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.viewers--
	if p.choices[channels]--; p.choices[channels] == 0 {
		delete(p.choices, channels)
	}
}

func (p *Page) watching() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.viewers
}
