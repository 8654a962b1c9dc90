package main

import (
	"context"
	"encoding/binary"
	"sync"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"
	tailscale "tailscale.com/util/eventbus"
)

// The two peers below do more per event than carry it: tailscale's bus gives the
// whole program one order and a debugger, watermill acknowledges and resends.

// tailscaleBus builds with and without the tag ts_omit_debugeventbus; with it,
// the binary is spared the debug page and what that imports.
type tailscaleBus struct {
	wg  sync.WaitGroup
	bus *tailscale.Bus
}

func newTailscale() bus { return &tailscaleBus{bus: tailscale.New()} }

func (b *tailscaleBus) subscribe(l *lane) {
	sub := tailscale.Subscribe[event](b.bus.Client("subscriber"))
	b.wg.Go(func() {
		for {
			select {
			case e := <-sub.Events():
				l.see(e.ID)
			case <-sub.Done():
				return
			}
		}
	})
}

func (b *tailscaleBus) sender(id uint64) func(n uint64) {
	client := b.bus.Client("sender")
	pub := tailscale.Publish[event](client)
	return func(n uint64) {
		for i := uint64(1); i <= n; i++ {
			pub.Publish(event{i, id, text})
		}
	}
}

func (b *tailscaleBus) close() {
	b.bus.Close()
	b.wg.Wait()
}

// watermillBus carries bytes, so an event is its numbers and its text in a
// payload. The message ID stays empty: making one up costs more than sending.
type watermillBus struct {
	wg sync.WaitGroup
	ps *gochannel.GoChannel
}

func newWatermill() bus {
	return &watermillBus{ps: gochannel.NewGoChannel(
		gochannel.Config{OutputChannelBuffer: buffer}, watermill.NopLogger{})}
}

func (b *watermillBus) subscribe(l *lane) {
	ch, err := b.ps.Subscribe(context.Background(), topic)
	must(err)
	b.wg.Go(func() {
		for m := range ch {
			// Acknowledged first: see may end the measurement, and the
			// message's own goroutine should end before the bus does.
			m.Ack()
			l.see(binary.LittleEndian.Uint64(m.Payload))
		}
	})
}

func (b *watermillBus) sender(id uint64) func(n uint64) {
	return func(n uint64) {
		for i := uint64(1); i <= n; i++ {
			p := make([]byte, 0, 16+len(text))
			p = binary.LittleEndian.AppendUint64(p, i)
			p = binary.LittleEndian.AppendUint64(p, id)
			must(b.ps.Publish(topic, message.NewMessage("", append(p, text...))))
		}
	}
}

func (b *watermillBus) close() {
	must(b.ps.Close())
	b.wg.Wait()
}
