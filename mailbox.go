package earshot

import (
	"context"
	"iter"
	"reflect"
	"runtime"
)

// A Mailbox receives the events of the channels it subscribes to. Mailbox[any] takes every event;
// Mailbox[T] takes those of type T (or, if T is an interface, those that implement it) and counts the
// others as mismatched. On a channel that is not declared for type T it reads copies, see below; on one that
// is, an event of another type (sent by name) takes up room until it has been read over. Every
// subscription has its own [Ref], and every message says by which one it
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
// refers to it any more (but not in a synctest bubble, which garbage collection is outside of). What it has not received by then is discarded, and counted as such.
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
}

// NewMailbox returns an empty mailbox on server s, or on [Default] if s is nil. When ctx ends the
// mailbox ends, with ctx's cause as its error. nil options mean DropOldest with a capacity of 4096.
//
// Invalid options, an ended context or a closed server make a mailbox that has ended already: Err says
// why, and so do Subscribe and Receive.
func NewMailbox[E any](ctx context.Context, s *Server, opts *MailboxOptions) *Mailbox[E] {
	return newInner[E](ctx, s, opts, caller()).mailbox()
}

// mailbox returns the handle on in. There is one.
func (in *inner[E]) mailbox() *Mailbox[E] {
	m := &Mailbox[E]{in: in}
	// Cleanups run outside of any synctest bubble, and may not touch the channels of one.
	if !in.ended.Load() && !inBubble() {
		runtime.AddCleanup(m, func(b *box) { b.srv.endBox(b, ErrAbandoned) }, &in.box)
	}
	return m
}

func newInner[E any](ctx context.Context, s *Server, opts *MailboxOptions, at site) *inner[E] {
	if s == nil {
		s = Default()
	}
	o, err := opts.resolve()
	if e, ok := err.(*Error); ok {
		e.Site = at.String()
	}
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
// "earshot.". All their messages carry the one Ref, and Seq counts each channel's events; Named and
// TryReceiveNamed tell the channels apart.
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
func (m *Mailbox[E]) Receive(ctx context.Context) (msg Message[E], err error) {
	defer runtime.KeepAlive(m)
	in := m.in
	done := ctx.Done()
	for turn := 0; ; turn++ {
		if done != nil {
			if err = causeIfEnded(ctx); err != nil {
				in.passOn()
				return msg, err
			}
		}
		if _, ok := in.next(&msg); ok {
			in.passOn()
			return msg, nil
		}
		if in.ended.Load() {
			in.signal() // the next sleeper has to learn it too
			return msg, in.failure()
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
	_, msg, ok := m.TryReceiveNamed()
	return msg, ok
}

// TryReceiveNamed is TryReceive, and says to which channel the event was sent: for a pattern, the Ref
// does not.
func (m *Mailbox[E]) TryReceiveNamed() (channel any, msg Message[E], ok bool) {
	defer runtime.KeepAlive(m)
	channel, ok = m.in.next(&msg)
	if !ok && !m.in.idle() { // otherwise Ready will tell
		channel, ok = m.in.next(&msg)
	}
	if !ok && m.in.ended.Load() {
		m.in.signal() // others who wait on Ready
	}
	if ok {
		m.in.passOn()
	}
	return channel, msg, ok
}

// Messages returns an iterator over the messages to come. It ends when ctx ends, when the mailbox ends
// (Err says why) or when the loop is left; the mailbox and its subscriptions live on then, with what
// the loop has not seen. It takes messages in batches and so costs less than Receive: statistics count
// those in its hands, a sixteenth of the capacity and 256 at most, as received.
func (m *Mailbox[E]) Messages(ctx context.Context) iter.Seq[Message[E]] {
	return func(yield func(Message[E]) bool) {
		defer runtime.KeepAlive(m)
		h := m.in.hand()
		defer h.close()
		for h.fill(ctx.Done()) {
			for h.step() {
				if !yield(Message[E]{Ref{h.sub}, h.before + uint64(h.next), h.missed, h.buf[h.next-1]}) {
					return
				}
			}
		}
	}
}

// Named is Messages, with the name of the channel that each event was sent to: for a pattern, the Ref
// does not tell.
func (m *Mailbox[E]) Named(ctx context.Context) iter.Seq2[any, Message[E]] {
	return func(yield func(any, Message[E]) bool) {
		defer runtime.KeepAlive(m)
		h := m.in.hand()
		defer h.close()
		for h.fill(ctx.Done()) {
			for h.step() {
				if !yield(h.name, Message[E]{Ref{h.sub}, h.before + uint64(h.next), h.missed, h.buf[h.next-1]}) {
					return
				}
			}
		}
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
	m.in.polled.Store(true)
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

// next takes one message, if there is one, and returns its channel's name.
func (in *inner[E]) next(msg *Message[E]) (channel any, ok bool) {
	// While there is a cursor, what is in the ring came from it, and is older.
	if !in.own.empty() {
		if channel, ok = in.own.pop(msg); ok {
			return channel, true
		}
	}
	if cu := in.cur.Load(); cu != nil {
		var one [1]E
		if n, seq, missed := take(cu, one[:]); n == 1 {
			msg.Ref, msg.Seq, msg.Missed, msg.Event = Ref{cu.sub}, seq, missed, one[0]
			return cu.sub.name, true
		}
	}
	return in.own.pop(msg) // where the cursor may just have moved
}
