package earshot_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// What went wrong in other event buses for Go, each with where it was seen.

// A handler publishes while its own queue is full: deadlock (tailscale #18012). P7, COR-07
func TestPeersPublishFromAHandlerWithAFullMailbox(t *testing.T) {
	for _, policy := range []earshot.Overflow{earshot.DropOldest, earshot.DropNewest, earshot.Latest, earshot.Unbounded} {
		t.Run(policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				c := earshot.NewChannel[int](s, "x", nil)
				sent, missed := 1, uint64(0)
				var got []int
				_, err := c.Handle(t.Context(), func(_ context.Context, msg earshot.Message[int]) error {
					got = append(got, msg.Event)
					missed += msg.Missed
					if len(got) <= 20 {
						sendInts(s, "x", sent+1, sent+10)
						sent += 10
					}
					return nil
				}, &earshot.SpawnOptions{Capacity: 4, Overflow: policy})
				require.NoError(t, err)
				c.Send(1)
				synctest.Wait()
				require.Equal(t, 201, sent)
				c.Send(1000) // tells of what was missed at the end
				synctest.Wait()
				for i := 1; i < len(got); i++ {
					require.Greater(t, got[i], got[i-1], "P3: order")
				}
				require.Equal(t, sent+1, len(got)+int(missed), "P11: received and missed")
				if policy == earshot.Unbounded {
					require.Zero(t, missed)
				}
			})
		})
	}
}

// The publisher holds a mutex that the handler wants: deadlock once the queue is full (tailscale
// #17973, #17830). P7, COR-08
func TestPeersMutexSharedWithThePublisher(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[int](s, "x", nil)
	var mu sync.Mutex
	handled := 0
	for range 3 {
		_, err := c.Handle(t.Context(), func(context.Context, earshot.Message[int]) error {
			mu.Lock()
			defer mu.Unlock()
			handled++
			return nil
		}, &earshot.SpawnOptions{Capacity: 2})
		require.NoError(t, err)
	}
	finishes(t, "publishing under the mutex", func() {
		for i := range 1000 {
			mu.Lock()
			c.Send(i)
			mu.Unlock()
		}
	})
	settle(t, s)
	mu.Lock()
	defer mu.Unlock()
	require.Positive(t, handled)
}

// An unbounded queue that slides only when it is empty grows with history (tailscale #18623). P12
func TestPeersAlwaysOneBehind(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[*payload](s, "x", nil)
	var p payloads
	allowed := make(chan struct{})
	_, err := c.Handle(t.Context(), func(context.Context, earshot.Message[*payload]) error {
		<-allowed
		return nil
	}, &earshot.SpawnOptions{Overflow: earshot.Unbounded})
	require.NoError(t, err)
	c.Send(p.new(0))
	for i := range 20_000 {
		c.Send(p.new(i + 1))
		allowed <- struct{}{}
	}
	require.LessOrEqual(t, p.held(600), 600)
	close(allowed)
}

