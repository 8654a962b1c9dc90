package earshot

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"runtime/pprof"
)

// A Channel is a handle on one name whose events have type E. Declare it once, keep it, use it often:
//
//	var requests = earshot.NewChannel[Request](nil, "http.request", &earshot.ChannelOptions{
//		Doc: "one event per request, after the response was written",
//	})
//
// While nobody listens, Send and Listening are one atomic load. All methods may be called from many
// goroutines, from inside handlers, and while holding locks of one's own.
type Channel[E any] struct {
	topic
	_ [40]byte // keeps the word that idle senders read away from what others write
}

// NewChannel declares the channel with the given name on server s, or on [Default] if s is nil, and
// returns its handle. Declaring starts nothing. A declaration lasts as long as its server: names made
// up at run time, one for each connection, say, need none (see [SendEvent] and Mailbox.Subscribe).
//
// Declaring a name again returns the same handle; options given then take effect if there were none
// before. Another event type for a declared name, a name that cannot be hashed, and a negative Replay
// are mistakes in the program: NewChannel panics.
func NewChannel[E any](s *Server, name any, opts *ChannelOptions) *Channel[E] {
	if s == nil {
		s = Default()
	}
	if !usable(name) {
		panic(fmt.Sprintf("earshot: NewChannel: a name of type %T cannot be used: %v", name, ErrBadName))
	}
	if opts != nil && opts.Replay < 0 {
		panic(fmt.Sprintf("earshot: NewChannel %v: negative Replay %d", name, opts.Replay))
	}
	s.mu.Lock()
	defer s.unlock()
	old := find(&s.names, name)
	var c *Channel[E]
	if old != nil && old.declared {
		same, ok := old.handle.(*Channel[E])
		if !ok {
			panic(fmt.Sprintf("earshot: NewChannel %v: declared for events of type %v, now for %v", name, old.elem, reflect.TypeFor[E]()))
		}
		c = same
	} else {
		c = &Channel[E]{topic: topic{name: name, srv: s, elem: reflect.TypeFor[E](), declared: true}}
		c.handle = c
		if old != nil { // somebody listens already, or a pattern does
			if l := old.live.Load(); l != nil {
				c.interval = 1
				l.topic.Store(&c.topic)
				c.live.Store(l)
			}
			delete(s.unheard, old)
		}
		if s.state != stopped && c.live.Load() == nil && s.anyHears(name) {
			s.openLocked(&c.topic)
		}
		s.names.store(&c.topic)
	}
	if opts != nil && c.doc == "" && !c.mayBlock && c.replay == 0 {
		c.doc, c.mayBlock, c.replay = opts.Doc, opts.MayBlock, uint64(opts.Replay)
		if c.replay > 0 && s.state != stopped {
			l := s.openLocked(&c.topic)
			h := l.head.lock()
			l.replay = c.replay
			l.head.unlock(h)
		}
	}
	return c
}

// Name returns the channel's name.
func (c *Channel[E]) Name() any { return c.name }

// Listening reports whether a Send would reach somebody (or be kept for Replay). Use it around the
// making of an event that is costly to make. It is one atomic load, and inlined.
func (c *Channel[E]) Listening() bool { return c.live.Load() != nil }

// Audience returns how many listen: subscriptions and those taps whose choice of channels includes this one,
// where taps of the same choice count as one. It is two atomic loads. A sender that is itself among the
// subscribers, as a relay is, learns from it whether there is anybody else.
func (c *Channel[E]) Audience() int {
	if l := c.live.Load(); l != nil {
		return int(l.audience.Load())
	}
	return 0
}

// Send sends an event to all subscribers. It never fails. It does not block, unless the channel's
// owner said MayBlock and a Block mailbox is full: then it waits until that has room or is gone. If
// nobody listens it is one atomic load, and inlined; the event is not boxed and nothing is allocated.
//
// An event whose Send starts after a Subscribe has returned, and ends before Unsubscribe is called,
// reaches that subscription exactly once, or is counted in the Missed of a later message. All
// subscribers see the events in the same order, in which those of one sender keep theirs.
func (c *Channel[E]) Send(event E) {
	if c.live.Load() != nil { // asking again in sendLive keeps this small enough to be inlined
		c.sendLive(event)
	}
}

//go:noinline
func (c *Channel[E]) sendLive(event E) {
	if l := c.live.Load(); l != nil {
		send(l, event)
	}
}

// An anySender is a Channel[E] to those who do not know E.
type anySender interface{ sendAny(event any) bool }

// sendAny sends an event that is an E, and reports whether it is.
func (c *Channel[E]) sendAny(event any) bool {
	e, ok := event.(E)
	if ok {
		c.Send(e)
	}
	return ok
}

// SendFunc sends the event that the function makes. It is called only if somebody listens.
func (c *Channel[E]) SendFunc(event func() E) {
	if c.live.Load() != nil && event != nil {
		c.sendLive(event())
	}
}

// SendContext is Send, but stops waiting for a Block mailbox when ctx ends: then it returns ctx's
// cause, and the event has not been sent. There is no other error.
func (c *Channel[E]) SendContext(ctx context.Context, event E) error {
	l := c.live.Load()
	if l == nil {
		return nil
	}
	if err := causeIfEnded(ctx); err != nil {
		return err
	}
	if l.boxed.Load() {
		_, err := sendSlow[any](ctx, l, l.head.lock(), event)
		return err
	}
	h := l.head.lock()
	if h < l.trip {
		if c, ok := l.slots.(*chunk[E]); ok {
			c.ev[h-c.base] = event
			l.head.unlock(h + 1)
			return nil
		}
	}
	_, err := sendSlow(ctx, l, h, event)
	return err
}

