package membus

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/earshot-go/earshot/bus"
)

// A feed reads the stream by the numbers of the events. It holds none itself.
type feed struct {
	bus      *Bus
	hint     []string
	since    time.Time // events that are older are none of this feed's
	end      uint64    // with Past: the number of the first event that is none of this feed's; else 0
	epoch    string
	failures int // of the bus, when the feed was opened

	closing sync.Once
	closed  chan struct{}

	mu    sync.Mutex // guards the fields below; taken before that of the stream
	next  uint64     // the number of the event to be read next
	token bus.Token
}

// Next returns the next event, or waits for it.
func (f *feed) Next(ctx context.Context) (bus.Delivery, error) {
	for {
		frozen, changed, err := f.state(ctx)
		if err != nil {
			return bus.Delivery{}, fmt.Errorf("membus: next: %w", err)
		}
		var arrival chan struct{}
		if !frozen {
			var d *bus.Delivery
			if d, arrival, err = f.read(); err != nil {
				return bus.Delivery{}, err
			} else if d != nil {
				return *d, nil
			}
		}
		select {
		case <-arrival:
		case <-changed:
		case <-f.closed:
		case <-f.bus.closed:
		case <-ctx.Done():
		}
	}
}

// state tells whether the feed can be read.
func (f *feed) state(ctx context.Context) (frozen bool, changed chan struct{}, err error) {
	select {
	case <-f.closed:
		return false, nil, bus.ErrClosed
	default:
	}
	b := f.bus
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.shut:
		return false, nil, bus.ErrClosed
	case b.failures != f.failures:
		return false, nil, b.broken
	case ctx.Err() != nil:
		return false, nil, context.Cause(ctx)
	}
	return b.frozen, b.changed, nil
}

// read returns a delivery, or the channel that tells of the next one.
func (f *feed) read() (*bus.Delivery, chan struct{}, error) {
	e, token, arrival, err := f.take()
	if err != nil || arrival != nil {
		return nil, arrival, err
	}
	d := &bus.Delivery{Token: token}
	if err := d.Event.UnmarshalJSON(e.text); err != nil {
		return nil, nil, fmt.Errorf("membus: next: %w", err)
	}
	return d, nil, nil
}

func (f *feed) take() (e entry, token bus.Token, arrival chan struct{}, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.bus.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch != f.epoch {
		return e, "", nil, fmt.Errorf("membus: next: %w: the stream was made anew", bus.ErrForeignToken)
	}
	if f.next < s.first {
		gap := &bus.GapError{
			After:  f.token,
			Missed: s.first - f.next,
			Reason: fmt.Sprintf("the stream keeps %d events and %d bytes", s.opts.Keep, s.opts.KeepBytes),
		}
		f.next = s.first
		return e, "", nil, gap
	}
	for ; ; f.next++ {
		if f.end > 0 && f.next >= f.end {
			return e, "", nil, io.EOF
		}
		if f.next == s.nextLocked() {
			if s.arrival == nil {
				s.arrival = make(chan struct{})
			}
			return e, "", s.arrival, nil
		}
		e = s.kept[f.next-s.first]
		if bus.Match(f.hint, e.name) && !e.at.Before(f.since) {
			break
		}
	}
	f.token = s.tokenLocked(f.next)
	f.next++
	return e, f.token, nil, nil
}

// Token returns the position after the last event.
func (f *feed) Token() bus.Token {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.token
}

// Close ends the feed, and a Next that waits.
func (f *feed) Close() error {
	f.closing.Do(func() { close(f.closed) })
	return nil
}
