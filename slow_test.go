package earshot_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// SLO-08: a subscriber that stops receiving is named within a second, by where it subscribed.
func TestSLO08_SlowIsNamedWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		slow, _ := listen[earshot.Slow](t, s, earshot.SlowChannel, nil)
		time.Sleep(time.Hour)
		c := earshot.NewChannel[int](s, "x", nil)
		m := newMailbox[int](t, s, nil)
		site := nextLine()
		ref, err := c.Subscribe(m)
		require.NoError(t, err)
		time.Sleep(time.Hour)
		sendInts(s, "x", 1, 5000) // more than fit
		sent := time.Now()
		e := receive(t, slow).Event
		require.LessOrEqual(t, time.Since(sent), time.Second)
		require.Equal(t, ref, e.Ref)
		require.Equal(t, "x", e.Channel)
		require.Contains(t, e.Site, site, "where it subscribed")
		require.Contains(t, e.Subscriber, "/main_test.go:", "where the mailbox was made")
		require.Equal(t, 4096, e.Depth)
		require.Equal(t, uint64(5000-4096), e.Missed)
		require.GreaterOrEqual(t, e.Running, 500*time.Millisecond)
		require.LessOrEqual(t, e.Running, time.Second)
		require.False(t, e.Recovered)

		time.Sleep(time.Minute)
		require.Empty(t, drained(slow), "it is named once")
	})
}

// SLO-08: so is a handler that does not return, though nothing waits behind the event in its hands.
func TestSLO08_SlowHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		slow, _ := listen[earshot.Slow](t, s, earshot.SlowChannel, nil)
		c := earshot.NewChannel[int](s, "x", nil)
		site := nextLine()
		_, err := c.Handle(t.Context(), func(ctx context.Context, _ earshot.Message[int]) error {
			time.Sleep(5 * time.Second)
			return nil
		}, &earshot.SpawnOptions{Name: "sleeper"})
		require.NoError(t, err)
		c.Send(1)
		sent := time.Now()
		e := receive(t, slow).Event
		require.LessOrEqual(t, time.Since(sent), time.Second)
		require.Equal(t, "sleeper", e.Subscriber)
		require.Contains(t, e.Site, site)
		require.False(t, e.Recovered)

		e = receive(t, slow).Event
		require.True(t, e.Recovered)
		require.Equal(t, "sleeper", e.Subscriber)
		require.InDelta(t, 5*time.Second, time.Since(sent), float64(time.Second))
		time.Sleep(time.Minute)
		require.Empty(t, drained(slow), "an idle handler is not slow")
	})
}

// SLO-07, SLO-03: recovered is told once for each time slow was; those who only take their time are not named.
func TestSLO07_Recovered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		slow, _ := listen[earshot.Slow](t, s, earshot.SlowChannel, nil)
		stuck, ref := listen[int](t, s, "x", &earshot.MailboxOptions{Name: "stuck"})
		unhurried, _ := listen[int](t, s, "x", &earshot.MailboxOptions{Name: "unhurried"})
		for range 3 {
			sendInts(s, "x", 1, 20)
			for range 20 {
				time.Sleep(300 * time.Millisecond)
				receive(t, unhurried)
			}
			e := receive(t, slow).Event
			require.Equal(t, ref, e.Ref)
			require.False(t, e.Recovered)
			require.Equal(t, 20, e.Depth)
			synctest.Wait() // the watch looks at this moment too
			drain(stuck)
			e = receive(t, slow).Event
			require.Equal(t, ref, e.Ref)
			require.True(t, e.Recovered)
			require.Zero(t, e.Depth)
		}
		require.Empty(t, drained(slow))
	})
}

