package earshot

import "reflect"

// A cursor reads a log for a mailbox that has this one subscription. Its gate is the position of the
// next event to read and guards the fields below it: whoever moves a cursor (a reader, Unsubscribe,
// a mailbox that changes to its ring) holds it, and no event is copied out of a block without it.
type cursor struct {
	pos    gate
	block  *block // where pos stands; nil until the first read there
	num    int    // the number of that block; -1 if none
	count  tally
	lost   uint64 // missed, and not yet reported with a message
	high   uint64 // largest backlog seen
	closed bool

	log   *log          // immutable, like the rest
	sub   *subscription //
	keep  uint64        // backlog beyond which events are lost; noLimit if never
	limit uint64        // backlog at which senders wait or this subscriber is ended; noLimit if never

	at      int // place in log.cursors, guarded by the log's gate
	armedAt int // place in log.armed, or -1
	_       [24]byte
}

// A tally is what became of the events that a subscription was offered:
// offered = received + missed + discarded + still waiting.
type tally struct{ offered, received, missed, mismatched, discarded uint64 }

func (t *tally) add(o tally) {
	t.offered += o.offered
	t.received += o.received
	t.missed += o.missed
	t.mismatched += o.mismatched
	t.discarded += o.discarded
}

// take moves up to len(dst) events of type T into dst and returns how many, the sequence number of the
// first, and how many were lost before it.
func take[T any](cu *cursor, dst []T) (n int, seq, missed uint64) {
	p := cu.pos.lock()
	h := cu.log.head.pos()
	if p == h || cu.closed {
		cu.pos.unlock(p)
		return 0, 0, 0
	}
	cu.high = max(cu.high, min(h-p, cu.keep))
	for p < h && n == 0 {
		if h-p > cu.keep || cu.block == nil || p >= cu.block.end.Load() {
			p, h = cu.seek(p)
		}
		b := cu.block
		end := min(h, b.end.Load())
		if c, ok := b.slots.(*chunk[T]); ok {
			n = copy(dst, c.ev[p-b.base:end-b.base])
			p += uint64(n)
		} else {
			p, n = takeAny(cu, p, end, dst)
		}
	}
	if n > 0 {
		seq = p - uint64(n) + 1
		missed, cu.lost = cu.lost, 0
		cu.count.received += uint64(n)
	}
	cu.pos.unlock(p)
	cu.sub.box.progress()
	return n, seq, missed
}

// takeAny reads slots that hold another type than T: it skips what is not a T, and counts it, then
// copies what is up to the next that is not.
func takeAny[T any](cu *cursor, p, end uint64, dst []T) (pos uint64, n int) {
	b := cu.block
	for ; p < end && n < len(dst); p++ {
		if v, ok := as[T](b.slots.at(p - b.base)); ok {
			dst[n] = v
			n++
		} else if n > 0 {
			break
		} else {
			cu.count.mismatched++
		}
	}
	return p, n
}

// as is v.(T), but lets a nil event through where T takes it.
func as[T any](v any) (T, bool) {
	t, ok := v.(T)
	if !ok && v == nil {
		ok = reflect.TypeFor[T]().Kind() == reflect.Interface
	}
	return t, ok
}

// seek finds the block for position p, or for the oldest event that the cursor's capacity lets it
// keep. It is called with the cursor's gate held.
func (cu *cursor) seek(p uint64) (pos, h uint64) {
	l := cu.log
	h = l.head.lock()
	if h-p > cu.keep {
		p = cu.lose(h-cu.keep-p, p)
	}
	cu.standLocked(l.findLocked(p))
	l.head.unlock(h)
	return p, h
}

// lose skips n events from position p on.
func (cu *cursor) lose(n, p uint64) uint64 {
	cu.lost += n
	cu.count.missed += n
	return p + n
}

// findLocked returns the block that holds position p, or nil if it is not open yet.
func (l *log) findLocked(p uint64) *block {
	for i := len(l.window) - 1; i >= 0; i-- {
		if b := l.window[i]; p >= b.base {
			if p < b.end.Load() {
				return b
			}
			return nil
		}
	}
	return nil
}

