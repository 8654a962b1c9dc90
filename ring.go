package earshot

import (
	"sync"
	"sync/atomic"
)

// A ring is the second way into a mailbox. One subscription reads its channel's log in place; a
// mailbox with several subscriptions, a pattern, or DropNewest gets a copy of each event here
// instead, which keeps the order of arrival across channels and one capacity for the whole.
type ring[E any] struct {
	box *box

	mu     sync.Mutex // guards the fields below and, in this mailbox, subscription.count and .lost
	slots  []record[E]
	head   int
	n      int
	high   int
	count  atomic.Int64 // n, for those who only want to know if there is something
	pushed uint64       // number of the newest record
}

type record[E any] struct {
	sub         *subscription
	name        any // of the channel
	num         uint64
	seq, missed uint64
	event       E
}

// ringer is a ring to those who do not know its type.
type ringer interface {
	pushAny(sub *subscription, name any, seq uint64, event any) (wake bool)
	adopt(sub *subscription, count tally, lost uint64)
	full(b *box) bool
	empty() bool
	purge(sub *subscription) tally
	depth() (n, high int)
	depthOf(sub *subscription) (t tally, n int)
	newest() uint64
	passed(upTo uint64) bool
}

// A forward is one log's entry for a subscription that reads from a ring.
type forward struct {
	sub *subscription
	log *log
	at  int // place in log.forwards, guarded by the log's gate

	place int // in subscription.forwards, guarded by Server.mu
}

// forwardAll copies the event at position h into every ring, under the log's gate: that is what
// gives all subscribers of a channel the same order.
func forwardAll[E any](l *log, h uint64, event E, wake *wakeList) {
	var boxed any
	for _, f := range l.forwards {
		b := f.sub.box
		if r, ok := b.ring.(*ring[E]); ok {
			if r.push(f.sub, l.name, h+1, event) {
				wake.add(b)
			}
			continue
		}
		if boxed == nil {
			boxed = event // once for all of them
		}
		if b.ring.pushAny(f.sub, l.name, h+1, boxed) {
			wake.add(b)
		}
	}
}

func (r *ring[E]) pushAny(sub *subscription, name any, seq uint64, event any) bool {
	e, ok := as[E](event)
	if !ok {
		r.mu.Lock()
		sub.count.mismatched++
		r.mu.Unlock()
		return false
	}
	return r.push(sub, name, seq, e)
}

// push adds an event by the mailbox's policy and reports whether its reader may be asleep.
func (r *ring[E]) push(sub *subscription, name any, seq uint64, event E) (wake bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if sub.ended.Load() {
		return false
	}
	sub.count.offered++
	r.pushed++
	rec := record[E]{sub: sub, name: name, num: r.pushed, seq: seq, event: event}
	was := r.n
	switch r.box.overflow {
	case Latest:
		for i := range r.n {
			if old := r.slot(i); old.sub == sub && old.name == name {
				sub.count.missed++
				rec.missed = old.missed + 1
				r.removeAt(i)
				break
			}
		}
	case DropNewest:
		if r.n >= r.box.capacity {
			sub.count.missed++
			sub.owed++
			return false
		}
	case DropOldest:
		if r.n >= r.box.capacity {
			if old := r.slot(0); !old.sub.ended.Load() {
				old.sub.count.missed++
				old.sub.lost += 1 + old.missed
			} else {
				old.sub.count.discarded++ // purge has not come to it yet
			}
			r.removeAt(0)
		}
	}
	rec.missed += sub.owed
	sub.owed = 0
	r.add(rec)
	r.count.Store(int64(r.n)) // not before: one that takes another's place must not look like an empty ring
	return was == 0
}

// pop takes the oldest record and returns its channel's name.
func (r *ring[E]) pop(msg *Message[E]) (channel any, ok bool) {
	r.mu.Lock()
	// What is left of a subscription that has ended goes here as in purge, which may not have come to it
	// yet: nothing is delivered after the first event that is discarded.
	for r.n > 0 && r.slot(0).sub.ended.Load() {
		r.slot(0).sub.count.discarded++
		r.removeAt(0)
		r.count.Store(int64(r.n))
	}
	if r.n == 0 {
		r.mu.Unlock()
		return nil, false
	}
	rec := *r.slot(0)
	sub := rec.sub
	rec.missed += sub.lost
	sub.lost = 0
	sub.count.received++
	r.removeAt(0)
	r.count.Store(int64(r.n))
	r.mu.Unlock()
	r.box.progress()
	msg.Ref, msg.Seq, msg.Missed, msg.Event = Ref{sub}, rec.seq, rec.missed, rec.event
	return rec.name, true
}

