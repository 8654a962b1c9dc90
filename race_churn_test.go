package earshot_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// TestContextEndsMeanwhile: a context that ends during NewMailbox, Subscribe, Handle, a send or Close
// leaves no half of a subscription behind, and tells who monitors it once.
func TestContextEndsMeanwhile(t *testing.T) {
	seed := testSeed(t)
	rng := rand.New(rand.NewPCG(seed, 0))
	s := earshot.NewServer(nil)
	c := earshot.NewChannel[int](s, "x", nil)
	cause := errors.New("cause")
	for i := range often(20_000) {
		ctx, cancel := context.WithCancelCause(t.Context())
		var wg sync.WaitGroup
		yields := rng.IntN(4)
		wg.Go(func() {
			for range yields {
				runtime.Gosched()
			}
			cancel(cause)
		})
		var ref earshot.Ref
		var err error
		switch rng.IntN(3) {
		case 0:
			m := earshot.NewMailbox[int](ctx, s, nil)
			if ref, err = m.Subscribe("x"); err == nil {
				c.Send(i)
				m.TryReceive()
			}
		case 1:
			m := earshot.NewMailbox[any](ctx, s, nil)
			if ref, err = m.SubscribePattern("*"); err == nil {
				c.Send(i)
				m.Close()
			}
		case 2:
			ref, err = c.Handle(ctx, func(ctx context.Context, _ earshot.Message[int]) error { return ctx.Err() }, nil)
			c.Send(i)
		}
		wg.Wait()
		if err != nil {
			require.ErrorIs(t, err, cause)
			continue
		}
		d := <-s.Monitor(ref)
		if !errors.Is(d.Reason, cause) && !errors.Is(d.Reason, earshot.ErrClosed) && !errors.Is(d.Reason, context.Canceled) {
			t.Fatalf("turn %d: %v", i, d)
		}
	}
	for st := range s.Subscriptions() {
		t.Errorf("left: %+v", st)
	}
	require.False(t, c.Listening())
	require.NoError(t, s.Shutdown(soon(t)))
}

// TestContextEndsABlockedSend: a send that waits for room ends with its context and has not been sent.
func TestContextEndsABlockedSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := earshot.NewServer(nil)
		c := earshot.NewChannel[int](s, "x", &earshot.ChannelOptions{MayBlock: true})
		m := earshot.NewMailbox[int](t.Context(), s, &earshot.MailboxOptions{Overflow: earshot.Block, Capacity: 2})
		ref, err := c.Subscribe(m)
		require.NoError(t, err)
		c.Send(1)
		c.Send(2)
		cause := errors.New("cause")
		ctx, cancel := context.WithCancelCause(t.Context())
		sent := make(chan error, 1)
		go func() { sent <- c.SendContext(ctx, 3) }()
		synctest.Wait()
		require.Empty(t, sent)
		cancel(cause)
		require.Equal(t, cause, <-sent)
		go func() { c.Send(4); sent <- nil }()
		synctest.Wait()
		require.Empty(t, sent)
		require.NoError(t, m.Unsubscribe(ref)) // what nobody waits for any more need not wait
		require.NoError(t, <-sent)
		require.Equal(t, uint64(2), m.Stats().Discarded)
	})
}

// TestCloseWithAMillion: what was not received when a mailbox ends is counted, to the last, whichever
// way it was kept.
func TestCloseWithAMillion(t *testing.T) {
	n := often(1_000_000)
	s := earshot.NewServer(nil)
	direct := earshot.NewMailbox[int](t.Context(), s, &earshot.MailboxOptions{Overflow: earshot.Unbounded})
	boxed := earshot.NewMailbox[any](t.Context(), s, &earshot.MailboxOptions{Overflow: earshot.Unbounded})
	copied := earshot.NewMailbox[int](t.Context(), s, &earshot.MailboxOptions{Overflow: earshot.Unbounded})
	for _, subscribe := range []func(any) (earshot.Ref, error){direct.Subscribe, boxed.Subscribe, copied.Subscribe, copied.Subscribe} {
		_, err := subscribe("x")
		require.NoError(t, err)
	}
	for i := range n {
		earshot.SendEvent(s, "x", i)
	}
	for i := range 10 {
		msg, ok := direct.TryReceive()
		require.True(t, ok)
		require.Equal(t, i, msg.Event)
	}
	for msg := range boxed.Messages(t.Context()) {
		if msg.Seq == 10 {
			break
		}
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		direct.Close()
		boxed.Close()
		s.Close()
	}()
	select {
	case <-closed:
	case <-soon(t).Done():
		t.Fatal("Close does not return")
	}
	for name, c := range map[string]struct {
		st                earshot.MailboxStats
		offered, received int
	}{
		"direct": {direct.Stats(), n, 10},
		"boxed":  {boxed.Stats(), n, 10},
		"copied": {copied.Stats(), 2 * n, 0},
	} {
		require.Equal(t, uint64(c.offered), c.st.Offered, name)
		require.Equal(t, uint64(c.received), c.st.Received, name)
		require.Equal(t, uint64(c.offered-c.received), c.st.Discarded, name)
		require.Zero(t, c.st.Depth+int(c.st.Missed+c.st.Mismatched), name)
	}
	require.ErrorIs(t, copied.Err(), earshot.ErrServerClosed)
}

