package earshot

import (
	"runtime"
	"sync/atomic"
)

// A gate is a position in a channel's log whose lowest bit is its own lock. Taking it is one
// compare-and-swap; the store that publishes the new position also unlocks. That is two locked
// instructions for "lock, write, publish, unlock", where a mutex beside an atomic counter needs
// three, and readers learn the position without touching the lock.
//
// Everything done under a gate is short and never calls user code. The order in which gates and
// locks nest is: Server.mu, then a cursor's gate, then a log's gate, then ring.mu, then box.mu.
type gate struct{ w atomic.Uint64 }

// pos returns the published position, whether or not the gate is held.
func (g *gate) pos() uint64 { return g.w.Load() >> 1 }

// lock takes the gate and returns the position it stands at.
func (g *gate) lock() uint64 {
	w := g.w.Load()
	if w&1 == 0 && g.w.CompareAndSwap(w, w|1) {
		return w >> 1
	}
	return g.lockSlow()
}

// unlock publishes p and releases the gate.
func (g *gate) unlock(p uint64) { g.w.Store(p << 1) }

// contended is how many turns of an empty loop (one to two microseconds) a loser stays away before
// it looks again. Staying away lets the winner run a burst with the cache line to itself: with two
// senders this took a send from 127 ns (looking again at once) to 31 ns.
const contended = 4096

//go:noinline
func (g *gate) lockSlow() uint64 {
	for i := 1; ; i++ {
		pause(contended)
		w := g.w.Load()
		if w&1 == 0 && g.w.CompareAndSwap(w, w|1) {
			return w >> 1
		}
		if i%4 == 0 {
			runtime.Gosched() // the holder may be waiting for this processor
		}
	}
}

//go:noinline
func pause(turns int) {
	for range turns {
	}
}
