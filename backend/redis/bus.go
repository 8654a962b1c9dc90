package redis

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

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
	for _, scheme := range schemes {
		bus.Register(scheme, open)
	}
}

// parallel is how many calls of Publish have a connection at the same time; more wait for their turn.
const parallel = 16

// A Bus is a stream on a Redis server. All methods may be called from many goroutines. Each feed has a connection of
// its own; calls of Publish share some, and open more when they run at the same time.
type Bus struct {
	*pool
	opts    BusOptions
	caps    atomic.Pointer[bus.Caps]
	garbage atomic.Uint64
	ahead   atomic.Int64 // the server's clock before ours, in nanoseconds
	narrow  atomic.Bool  // a feed has met errLarge: from then on all read one entry at a time
	trimmed atomic.Int64 // when KeepFor was last applied, in nanoseconds of our clock
	slots   chan struct{}
	xadd    []any // see addition
}

// OpenBus returns a bus on the stream of a URL, which the package's documentation describes. It connects to nothing:
// its errors are mistakes in the URL or the options, which may be nil.
func OpenBus(url string, opts *BusOptions) (*Bus, error) {
	o, at, err := settings(url, opts)
	if err != nil {
		return nil, err
	}
	b := &Bus{pool: newPool(at), opts: o, xadd: addition(o), slots: make(chan struct{}, parallel)}
	b.met = b.learn
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
	if err := b.close(ctx); err != nil {
		return fmt.Errorf("redis: close %s: %w", b, err)
	}
	return nil
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
			b.redirect(addr)
		}
		err = meaning(err)
		if errors.Is(err, bus.ErrDisconnected) {
			b.distrust()
		}
	}
	return fmt.Errorf("redis: %s %s: %w", what, b, err)
}
