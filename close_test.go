package earshot_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// P10: after Close, sending does nothing, subscribing is refused, and everything says why it ended.
func TestP10_ClosedServerIsSilent(t *testing.T) {
	for name, end := range map[string]func(*earshot.Server) error{
		"Close":    (*earshot.Server).Close,
		"Shutdown": func(s *earshot.Server) error { return s.Shutdown(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			c := earshot.NewChannel[int](s, "x", &earshot.ChannelOptions{Replay: 3})
			m, ref := listen[int](t, s, "x", nil)
			require.NoError(t, end(s))

			c.Send(1)
			c.SendFunc(func() int { t.Error("SendFunc made an event for nobody"); return 1 })
			require.NoError(t, c.SendContext(t.Context(), 1))
			earshot.SendEvent(s, "x", 1)
			earshot.SendEvent(s, "y", 1)
			require.False(t, c.Listening())
			require.False(t, s.Listening("x"))
			require.Equal(t, earshot.ErrServerClosed, m.Err())
			require.Equal(t, earshot.ErrServerClosed, await(t, s.Monitor(ref), "Down").Reason)
			_, err := m.Subscribe("x")
			require.ErrorIs(t, err, earshot.ErrServerClosed)
			_, err = c.Handle(t.Context(), func(context.Context, earshot.Message[int]) error { return nil }, nil)
			require.ErrorIs(t, err, earshot.ErrServerClosed)
			late := earshot.NewMailbox[int](t.Context(), s, nil)
			require.Equal(t, earshot.ErrServerClosed, late.Err())
			require.True(t, isClosed(late.Done()))
			for range c.Events(t.Context()) {
				t.Error("an event after the end")
			}
			p := s.Spawn(t.Context(), func(context.Context, *earshot.Mailbox[any]) error { t.Error("ran"); return nil }, nil)
			require.True(t, isClosed(p.Done()))
			require.ErrorIs(t, p.Err(), earshot.ErrServerClosed)
			defer c.OnDemand(func(context.Context) { t.Error("ran") })()
			require.NoError(t, s.Unsubscribe(ref))
			require.NoError(t, m.Close())
			require.NoError(t, s.Sync(t.Context()))
			// Declaring still works: package variables are initialised whenever they are.
			require.False(t, earshot.NewChannel[int](s, "z", &earshot.ChannelOptions{Replay: 1}).Listening())

			require.NoError(t, s.Close(), "Close again")
			require.NoError(t, s.Shutdown(t.Context()), "Shutdown again")
		})
	}
}

// P10: when Shutdown returns, what the server ran for others has ended.
func TestP10_ShutdownAwaitsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := earshot.NewServer(nil)
		c := earshot.NewChannel[int](s, "x", nil)
		var ended atomic.Int32
		linger := func(ctx context.Context) { // ends a second after it was told to
			<-ctx.Done()
			time.Sleep(time.Second)
			ended.Add(1)
		}
		stop := c.OnDemand(linger)
		defer stop()
		_, err := c.Handle(t.Context(), func(ctx context.Context, _ earshot.Message[int]) error {
			linger(ctx)
			return nil
		}, nil)
		require.NoError(t, err)
		s.Spawn(t.Context(), func(ctx context.Context, _ *earshot.Mailbox[any]) error {
			linger(ctx)
			return ctx.Err()
		}, nil)
		c.Send(1)
		synctest.Wait()
		draining, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, s.Shutdown(draining), context.DeadlineExceeded, "the handler never finishes its event")
		require.Equal(t, int32(3), ended.Load())
		require.Equal(t, time.Minute+time.Second, time.Since(start))
	})
}

// P10: Shutdown lets subscribers finish what was sent, and takes no new ones meanwhile.
func TestP10_ShutdownDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := earshot.NewServer(nil)
		c := earshot.NewChannel[int](s, "x", nil)
		handled := 0
		_, err := c.Handle(t.Context(), func(context.Context, earshot.Message[int]) error {
			time.Sleep(time.Second)
			handled++
			return nil
		}, nil)
		require.NoError(t, err)
		m := newMailbox[int](t, s, nil)
		sendInts(s, "x", 1, 100)
		go func() {
			time.Sleep(time.Second)
			_, err := m.Subscribe("x")
			assert.ErrorIs(t, err, earshot.ErrServerClosed, "while draining")
			c.Send(101) // is still taken, but nobody waits for it
		}()
		require.NoError(t, s.Shutdown(t.Context()))
		require.GreaterOrEqual(t, handled, 100)
	})
}

