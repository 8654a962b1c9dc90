package earshot_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// A payload is an event of which the test knows whether it is still reachable.
type payload struct {
	n int
	_ [56]byte
}

type payloads []weak.Pointer[payload]

func (p *payloads) new(n int) *payload {
	e := &payload{n: n}
	*p = append(*p, weak.Make(e))
	return e
}

// held returns how many payloads are still reachable. It gives goroutines that are about to let go of
// some until then to be down to most.
func (p payloads) held(most int) (n int) {
	for end := time.Now().Add(time.Second); ; runtime.Gosched() {
		runtime.GC()
		n = 0
		for _, e := range p {
			if e.Value() != nil {
				n++
			}
		}
		if n <= most || time.Now().After(end) {
			return n
		}
	}
}

// P12: a subscriber that is always one event behind costs no more after five million events than
// after a few.
func TestP12_AlwaysOneBehind(t *testing.T) {
	for _, policy := range []earshot.Overflow{earshot.DropOldest, earshot.DropNewest, earshot.Unbounded, earshot.Evict, earshot.Block} {
		for _, names := range [][]string{{"x"}, {"x", "y"}} {
			t.Run(fmt.Sprint(policy, " ", len(names)), func(t *testing.T) {
				s := newServer(t)
				m := newMailbox[request](t, s, &earshot.MailboxOptions{Overflow: policy})
				for _, name := range names {
					earshot.NewChannel[request](s, name, &earshot.ChannelOptions{MayBlock: true})
					subscribe(t, m, name)
				}
				earshot.SendEvent(s, "x", request{status: 0})
				step := func(from, to int) {
					for i := from; i < to; i++ {
						earshot.SendEvent(s, "x", request{status: i + 1})
						msg, ok := m.TryReceive()
						if !ok || msg.Event.status != i || msg.Missed != 0 {
							t.Fatalf("event %d: got %+v, %v", i, msg, ok)
						}
					}
				}
				step(0, 10_000)
				heap := heapInUse()
				events := 300_000
				if policy == earshot.DropOldest || policy == earshot.Unbounded {
					events = 5_000_000
				}
				step(10_000, 10_000+scaled(events))
				require.Less(t, heapInUse(), heap+64<<10)
			})
		}
	}
}

// P12, P6, SLO-01: one that never reads does not make those who do hold more.
func TestP12_StuckBesideKeen(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[*payload](s, "x", nil)
	stuck, _ := listen[*payload](t, s, "x", &earshot.MailboxOptions{Capacity: 100})
	keen, _ := listen[*payload](t, s, "x", &earshot.MailboxOptions{Overflow: earshot.Unbounded})
	var p payloads
	for i := range 20_000 {
		c.Send(p.new(i))
		if msg, ok := keen.TryReceive(); !ok || msg.Event.n != i || msg.Missed != 0 {
			t.Fatalf("event %d: got %+v, %v", i, msg, ok)
		}
	}
	require.LessOrEqual(t, p.held(100+2*256), 100+2*256, "payloads held")
	require.Equal(t, 19_900, receive(t, stuck).Event.n)
	runtime.KeepAlive(keen)
}

// P12: a subscriber that never reads holds no more events than its capacity, give or take the blocks at
// both ends of the log, of 256 events at most.
func TestP12_NeverReading(t *testing.T) {
	for _, policy := range []earshot.Overflow{earshot.DropOldest, earshot.DropNewest, earshot.Latest, earshot.Evict} {
		for _, capacity := range []int{1, 100, 2000} {
			t.Run(fmt.Sprint(policy, " ", capacity), func(t *testing.T) {
				neverReading(t, policy, capacity, func(want int) int { return want + 2*256 })
			})
		}
	}
}

// P12, to the letter.
func TestP12_NeverReadingHoldsItsCapacity(t *testing.T) {
	for _, policy := range []earshot.Overflow{earshot.DropOldest, earshot.DropNewest, earshot.Latest, earshot.Evict} {
		t.Run(policy.String(), func(t *testing.T) {
			neverReading(t, policy, 8, func(want int) int { return want + 2*8 })
		})
	}
}

func neverReading(t *testing.T, policy earshot.Overflow, capacity int, most func(int) int) {
	for _, ring := range []bool{false, true} {
		s := newServer(t)
		c := earshot.NewChannel[*payload](s, "x", nil)
		m := newMailbox[*payload](t, s, &earshot.MailboxOptions{Capacity: capacity, Overflow: policy})
		if ring {
			subscribe(t, m, "y")
		}
		_, err := c.Subscribe(m)
		require.NoError(t, err)
		var p payloads
		for i := range 20_000 {
			c.Send(p.new(i))
		}
		want := capacity
		switch {
		case policy == earshot.Latest:
			want = 1
		case policy == earshot.Evict:
			want = 0 // it has been ended
		}
		if !ring {
			want = most(want)
		}
		require.LessOrEqual(t, p.held(want), want, "payloads held, ring %v", ring)
		runtime.KeepAlive(m)
		m.Close()
		require.Zero(t, p.held(0), "payloads held after Close, ring %v", ring)
		runtime.KeepAlive(c)
		runtime.KeepAlive(m)
	}
}

