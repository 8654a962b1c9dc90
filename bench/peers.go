package main

import (
	"sync"

	"github.com/asynkron/protoactor-go/eventstream"
	"github.com/cskr/pubsub/v2"
	kelindar "github.com/kelindar/event"
	libp2pevent "github.com/libp2p/go-libp2p/core/event"
	libp2p "github.com/libp2p/go-libp2p/p2p/host/eventbus"
)

// peers deliver every event to every subscriber, like earshot's Block mailboxes:
// nobody may win by dropping. Versions are in go.mod.
var peers = []contender{
	{name: "kelindar/event", note: "delivers in batches, every 500 µs", open: newKelindar},
	{name: "protoactor eventstream", note: "calls handlers in the sender; atomic counters", inSender: true, open: newProto},
	{name: "protoactor, plain counters", note: "right with one sender only; not counted as best peer", inSender: true, aside: true, open: newPlainProto},
	{name: "libp2p eventbus", open: newLibp2p},
	{name: "cskr/pubsub", open: newPubsub},
	{name: "mutex + Go channels", note: "what one writes by hand", open: newHandmade},
	{name: "tailscale eventbus", note: "two goroutine hops", open: newTailscale},
	{name: "watermill gochannel", note: "a goroutine per message and subscriber", open: newWatermill},
}

// handmade is the twenty lines one writes instead of importing anything.
type handmade struct {
	wg   sync.WaitGroup
	mu   sync.Mutex // guards subs, and is held while sending: one order for all
	subs []chan event
}

func newHandmade() bus { return &handmade{} }

func (b *handmade) subscribe(l *lane) {
	ch := make(chan event, buffer)
	b.mu.Lock()
	b.subs = append(b.subs, ch)
	b.mu.Unlock()
	b.wg.Go(func() {
		for e := range ch {
			l.see(e.ID)
		}
	})
}

func (b *handmade) sender(id uint64) func(n uint64) {
	return func(n uint64) {
		for i := uint64(1); i <= n; i++ {
			b.mu.Lock()
			for _, ch := range b.subs {
				ch <- event{i, id, text}
			}
			b.mu.Unlock()
		}
	}
}

func (b *handmade) close() {
	for _, ch := range b.subs {
		close(ch)
	}
	b.wg.Wait()
}

// kelindarBus is used as its README says.
type kelindarBus struct {
	d       *kelindar.Dispatcher
	cancels []func()
}

func newKelindar() bus { return &kelindarBus{d: kelindar.NewDispatcher()} }

func (b *kelindarBus) subscribe(l *lane) {
	b.cancels = append(b.cancels, kelindar.Subscribe(b.d, func(e event) { l.see(e.ID) }))
}

func (b *kelindarBus) sender(id uint64) func(n uint64) {
	return func(n uint64) {
		for i := uint64(1); i <= n; i++ {
			kelindar.Publish(b.d, event{i, id, text})
		}
	}
}

func (b *kelindarBus) close() {
	for _, cancel := range b.cancels {
		cancel()
	}
	// A consumer notices at the next tick; with the ticker gone it never would.
	settle()
	_ = b.d.Close()
}

// protoBus hands the event to every handler before Publish returns. Whoever
// sends is in the handler, so two senders may be in it at once, and a handler
// has to be ready for that: its counter is atomic.
type protoBus struct {
	es    *eventstream.EventStream
	plain bool
}

func newProto() bus { return &protoBus{es: eventstream.NewEventStream()} }

// newPlainProto relies on there being one sender, which a subscriber cannot know.
func newPlainProto() bus { return &protoBus{eventstream.NewEventStream(), true} }

func (b *protoBus) subscribe(l *lane) {
	if b.plain {
		b.es.Subscribe(func(v any) { l.see(v.(event).ID) })
	} else {
		b.es.Subscribe(func(v any) { _ = v.(event); l.seeShared() })
	}
}

func (b *protoBus) sender(id uint64) func(n uint64) {
	return func(n uint64) {
		for i := uint64(1); i <= n; i++ {
			b.es.Publish(event{i, id, text})
		}
	}
}

func (b *protoBus) close() {}

type libp2pBus struct {
	wg   sync.WaitGroup
	bus  libp2pevent.Bus
	subs []libp2pevent.Subscription
}

func newLibp2p() bus { return &libp2pBus{bus: libp2p.NewBus()} }

func (b *libp2pBus) subscribe(l *lane) {
	sub, err := b.bus.Subscribe(new(event), libp2p.BufSize(buffer))
	must(err)
	b.subs = append(b.subs, sub)
	b.wg.Go(func() {
		for v := range sub.Out() {
			l.see(v.(event).ID)
		}
	})
}

func (b *libp2pBus) sender(id uint64) func(n uint64) {
	em, err := b.bus.Emitter(new(event))
	must(err)
	return func(n uint64) {
		for i := uint64(1); i <= n; i++ {
			_ = em.Emit(event{i, id, text})
		}
	}
}

func (b *libp2pBus) close() {
	for _, sub := range b.subs {
		_ = sub.Close()
	}
	b.wg.Wait()
}

const topic = "couch.db.updated"

type pubsubBus struct {
	wg sync.WaitGroup
	ps *pubsub.PubSub[string, event]
}

func newPubsub() bus { return &pubsubBus{ps: pubsub.New[string, event](buffer)} }

func (b *pubsubBus) subscribe(l *lane) {
	ch := b.ps.Sub(topic)
	b.wg.Go(func() {
		for e := range ch {
			l.see(e.ID)
		}
	})
}

func (b *pubsubBus) sender(id uint64) func(n uint64) {
	return func(n uint64) {
		for i := uint64(1); i <= n; i++ {
			b.ps.Pub(event{i, id, text}, topic)
		}
	}
}

func (b *pubsubBus) close() {
	b.ps.Shutdown()
	b.wg.Wait()
}
