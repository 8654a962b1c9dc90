package earshot_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// numbered is an event that knows who sent it, and as which one.
type numbered struct{ sender, n int }

// Every way to subscribe, each with room for all.
var waysToListen = map[string]func(t *testing.T, s *earshot.Server, name string, got func(any)){
	"typed":   listenBy[numbered],
	"untyped": listenBy[any],
	"two subscriptions": func(t *testing.T, s *earshot.Server, name string, got func(any)) {
		m := newMailbox[numbered](t, s, &earshot.MailboxOptions{Overflow: earshot.Unbounded})
		subscribe(t, m, "something else")
		subscribe(t, m, name)
		readAll(t, m, got)
	},
	"drop newest": func(t *testing.T, s *earshot.Server, name string, got func(any)) {
		m := newMailbox[numbered](t, s, &earshot.MailboxOptions{Capacity: 1 << 20, Overflow: earshot.DropNewest})
		subscribe(t, m, name)
		readAll(t, m, got)
	},
	"pattern": func(t *testing.T, s *earshot.Server, name string, got func(any)) {
		m := newMailbox[any](t, s, &earshot.MailboxOptions{Overflow: earshot.Unbounded})
		_, err := m.SubscribePattern("**")
		require.NoError(t, err)
		readAll(t, m, got)
	},
	"messages": func(t *testing.T, s *earshot.Server, name string, got func(any)) {
		m := newMailbox[numbered](t, s, &earshot.MailboxOptions{Overflow: earshot.Unbounded})
		subscribe(t, m, name)
		background(t, func(ctx context.Context) {
			for msg := range m.Messages(ctx) {
				got(msg.Event)
			}
		})
	},
	"handle": func(t *testing.T, s *earshot.Server, name string, got func(any)) {
		c := earshot.NewChannel[numbered](s, name, nil)
		_, err := c.Handle(t.Context(), func(_ context.Context, msg earshot.Message[numbered]) error {
			got(msg.Event)
			return nil
		}, &earshot.SpawnOptions{Overflow: earshot.Unbounded})
		require.NoError(t, err)
	},
	"spawn": func(t *testing.T, s *earshot.Server, name string, got func(any)) {
		subscribed := make(chan error, 1)
		s.Spawn(t.Context(), func(ctx context.Context, m *earshot.Mailbox[any]) error {
			_, err := m.Subscribe(name)
			subscribed <- err
			for msg := range m.Messages(ctx) {
				got(msg.Event)
			}
			return nil
		}, &earshot.SpawnOptions{Overflow: earshot.Unbounded})
		require.NoError(t, await(t, subscribed, "Subscribe"))
	},
}

func listenBy[E any](t *testing.T, s *earshot.Server, name string, got func(any)) {
	m, _ := listen[E](t, s, name, &earshot.MailboxOptions{Overflow: earshot.Unbounded})
	readAll(t, m, got)
}

func readAll[E any](t *testing.T, m *earshot.Mailbox[E], got func(any)) {
	background(t, func(ctx context.Context) {
		for {
			msg, err := m.Receive(ctx)
			if err != nil {
				return
			}
			got(msg.Event)
		}
	})
}

