package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

const (
	// A feed reads this many rows at once, or fewer if they are large.
	batchRows  = 256
	batchBytes = 1 << 20
)

// A feed reads the table of a stream from a seq on. It has no goroutine.
type feed struct {
	bus   *Bus
	file  *file
	epoch string

	closed chan struct{}
	once   sync.Once

	pos atomic.Int64 // the seq that was returned last, or where the feed began

	// The fields below are of the goroutine that calls Next.
	read  int64   // the seq that was read last
	lost  bool    // a gap was returned, and no event since
	batch []entry // what was read and not returned
	since int64   // rows that are older, in microseconds, are left out; for At
	past  bool
	end   int64 // the last seq, if past
	err   error // comes after the batch
}

// An entry is a delivery or a gap.
type entry struct {
	seq int64 // of the event, or the last one that is missing
	ev  event.Event
	gap *bus.GapError
}

// Tail opens a feed. It blocks until the file is open and its position known, until ctx ends, or for 5 s, after
// which it returns bus.ErrDisconnected. A file or stream that is not there is made. Hints are ignored. At goes by the
// clock of the host when the event was stored. After Close it returns bus.ErrClosed.
func (b *Bus) Tail(ctx context.Context, t bus.Tail) (bus.Feed, error) {
	r := newRequest(&task{tail: true})
	if err := b.ask(ctx, r, "tail"); err != nil {
		return nil, err
	}
	f := &feed{bus: b, file: r.work.file, epoch: r.work.epoch, closed: make(chan struct{}), past: t.Past}
	if err := f.position(t.From); err != nil {
		return nil, f.readError(err)
	}
	if err := b.watch(r.work.file); err != nil {
		return nil, err
	}
	return f, nil
}

// Next returns the next event. It blocks until there is one, or ctx or the feed ends.
func (f *feed) Next(ctx context.Context) (bus.Delivery, error) {
	for {
		if err := f.over(ctx); err != nil {
			return bus.Delivery{}, err
		}
		if len(f.batch) > 0 {
			return f.take()
		}
		if f.err != nil {
			return bus.Delivery{}, f.err
		}
		if !f.lost {
			f.pos.Store(f.read) // all that was read was returned, or is not wanted
		}
		if f.past && f.read >= f.end {
			return bus.Delivery{}, io.EOF
		}
		bell := f.bus.bell.next() // before it looks
		before := f.read
		f.fetch()
		if f.read != before || f.err != nil {
			continue
		}
		select {
		case <-bell:
		case <-ctx.Done():
		case <-f.closed:
		case <-f.file.gone:
			f.err = f.ended()
		}
	}
}

// over returns the reason for which nothing more is returned, not even what was read already.
func (f *feed) over(ctx context.Context) error {
	select {
	case <-f.closed:
		return fmt.Errorf("sqlite: feed on %s: %w", f.bus.path, bus.ErrClosed)
	case <-f.bus.ctx.Done():
		return f.bus.closedError()
	default:
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// ended says why the file was given up.
func (f *feed) ended() error {
	switch why := f.file.why; {
	case f.bus.ctx.Err() != nil:
		return f.bus.closedError()
	case errors.Is(why, errReplaced):
		return f.foreign(errReplaced)
	default:
		return busWords.explain(f.bus.path, "read", why)
	}
}

func (f *feed) foreign(why error) error {
	return fmt.Errorf("sqlite: stream %s in %s: %w: %w", f.bus.opts.Stream, f.bus.path, bus.ErrForeignToken, why)
}

// take returns the first entry of the batch.
func (f *feed) take() (bus.Delivery, error) {
	e := f.batch[0]
	f.batch[0] = entry{}
	f.batch = f.batch[1:]
	if f.lost = e.gap != nil; f.lost {
		return bus.Delivery{}, e.gap // the token stays before it
	}
	f.pos.Store(e.seq)
	return bus.Delivery{Event: e.ev, Token: f.token(e.seq)}, nil
}

func (f *feed) token(seq int64) bus.Token {
	return bus.MakeToken(engineName, f.epoch, strconv.FormatInt(seq, 10))
}

// Token returns the position after the event that Next returned last, or the one at which the feed began.
func (f *feed) Token() bus.Token {
	return f.token(f.pos.Load())
}

// Close ends the feed, and a Next that waits. It does not block and is idempotent.
func (f *feed) Close() error {
	f.once.Do(func() {
		close(f.closed)
		f.file.unwatch()
	})
	return nil
}
