package earshot_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// blocking runs a test in a bubble with a full Block mailbox: one whose subscription to "x" is its
// only one, and one that has another beside it.
func blocking(t *testing.T, capacity int, f func(t *testing.T, s *earshot.Server, c *earshot.Channel[int], m *earshot.Mailbox[int], ref earshot.Ref)) {
	for name, another := range map[string]bool{"one subscription": false, "two subscriptions": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				mayBlock := &earshot.ChannelOptions{MayBlock: true}
				c := earshot.NewChannel[int](s, "x", mayBlock)
				m := newMailbox[int](t, s, &earshot.MailboxOptions{Capacity: capacity, Overflow: earshot.Block})
				if another {
					earshot.NewChannel[int](s, "y", mayBlock)
					subscribe(t, m, "y")
				}
				ref := subscribe(t, m, "x")
				for i := range capacity {
					c.Send(i)
				}
				synctest.Wait()
				f(t, s, c, m, ref)
			})
		})
	}
}

// P6, P1: a sender waits for room, one Receive is enough for one send, and nothing is lost.
func TestBlockedSenderGoesOnAfterOneReceive(t *testing.T) {
	blocking(t, 3, func(t *testing.T, s *earshot.Server, c *earshot.Channel[int], m *earshot.Mailbox[int], _ earshot.Ref) {
		var sent atomic.Int32
		go func() {
			for i := range 5 {
				c.Send(3 + i)
				sent.Add(1)
			}
		}()
		for i := range 5 {
			synctest.Wait()
			require.Equal(t, int32(i), sent.Load(), "sends that returned after %d receives", i)
			require.Equal(t, i, receive(t, m).Event)
		}
		synctest.Wait()
		require.Equal(t, int32(5), sent.Load())
		require.Equal(t, upTo(5, 7), drained(m))
		require.Zero(t, m.Stats().Missed)
		require.Equal(t, 3, m.Stats().HighWater)
	})
}

// P3: several senders wait for one mailbox: each gets its turn, none is forgotten.
func TestManyBlockedSenders(t *testing.T) {
	blocking(t, 2, func(t *testing.T, s *earshot.Server, c *earshot.Channel[int], m *earshot.Mailbox[int], _ earshot.Ref) {
		var all sync.WaitGroup
		for sender := range 10 {
			all.Go(func() {
				for i := range 10 {
					c.Send(100*sender + i + 100)
				}
			})
		}
		last := map[int]int{}
		for n := range 2 + 100 {
			synctest.Wait()
			msg := receive(t, m)
			require.Equal(t, uint64(n+1), msg.Seq)
			if msg.Event >= 100 {
				sender, i := msg.Event/100, msg.Event%100
				require.Equal(t, last[sender], i, "of sender %d", sender)
				last[sender]++
			}
		}
		all.Wait()
	})
}

// SendContext stops waiting when its context ends; the event has not been sent then, to nobody.
func TestSendContextEnds(t *testing.T) {
	blocking(t, 2, func(t *testing.T, s *earshot.Server, c *earshot.Channel[int], m *earshot.Mailbox[int], _ earshot.Ref) {
		other, _ := listen[int](t, s, "x", nil)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errOh)
		defer cancel()
		start := time.Now()
		require.Equal(t, errOh, c.SendContext(ctx, 2))
		require.Equal(t, time.Second, time.Since(start))
		require.Equal(t, errOh, c.SendContext(ctx, 2), "with a context that has ended before")
		require.Empty(t, drained(other))
		require.Equal(t, 0, receive(t, m).Event)
		require.NoError(t, c.SendContext(t.Context(), 3), "with room")
		require.Equal(t, []int{1, 3}, drained(m))
		require.Equal(t, []int{3}, drained(other))

		sent := make(chan error, 1)
		c.Send(4)
		c.Send(5)
		go func() { sent <- c.SendContext(t.Context(), 6) }()
		synctest.Wait()
		drain(m)
		require.NoError(t, <-sent, "with room that came while waiting")
	})
	s := newServer(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, earshot.NewChannel[int](s, "x", nil).SendContext(ended, 1), "to nobody")
}