// standLocked moves the cursor into b: nil means the block that opens next. Both gates are held.
func (cu *cursor) standLocked(b *block) {
	cu.stepOutLocked()
	cu.block = b
	if b != nil {
		cu.num = b.num
	} else {
		cu.num = cu.log.first + len(cu.log.window)
	}
	cu.standing(1)
}

func (cu *cursor) stepOutLocked() {
	if cu.num >= 0 {
		cu.standing(-1)
	}
	cu.block, cu.num = nil, -1
}

// standing adds n to the counts that the cursor is part of: those of its block, of the block that opens
// next, or of the cursors whose block has been dropped.
func (cu *cursor) standing(n int) {
	l := cu.log
	held, fix := &l.fresh, &l.freshFix
	if i := cu.num - l.first; i < 0 {
		held, fix = &l.adrift, nil
	} else if i < len(l.window) {
		held, fix = &l.window[i].held, &l.window[i].fix
	}
	*held += n
	if cu.keep == noLimit {
		*fix += n
	}
}

// arm asks for a signal at the next event. It reports false if there is something to read already.
func (cu *cursor) arm() bool {
	p := cu.pos.lock()
	l := cu.log
	h := l.head.lock()
	empty := p == h && !cu.closed
	if empty && cu.armedAt < 0 {
		cu.armedAt = len(l.armed)
		l.armed = append(l.armed, cu)
		l.trip = 0
	}
	if empty && len(l.armed) == len(l.cursors) {
		l.restLocked(h)
	}
	l.head.unlock(h)
	cu.pos.unlock(p)
	return empty
}

// join adds a cursor for sub that starts with the next event, or with the replayed ones.
func (l *log) join(sub *subscription) {
	b := sub.box
	cu := &cursor{log: l, sub: sub, keep: noLimit, limit: noLimit, num: -1, armedAt: -1}
	switch b.overflow {
	case DropOldest, Latest:
		cu.keep = uint64(b.capacity)
	case Evict, Block:
		cu.limit = uint64(b.capacity)
	}
	cu.pos.lock()
	h := l.head.lock()
	p := h - min(h-l.oldestLocked(h), l.replay, cu.keep, cu.limit)
	cu.pos.unlock(p) // nobody else knows this cursor yet
	cu.at = len(l.cursors)
	l.cursors = append(l.cursors, cu)
	cu.standLocked(l.findLocked(p))
	if cu.keep != noLimit {
		l.keep = max(l.keep, cu.keep)
	}
	if cu.limit != noLimit {
		l.limited++
		l.limit = 0
	}
	if b.elem.Kind() == reflect.Interface || l.topic.Load().elem != nil && l.topic.Load().elem != b.elem {
		l.boxLocked(h)
	}
	if p == h {
		cu.armedAt = len(l.armed)
		l.armed = append(l.armed, cu)
	}
	l.retripLocked()
	sub.cur = cu
	b.cur.Store(cu)
	l.head.unlock(h)
	if p < h {
		b.signal()
	}
}

// oldestLocked returns the position of the oldest event in the log's blocks.
func (l *log) oldestLocked(h uint64) uint64 {
	if len(l.window) == 0 {
		return h
	}
	return max(l.window[0].base, l.cleared, h-min(h, l.replay))
}

