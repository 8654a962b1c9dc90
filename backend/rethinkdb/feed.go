package rethinkdb

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/earshot-go/earshot/bus"
)

// A feed reads the past in pages, opens a changefeed when it has come to the end of it, reads in one more scan
// what became visible in between, and then delivers what the changefeed has. A changefeed that the server has
// cut short, because its reader was slow, is left and the past read again.
type feed struct {
	b     *Bus
	c     *conn
	epoch string

	mu     sync.Mutex // guards the fields below
	closed bool
	token  bus.Token // after the last delivery; "" without Replay

	// What follows belongs to Next.
	win   window
	queue []item
	err   error // why there is no more, once queue is empty

	scan    *scan // of the past; nil when it is read
	from    int64 // At: nothing with an earlier ts
	end     *pos  // Past: nothing behind this place
	past    bool  // ends with the past
	floor   pos   // what the retention has deleted up to here is of no concern
	clock   clock
	asked   bool     // the clock, since the reply came that is worked on
	seen    memory   // what the changefeed may have once more
	live    *changes // nil until it is open
	overran bool     // live has lost changes
	beat    beat
}

// An item is what Next returns.
type item struct {
	row row
	gap *bus.GapError // in place of a row
	had bool          // the row was delivered before, and is only counted
}

// Tail opens a feed on a connection of its own. It blocks until the server has answered some queries, for some
// seconds at the most where it does not.
func (b *Bus) Tail(ctx context.Context, t bus.Tail) (bus.Feed, error) {
	if b.NoPersist && (t.Past || !t.From.IsNow()) {
		return nil, fmt.Errorf("rethinkdb: tail from %v: %w: with persist=false nothing is kept", t.From, bus.ErrUnsupported)
	}
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	c, s, err := b.connect(ctx)
	if err != nil {
		return nil, err
	}
	f := &feed{b: b, c: c, epoch: s.Epoch, past: t.Past}
	if err = f.begin(ctx, t, s); err != nil {
		c.close()
		return nil, err
	}
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		c.close()
		return nil, errClosed
	}
	defer b.mu.Unlock()
	b.feeds[f] = struct{}{}
	return f, nil
}

// begin takes the position.
func (f *feed) begin(ctx context.Context, t bus.Tail, s stream) error {
	f.win.width = f.b.Overlap.Microseconds() / parts
	f.floor = s.trimmedTo()
	f.beat.last = time.Now()
	var err error
	if t.From.IsNow() && !f.past {
		if f.live, err = f.openChanges(ctx); err != nil {
			return err
		}
	}
	if err := f.clock.ask(ctx, f.c); err != nil {
		return err
	}
	now := f.clock.now()
	if f.b.NoPersist {
		return nil
	}
	if f.past {
		end, err := f.b.newest(ctx, f.c, f.ahead())
		if err != nil {
			return err
		}
		f.end = &end
	}
	if token, ok := t.From.Token(); ok {
		text, err := token.Position(engine, f.epoch)
		if err != nil {
			return fmt.Errorf("rethinkdb: %w", err)
		}
		if f.win, ok = parseWindow(text); !ok {
			return fmt.Errorf("rethinkdb: %w: its position %.60q cannot be read", bus.ErrForeignToken, text)
		}
		f.floor, f.token = pos{}, token
		f.gap(s, f.win.hi)
		err = f.beginScan(ctx)
		f.note()
		return err
	}
	if at, ok := t.From.Time(); ok {
		// What is earlier counts as delivered.
		f.from = at.UnixMicro()
		f.win.advance(last(max(f.from-1, 0)))
		places, err := f.b.places(ctx, f.c, f.win.low(), f.win.hi.us)
		if err != nil {
			return err
		}
		f.win.take(places)
		f.note()
		return f.beginScan(ctx)
	}
	if t.From.IsStart() {
		f.note()
		return f.beginScan(ctx)
	}
	// What is there already counts as delivered, and the changefeed may have some of it.
	f.win.advance(pos{us: now})
	places, err := f.b.places(ctx, f.c, f.win.low(), f.ahead())
	f.win.take(places)
	f.seen.add(places...)
	f.seen.until(f.win.hi.us + f.overlap())
	f.note()
	return err
}

// ahead is the latest ts that r.now() can have given a document when the clock was asked. One with a later ts is not
// of this package, and would have everything in between pass for delivered.
func (f *feed) ahead() int64 { return f.clock.now() + f.overlap() }

