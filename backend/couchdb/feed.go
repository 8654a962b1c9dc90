package couchdb

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/earshot-go/earshot/bus"
)

// ahead is how many events a feed holds that nobody has asked for yet. The rest waits in the server.
const ahead = 32

// A feed is a reading of _changes. One goroutine reads, another one sees whether the database is still the same.
type feed struct {
	b       *Bus
	epoch   string
	past    bool
	started string // when the feed was opened, as in an _id, if it did not begin after a token

	ctx    context.Context // ends with Close, with the bus, or when the stream was made anew; the cause is for Next
	cancel context.CancelCauseFunc
	items  chan item // closed by the goroutine that reads, after it has set err
	err    error
	opened chan struct{} // closed when the server has been asked for events
	asked  func()        // closes it

	mu  sync.Mutex // guards the field below
	pos position   // after the event that Next returned last
}

// An item is what Next has to return.
type item struct {
	d   bus.Delivery
	gap *bus.GapError
	pos position // after an event
}

// Tail implements bus.Bus. Hints are ignored: CouchDB narrows by functions in JavaScript, which cost more than what they
// save.
func (b *Bus) Tail(ctx context.Context, t bus.Tail) (bus.Feed, error) {
	done, err := b.begin()
	if err != nil {
		return nil, fmt.Errorf("couchdb: tail: %w", err)
	}
	defer done()
	within, cancel := b.within(ctx)
	defer cancel()
	f := &feed{b: b, past: t.Past, items: make(chan item, ahead), opened: make(chan struct{})}
	f.asked = sync.OnceFunc(func() { close(f.opened) })
	r, err := f.open(within, t.From)
	if err != nil {
		return nil, b.failed(ctx, "tail from "+t.From.String(), err)
	}
	f.ctx, f.cancel = context.WithCancelCause(b.ctx)
	for _, run := range []func(){func() { f.run(r) }, f.watch} {
		ended, err := b.begin()
		if err != nil {
			f.cancel(bus.ErrClosed)
			return nil, fmt.Errorf("couchdb: tail: %w", err)
		}
		go func() {
			defer ended()
			run()
		}()
	}
	// Not for the answer, which PouchDB begins with the first event or heartbeat. The position is known, and so nothing
	// is missed.
	select {
	case <-f.opened:
		return f, nil
	case <-within.Done():
		f.cancel(bus.ErrClosed)
		return nil, b.failed(ctx, "tail from "+t.From.String(), context.Cause(within))
	}
}

// open finds the position at which the feed begins, and what is known about the end of the stream.
func (f *feed) open(ctx context.Context, from bus.Position) (*reading, error) {
	s := f.b.server
	var err error
	if f.epoch, err = s.epoch(ctx); err != nil {
		return nil, err
	}
	end, err := s.updateSeq(ctx)
	if err != nil {
		return nil, err
	}
	r := &reading{f: f, end: end, rest: -1}
	if token, ok := from.Token(); ok {
		if f.pos, err = parsePosition(token, f.epoch, end); err != nil {
			return nil, err
		}
		r.fresh = false
	} else {
		f.started = timeText(time.Now())
		f.pos = position{horizon: f.started, seq: "0"}
		r.fresh = true
		if at, ok := from.Time(); ok {
			f.pos.at = timeText(at)
		} else if from.IsNow() {
			f.pos.seq = end
		}
	}
	r.pos = f.pos
	if _, number := end.number(); number || !f.past && r.fresh {
		return r, nil
	}
	// Where the end cannot be compared with, its distance is counted. And the server sees the sequence of a token.
	p, err := s.page(ctx, f.pos.seq, 1, false, func(row) error { return nil })
	if p.pending >= 0 {
		r.rest = p.rows + p.pending
	}
	return r, err
}

// Next implements bus.Feed.
func (f *feed) Next(ctx context.Context) (bus.Delivery, error) {
	// What has ended the feed goes before what is ready: it may be of a stream that is not this one.
	if f.ctx.Err() != nil {
		return bus.Delivery{}, f.failed(context.Cause(f.ctx))
	}
	if ctx.Err() != nil {
		return bus.Delivery{}, context.Cause(ctx)
	}
	select {
	case it, ok := <-f.items:
		switch {
		case f.ctx.Err() != nil:
			return bus.Delivery{}, f.failed(context.Cause(f.ctx))
		case !ok:
			return bus.Delivery{}, f.failed(f.err)
		}
		if it.gap != nil {
			return bus.Delivery{}, it.gap // a feed that goes on from here has to say it again
		}
		f.mu.Lock()
		f.pos = it.pos
		f.mu.Unlock()
		return it.d, nil
	case <-f.ctx.Done():
		return bus.Delivery{}, f.failed(context.Cause(f.ctx))
	case <-ctx.Done():
		return bus.Delivery{}, context.Cause(ctx)
	}
}

func (f *feed) failed(err error) error { return fmt.Errorf("couchdb: feed: %w", err) }

// Token implements bus.Positioned.
func (f *feed) Token() bus.Token {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pos.token(f.epoch)
}

// Close implements bus.Feed. It does not wait; Close of the bus does.
func (f *feed) Close() error {
	f.cancel(bus.ErrClosed)
	return nil
}

// watch ends the feed when the database has another epoch. Trouble with the wire is not its business.
func (f *feed) watch() {
	tick := time.NewTicker(f.b.check)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := f.sameEpoch(); err != nil {
				f.cancel(err)
			}
		case <-f.ctx.Done():
			return
		}
	}
}

// sameEpoch returns an error if the database is known to be another one.
func (f *feed) sameEpoch() error {
	ctx, cancel := context.WithTimeoutCause(f.ctx, min(f.b.server.timeout, dialTimeout), errNoAnswer)
	defer cancel()
	epoch, err := f.b.server.epochNow(ctx)
	if err != nil || epoch == f.epoch {
		return nil
	}
	if epoch == "" {
		return fmt.Errorf("%w: the database has been deleted, or made anew", bus.ErrForeignToken)
	}
	return fmt.Errorf("%w: the database has been made anew (epoch %s, now %s)", bus.ErrForeignToken, f.epoch, epoch)
}
