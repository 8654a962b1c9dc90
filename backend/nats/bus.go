package nats

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot-go/earshot/bus"
)

const engine = "nats"

func init() {
	open := func(url string) (bus.Bus, error) {
		b, err := OpenBus(url, nil)
		if err != nil {
			return nil, err // not a nil *Bus in an interface
		}
		return b, nil
	}
	bus.Register("nats", open)
	bus.Register("tls", open)
}

// A Bus is one stream of events on a NATS server, or one prefix of subjects with Core. It has one connection,
// which is made when it is needed first and after it broke. All methods may be called from many goroutines.
type Bus struct {
	opts    BusOptions
	addr    address
	timing  timing
	caps    bus.Caps
	limit   atomic.Int64 // Caps.MaxBytes, which the server may lower
	garbage atomic.Uint64

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup // goroutines; nobody adds after closed
	ended   chan struct{}  // closed when nothing runs any more

	mu     sync.Mutex // guards the fields below
	closed bool
	link   *link // nil before the first use; may be dead
	dial   *dialing
	feeds  map[closer]struct{}
	// orphans are consumers that the server may not have been told to remove. A wire that breaks again and again would
	// leave so many, each for the time of forgotten, that the server makes no more.
	orphans []string
}

const manyOrphans = 64 // beyond it the oldest are left to the server

func (b *Bus) orphan(consumer string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.orphans = append(b.orphans, consumer)
	if n := len(b.orphans); n > manyOrphans {
		b.orphans = b.orphans[n-manyOrphans:]
	}
}

// bury has the server remove the orphans.
func (b *Bus) bury(l *link) {
	b.mu.Lock()
	orphans := b.orphans
	b.orphans = nil
	b.mu.Unlock()
	for _, consumer := range orphans {
		l.unmake(b.opts.Stream, consumer, l.nc.NewInbox())
	}
}

// A closer is a feed. Its Close does not block; release tells the server, which may.
type closer interface {
	Close() error
	release()
}

// timing is how long things may take. Tests shorten it.
type timing struct {
	dial      time.Duration // to connect to one server, and to shake hands
	answer    time.Duration // without any progress, a call ends with bus.ErrDisconnected
	ping      time.Duration // the third that is not answered ends a connection
	heartbeat time.Duration // of idle feeds; 2.5 of silence end one; the server takes 500 ms at least
	expire    time.Duration // of a feed's request for events, which is then made again
}

var normal = timing{dial: 2 * time.Second, answer: 5 * time.Second, ping: time.Second, heartbeat: time.Second, expire: 30 * time.Second}

// OpenBus returns a bus on the server of a URL, which the package's documentation describes. It connects to
// nothing: its errors are mistakes in the URL or in the options, which may be nil.
func OpenBus(url string, opts *BusOptions) (*Bus, error) {
	s, addr, err := settings(url, opts)
	if err != nil {
		return nil, err
	}
	b := &Bus{opts: s, addr: addr, timing: normal, caps: caps(s), ended: make(chan struct{}), feeds: map[closer]struct{}{}}
	b.limit.Store(int64(s.MaxBytes))
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b, nil
}

func caps(o BusOptions) bus.Caps {
	c := bus.Caps{Engine: engine, Ordered: true, MultiProcess: true}
	if o.Core {
		c.Note = "NATS without JetStream: at most once, and only for those who listen at that moment; accepted means that the server has read it."
		return c
	}
	c.Durable, c.Replay, c.Dedupe = !o.Memory, true, o.Duplicates >= minDuplicates
	c.Note = "Survives a killed server. Loss of power may take what the server had not synced to disk: two minutes by default; sync_interval: always in its configuration prevents that."
	if o.Memory {
		c.Note = "The stream is in the server's memory and ends with it."
	}
	if o.Replicas > 1 {
		c.Note += fmt.Sprintf(" The stream is made with %d replicas: an event is accepted when most of them have it.", o.Replicas)
	}
	return c
}

// Caps says what the bus promises. MaxBytes may become smaller when the server has been asked for the first time.
// It does not block.
func (b *Bus) Caps() bus.Caps {
	c := b.caps
	c.MaxBytes = int(b.limit.Load())
	return c
}

// String returns the URL without the password.
func (b *Bus) String() string { return b.addr.shown }

// Garbage returns how many messages of the stream were no events, and were left out of feeds.
func (b *Bus) Garbage() uint64 { return b.garbage.Load() }

// Close ends all feeds and calls, and the connection. It waits until nothing of the bus runs any more, or ctx
// ends. It is idempotent.
func (b *Bus) Close(ctx context.Context) error {
	b.mu.Lock()
	first := !b.closed
	b.closed = true
	l := b.link
	feeds := b.feeds
	b.feeds = nil
	b.mu.Unlock()
	if first {
		b.cancel()
		go func() { // ends when all that it waits for has, each of which is bounded in time
			for f := range feeds {
				f.Close()
				f.release()
			}
			if l != nil {
				l.part()
			}
			b.running.Wait()
			close(b.ended)
		}()
	}
	select {
	case <-b.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("nats: close %s: %w", b, context.Cause(ctx))
	}
}

// enter counts a goroutine that is about to be started, unless the bus is closed.
func (b *Bus) enter() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.running.Add(1)
	return true
}

// do runs f in a goroutine of its own and waits for it, for ctx, or for Close. The client library holds a lock
// while it writes, so that one write into a dead wire holds up all calls until its time is over: callers must not
// be among those who wait there. The result of an f that nobody waits for any more goes to drop.
func do[T any](ctx context.Context, b *Bus, f func(context.Context) (T, error), drop func(T)) (T, error) {
	var none T
	if err := context.Cause(ctx); err != nil {
		return none, err
	}
	if !b.enter() {
		return none, bus.ErrClosed
	}
	type result struct {
		value T
		err   error
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan result) // not buffered: either the caller has it, or drop
	go func() {
		defer b.running.Done()
		v, err := f(inner)
		select {
		case results <- result{v, err}:
		case <-inner.Done():
			if err == nil && drop != nil {
				drop(v)
			}
		}
	}()
	select {
	case r := <-results:
		if r.err != nil && b.ctx.Err() != nil {
			r.err = bus.ErrClosed
		} else if r.err != nil && ctx.Err() != nil {
			r.err = context.Cause(ctx)
		}
		return r.value, r.err
	case <-ctx.Done():
		return none, context.Cause(ctx)
	case <-b.ctx.Done():
		return none, bus.ErrClosed
	}
}

// keep makes Close end a feed as well. It is false if the bus is closed already.
func (b *Bus) keep(f closer) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.feeds[f] = struct{}{}
	return true
}

func (b *Bus) forget(f closer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.feeds, f)
}
