package earshot_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/earshot-go/earshot"
)

type ev struct {
	ID, A uint64
	S     string
}

var cells = []struct{ s, r int }{{1, 1}, {1, 8}, {1, 64}, {2, 1}, {2, 8}, {2, 64}}

func drive(b *testing.B, senders int, send func(ev)) {
	var wg sync.WaitGroup
	for s := range senders {
		n := b.N / senders
		if s == 0 {
			n += b.N % senders
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range n {
				send(ev{ID: uint64(i), S: "x"})
			}
		}()
	}
	wg.Wait()
}

func BenchmarkThroughput(b *testing.B) {
	for _, c := range cells {
		for _, how := range []string{"handle", "messages", "receive", "any"} {
			b.Run(fmt.Sprintf("%dx%d/%s", c.s, c.r, how), func(b *testing.B) {
				b.ReportAllocs()
				ctx := context.Background()
				s := earshot.NewServer(nil)
				ch := earshot.NewChannel[ev](s, "x", &earshot.ChannelOptions{MayBlock: true})
				var wg sync.WaitGroup
				wg.Add(c.r)
				for range c.r {
					c := &struct {
						n int
						_ [248]byte
					}{n: b.N}
					if how == "handle" {
						ch.Handle(ctx, func(ctx context.Context, m earshot.Message[ev]) error {
							if c.n--; c.n == 0 {
								wg.Done()
							}
							return nil
						}, &earshot.SpawnOptions{Capacity: 16384, Overflow: earshot.Block})
						continue
					}
					if how == "any" {
						m := earshot.NewMailbox[any](ctx, s, &earshot.MailboxOptions{Capacity: 16384, Overflow: earshot.Block})
						if _, err := m.Subscribe("x"); err != nil {
							b.Fatal(err)
						}
						go func() {
							for range m.Messages(ctx) {
								if c.n--; c.n == 0 {
									break
								}
							}
							wg.Done()
						}()
						continue
					}
					m := earshot.NewMailbox[ev](ctx, s, &earshot.MailboxOptions{Capacity: 16384, Overflow: earshot.Block})
					if _, err := ch.Subscribe(m); err != nil {
						b.Fatal(err)
					}
					go func() {
						if how == "messages" {
							for range m.Messages(ctx) {
								if c.n--; c.n == 0 {
									break
								}
							}
						} else {
							for ; c.n > 0; c.n-- {
								m.Receive(ctx)
							}
						}
						wg.Done()
					}()
				}
				b.ResetTimer()
				drive(b, c.s, func(e ev) { ch.Send(e) })
				wg.Wait()
				b.StopTimer()
				s.Close()
			})
		}
	}
}

func BenchmarkIdle(b *testing.B) {
	s := earshot.NewServer(nil)
	ch := earshot.NewChannel[int](s, "x", nil)
	var p atomic.Pointer[int]
	n := 0
	b.Run("ref", func(b *testing.B) {
		for b.Loop() {
			if p.Load() != nil {
				n++
			}
		}
	})
	b.Run("send", func(b *testing.B) {
		for b.Loop() {
			ch.Send(1)
		}
	})
	b.Run("sendEvent/empty", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			earshot.SendEvent(s, "nobody", ev{ID: 1})
		}
	})
	mp := map[string]int{}
	for i := range 16 {
		m := earshot.NewMailbox[any](context.Background(), s, nil)
		m.Subscribe(fmt.Sprintf("live.%d", i))
		mp[fmt.Sprintf("live.%d", i)] = i
		defer m.Close()
	}
	b.Run("sendEvent/16", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			earshot.SendEvent(s, "nobody", ev{ID: 1})
		}
	})
	b.Run("mapmiss", func(b *testing.B) {
		for b.Loop() {
			if _, ok := mp["nobody"]; ok {
				n++
			}
		}
	})
	for _, k := range []int{1, 64, 1024} {
		b.Run(fmt.Sprintf("live/%d", k), func(b *testing.B) {
			b.ReportAllocs()
			s := earshot.NewServer(nil)
			ch := earshot.NewChannel[ev](s, "x", nil)
			for range k {
				m := earshot.NewMailbox[ev](context.Background(), s, nil)
				ch.Subscribe(m)
				defer m.Close()
			}
			for b.Loop() {
				ch.Send(ev{})
			}
		})
	}
	var mu sync.Mutex
	b.Run("mutex", func(b *testing.B) {
		for b.Loop() {
			mu.Lock()
			mu.Unlock()
		}
	})
}