// unshift puts events back in front that a loop took from the mailbox's cursor and did not deliver.
// counted says that they are in sub.count as received. It reports false, and does nothing, if the
// subscription has ended.
func (r *ring[E]) unshift(sub *subscription, name any, seq, missed uint64, left []E, counted bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if sub.ended.Load() {
		return false
	}
	if n := uint64(len(left)); counted {
		sub.count.received -= n
	} else {
		sub.count.offered += n
	}
	// What the ring has lost of this subscription came after them: the next message but these tells it.
	lost := sub.lost
	sub.lost = 0
	for i := 0; lost > 0 && i < r.n; i++ {
		if rec := r.slot(i); rec.sub == sub {
			rec.missed += lost
			lost = 0
		}
	}
	sub.owed += lost
	slots := make([]record[E], 0, r.n+len(left))
	for i, e := range left {
		slots = append(slots, record[E]{sub: sub, name: name, seq: seq + uint64(i), missed: missed, event: e})
		missed = 0
	}
	for i := range r.n {
		slots = append(slots, *r.slot(i))
	}
	sub.inRing += len(left)
	r.slots, r.head = slots, 0
	r.n = len(slots)
	r.count.Store(int64(r.n))
	return true
}

// adopt takes over the tally of a subscription that moves from a cursor to the ring.
func (r *ring[E]) adopt(sub *subscription, count tally, lost uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sub.count.add(count)
	sub.owed += lost
}

// purge takes out what subscriptions that have ended did not read, and returns sub's closing tally.
func (r *ring[E]) purge(sub *subscription) tally {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := 0
	for i := range r.n {
		rec := r.slot(i)
		if rec.sub.ended.Load() {
			rec.sub.count.discarded++
			rec.sub.inRing--
			continue
		}
		if kept != i {
			*r.slot(kept) = *rec
		}
		kept++
	}
	for i := kept; i < r.n; i++ {
		*r.slot(i) = record[E]{}
	}
	r.n = kept
	r.count.Store(int64(r.n))
	for len(r.slots) > 64 && r.n < len(r.slots)/4 {
		r.shrink()
	}
	if sub == nil {
		return tally{}
	}
	return sub.count
}

func (r *ring[E]) slot(i int) *record[E] { return &r.slots[(r.head+i)%len(r.slots)] }

func (r *ring[E]) add(rec record[E]) {
	if r.n == len(r.slots) {
		r.resize(max(8, 2*r.n))
	}
	r.n++
	r.high = max(r.high, r.n)
	*r.slot(r.n - 1) = rec
	rec.sub.inRing++
}

// removeAt takes out record i, moving the younger ones down if it is not the oldest.
func (r *ring[E]) removeAt(i int) {
	r.slot(i).sub.inRing--
	if i == 0 {
		*r.slot(0) = record[E]{}
		r.head = (r.head + 1) % len(r.slots)
	} else {
		for ; i < r.n-1; i++ {
			*r.slot(i) = *r.slot(i + 1)
		}
		*r.slot(r.n - 1) = record[E]{}
	}
	r.n--
	r.shrink()
}

// shrink gives memory back once three quarters are unused: a mailbox that was full once and is always
// one behind holds what it needs now.
func (r *ring[E]) shrink() {
	if len(r.slots) > 64 && r.n < len(r.slots)/4 {
		r.resize(len(r.slots) / 2)
	}
}

func (r *ring[E]) resize(size int) {
	slots := make([]record[E], size)
	for i := range r.n {
		slots[i] = *r.slot(i)
	}
	r.slots, r.head = slots, 0
}

func (r *ring[E]) full(b *box) bool {
	if b.overflow != Block && b.overflow != Evict {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n >= b.capacity
}

func (r *ring[E]) empty() bool { return r.count.Load() == 0 }

func (r *ring[E]) depth() (n, high int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n, r.high
}

func (r *ring[E]) depthOf(sub *subscription) (t tally, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return sub.count, sub.inRing
}

func (r *ring[E]) newest() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pushed
}

// passed reports whether all records up to number upTo have been taken.
func (r *ring[E]) passed(upTo uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n == 0 || r.slot(0).num > upTo
}
