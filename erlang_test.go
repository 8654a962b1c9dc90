package earshot_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// couch_events, of which earshot is a port, promised what these tests check. No published version of
// it kept all of these promises; the comments say what it did instead.

// The last unsubscribe crashed the server and left the name behind, so that the next subscribe failed. P9
func TestOriginal1LastUnsubscribe(t *testing.T) {
	s := newServer(t)
	bystander, _ := listen[int](t, s, "another", nil)
	m := newMailbox[int](t, s, nil)
	for i := range 100 {
		ref := subscribe(t, m, "x")
		require.NoError(t, s.Unsubscribe(ref))
		_, known := stats(s, "x")
		require.False(t, known, "the name of a channel that has gone")
		subscribe(t, m, "x")
		earshot.SendEvent(s, "x", i)
		require.Equal(t, []int{i}, drained(m))
		m.Close()
		m = newMailbox[int](t, s, nil)
	}
	earshot.SendEvent(s, "another", 1)
	require.Len(t, drain(bystander), 1, "a channel that had nothing to do with it")
}

// Two first subscribers at a time made two channels, and one of them never heard anything. P9, COR-02
func TestOriginal2RacingFirstSubscribers(t *testing.T) {
	s := newServer(t)
	a, b := newMailbox[int](t, s, nil), newMailbox[int](t, s, nil)
	for i := range 2000 {
		var refs [2]earshot.Ref
		var both sync.WaitGroup
		start := make(chan struct{})
		both.Go(func() { <-start; refs[0], _ = a.Subscribe("x") })
		both.Go(func() { <-start; refs[1], _ = b.Subscribe("x") })
		close(start)
		both.Wait()
		earshot.SendEvent(s, "x", i)
		require.Equal(t, []int{i}, drained(a), "round %d", i)
		require.Equal(t, []int{i}, drained(b), "round %d", i)
		require.NoError(t, s.Unsubscribe(refs[0]))
		require.True(t, s.Listening("x"))
		require.NoError(t, s.Unsubscribe(refs[1]))
		require.False(t, s.Listening("x"))
	}
}

// Unsubscribing had no effect while others remained, and went by subscriber instead of by Ref. COR-03, P4
func TestOriginal3UnsubscribeWhileOthersRemain(t *testing.T) {
	s := newServer(t)
	m := newMailbox[int](t, s, nil)
	var refs []earshot.Ref
	for range 5 {
		refs = append(refs, subscribe(t, m, "x"))
	}
	receivers := func() (got []earshot.Ref) {
		earshot.SendEvent(s, "x", 1)
		for _, msg := range drain(m) {
			got = append(got, msg.Ref)
		}
		return got
	}
	require.ElementsMatch(t, refs, receivers())
	require.NoError(t, m.Unsubscribe(refs[2]))
	require.ElementsMatch(t, []earshot.Ref{refs[0], refs[1], refs[3], refs[4]}, receivers())
	require.NoError(t, m.Unsubscribe(refs[0]))
	require.NoError(t, m.Unsubscribe(refs[4]))
	require.ElementsMatch(t, []earshot.Ref{refs[1], refs[3]}, receivers())
	require.NoError(t, m.Unsubscribe(refs[2]), "again")
	require.ElementsMatch(t, []earshot.Ref{refs[1], refs[3]}, receivers())
}

// One crashing subscriber killed the channel and, through links, all the others. P6, COR-11
func TestOriginal4CrashingSubscriber(t *testing.T) {
	for name, ending := range endings {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			c := earshot.NewChannel[int](s, "x", nil)
			healthy, _ := listen[int](t, s, "x", nil)
			handled := make(chan int, 10)
			survivor, err := c.Handle(t.Context(), func(_ context.Context, msg earshot.Message[int]) error {
				handled <- msg.Event
				return nil
			}, nil)
			require.NoError(t, err)
			crashing, err := c.Handle(t.Context(), func(context.Context, earshot.Message[int]) error { return ending.end() }, nil)
			require.NoError(t, err)
			down := s.Monitor(survivor)
			c.Send(1)
			oneDown(t, s.Monitor(crashing))
			c.Send(2)
			require.Equal(t, 1, await(t, handled, "the other handler"))
			require.Equal(t, 2, await(t, handled, "the other handler"))
			require.Equal(t, []int{1, 2}, drained(healthy))
			require.False(t, isClosed(down), "the other handler has ended too")
			st, _ := stats(s, "x")
			require.Equal(t, 2, st.Subscribers)
		})
	}
}

