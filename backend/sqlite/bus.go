package sqlite

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

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

// These are variables for the tests.
var (
	// lockPatience is how long the writer waits for the lock of the file.
	lockPatience = 4 * time.Second
	// callPatience is how long Publish and Tail wait for the writer.
	callPatience = 5 * time.Second
)

// A Bus is one stream in one SQLite file. It implements [bus.Bus], and its methods may be called from many
// goroutines.
type Bus struct {
	path string
	opts BusOptions
	bell *bell

	ctx      context.Context // of all that the bus does; ends with Close
	cancel   context.CancelFunc
	requests chan *request
	inFlight atomic.Int64   // rows of calls of Publish that are under way
	garbage  atomic.Uint64  // rows that were no events
	running  sync.WaitGroup // the writer, and the one that watches

	mu      sync.Mutex // guards the fields below
	started bool       // the writer
	closed  bool
	done    chan struct{} // closed when Close has done everything
}

// OpenBus returns the bus of a URL: "sqlite:events.db?stream=shop". The package documentation says what a URL may
// be, and [BusOptions] what can be in its query. It does not touch the file: the first Publish or Tail opens it, and
// makes it if it is not there. Errors are mistakes in the URL or the options.
func OpenBus(address string, opts *BusOptions) (*Bus, error) {
	path, o, err := parseURL(address, opts)
	if err != nil {
		return nil, err
	}
	b := &Bus{path: path, opts: o, requests: make(chan *request, 256), done: make(chan struct{})}
	b.ctx, b.cancel = context.WithCancel(context.Background())
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
		r := newRequest(rows[:n])
		r.probe = len(rows) == 0
		b.inFlight.Add(int64(n))
		err := b.ask(ctx, r)
		b.inFlight.Add(int64(-n))
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

// ask has the writer do something and waits for its answer.
func (b *Bus) ask(ctx context.Context, r *request) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := b.start(); err != nil {
		return err
	}
	timer := time.NewTimer(callPatience)
	defer timer.Stop()
	select {
	case b.requests <- r:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return b.silent()
	case <-b.ctx.Done():
		return b.closedError()
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		r.cancel()
		return context.Cause(ctx)
	case <-timer.C:
		r.cancel()
		return b.silent()
	case <-b.ctx.Done():
		return b.closedError()
	}
}

func (b *Bus) silent() error {
	return explain(b.path, "publish", context.DeadlineExceeded)
}

func (b *Bus) closedError() error {
	return fmt.Errorf("sqlite: %s: %w", b.path, bus.ErrClosed)
}

// start starts the writer with the first call that needs it.
func (b *Bus) start() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return b.closedError()
	}
	if !b.started {
		b.started = true
		b.bell = bellOf(b.path)
		b.running.Go(b.writeAll) // ends with b.ctx; Close waits for it
	}
	return nil
}

// Close ends all feeds and calls, and gives the file back. A transaction that has begun is finished first; Close
// waits for that, or until ctx ends, and returns the cause of ctx then. It is idempotent.
func (b *Bus) Close(ctx context.Context) error {
	b.mu.Lock()
	first := !b.closed
	b.closed = true
	b.mu.Unlock()
	b.cancel()
	if first {
		go func() { // ends when the writer has ended; who calls Close waits for it
			b.running.Wait()
			if b.bell != nil {
				b.bell.leave(b.path)
			}
			close(b.done)
		}()
	}
	select {
	case <-b.done:
		return nil
	default:
	}
	select {
	case <-b.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
