package earshot_test

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// P9: a channel is there from the first subscribe to the last leave, and not a moment longer.
func TestP9_ChannelLivesWhileSomebodySubscribes(t *testing.T) {
	s := newServer(t)
	declared := earshot.NewChannel[int](s, "declared", &earshot.ChannelOptions{Doc: "numbers"})
	for _, name := range []any{"undeclared", "declared", 7} {
		require.False(t, s.Listening(name))
		a, ref := listen[int](t, s, name, nil)
		b, _ := listen[int](t, s, name, nil)
		st, ok := stats(s, name)
		require.True(t, ok)
		require.True(t, st.Live)
		require.Equal(t, 2, st.Subscribers)
		require.NoError(t, s.Unsubscribe(ref))
		require.True(t, s.Listening(name))
		b.Close()
		require.False(t, s.Listening(name), "after the last one left")
		st, ok = stats(s, name)
		require.False(t, st.Live)
		require.Equal(t, name == any("declared"), ok, "only a declared channel is listed when it is not live")
		a.Close()
	}
	require.False(t, declared.Listening())
	st, _ := stats(s, "declared")
	require.Equal(t, "numbers", st.Doc)
	require.Equal(t, "int", st.Type.String())
}

// P9, COR-01: leave and come back, often: each time the channel is live and delivers.
func TestP9_ResubscribeEqualsSubscribe(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[int](s, "x", nil)
	m := newMailbox[int](t, s, nil)
	for i := range 20000 {
		c.Send(-1)
		ref, err := c.Subscribe(m)
		require.NoError(t, err)
		c.Send(i)
		msg, ok := m.TryReceive()
		if !ok || msg.Event != i || msg.Seq != 1 || msg.Ref != ref || msg.Missed != 0 {
			t.Fatalf("round %d: got %+v, %v", i, msg, ok)
		}
		require.NoError(t, m.Unsubscribe(ref))
		require.False(t, c.Listening())
	}
}

// P9, COR-05: a subscribe that races with the last leave gets a channel that lives.
func TestP9_SubscribeRacingTheLastLeave(t *testing.T) {
	s := newServer(t)
	earshot.NewChannel[int](s, "x", nil)
	a, b := newMailbox[int](t, s, nil), newMailbox[int](t, s, nil)
	for i := range 3000 {
		old := subscribe(t, a, "x")
		var fresh earshot.Ref
		var both sync.WaitGroup
		start := make(chan struct{})
		both.Go(func() { <-start; a.Unsubscribe(old) })
		both.Go(func() { <-start; fresh, _ = b.Subscribe("x") })
		close(start)
		both.Wait()
		earshot.SendEvent(s, "x", i)
		msg, ok := b.TryReceive()
		if !ok || msg.Event != i || msg.Ref != fresh {
			t.Fatalf("round %d: got %+v, %v, want the event by %v", i, msg, ok, fresh)
		}
		_, ok = a.TryReceive()
		require.False(t, ok, "P4: a message after Unsubscribe")
		require.NoError(t, b.Unsubscribe(fresh))
	}
}

// P9, COR-02: of 64 first subscribers at a time, one opens the channel and all are in it.
func TestP9_RacingFirstSubscribers(t *testing.T) {
	s := newServer(t)
	for round := range 50 {
		boxes := make([]*earshot.Mailbox[int], 64)
		for i := range boxes {
			boxes[i] = earshot.NewMailbox[int](t.Context(), s, nil)
		}
		var all sync.WaitGroup
		start := make(chan struct{})
		for _, m := range boxes {
			all.Go(func() { <-start; m.Subscribe("x") })
		}
		close(start)
		all.Wait()
		st, _ := stats(s, "x")
		require.Equal(t, 64, st.Subscribers)
		earshot.SendEvent(s, "x", round)
		for i, m := range boxes {
			msg, ok := m.TryReceive()
			require.True(t, ok && msg.Event == round && msg.Seq == 1, "round %d: subscriber %d got %+v, %v", round, i, msg, ok)
			m.Close()
		}
		require.False(t, s.Listening("x"))
	}
}

