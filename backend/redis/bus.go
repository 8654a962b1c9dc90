package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot-go/earshot/bus"
)

func init() {
	open := func(url string) (bus.Bus, error) {
		b, err := OpenBus(url, nil)
		if err != nil {
			return nil, err // not a nil *Bus in an interface
		}
		return b, nil
	}
	for _, scheme := range []string{"redis", "rediss", "redis+unix"} {
		bus.Register(scheme, open)
	}
}

const (
	// parallel is how many calls of Publish have a connection at the same time; more wait for their turn.
	parallel = 16
	// spare is how many connections are kept for the next calls.
	spare = 4
)

// A Bus is a stream on a Redis server. All methods may be called from many goroutines. Each feed has a connection of
// its own; calls of Publish share some, and open more when they run at the same time.
type Bus struct {
	opts    BusOptions
	at      address
	timing  timing
	caps    atomic.Pointer[bus.Caps]
	garbage atomic.Uint64
	ahead   atomic.Int64 // the server's clock before ours, in nanoseconds
	narrow  atomic.Bool  // a feed has met errLarge: from then on all read one entry at a time
	most    int64        // see guard
	trimmed atomic.Int64 // when KeepFor was last applied, in nanoseconds of our clock
	slots   chan struct{}
	xadd    []any // see addition

	life    context.Context // ends with Close
	end     context.CancelFunc
	running sync.WaitGroup // calls and feeds; nobody adds after closed
	ended   chan struct{}  // closed when nothing runs any more

	mu     sync.Mutex // guards the fields below
	closed bool
	idle   []*wire
	wires  map[*wire]struct{} // all, to be cut by Close
	node   string             // where a cluster has the stream, if not at the address that we were given
}

// OpenBus returns a bus on the stream of a URL, which the package's documentation describes. It connects to nothing:
// its errors are mistakes in the URL or the options, which may be nil.
func OpenBus(url string, opts *BusOptions) (*Bus, error) {
	o, at, err := settings(url, opts)
	if err != nil {
		return nil, err
	}
	b := &Bus{
		opts: o, at: at, timing: normal, xadd: addition(o),
		slots: make(chan struct{}, parallel), ended: make(chan struct{}), wires: map[*wire]struct{}{},
	}
	b.life, b.end = context.WithCancel(context.Background())
	least := b.least()
	b.caps.Store(&least)
	return b, nil
}

// String returns the URL without the password.
func (b *Bus) String() string { return b.at.shown }

// Garbage returns how many entries of the stream were no events, and were left out of feeds.
func (b *Bus) Garbage() uint64 { return b.garbage.Load() }

// Close ends all calls and feeds and closes the connections. It waits until nothing of the bus runs any more, or ctx
// ends. It is idempotent.
func (b *Bus) Close(ctx context.Context) error {
	b.mu.Lock()
	first := !b.closed
	b.closed = true
	wires := make([]*wire, 0, len(b.wires))
	for w := range b.wires {
		wires = append(wires, w)
	}
	b.mu.Unlock()
	if first {
		b.end()
		b.distrust()
		for _, w := range wires {
			w.cut()
		}
		go func() { // ends with the calls and feeds, whose connections are gone
			b.running.Wait()
			close(b.ended)
		}()
	}
	select {
	case <-b.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("redis: close %s: %w", b, context.Cause(ctx))
	}
}

// enter counts a call or a feed that begins, unless the bus is closed. It ends with running.Done.
func (b *Bus) enter() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.running.Add(1)
	return true
}

// take returns a wire that is not in use, or makes one. What is asked over it has to be answered until then.
func (b *Bus) take(ctx context.Context, until time.Time) (*wire, error) {
	b.mu.Lock()
	if n := len(b.idle); n > 0 {
		w := b.idle[n-1]
		b.idle = b.idle[:n-1]
		b.mu.Unlock()
		w.conn.until = until
		return w, nil
	}
	b.mu.Unlock()
	w, err := b.connect(ctx)
	if err != nil {
		return nil, err
	}
	w.conn.until = until
	defer context.AfterFunc(ctx, w.cut)()
	if err := b.greet(ctx, w); err != nil {
		w.drop()
		return nil, err
	}
	return w, nil
}

// give takes a wire back that has done its work well.
func (b *Bus) give(w *wire) {
	b.mu.Lock()
	keep := !b.closed && len(b.idle) < spare
	if keep {
		b.idle = append(b.idle, w)
	}
	b.mu.Unlock()
	if !keep {
		w.drop()
	}
}

// failed returns what a call answers after err: what the caller or Close has done to it goes before what that did to
// the connection.
func (b *Bus) failed(ctx context.Context, what string, err error) error {
	switch {
	case b.life.Err() != nil:
		err = bus.ErrClosed
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	default:
		if addr := moved(err); addr != "" {
			b.settle(addr)
		}
		err = meaning(err)
		if errors.Is(err, bus.ErrDisconnected) {
			b.distrust()
		}
	}
	return fmt.Errorf("redis: %s %s: %w", what, b, err)
}

// distrust drops the connections that are not in use: one has just failed, and those that lay idle are likely to be
// as dead. Otherwise each of them would cost a call.
func (b *Bus) distrust() {
	b.mu.Lock()
	idle := b.idle
	b.idle = nil
	b.mu.Unlock()
	for _, w := range idle {
		w.drop()
	}
}

// settle notes where the stream is, empty for the address in the URL.
func (b *Bus) settle(node string) {
	b.mu.Lock()
	b.node = node
	b.mu.Unlock()
}

// whither is the address to connect to.
func (b *Bus) whither() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.node != "" {
		return b.node
	}
	return b.at.addr
}
