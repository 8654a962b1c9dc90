package emitter

import (
	"fmt"
	"time"

	"github.com/earshot-go/earshot/bus"
)

// Stats is what an emitter knows of itself at one moment.
type Stats struct {
	Name      string
	Listeners int
	Queued    int    // events that wait for listeners, the one in hand included
	Running   string // where the listener was registered that is at work; empty if none is
	Failures  uint64 // of listeners
	Errors    uint64 // error events

	Bus *BusStats // nil in memory
}

// BusStats is what an emitter knows of its engine. Counters begin when the emitter is made.
type BusStats struct {
	Engine      string // as it calls itself, without passwords
	Caps        bus.Caps
	Up          bool      // as told by connect, reconnect and disconnect
	Since       time.Time // of Up
	Reason      string    // what the engine said last, while it is not up
	Listening   bool      // a feed is open
	Connects    int       // connect and reconnect events
	Disconnects int
	Gaps        int

	Buffered      int // events that the engine has not accepted
	BufferedBytes int
	Spilled       int
	Published     uint64
	Dropped       uint64
	Repeated      uint64        // came again with the same ID, and were left out
	Foreign       uint64        // came with a name that no listener may have
	Lag           time.Duration // between the emitting of the last event and its arrival here, by the two clocks
}

// Stats returns the emitter's counters. It does not block.
func (e *Emitter) Stats() Stats {
	s := Stats{Name: e.name, Failures: e.failures.Load(), Errors: e.errors.Load()}
	e.book.mu.Lock()
	s.Listeners = e.book.count
	e.book.mu.Unlock()
	if ln := e.lane.Load(); ln != nil {
		s.Queued = ln.depth()
		if l := ln.busy(); l != nil {
			s.Running = l.site()
		}
	}
	if e.link != nil {
		s.Bus = e.link.stats()
	}
	return s
}

func (k *link) stats() *BusStats {
	s := &BusStats{Caps: k.bus.Caps(), Published: k.published.Load(), Repeated: k.repeated.Load(),
		Foreign: k.foreign.Load(), Lag: time.Duration(k.lag.Load())}
	s.Engine = s.Caps.Engine
	if named, ok := k.bus.(fmt.Stringer); ok {
		s.Engine = named.String()
	}
	s.Buffered, s.BufferedBytes = k.out.len()
	if k.spill != nil {
		s.Spilled = k.spill.Len()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	s.Up, s.Since = k.up, k.since
	if !k.up && k.reason != nil {
		s.Reason = k.reason.Error()
	}
	if k.feed != nil {
		s.Listening = k.feed.open
	}
	s.Connects, s.Disconnects, s.Gaps, s.Dropped = k.counts.Connects, k.counts.Disconnects, k.counts.Gaps, k.counts.Dropped
	return s
}