// A subscribe that came while the last unsubscribe was at work joined a channel that was dying. P9, COR-05
func TestOriginal5SubscribeRacingTheLastUnsubscribe(t *testing.T) {
	for name, leave := range map[string]func(*earshot.Server, *earshot.Mailbox[int], earshot.Ref, context.CancelFunc){
		"Unsubscribe": func(s *earshot.Server, _ *earshot.Mailbox[int], ref earshot.Ref, _ context.CancelFunc) {
			s.Unsubscribe(ref)
		},
		"Close":   func(_ *earshot.Server, m *earshot.Mailbox[int], _ earshot.Ref, _ context.CancelFunc) { m.Close() },
		"context": func(_ *earshot.Server, _ *earshot.Mailbox[int], _ earshot.Ref, cancel context.CancelFunc) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			c := earshot.NewChannel[int](s, "x", nil)
			for i := range 1000 {
				ctx, cancel := context.WithCancel(context.Background())
				old := earshot.NewMailbox[int](ctx, s, nil)
				ref := subscribe(t, old, "x")
				gone := s.Monitor(ref)
				fresh := newMailbox[int](t, s, nil)
				var both sync.WaitGroup
				start := make(chan struct{})
				both.Go(func() { <-start; leave(s, old, ref, cancel) })
				both.Go(func() { <-start; fresh.Subscribe("x") })
				close(start)
				both.Wait()
				c.Send(i)
				require.Equal(t, []int{i}, drained(fresh), "round %d: the one that came", i)
				await(t, gone, "Down")
				c.Send(i)
				require.Equal(t, []int{i}, drained(fresh), "round %d: after the other has gone for sure", i)
				fresh.Close()
				require.False(t, c.Listening())
				cancel()
			}
		})
	}
}

// The macro looked for something else than the function had stored, and never sent. Here, all ways to
// send to a name are one. P1
func TestOriginal6MacroAndFunctionAreOnePath(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[int](s, "x", nil)
	ways := []func(int){
		c.Send,
		func(n int) { earshot.SendEvent(s, "x", n) },
		func(n int) { earshot.SendEvent[any](s, "x", n) },
		func(n int) { earshot.SendEvent[string, any](s, "x", n) },
		func(n int) { c.SendFunc(func() int { return n }) },
		func(n int) { require.NoError(t, c.SendContext(t.Context(), n)) },
		func(n int) { earshot.NewChannel[int](s, "x", nil).Send(n) },
	}
	send := func() {
		for i, way := range ways {
			way(i)
		}
	}
	send() // to nobody
	boxes := []*earshot.Mailbox[int]{newMailbox[int](t, s, nil), newMailbox[int](t, s, nil)}
	subscribe(t, boxes[0], "x")
	_, err := c.Subscribe(boxes[1])
	require.NoError(t, err)
	untyped, _ := listen[any](t, s, "x", nil)
	send()
	for _, m := range boxes {
		require.Equal(t, upTo(0, len(ways)-1), drained(m))
	}
	require.Len(t, drain(untyped), len(ways))
	require.True(t, c.Listening() && s.Listening("x"))
}

// With no channel left the table was deleted, and the state in which nobody listens was the slowest
// of all. P8
func TestOriginal7NoChannelsLeft(t *testing.T) {
	s := newServer(t)
	m := newMailbox[any](t, s, nil)
	allocsNothing(t, s, "before the first subscribe")
	for range 3 {
		refs := []earshot.Ref{subscribe(t, m, "x"), subscribe(t, m, 7)}
		for _, ref := range refs {
			require.NoError(t, s.Unsubscribe(ref))
		}
		for range s.Channels() {
		}
		allocsNothing(t, s, "after the last unsubscribe")
		require.False(t, s.Listening("x"))
		require.False(t, s.Listening(7))
	}
}

// "Any arbitrary term" could be a name, said the manual; a pid, a reference or a function broke the
// server. Here, what can be compared works and the rest is refused, and neither breaks anything.
func TestOriginal8AnyTermAsAName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		bystander, _ := listen[int](t, s, "another", nil)
		ch, ptr := make(chan int), new(int)
		for _, name := range []any{"db", 1, 2.5, [2]string{"db", "created"}, ch, ptr, struct{ db, event string }{"a", "b"}} {
			m, _ := listen[int](t, s, name, nil)
			earshot.SendEvent(s, name, 1)
			require.Len(t, drain(m), 1, "%T", name)
			m.Close()
		}
		for what, name := range badNames {
			_, err := bystander.Subscribe(name)
			require.ErrorIs(t, err, earshot.ErrBadName, what)
			require.False(t, s.Listening(name), what)
		}
		earshot.SendEvent(s, "another", 1)
		require.Len(t, drain(bystander), 1)
	})
}