// One timer, or one signal, for several waiters wakes one and leaves the others asleep (go-libp2p #3518).
func TestPeersTwoWaitersAreBothWoken(t *testing.T) {
	waits := map[string]func(*earshot.Mailbox[int]) bool{
		"Receive": func(m *earshot.Mailbox[int]) bool {
			_, err := m.Receive(context.Background())
			return err == nil
		},
		"Receive with a context": func(m *earshot.Mailbox[int]) bool {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			_, err := m.Receive(ctx)
			return err == nil
		},
		"Messages": func(m *earshot.Mailbox[int]) bool {
			for range m.Messages(context.Background()) {
				return true
			}
			return false
		},
		"Ready": func(m *earshot.Mailbox[int]) bool {
			for {
				if _, ok := m.TryReceive(); ok {
					return true
				}
				if m.Err() != nil {
					return false
				}
				<-m.Ready()
			}
		},
	}
	for name, wait := range waits {
		t.Run(name, func(t *testing.T) {
			for what, test := range map[string]struct {
				wake func(*earshot.Server, *earshot.Mailbox[int])
				want int32
			}{
				"events one by one": {func(s *earshot.Server, _ *earshot.Mailbox[int]) {
					for i := range 3 {
						sendInts(s, "x", i, i)
						synctest.Wait()
					}
				}, 3},
				"events at once": {func(s *earshot.Server, _ *earshot.Mailbox[int]) { sendInts(s, "x", 1, 3) }, 3},
				"Close":          {func(_ *earshot.Server, m *earshot.Mailbox[int]) { m.Close() }, 0},
				"Server.Close":   {func(s *earshot.Server, _ *earshot.Mailbox[int]) { s.Close() }, 0},
			} {
				synctest.Test(t, func(t *testing.T) {
					opts := earshot.MailboxOptions{}
					for _, another := range []bool{false, true} {
						s := newServer(t)
						earshot.NewChannel[int](s, "x", nil)
						m := newMailbox[int](t, s, &opts)
						if another {
							subscribe(t, m, "y")
						}
						subscribe(t, m, "x")
						var woken, got atomic.Int32
						for range 3 {
							go func() {
								if wait(m) {
									got.Add(1)
								}
								woken.Add(1)
							}()
						}
						synctest.Wait()
						test.wake(s, m)
						synctest.Wait()
						asleep := 3 - woken.Load()
						m.Close()
						for woken.Load() < 3 { // let them end
							m.Ready()
							synctest.Wait()
						}
						require.Zero(t, asleep, "waiters that still sleep after %s", what)
						require.Equal(t, test.want, got.Load(), "messages after %s", what)
					}
				})
			}
		})
	}
}

// A ticker and goroutines stay after the last unsubscribe, and queued events are still run
// (kelindar/event). P4, P8, P9
func TestPeersNothingLeftAfterTheLastUnsubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := serverGoroutines()
		s := newServer(t)
		c := earshot.NewChannel[int](s, "x", nil)
		runs, release := 0, make(chan struct{})
		ref, err := c.Handle(t.Context(), func(context.Context, earshot.Message[int]) error {
			runs++
			<-release
			return nil
		}, nil)
		require.NoError(t, err)
		sendInts(s, "x", 1, 100)
		synctest.Wait()
		require.Equal(t, 1, runs)
		require.NoError(t, s.Unsubscribe(ref))
		close(release)
		<-s.Monitor(ref)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, 1, runs, "queued events that were run after Unsubscribe")
		require.Equal(t, before, serverGoroutines())
	})
}

// A notice that a subscriber is dead is sent to that subscriber, which makes another one, for ever
// (hollywood, akka.net #3658).
func TestPeersNoticeAboutTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		watching, _ := listen[earshot.Lifecycle](t, s, earshot.LifecycleChannel, nil)
		handled := 0
		ref, err := s.Lifecycle().Handle(t.Context(), func(context.Context, earshot.Message[earshot.Lifecycle]) error {
			handled++
			panic("cannot stand any of it")
		}, &earshot.SpawnOptions{Restart: earshot.Restart{Max: 3}})
		require.NoError(t, err)
		m, _ := listen[int](t, s, "x", nil)
		for range 10 {
			ref := subscribe(t, m, "y")
			require.NoError(t, m.Unsubscribe(ref))
		}
		require.ErrorIs(t, oneDown(t, s.Monitor(ref)).Reason, earshot.ErrGaveUp)
		require.Equal(t, 4, handled)
		time.Sleep(time.Hour)
		got := drained(watching)
		require.Len(t, got, 2+4*10, "notices about x and y, and none about the one that fails")
		for _, e := range got {
			require.Contains(t, []any{"x", "y"}, e.Channel)
		}
	})
}

