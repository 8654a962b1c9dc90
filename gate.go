package earshot

import (
	"runtime"
	"sync/atomic"
	"time"
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

// preempted is how often a loser looks before it takes it that the holder, who needs a few
// nanoseconds, has lost its processor to another program. Then it sleeps: spinning on would keep a core
// from whoever has to run first. With both goroutines on one core this took a send from 1,300 ns to 25.
const (
	preempted = 4
	asleep    = 20 * time.Microsecond
)

//go:noinline
func (g *gate) lockSlow() uint64 {
	for i := 0; ; i++ {
		if i < preempted {
			pause(contended)
		} else if inBubble() {
			runtime.Gosched() // time stands still there while somebody waits for a mutex
		} else {
			time.Sleep(asleep)
		}
		w := g.w.Load()
		if w&1 == 0 && g.w.CompareAndSwap(w, w|1) {
			return w >> 1
		}
	}
}

// inBubble reports whether the caller is in a bubble of testing/synctest. Times there, and nowhere else, come
// without a reading of the monotonic clock, which Round(0) would strip.
func inBubble() bool {
	now := time.Now()
	return now == now.Round(0)
}

//go:noinline
func pause(turns int) {
	for range turns {
	}
}
