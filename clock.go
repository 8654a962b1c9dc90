package earshot

import (
	"sync/atomic"
	"time"
)

// A clock tells taps when an event was sent. Reading the system's costs a sender 22 ns, more than half of
// all else that a tap costs it (docs/performance.md). So while very many events are heard a goroutine
// reads it once a millisecond for all of them.
type clock struct {
	coarse  atomic.Int64 // as of the last tick; 0: read the system's
	running atomic.Bool
}

const (
	clockTick = time.Millisecond
	clockBusy = 25 // events a tick from which on the goroutine is worth it
)

// epoch is what times are counted from: reading only the monotonic clock is half as dear as time.Now.
var epoch = time.Now()

func (c *clock) now() int64 {
	if t := c.coarse.Load(); t != 0 {
		return t
	}
	return int64(time.Since(epoch))
}

// A mileage is how far a log had come at a time.
type mileage struct {
	pos uint64
	at  int64
}

func (m mileage) busy(pos uint64, at int64) bool {
	return pos-m.pos >= clockBusy && at-m.at < int64(pos-m.pos)/clockBusy*int64(clockTick)
}

// start has a goroutine tick until l is no longer busy. It is called under the gate of l, which is not
// closed, and so before Shutdown waits for the last of the server's goroutines.
func (c *clock) start(l *log) {
	if inBubble() || !c.running.CompareAndSwap(false, true) { // time stands still there, and goroutines are waited for
		return
	}
	l.srv.wg.Add(1)
	go func() {
		defer l.srv.wg.Done()
		defer c.running.Store(false)
		defer c.coarse.Store(0)
		tick := time.NewTicker(clockTick)
		defer tick.Stop()
		for last := l.head.pos(); ; {
			c.coarse.Store(int64(time.Since(epoch)))
			<-tick.C
			pos := l.head.pos()
			if pos-last < clockBusy {
				return
			}
			last = pos
		}
	}()
}