// Send on a closed channel: subscribers were copied, and one closed before its turn came (many). P10
func TestPeersCloseWhileSendersSend(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[int](s, "x", nil)
	for range 2 {
		background(t, func(ctx context.Context) {
			for i := 0; ctx.Err() == nil; i++ {
				c.Send(i)
				earshot.SendEvent(s, "y", i)
				if i%32 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	for i := range 500 {
		m := earshot.NewMailbox[int](t.Context(), s, &earshot.MailboxOptions{Capacity: 4, Overflow: earshot.Overflow(i % 5)})
		subscribe(t, m, "x")
		if i%2 == 0 && m.Err() == nil {
			m.Subscribe("y") // may have been evicted meanwhile
		}
		m.TryReceive()
		m.Close()
		<-m.Done() // a sender may be evicting it
	}
	require.False(t, c.Listening())
}

// The list of handlers is changed while it is gone through: some are skipped, others called twice
// (mustafaturan/bus, EventBus #39). P1
func TestPeersHandlersChangeWhileSending(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[int](s, "x", nil)
	var stay [3]*earshot.Mailbox[int]
	var fleeting [8]*earshot.Mailbox[int]
	for i := range stay {
		for range 2 {
			fleeting[i], _ = listen[int](t, s, "x", nil)
		}
		stay[i], _ = listen[int](t, s, "x", &earshot.MailboxOptions{Overflow: earshot.Unbounded})
	}
	const events = 3000
	background(t, func(ctx context.Context) {
		for i := 0; ctx.Err() == nil; i++ {
			m := earshot.NewMailbox[int](ctx, s, nil)
			m.Subscribe("x")
			if old := fleeting[i%8]; old != nil {
				old.Close()
			}
			fleeting[i%8] = m
		}
	})
	for i := range events {
		c.Send(i)
		if i%16 == 0 {
			runtime.Gosched()
		}
	}
	for _, m := range stay {
		require.Equal(t, upTo(0, events-1), drained(m))
	}
}

// A subscriber that crashes keeps its entries, and the notice that the last one has gone never comes
// (ergo). P9
func TestPeersStopNoticeWhenTheSubscriberCrashed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := earshot.NewChannel[int](s, "x", nil)
		notices, _ := listen[earshot.Lifecycle](t, s, earshot.LifecycleChannel, nil)
		var p producer
		defer c.OnDemand(p.run)()
		_, err := c.Handle(t.Context(), func(context.Context, earshot.Message[int]) error { panic("oh") }, nil)
		require.NoError(t, err)
		c.Send(1)
		synctest.Wait()
		require.Equal(t, producer{begun: 1, ended: 1, most: 1}, p)
		var kinds []earshot.LifecycleKind
		for _, e := range drained(notices) {
			kinds = append(kinds, e.Kind)
		}
		require.ElementsMatch(t, []earshot.LifecycleKind{earshot.Opened, earshot.Subscribed, earshot.Failed, earshot.Left, earshot.Closed}, kinds)
		require.False(t, c.Listening())
		require.Empty(t, drained(notices))
	})
}

// Something old is deleted by its name, and what lives under that name now goes with it. P9
func TestPeersDeleteByIdentity(t *testing.T) {
	s := newServer(t)
	first, old := listen[int](t, s, "x", nil)
	require.NoError(t, s.Unsubscribe(old)) // the channel has gone with it…
	second, _ := listen[int](t, s, "x", nil)
	monitor := s.Monitor(old)
	require.NoError(t, s.Unsubscribe(old)) // …and this is another one
	require.NoError(t, first.Unsubscribe(old))
	require.NoError(t, first.Close())
	earshot.SendEvent(s, "x", 1)
	require.Equal(t, []int{1}, drained(second))
	require.Equal(t, earshot.ErrUnsubscribed, oneDown(t, monitor).Reason)

	c := earshot.NewChannel[int](s, "x", nil) // takes over the name of a live channel
	c.Send(2)
	require.Equal(t, []int{2}, drained(second))
	second.Close()
	third, _ := listen[int](t, s, "x", nil)
	c.Send(3)
	earshot.SendEvent(s, "x", 4)
	require.Equal(t, []int{3, 4}, drained(third))
}
