package earshot_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// oneDown receives the only Down of a monitor, and its close.
func oneDown(t testing.TB, monitor <-chan earshot.Down) earshot.Down {
	t.Helper()
	d := await(t, monitor, "Down")
	_, more := <-monitor
	require.False(t, more, "a second Down")
	return d
}

// P5, COR-15: monitors on the living, the dead, and what never was.
func TestP5_MonitorTargets(t *testing.T) {
	s, other := newServer(t), newServer(t)
	m, ref := listen[int](t, s, "x", &earshot.MailboxOptions{Name: "reader"})
	before := s.Monitor(ref)
	again := s.Monitor(ref)
	require.False(t, isClosed(before), "Down of a living subscription")
	require.NoError(t, s.Unsubscribe(ref))
	want := earshot.Down{Ref: ref, Channel: "x", Subscriber: "reader", Reason: earshot.ErrUnsubscribed}
	require.Equal(t, want, oneDown(t, before))
	require.Equal(t, want, oneDown(t, again))
	require.Equal(t, want, oneDown(t, s.Monitor(ref)), "of a dead subscription")
	m.Close()
	require.Equal(t, want, oneDown(t, s.Monitor(ref)), "the first reason stays")
	m, ref = listen[int](t, s, "x", nil)
	m.Close()
	require.NoError(t, s.Unsubscribe(ref))
	require.Equal(t, earshot.ErrClosed, oneDown(t, s.Monitor(ref)).Reason, "the first reason stays")

	require.ErrorIs(t, oneDown(t, s.Monitor(earshot.Ref{})).Reason, earshot.ErrUnknownRef)
	_, foreign := listen[int](t, other, "x", nil)
	require.ErrorIs(t, oneDown(t, s.Monitor(foreign)).Reason, earshot.ErrUnknownRef)
	require.True(t, other.Listening("x"), "monitoring a foreign Ref did something to it")
}

// P5: the subscriber that nobody named is named by where it was made.
func TestP5_DownNamesTheSubscriber(t *testing.T) {
	s := newServer(t)
	m := earshot.NewMailbox[int](t.Context(), s, nil)
	ref := subscribe(t, m, 3)
	m.Close()
	d := oneDown(t, s.Monitor(ref))
	require.Regexp(t, `/monitor_test\.go:\d+$`, d.Subscriber)
	require.Equal(t, 3, d.Channel)
}

// P5: the Down comes after the last event: for a handler, when it has returned.
func TestP5_DownComesAfterTheLastEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := earshot.NewChannel[int](s, "x", nil)
		release := make(chan struct{})
		busy := false
		ref, err := c.Handle(t.Context(), func(context.Context, earshot.Message[int]) error {
			busy = true
			<-release
			busy = false
			return nil
		}, nil)
		require.NoError(t, err)
		early := s.Monitor(ref)
		c.Send(1)
		synctest.Wait()
		require.NoError(t, s.Unsubscribe(ref))
		require.False(t, c.Listening(), "the channel does not wait for the handler")
		late := s.Monitor(ref)
		synctest.Wait()
		require.True(t, busy)
		require.False(t, isClosed(early), "Down while the handler is at work")
		require.False(t, isClosed(late), "Down while the handler is at work")
		close(release)
		for _, monitor := range []<-chan earshot.Down{early, late} {
			require.Equal(t, earshot.ErrUnsubscribed, oneDown(t, monitor).Reason)
			require.False(t, busy)
		}
	})
}

// P5, COR-15: a handler may monitor itself.
func TestP5_MonitorSelf(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[int](s, "x", nil)
	failure := errors.New("that was it")
	monitors := make(chan (<-chan earshot.Down), 1)
	_, err := c.Handle(t.Context(), func(_ context.Context, msg earshot.Message[int]) error {
		monitors <- s.Monitor(msg.Ref)
		return failure
	}, nil)
	require.NoError(t, err)
	c.Send(1)
	require.Equal(t, failure, oneDown(t, await(t, monitors, "the handler")).Reason)
}

// P5, COR-17: one subscriber dies, and each of many monitors is told once.
func TestCOR17_ManyMonitorsOfOne(t *testing.T) {
	s := newServer(t)
	m := newMailbox[int](t, s, nil)
	refs := []earshot.Ref{subscribe(t, m, "x"), subscribe(t, m, "y")}
	var monitors []<-chan earshot.Down
	for i := range 10000 {
		monitors = append(monitors, s.Monitor(refs[i%2]))
	}
	m.Close()
	for i, monitor := range monitors {
		d := oneDown(t, monitor)
		require.Equal(t, refs[i%2], d.Ref)
		require.Equal(t, earshot.ErrClosed, d.Reason)
	}
}

// P5: a monitor set up while its target ends gets its Down too, and all agree on the reason.
func TestP5_MonitorRacingTheEnd(t *testing.T) {
	s := newServer(t)
	for range 1000 {
		m, ref := listen[int](t, s, "x", nil)
		monitors := make(chan (<-chan earshot.Down), 12)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				for range 4 {
					monitors <- s.Monitor(ref)
					runtime.Gosched()
				}
			})
		}
		all.Go(func() { m.Close() })
		all.Go(func() { s.Unsubscribe(ref) })
		all.Wait()
		var reason error
		for range 12 {
			d := oneDown(t, <-monitors)
			if reason == nil {
				reason = d.Reason
			}
			require.Equal(t, reason, d.Reason)
		}
	}
}

// A monitor that nobody reads any more costs its subscriber nothing.
func TestP5_ForgottenMonitor(t *testing.T) {
	s := newServer(t)
	m, ref := listen[int](t, s, "x", nil)
	for range 100 {
		s.Monitor(ref)
	}
	finishes(t, "Close with monitors that nobody reads", func() { m.Close() })
}

func TestRef(t *testing.T) {
	s := newServer(t)
	m := newMailbox[int](t, s, nil)
	a, b := subscribe(t, m, "x"), subscribe(t, m, "x")
	require.NotEqual(t, a, b, "Refs of two subscriptions to one name")
	require.NotEqual(t, a.String(), b.String())
	require.Equal(t, map[earshot.Ref]int{a: 1, b: 2, {}: 3}, map[earshot.Ref]int{{}: 3, b: 2, a: 1})
	earshot.SendEvent(s, "x", 1)
	require.Len(t, drain(m), 2)
}