// A ring mailbox and one by a pattern are watched too; the server's own subscribers are not.
func TestSlowKindsOfSubscribers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		slow, _ := listen[earshot.Slow](t, s, earshot.SlowChannel, nil)
		listen[earshot.Slow](t, s, earshot.SlowChannel, nil) // never reads
		listen[earshot.Lifecycle](t, s, earshot.LifecycleChannel, nil)
		ring := newMailbox[int](t, s, &earshot.MailboxOptions{Name: "ring"})
		subscribe(t, ring, "y")
		quiet, x := ring, subscribe(t, ring, "x")
		_, tap := listenPattern[any](t, s, "*", &earshot.MailboxOptions{Name: "tap"})
		sendInts(s, "x", 1, 1)
		time.Sleep(time.Minute)
		refs := map[earshot.Ref]any{}
		for _, e := range drained(slow) {
			refs[e.Ref] = e.Channel
		}
		require.Equal(t, map[earshot.Ref]any{x: "x", tap: "*"}, refs)
		synctest.Wait() // the watch looks at this moment too
		quiet.Close()
		time.Sleep(time.Minute)
		require.Empty(t, drained(slow), "who has left has not recovered")
	})
}

// P8: while nobody listens for slow ones, nothing watches.
func TestSlowWatchRunsOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := serverGoroutines()
		s := newServer(t)
		m, _ := listen[int](t, s, "x", nil)
		sendInts(s, "x", 1, 10)
		time.Sleep(time.Minute)
		require.Equal(t, before, serverGoroutines(), "goroutines with a slow subscriber and nobody to tell")
		slow, ref := listen[earshot.Slow](t, s, earshot.SlowChannel, nil)
		require.Equal(t, "x", receive(t, slow).Event.Channel)
		require.NoError(t, s.Unsubscribe(ref))
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, before, serverGoroutines(), "goroutines after the last listener has left")
		drain(m)
	})
}

// What the lifecycle channel tells, in order, and about whom.
func TestLifecycle(t *testing.T) {
	s := newServer(t)
	notices, _ := listen[earshot.Lifecycle](t, s, earshot.LifecycleChannel, nil)
	m := newMailbox[int](t, s, &earshot.MailboxOptions{Name: "reader"})
	ref := subscribe(t, m, "x")
	second := subscribe(t, m, "x")
	require.NoError(t, s.Unsubscribe(ref))
	require.NoError(t, m.Close())

	var got []earshot.Lifecycle
	for _, e := range drained(notices) {
		if e.Kind == earshot.Subscribed || e.Kind == earshot.Left {
			require.Contains(t, e.Site, "/main_test.go:") // that is where subscribe calls
			e.Site = ""
		}
		got = append(got, e)
	}
	require.Equal(t, []earshot.Lifecycle{
		{Kind: earshot.Opened, Channel: "x"},
		{Kind: earshot.Subscribed, Channel: "x", Ref: ref, Subscriber: "reader"},
		{Kind: earshot.Subscribed, Channel: "x", Ref: second, Subscriber: "reader"},
		{Kind: earshot.Left, Channel: "x", Ref: ref, Subscriber: "reader", Reason: earshot.ErrUnsubscribed},
	}, got[:4])
	require.ElementsMatch(t, []earshot.Lifecycle{
		{Kind: earshot.Left, Channel: "x", Ref: second, Subscriber: "reader", Reason: earshot.ErrClosed},
		{Kind: earshot.Closed, Channel: "x"},
	}, got[4:])
}

// The last one leaves, and then the channel closes.
func TestLifecycleOrderAtTheEnd(t *testing.T) {
	s := newServer(t)
	notices, _ := listen[earshot.Lifecycle](t, s, earshot.LifecycleChannel, nil)
	m, _ := listen[int](t, s, "x", nil)
	m.Close()
	var kinds []earshot.LifecycleKind
	for _, e := range drained(notices) {
		kinds = append(kinds, e.Kind)
	}
	require.Equal(t, []earshot.LifecycleKind{earshot.Opened, earshot.Subscribed, earshot.Left, earshot.Closed}, kinds)
}

// Each kind prints as a word.
func TestLifecycleKindString(t *testing.T) {
	var words []string
	for k := earshot.LifecycleKind(0); k <= earshot.Failed+1; k++ {
		words = append(words, k.String())
	}
	require.Equal(t, []string{"unknown", "opened", "closed", "subscribed", "left", "failed", "unknown"}, words)
}