// impossible reports whether a ts is none that r.now() has given a document. Before it says so the server is asked
// what time it is, once for each reply.
func (f *feed) impossible(ctx context.Context, us int64) (bool, error) {
	if us > f.ahead() && !f.asked {
		if err := f.clock.ask(ctx, f.c); err != nil {
			return false, err
		}
		f.asked = true
	}
	return us == 0 || us > f.ahead(), nil
}

func (f *feed) overlap() int64 { return parts * f.win.width }

// beginScan reads again from the window on, up to the present, which the server is asked for: it is not to overlook
// what a changefeed that is open already does not bring.
func (f *feed) beginScan(ctx context.Context) error {
	if err := f.clock.ask(ctx, f.c); err != nil {
		return err
	}
	s, had, err := f.b.beginScan(ctx, f.c, &f.win, f.end, f.ahead)
	if err != nil {
		return err
	}
	f.scan = s
	f.seen.add(had...)
	return nil
}

// note makes the token of the window. Only Next and Tail do.
func (f *feed) note() bus.Token {
	if f.b.NoPersist {
		return ""
	}
	t := bus.MakeToken(engine, f.epoch, string(f.win.appendTo(make([]byte, 0, 256))))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.token = t
	return t
}

// Token returns the position after the last delivery, or the one at which the feed began. It may be called from
// any goroutine.
func (f *feed) Token() bus.Token {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.token
}

// Next returns the next event. It blocks until there is one, ctx ends, the feed is closed, or the server does not
// answer for some seconds. After its error the feed is over, apart from a *bus.GapError.
func (f *feed) Next(ctx context.Context) (bus.Delivery, error) {
	for {
		if f.isClosed() {
			return bus.Delivery{}, errClosed
		}
		if len(f.queue) == 0 {
			if err := f.fill(ctx); err != nil {
				return bus.Delivery{}, err
			}
			continue
		}
		it := f.queue[0]
		f.queue[0] = item{}
		f.queue = f.queue[1:]
		if it.gap != nil {
			return bus.Delivery{}, it.gap
		}
		f.win.add(it.row.at)
		if it.had {
			continue
		}
		ev, ok := it.row.event()
		if !ok {
			f.b.garbage.Add(1)
			continue
		}
		return bus.Delivery{Event: ev, Token: f.note()}, nil
	}
}

// fill waits for something to deliver.
func (f *feed) fill(ctx context.Context) error {
	if f.err != nil {
		return f.err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var err error
	switch {
	case f.scan != nil:
		err = f.readPast(ctx)
	case f.past:
		err = io.EOF
	case f.overran:
		f.overran = false
		err = f.beginScan(ctx)
	case f.live == nil:
		// The end of the past, as it was: from here on the changefeed has what is new.
		if f.live, err = f.openChanges(ctx); err == nil {
			err = f.beginScan(ctx)
		}
	default:
		err = f.readLive(ctx)
	}
	switch {
	case err == nil:
		return nil
	case f.isClosed():
		err = errClosed
	case ctx.Err() != nil:
		return err
	case again(err):
		err = stream{}.same(f.epoch, err)
	}
	f.err = err
	return err
}

// readPast takes one page, and looks whether it is of this stream and what the retention has taken meanwhile.
func (f *feed) readPast(ctx context.Context) error {
	before := f.scan.read
	rows, done, err := f.scan.page(ctx)
	if err != nil {
		return err
	}
	s, err := f.b.readStream(ctx, f.c)
	if err := s.same(f.epoch, err); err != nil {
		return err
	}
	f.gap(s, before)
	for _, w := range rows {
		if w.at.us >= f.from {
			f.queue = append(f.queue, item{row: w, had: f.seen.has(w.at.hash)})
			f.seen.add(w.at)
		}
	}
	if done {
		f.seen.until(f.scan.read.us + f.overlap())
		f.scan = nil
	} else {
		f.seen.prune(f.scan.read.us - f.overlap())
	}
	return nil
}

// gap reports what the retention has deleted behind a place.
func (f *feed) gap(s stream, at pos) {
	low := s.trimmedTo()
	if low.compare(at) <= 0 || low.compare(f.floor) <= 0 {
		return
	}
	f.floor = low
	f.queue = append(f.queue, item{gap: &bus.GapError{After: f.Token(), Reason: "older events have been deleted to keep the table small"}})
}

func (f *feed) isClosed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}

// Close ends the feed and a Next that waits. It is idempotent and blocks for a moment.
func (f *feed) Close() error {
	f.mu.Lock()
	first := !f.closed
	f.closed = true
	f.mu.Unlock()
	if first {
		f.c.close()
		f.b.mu.Lock()
		delete(f.b.feeds, f)
		f.b.mu.Unlock()
	}
	return nil
}
