package couchdb

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot-go/earshot/bus"
)

const engine = "couchdb"

func init() {
	for _, scheme := range []string{"couchdb", "couchdbs"} {
		bus.Register(scheme, func(url string) (bus.Bus, error) {
			b, err := OpenBus(url, nil)
			if err != nil {
				return nil, err
			}
			return b, nil
		})
	}
}

// BusOptions are the options of OpenBus. Nil and the zero value are the defaults. What the URL says goes before.
type BusOptions struct {
	// DB is the name of the database. Default: "earshot". It is created when it is needed first.
	DB string
	// MaxBytes is the size of an event's JSON from which on it is refused. CouchDB takes documents of 8 MB, and the
	// document of an event has up to twice the size of the event. Default: 1 MiB.
	MaxBytes int
	// Timeout is how long to wait for an answer; while events are being sent, for the wire to take more of them.
	// Default: 5 s.
	Timeout time.Duration
	// Heartbeat is how often the server shows on a quiet feed that it is there. After three times of silence the feed
	// ends with ErrDisconnected. Default: 1 s.
	Heartbeat time.Duration
	// TLS is for couchdbs URLs. Default: nil, which is that of package crypto/tls.
	TLS *tls.Config
}

const (
	defaultDB        = "earshot"
	defaultMaxBytes  = 1 << 20
	defaultTimeout   = 5 * time.Second
	defaultHeartbeat = time.Second
	// checkEvery is how often an open feed asks if the database is still the same. CouchDB ends the feeds of a database
	// that is deleted; PouchDB lets them go quiet and beat on.
	checkEvery = 2 * time.Second
)

// A Bus is a database. Its methods may be called from many goroutines.
type Bus struct {
	name      string // redacted
	server    *server
	maxBytes  int
	heartbeat time.Duration
	check     time.Duration
	garbage   atomic.Uint64

	ctx    context.Context // ends with Close, with the cause ErrClosed
	cancel context.CancelCauseFunc

	mu      sync.Mutex // guards the fields below
	closed  bool
	running sync.WaitGroup // Add only under mu and while not closed
}

// OpenBus returns the bus of a database, and does not connect to it. The URL is couchdb://user:password@host:port/db, or
// couchdbs:// for HTTPS; default ports are 5984 and 6984. Segments of the path before the last one are where the server
// is to be found behind a proxy. What BusOptions has can be said in the query: maxbytes, timeout, heartbeat; the last
// two as in "500ms". Proxies are those of the environment, as for every HTTP client in Go.
//
// Errors are mistakes in the URL and the options.
func OpenBus(url string, opts *BusOptions) (*Bus, error) {
	var o BusOptions
	if opts != nil {
		o = *opts
	}
	a, err := parse(url, o)
	if err != nil {
		return nil, fmt.Errorf("couchdb: open %s: %w", bus.Redact(url), err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	return &Bus{
		name: bus.Redact(url), server: newServer(a), maxBytes: a.MaxBytes, heartbeat: a.Heartbeat, check: checkEvery,
		ctx: ctx, cancel: cancel,
	}, nil
}

// String is the URL without the password.
func (b *Bus) String() string { return b.name }

// Garbage returns how many documents and lines feeds of this bus have left out because they are no events.
func (b *Bus) Garbage() uint64 { return b.garbage.Load() }

// Caps implements bus.Bus.
func (b *Bus) Caps() bus.Caps {
	return bus.Caps{
		Engine:       engine,
		Durable:      true,
		Replay:       true,
		Dedupe:       true,
		MultiProcess: true,
		MaxBytes:     b.maxBytes,
		Note: "Events are kept until somebody deletes their documents. Without order: most servers keep that of one publisher, " +
			"and none promises it.",
	}
}

// Close implements bus.Bus. It ends what is in flight and waits for that.
func (b *Bus) Close(ctx context.Context) error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.cancel(bus.ErrClosed)
	done := make(chan struct{}) // closed when nothing runs; all that runs has been told to end
	go func() {
		b.running.Wait()
		b.server.forget()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("couchdb: close: %w", context.Cause(ctx))
	}
}

// begin counts something that runs; done is to be called at its end.
func (b *Bus) begin() (done func(), err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, bus.ErrClosed
	}
	b.running.Add(1)
	return b.running.Done, nil
}

// within returns a context that ends with ctx, with the bus, or after the timeout.
func (b *Bus) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithTimeoutCause(ctx, b.server.timeout, errNoAnswer)
	ctx, cancel := b.during(ctx)
	return ctx, func() {
		cancel()
		end()
	}
}

// during returns a context that ends with ctx or with the bus.
func (b *Bus) during(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(b.ctx, func() { cancel(bus.ErrClosed) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// failed makes the error of a call out of what went wrong in it: the end of the bus and of its context come first.
func (b *Bus) failed(ctx context.Context, what string, err error) error {
	switch {
	case b.ctx.Err() != nil:
		err = bus.ErrClosed
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.Is(err, context.Canceled):
		err = fmt.Errorf("%w: %w", bus.ErrDisconnected, err)
	}
	return fmt.Errorf("couchdb: %s: %w", what, err)
}
