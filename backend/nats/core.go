package nats

import (
	"context"
	"fmt"
	"strings"
	"sync"

	natsgo "github.com/nats-io/nats.go"

	"github.com/earshot-go/earshot/bus"
)

// What a feed without a stream keeps for a slow reader. What comes beyond that is dropped, and reported.
const (
	coreMessages = 65536
	coreBytes    = 64 << 20
)

// A coreFeed is a subscription. The server sends without asking, so that a reader that is too slow loses events:
// the client library drops and counts them, and Next reports a *bus.GapError.
type coreFeed struct {
	bus  *Bus
	link *link
	sub  *natsgo.Subscription

	closing sync.Once
	closed  chan struct{}

	mu      sync.Mutex // guards the queue
	queue   []*natsgo.Msg
	head    int
	bytes   int
	dropped uint64        // since the last report
	wake    chan struct{} // has a value when the queue may have become longer

	failed error
}

func (b *Bus) tailCore(ctx context.Context, hint []string) (bus.Feed, error) {
	l, err := b.connect(ctx)
	if err != nil {
		return nil, err
	}
	f := &coreFeed{bus: b, link: l, closed: make(chan struct{}), wake: make(chan struct{}, 1)}
	subject := common(b.opts.Prefix, filters(b.opts.Prefix, hint))
	h := l.hear(func(text string) bool { return strings.Contains(text, `Subscription to "`+subject+`"`) })
	defer h.dismiss()
	f.sub, err = l.nc.Subscribe(subject, f.take)
	if err == nil {
		err = f.sub.SetPendingLimits(-1, -1) // take never waits, and bounds the queue itself
	}
	if err != nil {
		return nil, l.lost(opening)
	}
	if !b.keep(f) {
		f.release()
		return nil, bus.ErrClosed
	}
	if err := l.flush(ctx, opening); err != nil {
		f.Close()
		return nil, err
	}
	if err := h.verdict(ctx, opening); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// take puts a message into the queue, or counts it.
func (f *coreFeed) take(m *natsgo.Msg) {
	if len(m.Data) == 0 && m.Subject == f.bus.probed() {
		return // another bus asks whether it may publish
	}
	f.mu.Lock()
	if len(f.queue)-f.head >= coreMessages || f.bytes+len(m.Data) > coreBytes {
		f.dropped++
	} else {
		f.queue = append(f.queue, m)
		f.bytes += len(m.Data)
	}
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Next waits for the next event.
func (f *coreFeed) Next(ctx context.Context) (bus.Delivery, error) {
	for {
		if f.failed != nil {
			return bus.Delivery{}, f.failed
		}
		if ctx.Err() != nil {
			return bus.Delivery{}, context.Cause(ctx)
		}
		select {
		case <-f.closed:
			return bus.Delivery{}, f.over()
		default:
		}
		m, gap := f.pop()
		switch {
		case gap != nil:
			return bus.Delivery{}, gap
		case m == nil:
			if err := f.wait(ctx); err != nil {
				return bus.Delivery{}, err
			}
			continue
		}
		var d bus.Delivery
		if err := d.Event.UnmarshalJSON(m.Data); err == nil && d.Event.Validate() == nil {
			return d, nil
		}
		f.bus.garbage.Add(1)
	}
}

// pop returns the oldest message. What was dropped came after all that are in the queue, unless some of that has
// been read since: so the gap is reported as soon as it is known.
func (f *coreFeed) pop() (*natsgo.Msg, *bus.GapError) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.dropped; n > 0 {
		f.dropped = 0
		return nil, &bus.GapError{Missed: n, Reason: fmt.Sprintf("they came faster than they were read, and %d events or %d MiB are kept", coreMessages, coreBytes>>20)}
	}
	if f.head == len(f.queue) {
		f.queue, f.head = f.queue[:0], 0
		return nil, nil
	}
	m := f.queue[f.head]
	f.queue[f.head] = nil
	f.head++
	f.bytes -= len(m.Data)
	if f.head > len(f.queue)/2 && f.head > 1024 {
		// Move the rest down, or append lets the queue grow for as long as it is never empty.
		n := copy(f.queue, f.queue[f.head:])
		clear(f.queue[n:])
		f.queue, f.head = f.queue[:n], 0
	}
	return m, nil
}

func (f *coreFeed) wait(ctx context.Context) error {
	select {
	case <-f.wake:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-f.closed:
		f.failed = f.over()
	case <-f.bus.ctx.Done():
		f.failed = f.over()
	case <-f.link.done:
		// What came before the end may be read still: whatever the server accepted later is lost, and the
		// error says so.
		select {
		case <-f.wake:
			return nil
		default:
		}
		f.failed = f.link.lost("read the feed of")
	}
	return f.failed
}

func (f *coreFeed) over() error { return fmt.Errorf("nats: feed of %s: %w", f.bus, bus.ErrClosed) }

// Close ends the feed. It does not block.
func (f *coreFeed) Close() error {
	f.closing.Do(func() {
		close(f.closed)
		f.bus.forget(f)
		if f.bus.enter() {
			go func() { // ends when the write has, whose time is limited
				defer f.bus.running.Done()
				f.release()
			}()
		}
	})
	return nil
}

func (f *coreFeed) release() { _ = f.sub.Unsubscribe() }
