package earshot_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/earshot-go/earshot"
)

// These are for working on the package; bench/ compares it with others. Each stands beside what one
// would write by hand, since only the ratio means something.

type benchEvent struct {
	ID, A uint64
	S     string
}

func BenchmarkIdle(b *testing.B) {
	ctx := context.Background()
	s := earshot.NewServer(nil)
	defer s.Close()
	c := earshot.NewChannel[int](s, "idle.channel", nil)
	others := map[string]int{}
	var mailboxes []*earshot.Mailbox[any]
	defer func() { runtime.KeepAlive(mailboxes) }()
	for i := range 16 {
		m := earshot.NewMailbox[any](ctx, s, nil)
		name := fmt.Sprintf("live.%d", i)
		if _, err := m.Subscribe(name); err != nil {
			b.Fatal(err)
		}
		others[name] = i
		mailboxes = append(mailboxes, m)
	}
	var word atomic.Pointer[int]
	n := 0
	b.Run("reference/load", func(b *testing.B) {
		for b.Loop() {
			if word.Load() != nil {
				n++
			}
		}
	})
	b.Run("reference/map-miss", func(b *testing.B) {
		for b.Loop() {
			if _, ok := others["idle.name"]; ok {
				n++
			}
		}
	})
	b.Run("Channel.Send", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.Send(1)
		}
	})
	b.Run("SendEvent", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			earshot.SendEvent(s, "idle.name", benchEvent{ID: 1})
		}
	})
}

func BenchmarkLive(b *testing.B) {
	b.Run("reference/mutex", func(b *testing.B) {
		var mu sync.Mutex
		n := 0
		for b.Loop() {
			mu.Lock()
			n++
			mu.Unlock()
		}
	})
	for _, k := range []int{1, 64, 1024} {
		b.Run(fmt.Sprintf("Channel.Send/subs=%d", k), func(b *testing.B) {
			b.ReportAllocs()
			s := earshot.NewServer(nil)
			defer s.Close()
			c := earshot.NewChannel[benchEvent](s, "x", nil)
			var mailboxes []*earshot.Mailbox[benchEvent]
			defer func() { runtime.KeepAlive(mailboxes) }() // what nobody refers to is unsubscribed
			for range k {
				m := earshot.NewMailbox[benchEvent](context.Background(), s, nil)
				if _, err := c.Subscribe(m); err != nil {
					b.Fatal(err)
				}
				mailboxes = append(mailboxes, m)
			}
			for b.Loop() {
				c.Send(benchEvent{ID: 1})
			}
		})
	}
}

// BenchmarkThroughput counts one operation for each event, which all subscribers receive.
func BenchmarkThroughput(b *testing.B) {
	for _, cell := range [][2]int{{1, 1}, {1, 8}, {1, 64}, {2, 1}, {2, 8}, {2, 64}} {
		senders, subs := cell[0], cell[1]
		b.Run(fmt.Sprintf("reference/%dx%d", senders, subs), func(b *testing.B) {
			var mu sync.Mutex
			chans := make([]chan benchEvent, subs)
			all := newReceivers(subs, b.N)
			for i := range chans {
				chans[i] = make(chan benchEvent, 4096)
				go func() {
					for range b.N {
						<-chans[i]
						all.got(i)
					}
				}()
			}
			b.ResetTimer()
			sendAll(b, senders, func(e benchEvent) {
				mu.Lock()
				for _, c := range chans {
					c <- e
				}
				mu.Unlock()
			})
			all.wg.Wait()
		})
		b.Run(fmt.Sprintf("Handle/%dx%d", senders, subs), func(b *testing.B) {
			b.ReportAllocs()
			s := earshot.NewServer(nil)
			defer s.Close()
			c := earshot.NewChannel[benchEvent](s, "x", &earshot.ChannelOptions{MayBlock: true})
			all := newReceivers(subs, b.N)
			for i := range subs {
				handler := func(context.Context, earshot.Message[benchEvent]) error {
					all.got(i)
					return nil
				}
				opts := &earshot.SpawnOptions{Capacity: 4096, Overflow: earshot.Block}
				if _, err := c.Handle(context.Background(), handler, opts); err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			sendAll(b, senders, c.Send)
			all.wg.Wait()
		})
	}
}

// receivers count, each in a cache line of its own, until every one has had all events.
type receivers struct {
	wg   sync.WaitGroup
	left []struct {
		n int
		_ [120]byte
	}
}

func newReceivers(n, events int) *receivers {
	r := &receivers{left: make([]struct {
		n int
		_ [120]byte
	}, n)}
	r.wg.Add(n)
	for i := range r.left {
		r.left[i].n = events
	}
	return r
}

func (r *receivers) got(i int) {
	if r.left[i].n--; r.left[i].n == 0 {
		r.wg.Done()
	}
}

func sendAll(b *testing.B, senders int, send func(benchEvent)) {
	var wg sync.WaitGroup
	for s := range senders {
		n := b.N / senders
		if s == 0 {
			n += b.N % senders
		}
		wg.Go(func() {
			for i := range n {
				send(benchEvent{ID: uint64(i), S: "x"})
			}
		})
	}
	wg.Wait()
}

func BenchmarkChurn(b *testing.B) {
	s := earshot.NewServer(nil)
	defer s.Close()
	m := earshot.NewMailbox[int](context.Background(), s, nil)
	b.ReportAllocs()
	for b.Loop() {
		ref, err := m.Subscribe("churn")
		if err != nil {
			b.Fatal(err)
		}
		if err := m.Unsubscribe(ref); err != nil {
			b.Fatal(err)
		}
	}
}