// background runs f until the test ends.
func background(t testing.TB, f func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// P3: with several senders at a time, all subscribers, whatever their kind, see one order, and each
// sender's events in it in the order of its sends.
func TestP3_OneOrderForAllSubscribers(t *testing.T) {
	const senders, each = 4, 2000
	s := newServer(t)
	earshot.NewChannel[numbered](s, "x", nil)
	seen := map[string]*[]numbered{}
	var all sync.WaitGroup
	for way, start := range waysToListen {
		var events []numbered
		seen[way] = &events
		all.Add(1)
		start(t, s, "x", func(e any) {
			if events = append(events, e.(numbered)); len(events) == senders*each {
				all.Done()
			}
		})
	}
	var sending sync.WaitGroup
	for sender := range senders {
		sending.Go(func() {
			for n := range each {
				earshot.SendEvent(s, "x", numbered{sender, n})
				if n%64 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	sending.Wait()
	finishes(t, "all subscribers to receive all events", all.Wait)

	first := *seen["typed"]
	next := make([]int, senders)
	for i, e := range first {
		require.Equal(t, next[e.sender], e.n, "event %d, of sender %d", i, e.sender)
		next[e.sender]++
	}
	for way, events := range seen {
		require.Equal(t, first, *events, way)
	}
}

// P3: Seq counts the channel's events, not the subscription's, and starts again with the channel.
func TestP3_SeqCountsTheChannelsEvents(t *testing.T) {
	s := newServer(t)
	earshot.NewChannel[int](s, "x", nil)
	early, _ := listen[int](t, s, "x", nil)
	ring := newMailbox[int](t, s, nil)
	subscribe(t, ring, "other")
	subscribe(t, ring, "x")
	for i := range 3 {
		earshot.SendEvent(s, "x", i)
	}
	late, _ := listen[int](t, s, "x", nil)
	earshot.SendEvent(s, "x", 3)

	for i := range 4 {
		require.Equal(t, uint64(i+1), receive(t, early).Seq)
		require.Equal(t, uint64(i+1), receive(t, ring).Seq)
	}
	require.Equal(t, uint64(4), receive(t, late).Seq)

	early.Close()
	ring.Close()
	late.Close()
	again, _ := listen[int](t, s, "x", nil)
	earshot.SendEvent(s, "x", 4)
	require.Equal(t, uint64(1), receive(t, again).Seq, "Seq after the channel was reaped")
}

// P3: an event of a second type makes the channel store its events another way, which nobody may notice.
func TestP3_OrderKeptWhenTypesMix(t *testing.T) {
	t.Run("declared channel", func(t *testing.T) { typesMix(t, true) })
	t.Run("undeclared channel", func(t *testing.T) { typesMix(t, false) })
}

func typesMix(t *testing.T, declared bool) {
	s := newServer(t)
	if declared {
		earshot.NewChannel[int](s, "x", nil)
	}
	ints, _ := listen[int](t, s, "x", nil)
	everything, _ := listen[any](t, s, "x", nil)
	var want []any
	for i := range 100 {
		if i%7 == 3 {
			earshot.SendEvent(s, "x", "text")
			want = append(want, "text")
		}
		earshot.SendEvent(s, "x", i)
		want = append(want, i)
	}
	require.Equal(t, upTo(0, 99), drained(ints))
	require.Equal(t, want, drained(everything))
	require.Equal(t, uint64(14), ints.Stats().Mismatched)
	require.Equal(t, uint64(0), everything.Stats().Mismatched)
}

// P3, P1: what waits in a mailbox when it gets its second subscription keeps its place.
func TestP3_OrderKeptAcrossASecondSubscribe(t *testing.T) {
	s := newServer(t)
	earshot.NewChannel[int](s, "x", nil)
	m, x := listen[int](t, s, "x", nil)
	for i := range 50 {
		earshot.SendEvent(s, "x", i)
	}
	require.Equal(t, 0, receive(t, m).Event)
	y := subscribe(t, m, "y")
	for i := range 50 {
		earshot.SendEvent(s, "y", 1000+i)
		earshot.SendEvent(s, "x", 50+i)
	}
	want := upTo(1, 49)
	for i := range 50 {
		want = append(want, 1000+i, 50+i)
	}
	for i, msg := range drain(m) {
		require.Equal(t, want[i], msg.Event, "message %d", i)
		ref, seq := x, uint64(msg.Event+1)
		if msg.Event >= 1000 {
			ref, seq = y, uint64(msg.Event-1000+1)
		}
		require.Equal(t, ref, msg.Ref, "message %d", i)
		require.Equal(t, seq, msg.Seq, "message %d", i)
	}
	require.Equal(t, uint64(150), m.Stats().Received)
}

// P1: while a sender never rests, a subscription receives each event whose send lies between Subscribe
// and Unsubscribe exactly once. The window is decided by what the sender writes down, not by the code
// under test.
func TestP1_WindowWhileSending(t *testing.T) {
	for name, another := range map[string]bool{"alone": false, "beside another subscription": true} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			earshot.NewChannel[int64](s, "x", nil)
			var started, ended atomic.Int64
			background(t, func(ctx context.Context) {
				for n := int64(1); ctx.Err() == nil; n++ {
					started.Store(n)
					earshot.SendEvent(s, "x", n)
					ended.Store(n)
					if n%16 == 0 {
						runtime.Gosched()
					}
				}
			})
			m := newMailbox[int64](t, s, &earshot.MailboxOptions{Overflow: earshot.Unbounded})
			if another {
				subscribe(t, m, "y")
			}
			for range 100 {
				ref := subscribe(t, m, "x")
				first := started.Load() + 1
				for ended.Load() < first+20 {
					runtime.Gosched()
				}
				last := ended.Load()
				next := first
				for next <= last {
					msg := receive(t, m)
					require.Equal(t, ref, msg.Ref)
					require.Zero(t, msg.Missed)
					if msg.Event >= first { // those before may or may not come
						require.Equal(t, next, msg.Event)
						next++
					}
				}
				require.NoError(t, m.Unsubscribe(ref))
				_, ok := m.TryReceive()
				require.False(t, ok, "P4: a message after Unsubscribe")
			}
		})
	}
}