// leave takes the cursor out of its log. What it has not read is discarded, or moves into the
// subscription's ring if to is not nil: then the log forwards there from now on. It returns the closing
// tally, which the ring has taken over in the second case.
func (cu *cursor) leave(to *forward) tally {
	l, sub := cu.log, cu.sub
	p := cu.pos.lock()
	h := l.head.lock()
	cu.closed = true
	if h-p > cu.keep {
		p = cu.lose(h-cu.keep-p, p)
	}
	if to != nil {
		cu.count.offered = cu.count.received + cu.count.missed
		sub.box.ring.adopt(sub, cu.count, cu.lost)
		for _, b := range l.window {
			for p = max(p, b.base); p < min(h, b.end.Load()); p++ {
				sub.box.ring.pushAny(sub, l.name, p+1, b.slots.at(p-b.base))
			}
		}
		l.addForwardLocked(to)
	} else {
		cu.count.discarded += h - p
	}
	cu.stepOutLocked()
	l.cursors = removeAt(l.cursors, cu.at, func(o *cursor, i int) { o.at = i })
	if cu.armedAt >= 0 {
		l.armed = removeAt(l.armed, cu.armedAt, func(o *cursor, i int) { o.armedAt = i })
		cu.armedAt = -1
	}
	if cu.limit != noLimit {
		l.limited--
		l.limit = 0
	}
	l.keepStale = l.keepStale || cu.keep == l.keep
	if len(l.cursors)+len(l.wires) == 0 && l.replay == 0 {
		l.dropBlocksLocked()
	} else if len(l.armed) == len(l.cursors) {
		l.restLocked(h)
	}
	l.retripLocked()
	l.head.unlock(h)
	cu.count.offered = cu.count.received + cu.count.missed + cu.count.discarded
	count := cu.count
	cu.pos.unlock(h)
	return count
}

// snapshot returns the tally at this moment, how many events are waiting, and the most that have been.
func (cu *cursor) snapshot() (t tally, depth, high uint64) {
	p := cu.pos.lock()
	t = cu.count
	if !cu.closed {
		depth = cu.log.head.pos() - p
		if depth > cu.keep { // lost already, and said so at the next read
			t.missed += depth - cu.keep
			depth = cu.keep
		}
		cu.high = max(cu.high, depth)
		t.offered = t.received + t.missed + depth
	}
	high = cu.high
	cu.pos.unlock(p)
	return t, depth, high
}

// passed reports whether everything before position upTo has been taken or lost.
func (cu *cursor) passed(upTo uint64) bool {
	p := cu.pos.lock()
	h := cu.log.head.pos()
	ok := cu.closed || p >= upTo || h-p > cu.keep && h-cu.keep >= upTo
	cu.pos.unlock(p)
	return ok
}

// left reports whether the cursor has left its log.
func (cu *cursor) left() bool {
	p := cu.pos.lock()
	defer cu.pos.unlock(p)
	return cu.closed
}

// removeAt takes place i out of an unordered list and tells the member that moved there.
func removeAt[T any](list []T, i int, moved func(T, int)) []T {
	last := len(list) - 1
	if i < last {
		list[i] = list[last]
		moved(list[i], i)
	}
	var none T
	list[last] = none
	return list[:last]
}

// undelivered ends a loop's hold on what it took: left, whose first event is at position from, after
// missed lost ones, has not been delivered. It reports whether the cursor could simply go back; it cannot
// if it has left its log or if somebody else has read on.
func undelivered[E any](cu *cursor, left []E, from, missed uint64) (back, closed bool) {
	p := cu.pos.lock()
	closed = cu.closed
	if n := uint64(len(left)); !closed {
		cu.count.received -= n
		// Others may have read on into another block, and have gone back to its beginning.
		if back = p == from+n && (n == 0 || cu.block != nil && from >= cu.block.base); back {
			cu.lost += missed
			if n > 0 {
				restore(cu, left, from)
				p = from
			}
		}
	}
	cu.pos.unlock(p)
	return back, closed
}

// restore makes events unread again. If somebody looked for more while they were in a loop's hands
// the cursor seemed to have read everything: it is armed, and its log may have been cleared.
func restore[E any](cu *cursor, left []E, from uint64) {
	l := cu.log
	h := l.head.lock()
	if cu.armedAt >= 0 {
		l.armed = removeAt(l.armed, cu.armedAt, func(o *cursor, i int) { o.armedAt = i })
		cu.armedAt = -1
	}
	if cu.limit != noLimit {
		l.limit = 0
	}
	l.retripLocked()
	if from < l.cleared {
		// Only those: somebody else may be reading the others.
		for i, e := range left[:min(uint64(len(left)), l.cleared-from)] {
			cu.block.slots.set(from+uint64(i)-cu.block.base, e)
		}
		l.cleared = from
	}
	l.head.unlock(h)
}
