package nats

import (
	"context"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

// A hearing finds out whether the server objects to what has no answer of its own: what is published or subscribed
// without a stream. It objects before it answers a ping, but the client library keeps only the last error of a
// connection, whichever call it is about, and passes on all of them a little later, one after the other. So the last
// one tells whether there is something to wait for; when it has been passed on, so have those before it.
type hearing struct {
	link   *link
	about  func(text string) bool
	before error         // the last one when the hearing began
	more   chan struct{} // has a value when passed has changed

	mu     sync.Mutex // guards the fields below
	passed map[error]bool
	denied error // what is about the call
}

// hear begins a hearing, before anything is sent. It ends with dismiss.
func (l *link) hear(about func(text string) bool) *hearing {
	h := &hearing{link: l, about: about, more: make(chan struct{}, 1), passed: map[error]bool{}}
	l.mu.Lock()
	l.hearings[h] = struct{}{}
	l.mu.Unlock()
	h.before = l.nc.LastError()
	return h
}

func (h *hearing) dismiss() {
	h.link.mu.Lock()
	defer h.link.mu.Unlock()
	delete(h.link.hearings, h)
}

// pass takes an error that was passed on, and what a call returns if it is about that call.
func (h *hearing) pass(err, denied error) {
	h.mu.Lock()
	h.passed[err] = true
	if denied != nil && h.denied == nil && h.about(err.Error()) {
		h.denied = denied
	}
	h.mu.Unlock()
	select {
	case h.more <- struct{}{}:
	default:
	}
}

// verdict returns the objection, after a ping was answered.
func (h *hearing) verdict(ctx context.Context, what string) error {
	l, last := h.link, h.link.nc.LastError()
	if last == h.before {
		return nil
	}
	timer := time.NewTimer(l.bus.timing.answer)
	defer timer.Stop()
	for {
		h.mu.Lock()
		denied, all := h.denied, h.passed[last]
		h.mu.Unlock()
		if denied != nil || all {
			return denied
		}
		select {
		case <-h.more:
		case <-l.done:
			return l.lost(what)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
			return l.bus.explain(what, errNoAnswer)
		}
	}
}

// A probe is published where events are, to see if that is permitted. Its header makes every stream refuse it, and
// feeds leave it out.
func (b *Bus) probe() *natsgo.Msg {
	return &natsgo.Msg{Subject: b.probed(), Header: natsgo.Header{
		"Nats-Expected-Last-Sequence": {"4611686018427387904"},
	}}
}

func (b *Bus) probed() string { return b.opts.Prefix + ".earshot.probe" }