// P12: what has been received is not kept by earshot once the subscriber waits for more.
func TestP12_ReceivedEventsAreLetGo(t *testing.T) {
	const events = 500
	for what, test := range map[string]func(*testing.T, *earshot.Server, *earshot.Channel[*payload], func()){
		"TryReceive": func(t *testing.T, s *earshot.Server, c *earshot.Channel[*payload], send func()) {
			m, _ := listen[*payload](t, s, "x", nil)
			send()
			require.Len(t, drain(m), events)
		},
		"TryReceive, untyped": func(t *testing.T, s *earshot.Server, c *earshot.Channel[*payload], send func()) {
			m, _ := listen[any](t, s, "x", nil)
			send()
			require.Len(t, drain(m), events)
		},
		"TryReceive from a ring": func(t *testing.T, s *earshot.Server, c *earshot.Channel[*payload], send func()) {
			m, _ := listen[*payload](t, s, "x", nil)
			subscribe(t, m, "y")
			send()
			require.Len(t, drain(m), events)
		},
		"Receive": func(t *testing.T, s *earshot.Server, c *earshot.Channel[*payload], send func()) {
			m, _ := listen[*payload](t, s, "x", nil)
			got := make(chan int, events)
			background(t, func(ctx context.Context) {
				for {
					msg, err := m.Receive(ctx)
					if err != nil {
						return
					}
					got <- msg.Event.n
				}
			})
			send()
			for range events {
				await(t, got, "an event")
			}
		},
		"two subscribers, one of them gone": func(t *testing.T, s *earshot.Server, c *earshot.Channel[*payload], send func()) {
			m, _ := listen[*payload](t, s, "x", nil)
			other, _ := listen[*payload](t, s, "x", &earshot.MailboxOptions{Overflow: earshot.Unbounded})
			send()
			require.Len(t, drain(m), events)
			other.Close()
		},
	} {
		t.Run(what, func(t *testing.T) { letGo(t, events, test) })
	}
}

// P12: neither is what a loop has dealt with: not the last event either.
func TestP12_HandledEventsAreLetGo(t *testing.T) {
	const events = 500
	for what, test := range map[string]func(*testing.T, *earshot.Server, *earshot.Channel[*payload], func()){
		"Handle": func(t *testing.T, s *earshot.Server, c *earshot.Channel[*payload], send func()) {
			_, err := c.Handle(context.Background(), func(context.Context, earshot.Message[*payload]) error { return nil }, nil)
			require.NoError(t, err)
			send()
			settle(t, s)
		},
		"Messages": func(t *testing.T, s *earshot.Server, c *earshot.Channel[*payload], send func()) {
			m, _ := listen[*payload](t, s, "x", nil)
			background(t, func(ctx context.Context) {
				for range m.Messages(ctx) {
				}
			})
			send()
			settle(t, s)
		},
		"Messages from a ring": func(t *testing.T, s *earshot.Server, c *earshot.Channel[*payload], send func()) {
			m, _ := listen[*payload](t, s, "x", nil)
			subscribe(t, m, "y")
			background(t, func(ctx context.Context) {
				for range m.Messages(ctx) {
				}
			})
			send()
			settle(t, s)
		},
		"Messages, unsubscribed in between": func(t *testing.T, s *earshot.Server, c *earshot.Channel[*payload], send func()) {
			m, ref := listen[*payload](t, s, "x", nil)
			send()
			ended := make(chan struct{})
			background(t, func(ctx context.Context) {
				n := 0
				for range m.Messages(ctx) {
					if n++; n == 70 {
						m.Unsubscribe(ref)
						close(ended)
					}
				}
			})
			await(t, ended, "Unsubscribe")
		},
	} {
		t.Run(what, func(t *testing.T) {
			letGo(t, events, test)
		})
	}
}

func letGo(t *testing.T, events int, test func(*testing.T, *earshot.Server, *earshot.Channel[*payload], func())) {
	t.Helper()
	s := newServer(t)
	c := earshot.NewChannel[*payload](s, "x", nil)
	var p payloads
	test(t, s, c, func() {
		for i := range events {
			c.Send(p.new(i))
		}
	})
	require.Zero(t, p.held(0), "payloads held")
	runtime.KeepAlive(c)
}

// P12: a mailbox that was full holds nothing once it has ended, though its handle and Refs are kept.
func TestP12_WhatIsKeptOfAnEndedMailbox(t *testing.T) {
	const events = 200_000
	for what, end := range map[string]func(*earshot.Server, *earshot.Mailbox[request], []earshot.Ref){
		"Close": func(_ *earshot.Server, m *earshot.Mailbox[request], _ []earshot.Ref) { m.Close() },
		"Unsubscribe": func(s *earshot.Server, _ *earshot.Mailbox[request], refs []earshot.Ref) {
			for _, ref := range refs {
				s.Unsubscribe(ref)
			}
		},
	} {
		for _, names := range [][]string{{"x"}, {"x", "y"}} {
			t.Run(fmt.Sprint(what, " ", len(names)), func(t *testing.T) {
				s := newServer(t)
				heap := heapInUse()
				m := newMailbox[request](t, s, &earshot.MailboxOptions{Overflow: earshot.Unbounded})
				var refs []earshot.Ref
				for _, name := range names {
					refs = append(refs, subscribe(t, m, name))
				}
				for i := range events {
					earshot.SendEvent(s, "x", request{status: i})
				}
				require.Greater(t, heapInUse(), heap+events*20)
				end(s, m, refs)
				require.Less(t, heapInUse(), heap+64<<10)
				runtime.KeepAlive(m)
				runtime.KeepAlive(refs)
			})
		}
	}
}