// P10: a function that ignores its context is named after a while instead of awaited for ever.
func TestP10_ShutdownNamesWhatIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := earshot.NewServer(nil)
		c := earshot.NewChannel[int](s, "x", nil)
		release := make(chan struct{})
		_, err := c.Handle(t.Context(), func(context.Context, earshot.Message[int]) error {
			<-release
			return nil
		}, &earshot.SpawnOptions{Name: "the deaf one"})
		require.NoError(t, err)
		c.Send(1)
		synctest.Wait()
		start := time.Now()
		s.Close()
		err = s.Shutdown(t.Context())
		require.ErrorIs(t, err, earshot.ErrStuck)
		require.Contains(t, err.Error(), "the deaf one")
		require.Equal(t, 10*time.Second, time.Since(start))
		close(release)
		require.NoError(t, s.Shutdown(t.Context()), "once it has returned")
	})
}

// P10, COR-13: closing with a million events waiting is quick, and counts them.
func TestCOR13_CloseWithManyUndelivered(t *testing.T) {
	s := newServer(t)
	earshot.NewChannel[int](s, "x", nil)
	one, _ := listen[int](t, s, "x", &earshot.MailboxOptions{Overflow: earshot.Unbounded})
	two := newMailbox[int](t, s, &earshot.MailboxOptions{Overflow: earshot.Unbounded})
	subscribe(t, two, "x")
	subscribe(t, two, "y")
	sendInts(s, "x", 1, 1_000_000)
	finishes(t, "Close", func() { s.Close() })
	for _, m := range []*earshot.Mailbox[int]{one, two} {
		st := m.Stats()
		require.Equal(t, uint64(1_000_000), st.Discarded)
		require.Equal(t, uint64(1_000_000), st.Offered)
		require.Zero(t, st.Depth)
	}
}

// P10: closing at the same time as anything else, from several goroutines.
func TestP10_CloseAmidEverything(t *testing.T) {
	for range 100 {
		s := earshot.NewServer(nil)
		c := earshot.NewChannel[int](s, "x", &earshot.ChannelOptions{MayBlock: true})
		subscribed := make(chan struct{}, 100)
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				for i := range 1000 {
					c.Send(i)
				}
			})
			all.Go(func() {
				for {
					m := earshot.NewMailbox[int](context.Background(), s, &earshot.MailboxOptions{Capacity: 2, Overflow: earshot.Block})
					_, err := m.Subscribe("x")
					select {
					case subscribed <- struct{}{}:
					default:
					}
					if err != nil {
						assert.ErrorIs(t, err, earshot.ErrServerClosed)
						return
					}
					if _, err := m.Receive(context.Background()); err != nil {
						assert.Equal(t, earshot.ErrServerClosed, err)
					}
					m.Close()
				}
			})
			all.Go(func() {
				<-subscribed
				runtime.Gosched()
				s.Close()
				assert.NoError(t, s.Shutdown(context.Background()))
			})
		}
		finishes(t, "all to end after Close", all.Wait)
	}
}

// P4, P10: when Close has returned no message is received, also if another goroutine had begun to close
// the mailbox before.
func TestP4_NothingAfterASecondClose(t *testing.T) {
	s := newServer(t)
	for round := range 20 {
		m := newMailbox[int](t, s, &earshot.MailboxOptions{Overflow: earshot.Unbounded})
		for range 20_000 { // ending takes a while
			subscribe(t, m, "x")
		}
		sendInts(s, "x", 1, 1)
		var both sync.WaitGroup
		start := make(chan struct{})
		both.Go(func() { <-start; m.Close() })
		both.Go(func() {
			<-start
			for range 2_000 * round { // somewhere in the middle of that
				runtime.Gosched()
			}
			m.Close()
			_, ok := m.TryReceive()
			assert.False(t, ok, "a message after Close")
		})
		close(start)
		both.Wait()
	}
}

// P10: a mailbox may be closed by several at a time, while others receive from it.
func TestP10_CloseMailboxTogether(t *testing.T) {
	s := newServer(t)
	earshot.NewChannel[int](s, "x", nil)
	for range 500 {
		m, ref := listen[int](t, s, "x", nil)
		down := s.Monitor(ref)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				for {
					if _, err := m.Receive(context.Background()); err != nil {
						return
					}
				}
			})
			all.Go(func() { m.Close() })
			all.Go(func() { s.Unsubscribe(ref) })
		}
		finishes(t, "receivers to be woken by Close", all.Wait)
		n := 0
		for d := range down {
			n++
			require.True(t, errors.Is(d.Reason, earshot.ErrClosed) || errors.Is(d.Reason, earshot.ErrUnsubscribed))
		}
		require.Equal(t, 1, n, "P5: Downs")
	}
}