// TestChurnDuringSends: who stays is not disturbed by any number of others that come and go.
func TestChurnDuringSends(t *testing.T) {
	s := earshot.NewServer(nil)
	c := earshot.NewChannel[int](s, "x", &earshot.ChannelOptions{MayBlock: true})
	stay := earshot.NewMailbox[int](t.Context(), s, &earshot.MailboxOptions{Overflow: earshot.Block, Capacity: 64})
	_, err := c.Subscribe(stay)
	require.NoError(t, err)
	n := often(200_000)
	var stop atomic.Bool
	var churns sync.WaitGroup
	for i := range 3 {
		churns.Go(func() {
			for !stop.Load() {
				ctx, cancel := context.WithCancel(context.Background())
				opts := &earshot.MailboxOptions{Overflow: earshot.Overflow(i), Capacity: 4}
				if i == 0 { // of any type: from now on events are boxed
					m := earshot.NewMailbox[any](ctx, s, opts)
					m.Subscribe("x")
					m.TryReceive()
				} else {
					m := earshot.NewMailbox[int](ctx, s, opts)
					m.Subscribe("x")
					m.TryReceive()
					m.Close()
				}
				cancel()
				runtime.Gosched() // on one processor, too, this is not about who gets it
			}
		})
	}
	go func() {
		for i := range n {
			c.Send(i)
		}
	}()
	ctx := soon(t)
	for i := range n {
		msg, err := stay.Receive(ctx)
		require.NoError(t, err)
		require.Equal(t, i, msg.Event)
		require.Equal(t, uint64(i+1), msg.Seq)
	}
	stop.Store(true)
	churns.Wait()
	require.NoError(t, s.Shutdown(ctx))
}

// TestPatternAndNewNames: a pattern hears names that were there before it, those that come later, and
// those that come to life at the same moment, by a send or by a subscriber, exactly once.
func TestPatternAndNewNames(t *testing.T) {
	for i := range often(2000) {
		s := earshot.NewServer(nil)
		early := earshot.NewMailbox[int](t.Context(), s, nil)
		_, err := early.Subscribe("db.early")
		require.NoError(t, err)
		declared := earshot.NewChannel[int](s, "db.declared", nil)
		tap := earshot.NewMailbox[any](t.Context(), s, nil)
		installed := make(chan struct{})
		var wg sync.WaitGroup
		names := []string{"db.early", "db.declared", "db.sent", "db.heard"}
		for i, name := range names {
			wg.Go(func() {
				if i == 3 {
					m := earshot.NewMailbox[int](t.Context(), s, nil)
					if _, err := m.Subscribe(name); err != nil {
						t.Errorf("Subscribe = %v", err)
					}
					defer m.Close()
				}
				for k := range 20 { // before, while and after: the last ten certainly after
					if k == 10 {
						<-installed
					}
					if i == 1 {
						declared.Send(k)
					} else {
						earshot.SendEvent(s, name, k)
					}
				}
			})
		}
		ref, err := tap.SubscribePattern("db.*")
		require.NoError(t, err)
		close(installed)
		wg.Wait()
		got := map[any][]int{}
		seqs := map[any]uint64{}
		for {
			channel, msg, ok := tap.TryReceiveNamed()
			if !ok {
				break
			}
			require.Equal(t, ref, msg.Ref)
			require.Greater(t, msg.Seq, seqs[channel], "turn %d: %v", i, channel)
			seqs[channel] = msg.Seq
			got[channel] = append(got[channel], msg.Event.(int))
		}
		for _, name := range names {
			events := got[name]
			require.GreaterOrEqual(t, len(events), 10, "turn %d: %s: %v", i, name, events)
			for k, e := range events {
				require.Equal(t, 20-len(events)+k, e, "turn %d: %s: %v", i, name, events)
			}
		}
		require.NoError(t, tap.Unsubscribe(ref))
		early.Close()
		for st := range s.Channels() {
			require.False(t, st.Live, fmt.Sprint(st.Name))
		}
	}
}

// TestNamesComeAndGo: a hundred thousand names that were each heard for a moment leave nothing (P8, P9).
func TestNamesComeAndGo(t *testing.T) {
	s := earshot.NewServer(nil)
	m := earshot.NewMailbox[int](t.Context(), s, nil)
	channels := func() (n int) {
		for range s.Channels() {
			n++
		}
		return n
	}
	before := channels()
	for i := range often(100_000) {
		ref, err := m.Subscribe(fmt.Sprint("name.", i))
		require.NoError(t, err)
		require.NoError(t, m.Unsubscribe(ref))
	}
	require.Equal(t, before, channels())
}
