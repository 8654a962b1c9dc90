package earshot

import (
	"context"
	"iter"
	"reflect"
	"runtime"
	"slices"
)

// A Mailbox receives the events of the channels it subscribes to. Mailbox[any] takes every event;
// Mailbox[T] takes those of type T (or, if T is an interface, those that implement it) and counts the
// others as mismatched. Every subscription has its own [Ref], and every message says by which one it
// came.
//
// Events of one channel arrive in the channel's order. A mailbox with one subscription reads its
// channel directly; from the second subscription on, or with a pattern, it receives copies in the
// order in which they were sent, and its capacity counts them all together.
//
// All methods may be called from many goroutines, from inside handlers, and while holding locks of
// one's own. Several goroutines may receive from one mailbox: each message goes to one of them.
//
// A mailbox ends, and its subscriptions with it, when Close is called, when the context given to
// NewMailbox ends, when its server stops, when its policy is Evict and it was full, or when nothing
// refers to it any more. What it has not received by then is discarded, and counted as such.
type Mailbox[E any] struct {
	in *inner[E] // must not point back
}

// inner is a mailbox without the handle whose disappearance ends it.
type inner[E any] struct {
	box
	own ring[E]
}

// A Message is an event as a subscriber receives it.
type Message[E any] struct {
	Ref    Ref    // the subscription it came by
	Seq    uint64 // its number among its channel's events since the channel came to life, from 1
	Missed uint64 // how many of this subscription's events were lost just before it, by the mailbox's policy
	Event  E

	from *topic
}

// Channel returns the name of the channel that the event was sent to.
func (m Message[E]) Channel() any {
	if m.from == nil {
		return nil
	}
	return m.from.name
}

// NewMailbox returns an empty mailbox on server s, or on [Default] if s is nil. When ctx ends the
// mailbox ends, with ctx's cause as its error. nil options mean DropOldest with a capacity of 4096.
//
// Invalid options, an ended context or a closed server make a mailbox that has ended already: Err says
// why, and so do Subscribe and Receive.
func NewMailbox[E any](ctx context.Context, s *Server, opts *MailboxOptions) *Mailbox[E] {
	in := newInner[E](ctx, s, opts, caller())
	m := &Mailbox[E]{in: in}
	if !in.ended.Load() {
		runtime.AddCleanup(m, func(b *box) { b.srv.endBox(b, ErrAbandoned) }, &in.box)
	}
	return m
}

func newInner[E any](ctx context.Context, s *Server, opts *MailboxOptions, at site) *inner[E] {
	if s == nil {
		s = Default()
	}
	o, err := opts.resolve()
	in := &inner[E]{box: box{
		srv: s, name: o.Name, at: at, elem: reflect.TypeFor[E](), capacity: o.Capacity, overflow: o.Overflow,
		notify: make(chan struct{}, 1), done: make(chan struct{}),
	}}
	in.own.box, in.box.ring = &in.box, &in.own
	s.addBox(ctx, &in.box, err)
	return in
}

// Subscribe subscribes to the channel with the given name, which comes to life if nobody else listens.
// Events whose send starts after Subscribe has returned arrive. It does not block.
//
// Each call makes a subscription of its own, also for a name that the mailbox has subscribed to before.
// The errors are [*Error] around ErrServerClosed, ErrBadName (the name cannot be hashed, or is not
// equal to itself), ErrNotAllowed (a Block mailbox on a channel without MayBlock), or the reason why
// the mailbox has ended.
func (m *Mailbox[E]) Subscribe(name any) (Ref, error) {
	defer runtime.KeepAlive(m)
	return m.in.srv.subscribe(&m.in.box, name)
}

// SubscribePattern subscribes to all channels whose name is a string that matches pattern, those that
// exist and those that will: segments between dots must be equal, "*" stands for one segment and a
// last "**" for one or more. The server's own channels match only a pattern that begins with
// "earshot.". Message.Channel tells the channels apart; Seq counts each one's events.
//
// It costs time in proportion to the channels that match now. A pattern that does not parse is
// ErrBadPattern, a Block mailbox ErrNotAllowed.
func (m *Mailbox[E]) SubscribePattern(pattern string) (Ref, error) {
	defer runtime.KeepAlive(m)
	return m.in.srv.subscribePattern(&m.in.box, pattern)
}

// Unsubscribe ends one subscription. After it has returned no message of that Ref is received.
// It is idempotent, does not block, and returns ErrUnknownRef for a Ref that is zero or another
// mailbox's.
func (m *Mailbox[E]) Unsubscribe(ref Ref) error {
	if ref.sub == nil || ref.sub.box != &m.in.box {
		return opError("unsubscribe", ref, ErrUnknownRef)
	}
	return m.in.srv.Unsubscribe(ref)
}

// Receive waits for the next message. It returns the cause of ctx if that ends first, and the reason
// why the mailbox has ended (see Err) if it has.
func (m *Mailbox[E]) Receive(ctx context.Context) (Message[E], error) {
	defer runtime.KeepAlive(m)
	in := m.in
	done := ctx.Done()
	for turn := 0; ; turn++ {
		if done != nil {
			if err := causeIfEnded(ctx); err != nil {
				in.passOn()
				return Message[E]{}, err
			}
		}
		if msg, ok := in.next(); ok {
			in.passOn()
			return msg, nil
		}
		if in.ended.Load() {
			in.signal() // the next sleeper has to learn it too
			return Message[E]{}, in.failure()
		}
		if turn == 0 {
			runtime.Gosched() // often enough the next event is a moment away
			continue
		}
		in.park(done)
	}
}