// Subscribe subscribes a mailbox, as Mailbox.Subscribe does with the channel's name.
func (c *Channel[E]) Subscribe(m *Mailbox[E]) (Ref, error) {
	if m == nil || m.in.srv != c.srv {
		return Ref{}, siteError("subscribe", c.name, caller(), ErrOtherServer, "")
	}
	return m.Subscribe(c.name)
}

// Events returns an iterator over the channel's events from the moment the loop starts. Leaving the
// loop, or the end of ctx, unsubscribes. The loop has a mailbox with default options: one that falls
// more than 4096 events behind misses the oldest. It ends at once if the server is closed.
func (c *Channel[E]) Events(ctx context.Context) iter.Seq[E] {
	return func(yield func(E) bool) {
		in := newInner[E](ctx, c.srv, nil, caller())
		defer c.srv.endBox(&in.box, ErrUnsubscribed)
		if _, err := c.srv.subscribe(&in.box, c.name); err == nil {
			h := in.hand()
			defer h.close()
			for h.fill(ctx.Done()) {
				for h.step() {
					if !yield(h.buf[h.next-1]) {
						return
					}
				}
			}
		}
	}
}

// Handle subscribes, and has the server call fn with one message after the other, in a goroutine of
// its own. Events whose send starts after Handle has returned arrive.
//
// It ends when ctx ends, when the Ref is unsubscribed, when the server stops, and, unless
// SpawnOptions.Restart says otherwise, when fn returns an error, panics, or calls runtime.Goexit; what
// has not been handled is discarded then; of events in hand up to eight may still be handled when ctx has
// ended. [Server.Monitor] tells when, and why. The context that fn is
// given ends with the subscription, and carries the pprof labels earshot_channel,
// earshot_subscriber and earshot_ref, as the goroutine does. A restart goes on with the event after the one that
// failed.
//
// Its errors are those of Mailbox.Subscribe, ErrNilFunc, and ErrBadOption.
func (c *Channel[E]) Handle(ctx context.Context, fn func(context.Context, Message[E]) error, opts *SpawnOptions) (Ref, error) {
	return c.serve(ctx, caller(), fn == nil, opts, func(ctx context.Context, h *hand[E], p *Process) error {
		h.lazy = 7 // a look at a context costs as much as a call
		for h.fill(ctx.Done()) {
			for h.step() {
				if c.srv.watching.Load() {
					p.turns.Add(1)
				}
				if err := fn(ctx, Message[E]{Ref{h.sub}, h.before + uint64(h.next), h.missed, h.buf[h.next-1]}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// A Batch is some events in a row as HandleBatch receives them.
type Batch[E any] struct {
	Ref    Ref    // the subscription they came by
	Seq    uint64 // the number of the first of them, as in Message
	Missed uint64 // how many were lost just before it
	Events []E    // at least one; the slice is used again after the call
}

// HandleBatch is Handle for a function that wants what there is at once: all events that wait, but no more than
// 256 and a sixteenth of the capacity. It is cheaper than Handle, and the way to write rows in one transaction. If fn
// fails, a restart goes on after the batch.
func (c *Channel[E]) HandleBatch(ctx context.Context, fn func(context.Context, Batch[E]) error, opts *SpawnOptions) (Ref, error) {
	return c.serve(ctx, caller(), fn == nil, opts, func(ctx context.Context, h *hand[E], p *Process) error {
		for h.fill(ctx.Done()) {
			if !h.step() {
				continue
			}
			p.turns.Add(1)
			h.next = h.n // all are being handled
			if err := fn(ctx, Batch[E]{Ref{h.sub}, h.before + 1, h.missed, h.buf[:h.n]}); err != nil {
				return err
			}
		}
		return nil
	})
}

// serve subscribes, and has the server call loop in a goroutine of its own.
func (c *Channel[E]) serve(ctx context.Context, at site, isNil bool, opts *SpawnOptions, loop func(context.Context, *hand[E], *Process) error) (Ref, error) {
	if isNil {
		return Ref{}, siteError("handle", c.name, at, ErrNilFunc, "")
	}
	s := c.srv
	in := newInner[E](ctx, s, opts.mailbox(), at)
	p, err := s.newProcess(ctx, in.who, c.name, opts)
	if err != nil {
		s.endBox(&in.box, err)
		return Ref{}, siteError("handle", c.name, at, in.failure(), "")
	}
	p.box = &in.box
	p.run = func(ctx context.Context) error {
		h := in.hand()
		defer h.close()
		return loop(ctx, h, p)
	}
	s.mu.Lock()
	in.process = p
	s.unlock()
	ref, err := s.subscribe(&in.box, c.name)
	if err != nil {
		s.endBox(&in.box, ErrClosed)
		p.finish(err)
		return Ref{}, err
	}
	p.sub = ref.sub
	p.ctx = pprof.WithLabels(p.ctx, pprof.Labels("earshot_ref", ref.String()))
	go p.attempt()
	return ref, nil
}

// OnDemand has the server call run in a goroutine while somebody listens to the channel: once for each
// interval from the first subscriber to the last, never twice at a time. The context ends with the
// last subscriber, however that left, or with stop. If run returns earlier it is not called again in
// that interval; if it panics that is logged and announced as a failure on Server.Lifecycle.
//
// stop does not wait for run, may be called from it, and is idempotent. A nil run panics.
func (c *Channel[E]) OnDemand(run func(context.Context)) (stop func()) {
	if run == nil {
		panic("earshot: OnDemand: nil function")
	}
	return c.srv.addProducer(&c.topic, run)
}
