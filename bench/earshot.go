package main

import (
	"context"
	"errors"
	"sync"

	"github.com/earshot-go/earshot"
)

// earshots are the ways to receive. All but the last are typed: events are never
// boxed. Every mailbox waits for room, so that nothing is lost, as for the peers.
var earshots = []contender{
	{name: "earshot Handle", note: "a function the server runs", ours: true, open: open(handle)},
	{name: "earshot Messages", note: "an iterator", ours: true, open: open(messages)},
	{name: "earshot Receive", note: "one call per event", ours: true, open: open(receive)},
	{name: "earshot untyped", note: "Mailbox[any], Messages", ours: true, any: true, open: open(untyped)},
}

// earshotBus is one server with one channel; how differs in how it is heard.
type earshotBus struct {
	how    func(b *earshotBus, l *lane)
	server *earshot.Server
	ch     *earshot.Channel[event]
	ctx    context.Context
	cancel func()
	wg     sync.WaitGroup
}

func open(how func(*earshotBus, *lane)) func() bus {
	return func() bus {
		b := &earshotBus{how: how, server: earshot.NewServer(nil)}
		b.ctx, b.cancel = context.WithCancel(ctx)
		b.ch = earshot.NewChannel[event](b.server, topic, &earshot.ChannelOptions{MayBlock: true})
		return b
	}
}

func (b *earshotBus) subscribe(l *lane) { b.how(b, l) }

func (b *earshotBus) sender(id uint64) func(n uint64) {
	ch := b.ch
	return func(n uint64) {
		for i := uint64(1); i <= n; i++ {
			ch.Send(event{i, id, text})
		}
	}
}

func (b *earshotBus) close() {
	b.cancel()
	b.wg.Wait()
	must(b.server.Close())
}

// lossless is the mailbox every earshot subscriber has in the throughput cells.
var lossless = &earshot.MailboxOptions{Capacity: buffer, Overflow: earshot.Block}

func handle(b *earshotBus, l *lane) {
	_, err := b.ch.Handle(b.ctx, func(_ context.Context, m earshot.Message[event]) error {
		l.see(m.Event.ID)
		return nil
	}, &earshot.SpawnOptions{Capacity: buffer, Overflow: earshot.Block})
	must(err)
}

func messages(b *earshotBus, l *lane) {
	mb := earshot.NewMailbox[event](b.ctx, b.server, lossless)
	_, err := b.ch.Subscribe(mb)
	must(err)
	b.wg.Go(func() {
		for m := range mb.Messages(b.ctx) {
			l.see(m.Event.ID)
		}
	})
}

func receive(b *earshotBus, l *lane) {
	mb := earshot.NewMailbox[event](b.ctx, b.server, lossless)
	_, err := b.ch.Subscribe(mb)
	must(err)
	b.wg.Go(func() {
		for {
			m, err := mb.Receive(b.ctx)
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					must(err)
				}
				return
			}
			l.see(m.Event.ID)
		}
	})
}

func untyped(b *earshotBus, l *lane) {
	mb := earshot.NewMailbox[any](b.ctx, b.server, lossless)
	_, err := mb.Subscribe(topic)
	must(err)
	b.wg.Go(func() {
		for m := range mb.Messages(b.ctx) {
			l.see(m.Event.(event).ID)
		}
	})
}