// TryReceive returns the next message if there is one. It does not wait.
func (m *Mailbox[E]) TryReceive() (Message[E], bool) {
	msg, ok := m.in.next()
	if !ok && m.in.idle() {
		return msg, false // and Ready will tell
	} else if !ok {
		msg, ok = m.in.next()
	}
	if ok {
		m.in.passOn()
	}
	return msg, ok
}

// Messages returns an iterator over the messages to come. It ends when ctx ends, when the mailbox ends
// (Err says why) or when the loop is left; the mailbox and its subscriptions live on then, with what
// the loop has not seen.
func (m *Mailbox[E]) Messages(ctx context.Context) iter.Seq[Message[E]] {
	return func(yield func(Message[E]) bool) {
		defer runtime.KeepAlive(m)
		m.in.each(ctx, func(msg *Message[E]) bool { return yield(*msg) })
	}
}

// Ready returns a channel that can be received from when there may be something for TryReceive, for
// use in a select:
//
//	select {
//	case <-m.Ready():
//		for msg, ok := m.TryReceive(); ok; msg, ok = m.TryReceive() {
//		}
//	case <-time.After(time.Second):
//	}
//
// Call it anew for each select. It also becomes ready when the mailbox ends.
func (m *Mailbox[E]) Ready() <-chan struct{} {
	if !m.in.idle() {
		m.in.signal()
	}
	return m.in.notify
}

// Close ends the mailbox. After it has returned no message is received. It is idempotent and never
// waits, not even for a handler that is at work, and always returns nil.
func (m *Mailbox[E]) Close() error {
	m.in.srv.endBox(&m.in.box, ErrClosed)
	return nil
}

// Done returns a channel that is closed when the mailbox has ended.
func (m *Mailbox[E]) Done() <-chan struct{} { return m.in.done }

// Err returns nil while the mailbox lives, then why it ended: ErrClosed, the context's cause,
// ErrTooSlow, ErrServerClosed, or what was wrong with the options.
func (m *Mailbox[E]) Err() error {
	if !m.in.ended.Load() {
		return nil
	}
	return m.in.failure()
}

// next takes one message, if there is one.
func (in *inner[E]) next() (msg Message[E], ok bool) {
	if cu := in.cur.Load(); cu != nil {
		var one [1]Message[E]
		if take(cu, one[:], false) == 1 {
			return one[0], true
		}
	}
	ok = in.own.pop(&msg, false)
	return msg, ok
}

// each calls visit with one message after the other until it returns false, ctx ends or the mailbox
// does. It takes events in batches: that is what makes Messages, Events and Handle cheaper than
// Receive. How it is left, by return, panic or Goexit, does not matter to the events in hand.
func (in *inner[E]) each(ctx context.Context, visit func(*Message[E]) bool) {
	h := &hand[E]{in: in, most: max(1, min(biggestBatch, in.capacity/16))}
	defer h.drop()
	done := ctx.Done()
	var msg Message[E]
	for hot := false; ; {
		if done != nil && ended(done) {
			in.passOn()
			return
		}
		if h.take() {
			hot = h.n >= hotBatch
			in.passOn()
			sub := h.cu.sub
			for h.next < h.n {
				if sub.ended.Load() || done != nil && ended(done) {
					break
				}
				msg := &h.buf[h.next]
				h.next++
				if !visit(msg) {
					return
				}
			}
			if h.next < h.n {
				h.drop()
			}
			continue
		}
		if in.own.pop(&msg, true) {
			in.passOn()
			if !visit(&msg) {
				return
			}
			continue
		}
		if in.ended.Load() {
			in.signal()
			return
		}
		// A reader that has kept up with a busy sender looks again after it has let others run for
		// a while: looking at once would take the log's cache line from the sender event by event.
		// With one sender and eight readers that took 45 ns an event instead of 95.
		turns := 1
		if hot {
			turns = hotTurns
		}
		for range turns {
			runtime.Gosched()
		}
		if hot {
			hot = false
			continue
		}
		in.park(done)
	}
}

const (
	biggestBatch = 64 // events taken at a time
	hotBatch     = 8  // a batch from which on the sender counts as busy
	hotTurns     = 8
)

// A hand is a batch of messages between its log and the function that is called with them. They are
// kept whole: making a message of parts and copying it at once costs 10 ns, because a wide load cannot
// be served from narrow stores that have not reached the cache.
type hand[E any] struct {
	in   *inner[E]
	cu   *cursor // whose events these are
	buf  []Message[E]
	most int
	next int // the first that has not been delivered
	n    int
}

func (h *hand[E]) take() bool {
	cu := h.in.cur.Load()
	if cu == nil {
		h.cu = nil
		return false
	}
	was := h.n
	if was == len(h.buf) && was < h.most {
		was = 0
		h.buf = make([]Message[E], min(h.most, max(4, 4*len(h.buf))))
	}
	h.cu, h.next, h.n = cu, 0, take(cu, h.buf, true)
	if h.n < was {
		clear(h.buf[h.n:was]) // they have been delivered, and must not be kept alive here
	}
	return h.n > 0
}

// drop returns what has not been delivered to where it can still be received, or counts it as
// discarded if the subscription has ended.
func (h *hand[E]) drop() {
	h.in.own.rest()
	if h.cu == nil {
		return
	}
	cu, left := h.cu, slices.Clone(h.buf[h.next:h.n])
	clear(h.buf[:h.n])
	h.cu, h.n, h.next = nil, 0, 0
	back, closed := undelivered(cu, left)
	if n := uint64(len(left)); back || n == 0 {
		h.in.signal()
	} else if cu.sub.ended.Load() {
		h.in.mu.Lock()
		h.in.past.received -= n
		h.in.past.discarded += n
		h.in.mu.Unlock()
	} else {
		h.in.own.unshift(left, closed)
		h.in.signal()
	}
}
