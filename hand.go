package earshot

import (
	"runtime"
	"slices"
	"sync/atomic"
)

// A hand is what a loop over a mailbox has taken from it and not delivered yet. Taking events in
// batches is what makes Messages, Events and Handle cheaper than Receive:
//
//	h := in.hand()
//	defer h.close()
//	for h.fill(done) {
//		for h.step() {
//			visit(Message[E]{Ref{h.sub}, h.before + uint64(h.next), h.missed, h.buf[h.next-1]})
//		}
//	}
//
// The loops and the message are written out where they are needed: a function called for each message
// costs as much as all the rest, and a message that is built first and passed on then costs 15 ns, since
// a wide load cannot be served from the narrow stores before it. However such a loop is left (return, panic, Goexit), close sees to the events
// that it did not deliver.
type hand[E any] struct {
	in   *inner[E]
	done <-chan struct{} // the end of the loop's context; may be nil
	lazy int             // look at done when these bits of next are zero
	hot  bool            // the last batch was a big one
	turn atomic.Uint64   // odd while the loop takes or delivers; another number for each batch

	cu     *cursor // where the events came from; nil if from the ring
	sub    *subscription
	name   any // of their channel
	buf    []E
	next   int // the first that has not been delivered
	n      int
	before uint64 // the sequence number before the first of them
	missed uint64 // lost before the one that was delivered last, or comes first
}

const (
	biggestBatch = 256 // events taken at a time
	hotBatch     = 8   // a batch from which on the sender counts as busy
	hotTurns     = 8
)

func (in *inner[E]) hand() *hand[E] {
	h := &hand[E]{in: in}
	h.turn.Store(1)
	in.mu.Lock()
	in.hands = append(in.hands, &h.turn)
	in.mu.Unlock()
	return h
}

// close ends the loop.
func (h *hand[E]) close() {
	h.drop()
	h.turn.Add(1)
	in := h.in
	in.mu.Lock()
	in.hands = slices.DeleteFunc(in.hands, func(turn *atomic.Uint64) bool { return turn == &h.turn })
	in.mu.Unlock()
	in.progress()
}

// step moves on to the next event in hand. It reports false if there is none, or its subscription or
// the loop's context has ended.
func (h *hand[E]) step() bool {
	if h.next >= h.n || h.sub.ended.Load() || h.done != nil && h.next&h.lazy == 0 && ended(h.done) {
		return false
	}
	if h.next > 0 {
		h.missed = 0
	}
	h.next++
	return true
}

// fill waits for events and takes some. It reports false when the mailbox or the loop's context has
// ended.
func (h *hand[E]) fill(done <-chan struct{}) bool {
	in := h.in
	h.done = done
	h.turn.Add(2) // what was in hand has been dealt with
	in.progress()
	for {
		if h.next < h.n {
			h.drop()
		}
		if done != nil && ended(done) {
			in.passOn()
			return false
		}
		if !in.own.empty() && h.pop() || h.take() || h.pop() {
			h.hot = h.n >= hotBatch
			in.passOn()
			return true
		}
		if in.ended.Load() {
			in.signal() // the next sleeper has to learn it too
			return false
		}
		// A reader that has kept up with a busy sender looks again after it has let others run for
		// a while: looking at once would take the log's cache line from the sender event by event.
		// With one sender and eight readers that took 45 ns an event instead of 95.
		if h.hot {
			for range hotTurns {
				runtime.Gosched()
			}
			h.hot = false
			continue
		}
		runtime.Gosched()
		h.turn.Add(1)
		in.progress()
		in.park(done)
		h.turn.Add(1)
	}
}

// take takes a batch from the mailbox's cursor.
func (h *hand[E]) take() bool {
	cu := h.in.cur.Load()
	h.cu = cu
	if cu == nil {
		h.empty()
		return false
	}
	was := h.n
	if most := max(1, min(biggestBatch, h.in.capacity/16)); was == len(h.buf) && was < most {
		was = 0
		h.buf = make([]E, min(most, max(4, 4*len(h.buf))))
	}
	h.next, h.sub, h.name = 0, cu.sub, cu.sub.name
	h.n, h.before, h.missed = take(cu, h.buf)
	h.before--
	if h.n < was {
		clear(h.buf[h.n:was]) // they have been delivered, and must not be kept alive here
	}
	return h.n > 0
}

// pop takes one event from the mailbox's ring.
func (h *hand[E]) pop() bool {
	var msg Message[E]
	h.cu = nil
	name, ok := h.in.own.pop(&msg)
	if !ok {
		return false
	}
	if len(h.buf) == 0 {
		h.buf = make([]E, 1)
	}
	h.sub, h.name, h.next, h.n, h.before, h.missed = msg.Ref.sub, name, 0, 1, msg.Seq-1, msg.Missed
	h.buf[0] = msg.Event
	return true
}

func (h *hand[E]) empty() {
	clear(h.buf[:h.n])
	h.next, h.n = 0, 0
}

// drop returns what has not been delivered to where it can still be received, or counts it as
// discarded if the subscription has ended.
func (h *hand[E]) drop() {
	if h.sub == nil {
		return
	}
	cu, sub, name, left := h.cu, h.sub, h.name, slices.Clone(h.buf[h.next:h.n])
	n, first, missed := uint64(len(left)), h.before+uint64(h.next)+1, h.missed
	if h.next > 0 {
		missed = 0
	}
	h.cu, h.sub = nil, nil
	h.empty()
	back, closed := false, true
	if cu != nil {
		back, closed = undelivered(cu, left, first-1, missed)
	}
	if back || n == 0 || h.in.own.unshift(sub, name, first, missed, left, closed) {
		h.in.signal()
		return
	}
	if closed {
		h.in.addPast(tally{received: -n, discarded: n})
	} else {
		h.in.addPast(tally{offered: n, discarded: n}) // undelivered has taken them out of the cursor's tally
	}
}
