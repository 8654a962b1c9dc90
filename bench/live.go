package main

import (
	"fmt"
	"sync"

	"github.com/earshot-go/earshot"
)

const (
	refMutex = "sync.Mutex lock + unlock"
	refChan  = "buffered Go channel, send + receive"
)

var liveSubs = []int{1, 8, 64, 1024}

func liveName(subs int) string { return fmt.Sprintf("Channel.Send, mailboxes: %d", subs) }

// liveOps is what a send costs the sender when nobody has to be woken: the
// mailboxes have room for 4096 events, drop the oldest, and nobody reads them.
// They are full long before the measurement, so its cost includes the dropping.
func liveOps() []op {
	ops := []op{
		{name: refMutex, open: func() (func(int), func()) {
			mu, held := new(sync.Mutex), 0
			return func(n int) {
				for range n {
					mu.Lock()
					held++
					mu.Unlock()
				}
			}, nil
		}},
		{name: refChan, note: "one sender's share of a queue", open: func() (func(int), func()) {
			ch := make(chan event, 1)
			return func(n int) {
				for i := range n {
					ch <- event{uint64(i), 0, text}
					<-ch
				}
			}, nil
		}},
	}
	for _, subs := range liveSubs {
		ops = append(ops, op{name: liveName(subs), ours: true, open: func() (func(int), func()) {
			return unread[event](subs)
		}})
	}
	return append(ops, op{name: "Channel.Send, untyped mailboxes: 8", note: "boxes the event, once", ours: true,
		open: func() (func(int), func()) { return unread[any](8) }})
}

// unread is a send loop on a channel with subs mailboxes that nobody reads.
func unread[E any](subs int) (func(int), func()) {
	s, ch := declared[event]()
	boxes := make([]*earshot.Mailbox[E], subs)
	for i := range boxes {
		boxes[i] = earshot.NewMailbox[E](ctx, s, nil)
		_, err := boxes[i].Subscribe(topic)
		must(err)
	}
	loop := func(n int) {
		for i := range n {
			ch.Send(event{uint64(i), 0, text})
		}
	}
	loop(3 * 4096)
	return loop, closer(s, boxes)
}

func live(r *runner) { measureOps(r, "live", liveOps()) }
