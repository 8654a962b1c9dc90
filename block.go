package earshot

import (
	"reflect"
	"sync/atomic"
)

// slots is a block's typed side; *chunk[E] implements it.
type slots interface {
	at(i uint64) any
	lend() lease
	renew(upTo int) // clears what is lent, by storing elsewhere from now on
	set(i uint64, event any)
	clear(from, to int)
	size() int
}

// A block is a run of consecutive positions. Its fields are guarded by the log's gate, but for
// base, which never changes while somebody stands in it, and end, which sealing lowers.
type block struct {
	base  uint64
	end   atomic.Uint64
	num   int // counted from the log's birth
	held  int // cursors standing in it
	fix   int // those of them that may not lose anything
	slots slots
	lent  lease // what taps refer to its events by: they are not cleared in place nor used again; or nil
}

// A lease is what taps have of a block: its events for good, without any lock.
type lease interface {
	get(pos uint64) any
	value(pos uint64) reflect.Value
}

type leased[E any] struct {
	base uint64
	ev   []E
}

func (l *leased[E]) get(pos uint64) any             { return l.ev[pos-l.base] }
func (l *leased[E]) value(pos uint64) reflect.Value { return reflect.ValueOf(&l.ev[pos-l.base]).Elem() }

type chunk[E any] struct {
	block
	ev []E
}

func (c *chunk[E]) at(i uint64) any         { return c.ev[i] }
func (c *chunk[E]) lend() lease             { return &leased[E]{c.base, c.ev} }
func (c *chunk[E]) set(i uint64, event any) { c.ev[i], _ = as[E](event) }
func (c *chunk[E]) clear(from, to int)      { clear(c.ev[from:to]) }
func (c *chunk[E]) size() int               { return len(c.ev) }

func (c *chunk[E]) renew(upTo int) {
	ev := make([]E, len(c.ev))
	copy(ev[upTo:], c.ev[upTo:])
	c.ev = ev
}

const (
	firstBlock    = 8       // slots; a quiet channel stays small
	biggestBlock  = 256     // slots
	biggestBytes  = 1 << 14 // unless that is more than this
	biggestLent   = 64      // slots of a block that is not used again
	restingBlocks = 4       // free blocks kept while everybody has read everything
)

// openBlock starts a new block at h, first letting go of those that nobody needs.
func openBlock[E any](l *log, h uint64) *chunk[E] {
	l.trimLocked(h)
	var c *chunk[E]
	if n := len(l.free); n > 0 {
		c, _ = l.free[n-1].slots.(*chunk[E])
		l.free[n-1] = nil
		l.free = l.free[:n-1]
	}
	if c == nil {
		c = &chunk[E]{ev: make([]E, blockSize[E](l))}
		c.slots = c
	}
	c.base = h
	c.end.Store(h + uint64(len(c.ev)))
	c.num = l.first + len(l.window)
	c.held, c.fix = l.fresh, l.freshFix
	l.fresh, l.freshFix = 0, 0
	l.window = append(l.window, &c.block)
	l.slots = c
	return c
}

// blockSize doubles from block to block while readers do not catch up, and starts again when they do
// only with a new log: big blocks that are needed once are needed again.
func blockSize[E any](l *log) int {
	size := firstBlock
	if n := len(l.window); n > 0 {
		size = l.window[n-1].slots.size()
	}
	if l.opened++; l.opened > 2 {
		size *= 2
	}
	most := biggestBytes / max(1, int(reflect.TypeFor[E]().Size()))
	if len(l.wires) > 0 {
		most = min(most, biggestLent)
	}
	if keep := l.keepLocked(); keep > 0 {
		most = min(most, int(min(keep, biggestBlock)))
	}
	return max(firstBlock, min(size, most, biggestBlock))
}

// trimLocked drops the oldest blocks: those that nobody stands in, and those that are beyond the
// capacity of all the cursors that may lose events. A cursor left standing in a dropped block keeps
// that one block from being used again, no more, and finds out at its next read (see seek).
func (l *log) trimLocked(h uint64) {
	size := 0
	if n := len(l.window); n > 0 {
		size = l.window[n-1].slots.size()
	}
	room := max(restingBlocks, len(l.window))
	n := 0
	for ; n < len(l.window); n++ {
		b := l.window[n]
		end := b.end.Load()
		if end > h || end+l.replay > h || b.fix > 0 || (b.held > 0 || l.adrift > 0) && end+l.keepLocked() > h {
			break
		}
		l.adrift += b.held
		if b.held == 0 && b.lent == nil && len(l.free) < room && b.slots.size() >= size {
			b.slots.clear(0, size)
			l.free = append(l.free, b)
		}
	}
	if n > 0 {
		l.first += n
		kept := copy(l.window, l.window[n:])
		clear(l.window[kept:])
		l.window = l.window[:kept]
	}
}