// However the full subscriber goes, the sender goes on, and the others get the event.
func TestBlockedSenderIsReleased(t *testing.T) {
	type parts struct {
		s   *earshot.Server
		m   *earshot.Mailbox[int]
		ref earshot.Ref
	}
	for name, leave := range map[string]func(parts){
		"Unsubscribe": func(p parts) { p.m.Unsubscribe(p.ref) },
		"Close":       func(p parts) { p.m.Close() },
		"draining": func(p parts) {
			for range p.m.Messages(context.Background()) {
				break
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			blocking(t, 2, func(t *testing.T, s *earshot.Server, c *earshot.Channel[int], m *earshot.Mailbox[int], ref earshot.Ref) {
				other, _ := listen[int](t, s, "x", nil)
				sent := make(chan struct{})
				go func() { c.Send(2); close(sent) }()
				synctest.Wait()
				require.False(t, isClosed(sent))
				leave(parts{s, m, ref})
				<-sent
				require.Equal(t, []int{2}, drained(other))
			})
		})
	}
	t.Run("context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t)
			c := earshot.NewChannel[int](s, "x", &earshot.ChannelOptions{MayBlock: true})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := c.Subscribe(earshot.NewMailbox[int](ctx, s, &earshot.MailboxOptions{Capacity: 1, Overflow: earshot.Block}))
			require.NoError(t, err)
			start := time.Now()
			c.Send(1)
			c.Send(2)
			require.Equal(t, time.Minute, time.Since(start))
		})
	})
}

// P10: closing the server releases senders, and so does Shutdown when it stops draining.
func TestBlockedSenderAndClose(t *testing.T) {
	blocking(t, 2, func(t *testing.T, s *earshot.Server, c *earshot.Channel[int], m *earshot.Mailbox[int], _ earshot.Ref) {
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { c.Send(2) })
		}
		synctest.Wait()
		s.Close()
		all.Wait()
		require.Equal(t, earshot.ErrServerClosed, m.Err())
	})
	blocking(t, 2, func(t *testing.T, s *earshot.Server, c *earshot.Channel[int], m *earshot.Mailbox[int], _ earshot.Ref) {
		sent := make(chan error, 1)
		go func() { sent <- c.SendContext(context.Background(), 2) }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, s.Shutdown(ctx), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
		require.NoError(t, <-sent, "of a send that has nobody to send to any more")
	})
}

// P6: without the owner's leave nobody may make a sender wait, on whatever way.
func TestBlockNeedsLeave(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[int](s, "declared", nil)
	block := &earshot.MailboxOptions{Overflow: earshot.Block}
	m := newMailbox[int](t, s, block)
	for _, name := range []any{"declared", "undeclared", earshot.LifecycleChannel} {
		_, err := m.Subscribe(name)
		refused(t, err, "/mayblock_test.go:", earshot.ErrNotAllowed, "MayBlock")
		require.False(t, s.Listening(name))
	}
	_, err := m.SubscribePattern("declared")
	refused(t, err, "", earshot.ErrNotAllowed, `"declared"`)
	_, err = c.Handle(t.Context(), func(context.Context, earshot.Message[int]) error { return nil }, &earshot.SpawnOptions{Overflow: earshot.Block})
	refused(t, err, "/mayblock_test.go:", earshot.ErrNotAllowed)
	nobody(t, s)
	require.NoError(t, m.Err(), "the mailbox lives on")

	earshot.NewChannel[int](s, "declared", &earshot.ChannelOptions{MayBlock: true})
	subscribe(t, m, "declared")
	st, _ := stats(s, "declared")
	require.True(t, st.MayBlock)
}

// P6: one full Block mailbox makes its senders wait, and nobody else: not those who read the channel,
// nor those who send elsewhere, nor those who come and go.
func TestBlockHoldsUpNobodyElse(t *testing.T) {
	blocking(t, 2, func(t *testing.T, s *earshot.Server, c *earshot.Channel[int], m *earshot.Mailbox[int], _ earshot.Ref) {
		sent := make(chan struct{})
		go func() { c.Send(2); close(sent) }()
		synctest.Wait()
		other, ref := listen[int](t, s, "x", nil)
		elsewhere, _ := listen[int](t, s, "z", nil)
		earshot.SendEvent(s, "z", 1)
		require.Len(t, drain(elsewhere), 1)
		require.Len(t, m.Stats().Subscriptions, len(m.Stats().Subscriptions))
		for range s.Channels() {
		}
		require.False(t, isClosed(sent))
		drain(m)
		<-sent
		require.Equal(t, []int{2}, drained(other), "who subscribed while it waited")
		require.NoError(t, other.Unsubscribe(ref))
	})
}

// P7: a handler with a Block mailbox that sends to its own channel when it is full would wait for
// itself; with SendContext it need not for ever.
func TestBlockOnOneself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := earshot.NewChannel[int](s, "x", &earshot.ChannelOptions{MayBlock: true})
		var failed error
		_, err := c.Handle(t.Context(), func(ctx context.Context, msg earshot.Message[int]) error {
			if msg.Event == 1 {
				for failed == nil {
					ctx, cancel := context.WithTimeout(ctx, time.Second)
					failed = c.SendContext(ctx, 2)
					cancel()
				}
			}
			return nil
		}, &earshot.SpawnOptions{Capacity: 8, Overflow: earshot.Block})
		require.NoError(t, err)
		c.Send(1)
		settle(t, s)
		require.True(t, errors.Is(failed, context.DeadlineExceeded), "%v", failed)
	})
}
