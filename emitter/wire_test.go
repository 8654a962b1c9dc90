package emitter_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/earshot-go/earshot/event"
	"github.com/stretchr/testify/require"
)

// A wire is a bus that counts, and does what a test wants in place of the engine.
type wire struct {
	*membus.Bus
	publishes, tails, open, most atomic.Int64

	mu      sync.Mutex
	publish func(ctx context.Context, events []event.Event) error        // nil: the engine's
	tail    func(ctx context.Context, t bus.Tail) (bus.Feed, error)      // nil: the engine's
	next    func(ctx context.Context, in bus.Feed) (bus.Delivery, error) // nil: the engine's
	caps    func(bus.Caps) bus.Caps
	batches []int
	asked   []bus.Tail
}

func newWire(opts *membus.Options) *wire { return &wire{Bus: membus.New(opts)} }

// onPublish changes what Publish does.
func (w *wire) onPublish(f func(ctx context.Context, events []event.Event) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.publish = f
}

func (w *wire) onTail(f func(ctx context.Context, t bus.Tail) (bus.Feed, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tail = f
}

func (w *wire) onNext(f func(ctx context.Context, in bus.Feed) (bus.Delivery, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next = f
}

func (w *wire) Caps() bus.Caps {
	if w.caps != nil {
		return w.caps(w.Bus.Caps())
	}
	return w.Bus.Caps()
}

func (w *wire) Publish(ctx context.Context, events ...event.Event) error {
	w.publishes.Add(1)
	w.mu.Lock()
	f := w.publish
	w.batches = append(w.batches, len(events))
	w.mu.Unlock()
	if f != nil {
		return f(ctx, events)
	}
	return w.Bus.Publish(ctx, events...)
}

func (w *wire) Tail(ctx context.Context, t bus.Tail) (bus.Feed, error) {
	w.tails.Add(1)
	w.mu.Lock()
	f := w.tail
	w.asked = append(w.asked, t)
	w.mu.Unlock()
	if f == nil {
		f = w.Bus.Tail
	}
	in, err := f(ctx, t)
	if err != nil {
		return nil, err
	}
	n := w.open.Add(1)
	for most := w.most.Load(); n > most && !w.most.CompareAndSwap(most, n); most = w.most.Load() {
	}
	return &wireFeed{Feed: in, wire: w}, nil
}

// feeds returns what was asked for since the last call.
func (w *wire) feeds() []bus.Tail {
	w.mu.Lock()
	defer w.mu.Unlock()
	asked := w.asked
	w.asked = nil
	return asked
}

// sent returns how many events each Publish since the last call had.
func (w *wire) sent() []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	batches := w.batches
	w.batches = nil
	return batches
}

type wireFeed struct {
	bus.Feed
	wire *wire
	once sync.Once
}

func (f *wireFeed) Next(ctx context.Context) (bus.Delivery, error) {
	f.wire.mu.Lock()
	next := f.wire.next
	f.wire.mu.Unlock()
	if next != nil {
		return next(ctx, f.Feed)
	}
	return f.Feed.Next(ctx)
}

func (f *wireFeed) Token() bus.Token { return f.Feed.(bus.Positioned).Token() }

func (f *wireFeed) Close() error {
	f.once.Do(func() { f.wire.open.Add(-1) })
	return f.Feed.Close()
}

// often is how many calls in no time at all show a loop without a pause. Beyond it the wire is made whole, as time
// stands still in a bubble while a goroutine runs.
const often = 300

// refuse has Publish answer an error, and returns a function that says how often.
func (w *wire) refuse(err error) (count func() int64) {
	var n atomic.Int64
	w.onPublish(func(ctx context.Context, events []event.Event) error {
		if n.Add(1) > often {
			return w.Bus.Publish(ctx, events...)
		}
		return err
	})
	return n.Load
}

// foreign publishes an event as another program would, with a name of any kind.
func foreign(t testing.TB, b bus.Bus, name, data string) {
	t.Helper()
	ev := event.Event{ID: event.NewID(), Source: "/elsewhere", Type: name}
	if data != "" {
		ev.Data = []byte(data)
	}
	require.NoError(t, b.Publish(context.Background(), ev))
}

// ready waits until listeners here hear everything.
func ready(t testing.TB, e *emitter.Emitter) {
	t.Helper()
	require.NoError(t, e.Ready(within(t, 10*time.Second)))
	synctest.Wait()
}

// everyName returns the tokens' worth of a stream: the names of all events that the engine has.
func kept(t testing.TB, b bus.Bus) (names []string) {
	t.Helper()
	feed, err := b.Tail(context.Background(), bus.Tail{From: bus.Start, Past: true})
	require.NoError(t, err)
	defer feed.Close()
	for {
		d, err := feed.Next(context.Background())
		if err != nil {
			return names
		}
		names = append(names, d.Event.Type)
	}
}
