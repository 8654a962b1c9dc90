package rethinkdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	r "gopkg.in/rethinkdb/rethinkdb-go.v6"

	"github.com/earshot-go/earshot/bus"
)

const engine = "rethinkdb"

func init() {
	bus.Register(engine, func(url string) (bus.Bus, error) {
		b, err := OpenBus(url, nil)
		if err != nil {
			return nil, err
		}
		return b, nil
	})
}

// connectTimeout bounds everything until a connection can be used; single queries have their own limit.
var connectTimeout = 5 * time.Second

// A Bus is one table of RethinkDB. Its methods may be called from many goroutines.
type Bus struct {
	config
	table     r.Term
	tableText json.RawMessage // the same, as a query has it

	ctx    context.Context // ends with the bus
	cancel context.CancelCauseFunc
	work   sync.WaitGroup // calls that run, and the retention

	count   atomic.Int64  // n of the last event
	garbage atomic.Uint64 // documents without an event
	real    atomic.Bool   // the server is one that keeps what it has

	connecting chan struct{} // holds a value while somebody connects

	mu     sync.Mutex // guards the fields below
	closed bool
	conn   *conn // what is published goes through here; nil until it is needed
	feeds  map[*feed]struct{}

	written  int       // events since the last retention
	trimmed  time.Time // when it was
	trimming bool      // it runs
}

// OpenBus returns the bus of a URL; see the package. It connects to nothing: its errors are mistakes in the URL
// or the options.
func OpenBus(url string, opts *BusOptions) (*Bus, error) {
	c, err := parse(url, opts)
	if err != nil {
		return nil, err
	}
	b := &Bus{
		config:     c,
		table:      r.DB(c.DB).Table(c.Table),
		connecting: make(chan struct{}, 1),
		feeds:      map[*feed]struct{}{},
	}
	built, err := b.table.Build()
	if err == nil {
		b.tableText, err = json.Marshal(built)
	}
	if err != nil {
		return nil, fmt.Errorf("rethinkdb: build a query: %w", err)
	}
	b.ctx, b.cancel = context.WithCancelCause(context.Background())
	return b, nil
}

// String returns the URL of the bus without its password.
func (b *Bus) String() string { return b.shown }

// Garbage is how many documents the feeds have skipped because there is no event in them. It does not block.
func (b *Bus) Garbage() uint64 { return b.garbage.Load() }

// Caps says what the bus promises. Durable is false until the bus has been connected: only then it is known
// whether the server keeps anything.
func (b *Bus) Caps() bus.Caps {
	c := bus.Caps{
		Engine:       engine,
		Durable:      !b.NoPersist && b.real.Load(),
		Replay:       !b.NoPersist,
		Dedupe:       !b.NoPersist,
		MultiProcess: true,
		MaxBytes:     b.MaxBytes,
		Note: fmt.Sprintf("A resume looks %v back: writes that take longer, and clocks of servers that are further apart, may be missed. "+
			"Feeds are in the order of ts, or as the changefeed has it.", b.Overlap),
	}
	if b.NoPersist {
		c.Note = "Events are deleted as soon as they are written: a feed has those of the time it is open, and no others."
	}
	return c
}

// Close ends the feeds and what is being published, and waits for both, or until ctx ends.
func (b *Bus) Close(ctx context.Context) error {
	b.mu.Lock()
	first := !b.closed
	b.closed = true
	b.mu.Unlock()
	if first {
		b.cancel(errClosed)
	}
	done := make(chan struct{})
	go func() { // ends when the calls have: all of them are bounded
		defer close(done)
		for _, f := range b.open() {
			f.Close()
		}
		b.work.Wait()
		b.mu.Lock()
		c := b.conn
		b.conn = nil
		b.mu.Unlock()
		if c != nil {
			c.close()
		}
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (b *Bus) open() []*feed {
	b.mu.Lock()
	defer b.mu.Unlock()
	feeds := make([]*feed, 0, len(b.feeds))
	for f := range b.feeds {
		feeds = append(feeds, f)
	}
	return feeds
}

var (
	errClosed = fmt.Errorf("rethinkdb: %w", bus.ErrClosed)
	errSlow   = fmt.Errorf("rethinkdb: %w: the server has not answered in time", bus.ErrDisconnected)
)

// enter begins a call, which Close ends. Whoever has entered leaves.
func (b *Bus) enter(ctx context.Context) (_ context.Context, leave func(), err error) {
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, nil, errClosed
	}
	b.work.Add(1)
	ctx, cut := context.WithCancelCause(ctx)
	stop := context.AfterFunc(b.ctx, func() { cut(errClosed) })
	return ctx, func() {
		stop()
		cut(nil)
		b.work.Done()
	}, nil
}

// publisher returns the connection to publish through, and opens one if there is none.
func (b *Bus) publisher(ctx context.Context) (*conn, error) {
	select {
	case b.connecting <- struct{}{}:
		defer func() { <-b.connecting }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	b.mu.Lock()
	old := b.conn
	b.mu.Unlock()
	if old != nil && old.failed() == nil {
		return old, nil
	}
	if old != nil {
		old.close()
	}
	c, _, err := b.connect(ctx)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conn = c // Close takes it from here, after this call has ended
	return c, nil
}

// connect opens a connection and sees to it that the stream is there.
func (b *Bus) connect(ctx context.Context) (*conn, stream, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, connectTimeout, errSlow)
	defer cancel()
	c, err := dial(ctx, b.address, b.login)
	if err != nil {
		return nil, stream{}, err
	}
	b.real.Store(c.keeps())
	s, err := b.ensure(ctx, c)
	if err != nil {
		c.close()
		return nil, stream{}, err
	}
	return c, s, nil
}

// again reports whether an error says that the stream has to be made anew.
func again(err error) bool { return isMissing(err) || errors.Is(err, errNoStream) }
