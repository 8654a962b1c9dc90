package earshot

import (
	"context"
	"math"
	"runtime"
	"sync/atomic"

	"github.com/earshot-go/earshot/internal/exempt"
)

// A log is a live channel: the events that some subscriber still has to read, each stored once,
// in blocks of consecutive positions. A send appends one event whatever the number of subscribers;
// a subscriber is a cursor that reads it. Blocks do not point at each other: the log holds the
// window of them, so a cursor that stands still pins one block and not all that came after it.
//
// A log exists from the first subscribe to its topic to the last leave (longer only where the
// channel's owner asked for Replay).
type log struct {
	head  gate        // position of the next event; holds the fields below
	trip  uint64      // from this position on, a send takes the slow path
	slots slots       // the block being written; nil if the next event opens one
	boxed atomic.Bool // events are stored as any from now on; written under head
	_     [16]byte    // the fields above are what a send touches: one cache line
	topic atomic.Pointer[topic]
	srv   *Server // immutable
	name  any     // immutable

	window    []*block   // oldest to newest
	first     int        // number of window[0], counted from the log's birth
	free      []*block   // blocks to use again, cleared
	cleared   uint64     // everything below it has been cleared in place
	cursors   []*cursor  // who reads from the blocks
	fresh     int        // cursors that will stand in the next block that opens…
	freshFix  int        // …and those of them that may not lose anything
	armed     []*cursor  // cursors that have read everything and want to be told
	forwards  []*forward // who gets a copy in a ring
	wires     []*wire    // whose taps hear of it; not changed in place
	limit     uint64     // the position at which a cursor with a limit may be full
	limited   int        // cursors with a limit
	ringWait  int        // forwards whose ring may refuse
	keep      uint64     // the largest capacity among cursors that may lose events…
	keepStale bool       // …unless it has to be counted again
	adrift    int        // cursors whose block has been dropped; they need the newest keep events
	opened    int        // blocks opened since everything had been read
	replay    uint64     // events kept for those who come later
	closed    bool
	wire      *wire // the one whose log this is, or nil

	audience atomic.Int32 // listeners(), for those who do not hold Server.mu
}

// listeners returns how many there are. It is guarded by Server.mu as they are.
func (l *log) listeners() int { return len(l.cursors) + len(l.forwards) + len(l.wires) }

// noLimit is a capacity that is never reached.
const noLimit = math.MaxUint64

// send appends event. It reports false if the log has been closed meanwhile.
func send[E any](l *log, event E) bool {
	if l.boxed.Load() {
		return sendAs[any](l, event)
	}
	return sendAs(l, event)
}

func sendAs[E any](l *log, event E) bool {
	h := l.head.lock()
	if h < l.trip {
		if c, ok := l.slots.(*chunk[E]); ok {
			c.ev[h-c.base] = event
			l.head.unlock(h + 1)
			return true
		}
	}
	ok, _ := sendSlow(context.Background(), l, h, event)
	return ok
}

// sendSlow appends event where there is more to do than to store it: open a block, wait for room,
// end a subscriber that is too slow, wake those who sleep, copy into rings. It is called with the
// gate held at h and returns with it released. The end of ctx is the only error.
//
//go:noinline
func sendSlow[E any](ctx context.Context, l *log, h uint64, event E) (bool, error) {
	for {
		if l.closed {
			l.head.unlock(h)
			return false, nil
		}
		who, full := l.fullLocked(h)
		if !full || who.box.overflow == Block && exempt.Is(ctx, l.topic.Load().handle) {
			break
		}
		l.head.unlock(h)
		if who.box.overflow == Evict {
			l.srv.endBox(who.box, ErrTooSlow)
		} else if err := who.await(ctx, l); err != nil {
			return false, err
		}
		h = l.head.lock()
	}
	var wake wakeList
	if len(l.cursors) > 0 || l.replay > 0 || len(l.wires) > 0 {
		c, ok := l.slots.(*chunk[E])
		if !ok && (l.slots != nil || l.boxed.Load()) {
			if _, boxed := any((*E)(nil)).(*any); !boxed {
				// A second type, or a reader that takes every type: from here on events are
				// boxed, once for all readers, by the sender and outside the gate.
				l.boxLocked(h)
				l.head.unlock(h)
				var e any = event
				return sendSlow(ctx, l, l.head.lock(), e)
			}
			l.boxLocked(h)
			ok = false
		}
		if !ok || h >= c.end.Load() {
			c = openBlock[E](l, h)
		}
		c.ev[h-c.base] = event
		if len(l.wires) > 0 {
			l.tellWires(&c.block, h, &wake)
		}
	}
	if len(l.forwards) > 0 {
		forwardAll(l, h, event, &wake)
	}
	wake.addArmed(l)
	wake.hold(l)
	l.retripLocked()
	l.head.unlock(h + 1)
	wake.wake(l.srv)
	return true, nil
}

