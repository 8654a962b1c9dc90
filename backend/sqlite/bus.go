package sqlite

import (
	"context"
	"net/url"
	"sync/atomic"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

func init() {
	bus.Register(engineName, func(address string) (bus.Bus, error) {
		b, err := OpenBus(address, nil)
		if err != nil {
			return nil, err // not a nil *Bus in an interface
		}
		return b, nil
	})
}

const engineName = "sqlite" // in URLs and tokens

// A Bus is one stream in one SQLite file. It implements [bus.Bus], and its methods may be called from many
// goroutines.
type Bus struct {
	*writer[*task]
	opts    BusOptions
	bell    *bell
	garbage atomic.Uint64 // rows that were no events
}

// OpenBus returns the bus of a URL: "sqlite:events.db?stream=shop". The package documentation says what a URL may
// be, and [BusOptions] what can be in its query. It does not touch the file: the first Publish or Tail opens it, and
// makes it if it is not there. Errors are mistakes in the URL or the options.
func OpenBus(address string, opts *BusOptions) (*Bus, error) {
	path, o, err := parseURL(address, opts)
	if err != nil {
		return nil, err
	}
	b := &Bus{writer: newWriter[*task](path, &busWords), opts: o, bell: bellOf(path)}
	b.worker = &publisher{bus: b, keeper: keeper{opts: &b.opts}}
	b.left = func() { b.bell.leave(path) }
	return b, nil
}

// String returns the URL of the bus with an absolute path: "sqlite:///var/lib/shop/events.db?stream=shop".
func (b *Bus) String() string {
	return "sqlite://" + (&url.URL{Path: b.path}).EscapedPath() + "?stream=" + b.opts.Stream
}

// Caps says what the bus promises. It does not block.
func (b *Bus) Caps() bus.Caps {
	c := bus.Caps{
		Engine: engineName, Durable: true, Replay: true, Ordered: true, Dedupe: true, MultiProcess: true,
		MaxBytes: b.opts.MaxBytes,
		Note:     "on disk before Publish returns; for processes of one host",
	}
	if b.opts.Sync == SyncNormal {
		c.Note = "survives kill -9, but the loss of power takes what was accepted last; for processes of one host"
	}
	if b.opts.Keep == 0 && b.opts.KeepFor == 0 {
		c.Note += "; keeps every event, so the file grows until keep or keepfor is set"
	}
	return c
}

// Garbage returns how many rows feeds of this bus have left out because they were no events. It does not block.
func (b *Bus) Garbage() uint64 { return b.garbage.Load() }

// Publish stores events, in this order, and returns when they are on disk; see [SyncNormal] for the exception. It
// blocks until then, until ctx ends, or for 5 s, after which it returns bus.ErrDisconnected, and the events may or
// may not be stored. Up to 4,096 events of a call are stored together or not at all. Calls from many goroutines
// share commits: many at once are much faster than one after another.
//
// A file or a stream that is not there is made. Without events Publish tries to write, and leaves nothing behind.
// After Close it returns bus.ErrClosed.
func (b *Bus) Publish(ctx context.Context, events ...event.Event) error {
	rows, err := encode(events, b.opts.MaxBytes)
	if err != nil {
		return err
	}
	for {
		n := chunk(rows)
		r := newRequest(&task{rows: rows[:n], probe: len(rows) == 0})
		r.rows = n
		for _, row := range rows[:n] {
			r.bytes += len(row.event)
		}
		err := b.ask(ctx, r, "publish")
		if err != nil || n == len(rows) {
			return err
		}
		rows = rows[n:]
	}
}

// chunk returns how many of the rows go into one transaction.
func chunk(rows []row) int {
	bytes := 0
	for i, r := range rows {
		if bytes += len(r.event); i > 0 && bytes > groupBytes || i == groupRows {
			return i
		}
	}
	return len(rows)
}

// Close ends all feeds and calls, and gives the file back. A transaction that has begun is finished first; Close
// waits for that, or until ctx ends, and returns the cause of ctx then. It is idempotent.
func (b *Bus) Close(ctx context.Context) error { return b.close(ctx) }
