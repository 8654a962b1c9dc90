package emitter

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

// A link is an emitter's side of a bus: what waits to be sent, one goroutine that sends it, and one feed while
// somebody listens. The engine only transports; whatever is lost, late or twice is dealt with here.
type link struct {
	e      *Emitter
	bus    bus.Bus
	source string
	hint   []string
	out    *outbox
	spill  Spill
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	heard seen // by the feed; there is one at a time

	published, arrived, repeated, foreign atomic.Uint64
	lag, largest                          atomic.Int64 // largest is that of Caps, as of the last connection

	mu        sync.Mutex // guards the fields below
	from      bus.Position
	holds     int
	feed      *feed         // while holds > 0
	feedGone  chan struct{} // closed when the last feed's goroutine has ended
	reachable bool          // the last attempt to publish was answered
	up        bool          // as told by connect, reconnect and disconnect
	ever      bool          // has been up
	since     time.Time     // of up
	changed   chan struct{} // closed when something above has changed
	reason    error         // why it is down
	waits     map[string]*waiter
	drops     *Dropped // to be told

	// What was complained about last, so that it is said once: of the engine as a whole, and of each side.
	said                               map[error]bool
	saidPublish, saidListen, saidSpill string

	counts linkCounts
}

type linkCounts struct {
	Connects, Disconnects, Gaps int
	Dropped                     uint64
}

const (
	batchEvents = 4096
	batchBytes  = 4 << 20
	probeEvery  = 10 * time.Second // an emitter that neither sends nor listens asks so often if the engine is there
	publishTime = 30 * time.Second // engines give up earlier by themselves
	dropsEvery  = 50 * time.Millisecond
)

func newLink(e *Emitter, o *Options) *link {
	k := &link{e: e, bus: o.Bus, source: o.Source, hint: slices.Clone(o.Hint), spill: o.Spill, from: o.From,
		changed: make(chan struct{}), since: time.Now(), waits: map[string]*waiter{}, said: map[error]bool{}, feedGone: make(chan struct{})}
	close(k.feedGone)
	if k.source == "" {
		k.source = fmt.Sprintf("/%s/%08x", e.name, rand.Uint32())
	}
	k.out = newOutbox(o, k.lost)
	k.largest.Store(int64(o.Bus.Caps().MaxBytes))
	k.ctx, k.cancel = context.WithCancel(context.Background())
	k.wg.Add(1)
	go k.publish()
	return k
}

// emit encodes an event and puts it into the buffer.
func (k *link) emit(ctx context.Context, name string, data any, w *waiter) error {
	if ctx.Err() != nil {
		return fmt.Errorf("emitter: emit %q: %w", name, context.Cause(ctx))
	}
	ev := event.Event{ID: event.NewID(), Source: k.source, Type: name, Time: time.Now()}
	if err := encode(&ev, data); err != nil {
		return err
	}
	if err := k.fits(&ev); err != nil {
		return fmt.Errorf("emitter: emit %q: %w", name, err)
	}
	if w != nil {
		k.mu.Lock()
		k.waits[ev.ID] = w
		k.mu.Unlock()
	}
	if err := k.out.add(ctx, ev); err != nil {
		k.takeWait(ev.ID)
		return fmt.Errorf("emitter: emit %q: %w", name, err)
	}
	if k.e.overheard() && !k.listens() { // no feed brings it back to the tap
		k.e.ch.SendContext(k.e.ctx, Event{Name: name, Data: data})
	}
	return nil
}

func (k *link) listens() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.feed != nil
}

func (k *link) fits(ev *event.Event) error {
	most := int(k.largest.Load())
	if most == 0 || len(ev.Data) < most/2 && most > 4096 {
		return nil
	}
	text, err := ev.AppendJSON(nil)
	if err == nil && len(text) > most {
		err = fmt.Errorf("%w: it is %d bytes as JSON, and %s takes %d", bus.ErrTooLarge, len(text), k.bus.Caps().Engine, most)
	}
	return err
}

func (k *link) takeWait(id string) *waiter {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := k.waits[id]
	delete(k.waits, id)
	return w
}

// lost is told of every event that the engine will not get.
func (k *link) lost(ev *event.Event, err error) {
	if w := k.takeWait(ev.ID); w != nil {
		w.answer(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.counts.Dropped++
	if k.drops != nil {
		k.drops.Count++
		return
	}
	k.drops = &Dropped{Count: 1, Oldest: ev.Type, Err: err}
	time.AfterFunc(dropsEvery, k.tellDrops)
}

func (k *link) tellDrops() {
	k.mu.Lock()
	d := k.drops
	k.drops = nil
	k.mu.Unlock()
	if d != nil {
		k.e.tell(Drop, d)
	}
}

// changeLocked wakes those who wait for a change, and tells whether the engine is there.
func (k *link) changeLocked() {
	close(k.changed)
	k.changed = make(chan struct{})
	if k.ctx.Err() != nil {
		return
	}
	up := k.reachable && (k.listeningLocked() || k.up && !k.feed.ever && !k.feed.failed) // a first feed that is about to open takes nothing away
	if up == k.up {
		return
	}
	was := k.since
	k.up, k.since = up, time.Now()
	if up {
		clear(k.said)
		k.largest.Store(int64(k.bus.Caps().MaxBytes))
	}
	switch {
	case !up:
		k.counts.Disconnects++
		k.e.tell(Disconnect, k.reason)
	case k.ever:
		k.counts.Connects++
		k.e.tell(Reconnect, k.since.Sub(was))
	default:
		k.ever = true
		k.counts.Connects++
		k.e.tell(Connect, nil)
	}
}

// listeningLocked reports that no feed is wanted, or it is open.
func (k *link) listeningLocked() bool { return k.feed == nil || k.feed.open || k.feed.hopeless }

// change changes what is known of the engine.
func (k *link) change(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
	k.changeLocked()
}

// until waits until a condition holds. It reports false when the link is closed, or ctx ends.
func (k *link) until(ctx context.Context, holds func() bool) bool {
	for {
		k.mu.Lock()
		ok, changed := holds(), k.changed
		k.mu.Unlock()
		if k.ctx.Err() != nil {
			return false
		}
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		case <-k.ctx.Done():
			return false
		}
	}
}

// complain tells of an error once, until it is another kind of error or things are well again.
func (k *link) complain(said *string, doing string, err error) {
	k.mu.Lock()
	quiet := *said == err.Error()
	for _, known := range []error{bus.ErrDisconnected, bus.ErrDenied, bus.ErrClosed} {
		if errors.Is(err, known) { // both sides meet it, and ports and times in its text differ each time
			quiet = k.said[known] || k.ever && known == bus.ErrDisconnected // disconnect says it
			k.said[known] = true
		}
	}
	*said = err.Error()
	k.mu.Unlock()
	if !quiet && k.ctx.Err() == nil {
		k.e.fail(fmt.Errorf("emitter: %s: %w; it will be tried again", doing, err))
	}
}

// content says that things are well again.
func (k *link) content(said *string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	*said = ""
}

func unreachable(err error) bool {
	return errors.Is(err, bus.ErrDisconnected) || errors.Is(err, bus.ErrDenied) || errors.Is(err, bus.ErrClosed)
}
