package earshot

import (
	"context"
	"reflect"
	"sync"
	"sync/atomic"
)

// A box is what the server holds of a mailbox. It must not point to the Mailbox: that handle becoming
// unreachable is one of the ways in which a subscriber ends.
type box struct {
	srv      *Server      // immutable, like the rest up to ring
	name     string       // as given, or empty
	at       site         // where it was made
	elem     reflect.Type //
	capacity int          //
	overflow Overflow     //
	ring     ringer       // used by a mailbox that has several subscriptions, a pattern, or DropNewest
	notify   chan struct{}
	done     chan struct{} // closed when the mailbox has ended

	cur     atomic.Pointer[cursor] // used by a mailbox that has one subscription
	ended   atomic.Bool            // set before done is closed
	waiters atomic.Int32           // readers asleep on notify
	watched atomic.Bool            // somebody waits for moved
	polled  atomic.Bool            // somebody has used Ready

	mu    sync.Mutex       // guards the fields below
	moved chan struct{}    // closed at the next progress of a reader
	past  tally            // of subscriptions that have ended
	hands []*atomic.Uint64 // the turns of the loops that receive
	high  int              // largest backlog of a cursor that has left

	// Guarded by Server.mu.
	taps       bool // belongs to a Tap
	subs       []*subscription
	ringed     bool // reads from its ring for good
	err        error
	stopCtx    func() bool
	process    *Process
	prev, next *box
}

// who is the subscriber's name for people.
func (b *box) who() string {
	if b.name != "" {
		return b.name
	}
	return b.at.String()
}

// signal wakes one reader, or the next one to come.
func (b *box) signal() {
	select {
	case b.notify <- struct{}{}:
	default:
	}
}

// watch returns a channel that is closed when a reader next gets on, or the mailbox ends.
func (b *box) watch() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.moved == nil {
		b.moved = make(chan struct{})
	}
	b.watched.Store(true)
	return b.moved
}

// progress tells those who watch. It costs one load when nobody does.
func (b *box) progress() {
	if b.watched.Load() {
		b.progressed()
	}
}

func (b *box) progressed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watched.Store(false)
	if b.moved != nil {
		close(b.moved)
		b.moved = nil
	}
}

// idle reports that there is nothing to read, and then sees to it that the next event signals.
func (b *box) idle() bool {
	if b.ended.Load() {
		return false
	}
	if cu := b.cur.Load(); cu != nil && !cu.arm() {
		return false
	}
	return b.ring.empty()
}

// park sleeps until there may be something to read, the mailbox ends, or done closes.
func (b *box) park(done <-chan struct{}) {
	b.waiters.Add(1)
	if b.idle() {
		if done == nil {
			<-b.notify // a bare receive wakes sooner than a select
		} else {
			select {
			case <-b.notify:
			case <-done:
			}
		}
	}
	b.waiters.Add(-1)
}

// passOn hands a signal to another sleeping reader if there is more to read, or nothing ever again.
func (b *box) passOn() {
	if (b.waiters.Load() > 0 || b.polled.Load()) && !b.idle() {
		b.signal()
	}
}

// failure says why the mailbox has ended.
func (b *box) failure() error {
	<-b.done
	return b.err
}

func ended(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

func causeIfEnded(ctx context.Context) error {
	if ctx.Done() != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// addPast adds to what became of the events of subscriptions that have ended.
func (b *box) addPast(t tally) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.past.add(t)
	if !b.taps {
		b.srv.past.add(t)
	}
}

// noteHigh keeps the largest backlog of a cursor that has left.
func (b *box) noteHigh(cu *cursor) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.high = max(b.high, int(cu.high))
}

// busy returns the turns of the loops that have events in hand, or may be taking some.
func (b *box) busy() (turns map[*atomic.Uint64]uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, turn := range b.hands {
		if n := turn.Load(); n%2 == 1 {
			if turns == nil {
				turns = map[*atomic.Uint64]uint64{}
			}
			turns[turn] = n
		}
	}
	return turns
}