// boxLocked makes every event from h on be stored as any.
func (l *log) boxLocked(h uint64) {
	if l.slots != nil {
		if _, ok := l.slots.(*chunk[any]); !ok {
			l.window[len(l.window)-1].end.Store(h)
			l.slots = nil
		}
	}
	l.boxed.Store(true)
	l.trip = 0
}

// keepLocked returns the largest capacity among the cursors that may lose events.
func (l *log) keepLocked() uint64 {
	if l.keepStale {
		l.keep, l.keepStale = 0, false
		for _, cu := range l.cursors {
			if cu.keep != noLimit {
				l.keep = max(l.keep, cu.keep)
			}
		}
	}
	return l.keep
}

// retripLocked says how far sends may go on without the slow path.
func (l *log) retripLocked() {
	if l.slots == nil || len(l.armed) > 0 || len(l.forwards) > 0 || len(l.wires) > 0 || l.closed {
		l.trip = 0
		return
	}
	l.trip = l.window[len(l.window)-1].end.Load()
	if l.limited > 0 {
		l.trip = min(l.trip, l.limit)
	}
}

// restLocked runs when every cursor has read everything: nothing in the log is needed any more, so
// nothing may stay reachable through it. While somebody taps it, that waits: it would cost a new block
// each time.
func (l *log) restLocked(h uint64) {
	if len(l.wires) == 0 { // blocks that are not used again had better not be small
		l.opened = 0
	}
	upTo := h - min(h, l.replay)
	for i := len(l.window) - 1; i >= 0 && len(l.wires) == 0; i-- {
		b := l.window[i]
		end := min(b.end.Load(), upTo)
		if end <= l.cleared {
			break
		}
		switch {
		case end <= b.base:
		case b.lent != nil:
			b.slots.renew(int(end - b.base))
			b.lent = nil
		default:
			b.slots.clear(int(max(l.cleared, b.base)-b.base), int(end-b.base))
		}
	}
	if len(l.wires) == 0 {
		l.cleared = max(l.cleared, upTo)
	}
	if len(l.free) > restingBlocks {
		clear(l.free[restingBlocks:])
		l.free = l.free[:restingBlocks]
	}
}

// dropBlocksLocked forgets all blocks, when the last cursor has left.
func (l *log) dropBlocksLocked() {
	l.first += len(l.window)
	l.window, l.free, l.slots, l.fresh, l.freshFix, l.adrift = nil, nil, nil, 0, 0, 0
	l.boxed.Store(false)
}

// A waiter is somebody a send may have to wait for.
type waiter struct {
	box *box
	cu  *cursor // nil if the box reads from its ring
}

// fullLocked returns a subscriber that has no room for the event at h and may not lose it.
func (l *log) fullLocked(h uint64) (waiter, bool) {
	if l.limited > 0 && h >= l.limit {
		l.limit = noLimit
		for _, cu := range l.cursors {
			if cu.limit == noLimit {
				continue
			}
			at := cu.pos.pos() + cu.limit
			if at <= h {
				l.limit = h
				return waiter{cu.sub.box, cu}, true
			}
			l.limit = min(l.limit, at)
		}
	}
	if l.ringWait > 0 {
		for _, f := range l.forwards {
			if b := f.sub.box; b.ring.full(b) {
				return waiter{box: b}, true
			}
		}
	}
	return waiter{}, false
}

func (w waiter) full(l *log) bool {
	if w.cu != nil {
		return !w.cu.sub.ended.Load() && w.box.cur.Load() == w.cu && w.cu.pos.pos()+w.cu.limit <= l.head.pos()
	}
	return w.box.ring.full(w.box)
}

// await waits until w has room or is gone, or ctx ends.
func (w waiter) await(ctx context.Context, l *log) error {
	// Room mostly comes while others run; parking costs as much as reading a few hundred events.
	for range 4 {
		runtime.Gosched()
		if !w.full(l) {
			return nil
		}
	}
	for {
		moved := w.box.watch()
		if !w.full(l) {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// A wakeList collects the mailboxes to wake after a send has let go of the gate.
type wakeList struct {
	one  *box
	many []*box
}

func (w *wakeList) add(b *box) {
	if w.one == nil {
		w.one = b
	} else {
		w.many = append(w.many, b)
	}
}

func (w *wakeList) addArmed(l *log) {
	if len(l.armed) == 0 {
		return
	}
	for i, cu := range l.armed {
		cu.armedAt = -1
		w.add(cu.sub.box)
		l.armed[i] = nil
	}
	l.armed = l.armed[:0]
}

// hold announces the goroutine that wake will start, under the gate of a log that is not closed and
// so before Shutdown waits for the last of them.
func (w *wakeList) hold(l *log) {
	if w.many != nil {
		l.srv.wg.Add(1)
	}
}

// wake tells one mailbox itself and leaves more than one to a goroutine of their own, so that a
// sender never pays for more than one wake-up.
func (w *wakeList) wake(s *Server) {
	if w.one == nil {
		return
	}
	if w.many == nil {
		w.one.signal()
		return
	}
	one, many := w.one, w.many
	go func() {
		defer s.wg.Done()
		one.signal()
		for _, b := range many {
			b.signal()
		}
	}()
}
