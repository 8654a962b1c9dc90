package emitter

import (
	"context"
	"fmt"
	"sync"

	"github.com/earshot-go/earshot/event"
)

// Overflow is what Emit does when Options.Buffer events wait for the engine.
type Overflow int

const (
	Block      Overflow = iota // wait until there is room, or the context ends; the default
	DropOldest                 // drop the event that has waited longest
	DropNewest                 // refuse the new one with ErrFull
)

func (o Overflow) String() string {
	switch o {
	case Block:
		return "block"
	case DropOldest:
		return "drop-oldest"
	case DropNewest:
		return "drop-newest"
	}
	return fmt.Sprintf("Overflow(%d)", int(o))
}

// outbox holds the events that the engine has not accepted, oldest first. Any goroutine adds; one takes from the
// front.
type outbox struct {
	events int // the most of them
	bytes  int // the most that they may hold; one event has always room
	policy Overflow
	more   chan struct{}                    // receives when something was added
	lost   func(ev *event.Event, err error) // is told of each event that is dropped

	mu     sync.Mutex // guards the fields below
	queue  []numbered
	head   int    // of queue
	newest uint64 // the number of the newest event
	held   int    // bytes
	flight int    // so many from the head on are being sent: they are not dropped
	spills bool   // what is too much goes elsewhere soon: nobody drops anything
	room   chan struct{}
	moved  chan struct{} // closed when some leave; nil unless somebody waits
	closed bool
}

// A numbered event knows how many came before it.
type numbered struct {
	event.Event
	number uint64
}

func newOutbox(o *Options, lost func(*event.Event, error)) *outbox {
	b := &outbox{events: o.Buffer, bytes: o.BufferBytes, policy: o.Overflow, spills: o.Spill != nil, more: make(chan struct{}, 1), lost: lost}
	if b.events == 0 {
		b.events = defaultBuffer
	}
	if b.bytes == 0 {
		b.bytes = defaultBufferBytes
	}
	return b
}

// weight is about what an event holds in memory.
func weight(ev *event.Event) int {
	return len(ev.Data) + len(ev.ID) + len(ev.Type) + 200
}

func (o *outbox) lenLocked() int { return len(o.queue) - o.head }

func (o *outbox) fullLocked(size int) bool {
	n := o.lenLocked()
	return n >= o.events || n > 0 && o.held+size > o.bytes
}

// add appends an event, by the policy.
func (o *outbox) add(ctx context.Context, ev event.Event) error {
	size := weight(&ev)
	o.mu.Lock()
	for o.fullLocked(size) && !o.closed {
		if o.policy == DropNewest && !o.spills {
			n := o.lenLocked()
			o.mu.Unlock()
			err := fmt.Errorf("%w: %d events wait for the engine", ErrFull, n)
			o.lost(&ev, err)
			return err
		}
		if o.policy == DropOldest && !o.spills {
			if o.lenLocked() <= o.flight {
				break // all the others are being sent: one more, which is the next to be dropped
			}
			old := o.removeLocked(o.flight)
			o.mu.Unlock()
			o.lost(&old, fmt.Errorf("%w: the buffer of %d events was full", ErrDropped, o.events))
			o.mu.Lock()
			continue
		}
		if o.room == nil {
			o.room = make(chan struct{})
		}
		room, n := o.room, o.lenLocked()
		o.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return fmt.Errorf("%d events wait for the engine: %w", n, context.Cause(ctx))
		}
		o.mu.Lock()
	}
	defer o.mu.Unlock()
	if o.closed {
		return ErrClosed
	}
	o.newest++
	o.queue = append(o.queue, numbered{ev, o.newest})
	o.held += size
	select {
	case o.more <- struct{}{}:
	default:
	}
	return nil
}

// removeLocked takes the event out that is i behind the head.
func (o *outbox) removeLocked(i int) event.Event {
	at := o.head + i
	ev := o.queue[at].Event
	copy(o.queue[o.head+1:at+1], o.queue[o.head:at])
	o.queue[o.head] = numbered{}
	o.head++
	o.held -= weight(&ev)
	o.shrinkLocked()
	return ev
}

func (o *outbox) shrinkLocked() {
	if o.head == len(o.queue) {
		o.queue, o.head = o.queue[:0], 0
	} else if o.head > len(o.queue)/2 {
		n := copy(o.queue, o.queue[o.head:])
		clear(o.queue[n:])
		o.queue, o.head = o.queue[:n], 0
	}
	for _, c := range []*chan struct{}{&o.room, &o.moved} {
		if *c != nil {
			close(*c)
			*c = nil
		}
	}
}

// peek returns up to most events from the front, of up to bytes in all, and keeps them from being dropped until
// done is called.
func (o *outbox) peek(most, bytes int) []event.Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, held := 0, 0
	for n < min(most, o.lenLocked()) {
		held += weight(&o.queue[o.head+n].Event)
		if n > 0 && held > bytes {
			break
		}
		n++
	}
	o.flight = n
	return unnumbered(o.queue[o.head : o.head+n])
}

func unnumbered(some []numbered) []event.Event {
	events := make([]event.Event, len(some))
	for i := range some {
		events[i] = some[i].Event
	}
	return events
}

// done removes the n oldest; the others that were peeked at may be dropped again.
func (o *outbox) done(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flight = 0
	for i := range n {
		o.held -= weight(&o.queue[o.head+i].Event)
		o.queue[o.head+i] = numbered{}
	}
	o.head += n
	o.shrinkLocked()
}

// len returns how many events wait, and how much they hold.
func (o *outbox) len() (events, bytes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lenLocked(), o.held
}

// added returns the number of the newest event, counted from 1.
func (o *outbox) added() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.newest
}

// past returns a channel that is closed when some events leave, or nil if all up to that number have.
func (o *outbox) past(number uint64) <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lenLocked() == 0 || o.queue[o.head].number > number {
		return nil
	}
	if o.moved == nil {
		o.moved = make(chan struct{})
	}
	return o.moved
}

// spilling says whether what is too much is taken elsewhere.
func (o *outbox) spilling(works bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.spills = works
	if !works && o.room != nil { // the policy has a say again
		close(o.room)
		o.room = nil
	}
}

// close refuses what comes from now on, and those who wait for room.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}

// discard drops everything that is not being sent, and returns what it was.
func (o *outbox) discard() []event.Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	from := o.head + o.flight
	gone := unnumbered(o.queue[from:])
	for i := range gone {
		o.held -= weight(&gone[i])
	}
	clear(o.queue[from:])
	o.queue = o.queue[:from]
	o.shrinkLocked()
	return gone
}