// The ways in which a subscriber ends, what it leaves behind (nothing), and the reason that is told.
func TestP9_WaysToEnd(t *testing.T) {
	cause := errors.New("had enough")
	type parts struct {
		s      *earshot.Server
		m      *earshot.Mailbox[int]
		ref    earshot.Ref
		cancel context.CancelCauseFunc
	}
	for name, test := range map[string]struct {
		end     func(parts)
		reason  error
		boxEnds bool
	}{
		"Server.Unsubscribe":  {func(p parts) { p.s.Unsubscribe(p.ref) }, earshot.ErrUnsubscribed, false},
		"Mailbox.Unsubscribe": {func(p parts) { p.m.Unsubscribe(p.ref) }, earshot.ErrUnsubscribed, false},
		"Mailbox.Close":       {func(p parts) { p.m.Close() }, earshot.ErrClosed, true},
		"context":             {func(p parts) { p.cancel(cause) }, cause, true},
		"context, no cause":   {func(p parts) { p.cancel(nil) }, context.Canceled, true},
		"Server.Close":        {func(p parts) { p.s.Close() }, earshot.ErrServerClosed, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				earshot.NewChannel[int](s, "x", nil)
				ctx, cancel := context.WithCancelCause(t.Context())
				m := earshot.NewMailbox[int](ctx, s, nil)
				ref := subscribe(t, m, "x")
				down := s.Monitor(ref)
				sendInts(s, "x", 1, 3)
				require.Equal(t, 1, receive(t, m).Event)

				test.end(parts{s, m, ref, cancel})
				synctest.Wait()
				require.False(t, s.Listening("x"))
				require.Equal(t, test.reason, (<-down).Reason)
				_, ok := m.TryReceive()
				require.False(t, ok, "P4: a message after the end")
				require.Equal(t, test.boxEnds, isClosed(m.Done()))
				if test.boxEnds {
					require.Equal(t, test.reason, m.Err())
					_, err := m.Receive(t.Context())
					require.Equal(t, test.reason, err)
					_, err = m.Subscribe("x")
					require.ErrorIs(t, err, test.reason)
				} else {
					require.NoError(t, m.Err())
					subscribe(t, m, "x")
					m.Close()
				}
				st := m.Stats()
				require.Equal(t, uint64(2), st.Discarded)
				cancel(nil)
			})
		})
	}
}

// P4: of several subscriptions of one mailbox, ending one takes out its messages and no others.
func TestP4_OthersStayInTheMailbox(t *testing.T) {
	s := newServer(t)
	m := newMailbox[int](t, s, nil)
	x, y := subscribe(t, m, "x"), subscribe(t, m, "y")
	for i := range 20 {
		earshot.SendEvent(s, "x", i)
		earshot.SendEvent(s, "y", 100+i)
	}
	require.NoError(t, s.Unsubscribe(x))
	for i, msg := range drain(m) {
		require.Equal(t, y, msg.Ref)
		require.Equal(t, 100+i, msg.Event)
	}
	st := m.Stats()
	require.Equal(t, uint64(20), st.Received)
	require.Equal(t, uint64(20), st.Discarded)
}

// COR-12: a context that ends while Subscribe is at work leaves nothing half registered.
func TestCOR12_ContextEndsDuringSubscribe(t *testing.T) {
	s := newServer(t)
	for range 2000 {
		ctx, cancel := context.WithCancel(context.Background())
		go cancel()
		m := earshot.NewMailbox[int](ctx, s, nil)
		if ref, err := m.Subscribe("x"); err == nil {
			require.ErrorIs(t, await(t, s.Monitor(ref), "Down").Reason, context.Canceled)
		} else {
			require.ErrorIs(t, err, context.Canceled)
			await(t, m.Done(), "Done")
		}
	}
	require.False(t, s.Listening("x"))
	for sub := range s.Subscriptions() {
		t.Errorf("left over: %+v", sub)
	}
}

// COR-10, P9: names that come and go leave nothing, not even when many live at a time.
func TestCOR10_ManyChannelsComeAndGo(t *testing.T) {
	s := newServer(t)
	heap := heapInUse()
	m := newMailbox[int](t, s, nil)
	refs := make([]earshot.Ref, 20000)
	for i := range refs {
		refs[i] = subscribe(t, m, "channel "+strconv.Itoa(i))
	}
	for _, ref := range refs {
		require.NoError(t, m.Unsubscribe(ref))
	}
	refs = nil
	for c := range s.Channels() {
		require.True(t, c.Declared, "left over: %+v", c)
	}
	require.Less(t, heapInUse(), heap+256<<10)
	runtime.KeepAlive(m)
}

// heapInUse returns the bytes that are reachable, and those of objects with a cleanup of their own.
func heapInUse() uint64 {
	for range 3 { // cleanups run between two collections
		runtime.GC()
	}
	var st runtime.MemStats
	runtime.ReadMemStats(&st)
	return st.HeapAlloc
}
