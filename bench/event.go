package main

import (
	"context"
	"sync/atomic"
	"time"
)

// event is what every contender carries: 32 bytes, one of them a string, so
// that boxing it costs an allocation and copying it is not free.
type event struct {
	ID uint64 // 1, 2, 3, … per sender
	A  uint64 // the sender's number
	S  string
}

// Type is kelindar/event's key. Nobody else looks at it.
func (event) Type() uint32 { return 1 }

const text = "a row was written"

// A bus is one freshly made contender: subscribers first, then sends.
type bus interface {
	// subscribe adds one subscriber, who calls l.see for every event.
	subscribe(l *lane)
	// sender returns a function for one goroutine that sends events 1..n. The
	// loop is inside so that an indirect call is not part of each event's price.
	sender(id uint64) func(n uint64)
	// close ends the subscribers and waits for them where it can.
	close()
}

// A lane is where events end up: a counter nobody else writes to. Every event
// is counted and its ID summed, so that a lost event and a doubled one do not
// make a right total together.
type lane struct {
	n, sum  uint64
	next    uint64 // when n gets here, reached runs
	reached func()
	_       [96]byte // two cache lines: the prefetcher fetches them in pairs
}

// see is small enough to be inlined into every contender's receive loop.
func (l *lane) see(id uint64) {
	l.n++
	l.sum += id
	if l.n == l.next {
		l.reached()
	}
}

// seeShared is see for a handler that several senders may be in at once. It only
// counts: one atomic addition is the least such a handler needs, a second one for
// the IDs would be a cost of checking and not of delivering.
func (l *lane) seeShared() {
	if atomic.AddUint64(&l.n, 1) == l.next {
		l.reached()
	}
}

// A contender is a way to get events from senders to subscribers.
type contender struct {
	name string
	note string // what a reader should know before believing the number
	ours bool   // an earshot way of receiving, not a peer
	any  bool   // ours, but untyped
	// inSender: handlers are called by the sender, and nothing waits anywhere.
	inSender bool
	// aside: right with one sender only. Shown, but not the best peer.
	aside bool
	open  func() bus
}

// contenders are all measured in the same run; order is the order of the rows.
var contenders = append(append([]contender(nil), earshots...), peers...)

func byName(name string) contender {
	for _, c := range contenders {
		if c.name == name {
			return c
		}
	}
	panic("bench: no contender " + name)
}

// buffer is the room every subscriber gets, wherever a contender has a choice.
const buffer = 16384

// sink keeps results alive that a compiler might otherwise throw away.
var sink atomic.Int64

// ctx is for calls that want one; it never ends.
var ctx = context.Background()

var start = time.Now()

// nanos is a monotonic clock with less around it than time.Now.
func nanos() int64 { return int64(time.Since(start)) }
