package earshot_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// syncing starts a Sync and returns what it will have returned.
func syncing(s *earshot.Server) <-chan error {
	done := make(chan error, 1)
	go func() { done <- s.Sync(context.Background()) }()
	return done
}

// Sync returns when each kind of subscriber has dealt with what was sent before, and not earlier: a
// handler when it has returned, a loop when its body has. What is sent later is not waited for.
func TestSyncWaitsForTheBody(t *testing.T) {
	for way, start := range waysToListen {
		if way == "typed" || way == "untyped" || way == "two subscriptions" || way == "drop newest" || way == "pattern" {
			continue // Receive hands over: see below
		}
		t.Run(way, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				earshot.NewChannel[numbered](s, "x", nil)
				var dealt atomic.Int32
				start(t, s, "x", func(any) {
					time.Sleep(time.Second)
					dealt.Add(1)
				})
				synctest.Wait()
				require.NoError(t, s.Sync(t.Context()), "with nothing sent")
				for i := range 10 {
					earshot.SendEvent(s, "x", numbered{n: i})
				}
				done := syncing(s)
				time.Sleep(5500 * time.Millisecond)
				earshot.SendEvent(s, "x", numbered{n: 10}) // too late to be waited for
				synctest.Wait()
				require.Equal(t, int32(5), dealt.Load())
				require.False(t, isClosed(done))
				start := time.Now()
				require.NoError(t, <-done)
				require.Contains(t, []int32{10, 11}, dealt.Load())
				require.Less(t, time.Since(start), 5600*time.Millisecond)
				time.Sleep(time.Minute)
				synctest.Wait()
				require.Equal(t, int32(11), dealt.Load())
			})
		})
	}
}

// What Receive or TryReceive has handed over is received.
func TestSyncWaitsForReceive(t *testing.T) {
	for what, opts := range map[string]earshot.MailboxOptions{
		"in place": {}, "ring": {Overflow: earshot.DropNewest}, "latest": {Overflow: earshot.Latest},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				earshot.NewChannel[int](s, "x", nil)
				m, _ := listen[int](t, s, "x", &opts)
				sendInts(s, "x", 1, 3)
				done := syncing(s)
				for {
					synctest.Wait()
					require.False(t, isClosed(done), "with %d waiting", m.Stats().Depth)
					receive(t, m)
					if m.Stats().Depth == 0 {
						break
					}
				}
				require.NoError(t, <-done)
			})
		})
	}
}

// Events that will never be received are not waited for.
func TestSyncDoesNotWaitForTheLost(t *testing.T) {
	for what, end := range map[string]func(*earshot.Server, *earshot.Mailbox[int], earshot.Ref){
		"Close":        func(_ *earshot.Server, m *earshot.Mailbox[int], _ earshot.Ref) { m.Close() },
		"Unsubscribe":  func(s *earshot.Server, _ *earshot.Mailbox[int], ref earshot.Ref) { s.Unsubscribe(ref) },
		"Server.Close": func(s *earshot.Server, _ *earshot.Mailbox[int], _ earshot.Ref) { s.Close() },
	} {
		for name, another := range map[string]bool{"one": false, "two": true} {
			t.Run(what+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newServer(t)
					earshot.NewChannel[int](s, "x", nil)
					m := newMailbox[int](t, s, nil)
					if another {
						subscribe(t, m, "y")
					}
					ref := subscribe(t, m, "x")
					sendInts(s, "x", 1, 3)
					done := syncing(s)
					synctest.Wait()
					require.False(t, isClosed(done))
					end(s, m, ref)
					require.NoError(t, <-done)
				})
			})
		}
	}
}

// A Sync that is cut short says whom it waited for.
func TestSyncNamesWhoItWaitsFor(t *testing.T) {
	s := newServer(t)
	m, _ := listen[int](t, s, "x", &earshot.MailboxOptions{Name: "the one on holiday"})
	sendInts(s, "x", 1, 3)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errOh)
	err := s.Sync(ctx)
	refused(t, err, "", errOh, "the one on holiday", "3 events waiting")
	drain(m)
	require.NoError(t, s.Sync(ctx), "with nothing to wait for")
}

// Several may sync at a time.
func TestSyncTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		earshot.NewChannel[int](s, "x", nil)
		m, _ := listen[int](t, s, "x", nil)
		var done []<-chan error
		for i := range 5 {
			sendInts(s, "x", i, i)
			done = append(done, syncing(s))
			synctest.Wait()
		}
		for i := range 5 {
			synctest.Wait()
			require.False(t, isClosed(done[i]))
			receive(t, m)
			require.NoError(t, <-done[i])
		}
	})
}

// An event in the hands of one reader is not dealt with because another reader of the mailbox is idle.
func TestSyncWithTwoReaders(t *testing.T) {
	for name, another := range map[string]bool{"one subscription": false, "two subscriptions": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				earshot.NewChannel[int](s, "x", nil)
				m := newMailbox[int](t, s, nil)
				if another {
					subscribe(t, m, "y")
				}
				subscribe(t, m, "x")
				busy, release := make(chan struct{}, 2), make(chan struct{})
				for range 2 {
					background(t, func(ctx context.Context) {
						for range m.Messages(ctx) {
							busy <- struct{}{}
							<-release
						}
					})
				}
				sendInts(s, "x", 1, 1)
				<-busy // one reader has it; the other looks and finds nothing
				synctest.Wait()
				m.Ready()
				done := syncing(s)
				synctest.Wait()
				early := isClosed(done)
				close(release)
				require.False(t, early, "Sync returned while the event was in a loop's hands")
				require.NoError(t, <-done)
			})
		})
	}
}

// A loop that is left gives back what it has not seen, and somebody has to receive that yet; a second
// subscription, which has the mailbox receive in another way from then on, changes nothing in that.
func TestSyncWhenALoopGivesBack(t *testing.T) {
	for name, test := range map[string]struct {
		inside func(*earshot.Server, *earshot.Mailbox[int])
		last   int
	}{
		"just so":              {func(*earshot.Server, *earshot.Mailbox[int]) {}, 4},
		"second subscription":  {func(_ *earshot.Server, m *earshot.Mailbox[int]) { m.Subscribe("y") }, 4},
		"and an event from it": {func(s *earshot.Server, m *earshot.Mailbox[int]) { m.Subscribe("y"); sendInts(s, "y", 5, 5) }, 5},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				earshot.NewChannel[int](s, "x", nil)
				m, _ := listen[int](t, s, "x", nil)
				sendInts(s, "x", 1, 4)
				at, release := make(chan struct{}), make(chan struct{})
				background(t, func(ctx context.Context) {
					for range m.Messages(ctx) {
						test.inside(s, m)
						close(at)
						<-release
						break // 2, 3 and 4 go back
					}
				})
				<-at
				done := syncing(s)
				synctest.Wait()
				early := isClosed(done)
				close(release)
				require.False(t, early, "Sync returned while the loop was in its body")
				synctest.Wait()
				for i := 2; i <= test.last; i++ {
					require.False(t, isClosed(done), "Sync returned before event %d was received", i)
					require.Equal(t, i, receive(t, m).Event)
					synctest.Wait()
				}
				require.NoError(t, <-done)
			})
		})
	}
}
