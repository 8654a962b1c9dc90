package earshot_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// The tests of this file are the accidents of section 6 of the design, and those of the package's
// relatives, each tried often enough to happen again if it could.

// often returns how many turns a stress test takes: fewer where each costs more.
func often(n int) int {
	if testing.Short() {
		n /= 10
	}
	if raceEnabled {
		n /= 10
	}
	return max(n, 10)
}

// soon returns a context that ends long after what is waited for should have happened.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// all receives what is there.
func all[E any](m *earshot.Mailbox[E]) (got []earshot.Message[E]) {
	for msg, ok := m.TryReceive(); ok; msg, ok = m.TryReceive() {
		got = append(got, msg)
	}
	return got
}

// TestLastLeaveAndSubscribe: whoever subscribes while the last one leaves gets a live channel (P9).
// Once the server crashed in the leave, and once the newcomer joined a channel that was dying.
func TestLastLeaveAndSubscribe(t *testing.T) {
	s := earshot.NewServer(nil)
	declared := earshot.NewChannel[int](s, "declared", nil)
	n := often(100_000) / 4
	var wg sync.WaitGroup
	for id := range 4 {
		wg.Go(func() {
			name := any("declared")
			if id < 2 {
				name = "undeclared"
			}
			// Unbounded: whoever loses its processor here for long may be sent more than 4096.
			m := earshot.NewMailbox[int](context.Background(), s, &earshot.MailboxOptions{Overflow: earshot.Unbounded})
			defer m.Close()
			for i := range n {
				ref, err := m.Subscribe(name)
				if err != nil {
					t.Errorf("Subscribe = %v", err)
					return
				}
				own := id<<32 | i
				if id < 2 {
					earshot.SendEvent(s, "undeclared", own)
				} else {
					declared.Send(own)
				}
				found := false
				for _, msg := range all(m) {
					found = found || msg.Event == own
				}
				if !found {
					t.Errorf("turn %d: sent to %v after Subscribe had returned, and not received", i, name)
					return
				}
				if err := m.Unsubscribe(ref); err != nil {
					t.Errorf("Unsubscribe = %v", err)
				}
				if msg, ok := m.TryReceive(); ok {
					t.Errorf("turn %d: received %+v after Unsubscribe had returned", i, msg)
				}
			}
		})
	}
	wg.Wait()
	require.False(t, s.Listening("undeclared"))
	require.False(t, declared.Listening())
	require.NoError(t, s.Shutdown(soon(t)))
}

// TestFirstSubscribersRace: of many that subscribe first, at once, all are on the one channel that came
// to life. Once there were two, and one was an orphan.
func TestFirstSubscribersRace(t *testing.T) {
	for range often(500) {
		s := earshot.NewServer(nil)
		news := earshot.NewMailbox[earshot.Lifecycle](t.Context(), s, nil)
		_, err := s.Lifecycle().Subscribe(news)
		require.NoError(t, err)
		boxes := make([]*earshot.Mailbox[int], 64)
		var wg sync.WaitGroup
		barrier := make(chan struct{})
		for i := range boxes {
			boxes[i] = earshot.NewMailbox[int](t.Context(), s, nil)
			wg.Go(func() {
				<-barrier
				if _, err := boxes[i].Subscribe("x"); err != nil {
					t.Errorf("Subscribe = %v", err)
				}
			})
		}
		close(barrier)
		wg.Wait()
		earshot.SendEvent(s, "x", 7)
		for i, m := range boxes {
			got := all(m)
			require.Len(t, got, 1, "mailbox %d", i)
			require.Equal(t, uint64(1), got[0].Seq)
		}
		kinds := map[earshot.LifecycleKind]int{}
		for _, msg := range all(news) {
			kinds[msg.Event.Kind]++
		}
		require.Equal(t, map[earshot.LifecycleKind]int{earshot.Opened: 1, earshot.Subscribed: 64}, kinds)
		require.NoError(t, s.Close())
	}
}

// TestLeaveIsByRef: of five subscriptions of one mailbox to one channel, the third leaves alone. Once
// nothing happened while others remained, and once leaving went by subscriber.
func TestLeaveIsByRef(t *testing.T) {
	s := earshot.NewServer(nil)
	m := earshot.NewMailbox[int](t.Context(), s, nil)
	var refs []earshot.Ref
	for range 5 {
		ref, err := m.Subscribe("x")
		require.NoError(t, err)
		refs = append(refs, ref)
	}
	down := s.Monitor(refs[2])
	earshot.SendEvent(s, "x", 1)
	require.NoError(t, m.Unsubscribe(refs[2]))
	require.Equal(t, earshot.Down{Ref: refs[2], Channel: "x", Subscriber: m.Stats().Name, Reason: earshot.ErrUnsubscribed}, <-down)
	earshot.SendEvent(s, "x", 2)
	got := map[earshot.Ref][]int{}
	for _, msg := range all(m) {
		got[msg.Ref] = append(got[msg.Ref], msg.Event)
	}
	both := []int{1, 2}
	require.Equal(t, map[earshot.Ref][]int{refs[0]: both, refs[1]: both, refs[3]: both, refs[4]: both}, got)
}

// TestCrashHurtsNobodyElse: a handler that panics, fails or exits ends alone (P6), and each monitor of
// it is told once, after its last event (P5). Once the channel died, and with it all its subscribers.
func TestCrashHurtsNobodyElse(t *testing.T) {
	boom := errors.New("boom")
	for name, crash := range map[string]func() error{
		"error": func() error { return boom },
		"panic": func() error { panic(boom) },
		"exit":  func() error { runtime.Goexit(); return nil },
		"nil":   func() error { var p *int; *p = 1; return nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := earshot.NewServer(nil)
			c := earshot.NewChannel[int](s, "x", nil)
			other := earshot.NewChannel[int](s, "y", nil)
			var got [20]atomic.Int64
			var after atomic.Bool
			var refs []earshot.Ref
			for i := range got {
				ref, err := c.Handle(t.Context(), func(_ context.Context, msg earshot.Message[int]) error {
					got[i].Add(1)
					if i == 7 && msg.Event == 50 {
						defer after.Store(true)
						return crash()
					}
					return nil
				}, nil)
				require.NoError(t, err)
				refs = append(refs, ref)
			}
			apart := earshot.NewMailbox[int](t.Context(), s, nil)
			_, err := other.Subscribe(apart)
			require.NoError(t, err)
			monitors := make([]<-chan earshot.Down, 100)
			for i := range monitors {
				monitors[i] = s.Monitor(refs[7])
			}
			for i := range 100 {
				c.Send(i)
				other.Send(i)
			}
			require.Len(t, all(apart), 100)
			require.NoError(t, s.Sync(soon(t)))
			for i := range got {
				want := int64(100)
				if i == 7 {
					want = 51
				}
				require.Equal(t, want, got[i].Load(), "handler %d", i)
			}
			for _, ch := range monitors {
				d := <-ch
				require.True(t, after.Load())
				require.Equal(t, refs[7], d.Ref)
				switch name {
				case "exit":
					require.ErrorIs(t, d.Reason, earshot.ErrGoexit)
				case "nil":
					var p *earshot.PanicError
					require.ErrorAs(t, d.Reason, &p)
				default:
					require.ErrorIs(t, d.Reason, boom)
				}
				_, more := <-ch
				require.False(t, more)
			}
			require.NoError(t, s.Shutdown(soon(t)))
		})
	}
}

// TestManyMonitors: ten thousand monitors of one subscription are each told once, and so are those that
// come while it ends.
func TestManyMonitors(t *testing.T) {
	s := earshot.NewServer(nil)
	m := earshot.NewMailbox[int](t.Context(), s, nil)
	ref, err := m.Subscribe("x")
	require.NoError(t, err)
	var before []<-chan earshot.Down
	for range 10_000 {
		before = append(before, s.Monitor(ref))
	}
	meanwhile := make([]<-chan earshot.Down, 10_000)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range meanwhile {
			meanwhile[i] = s.Monitor(ref)
		}
	})
	m.Close()
	wg.Wait()
	for i, ch := range append(before, meanwhile...) {
		require.Equal(t, earshot.ErrClosed, (<-ch).Reason, "monitor %d", i)
		_, more := <-ch
		require.False(t, more)
	}
}

// TestMonitorOfNobody: a monitor of what has ended is told why, and one of what never was is told so.
func TestMonitorOfNobody(t *testing.T) {
	s, other := earshot.NewServer(nil), earshot.NewServer(nil)
	m := earshot.NewMailbox[int](t.Context(), s, &earshot.MailboxOptions{Name: "m"})
	ended, err := m.Subscribe("x")
	require.NoError(t, err)
	require.NoError(t, m.Unsubscribe(ended))
	closed, err := m.Subscribe("x")
	require.NoError(t, err)
	m.Close()
	theirs, err := earshot.NewMailbox[int](t.Context(), other, nil).Subscribe("x")
	require.NoError(t, err)
	defer other.Close()
	for _, c := range []struct {
		name string
		ref  earshot.Ref
		want earshot.Down
	}{
		{"unsubscribed", ended, earshot.Down{Ref: ended, Channel: "x", Subscriber: "m", Reason: earshot.ErrUnsubscribed}},
		{"closed", closed, earshot.Down{Ref: closed, Channel: "x", Subscriber: "m", Reason: earshot.ErrClosed}},
		{"zero", earshot.Ref{}, earshot.Down{Reason: earshot.ErrUnknownRef}},
		{"foreign", theirs, earshot.Down{Ref: theirs, Reason: earshot.ErrUnknownRef}},
	} {
		ch := s.Monitor(c.ref)
		select {
		case d := <-ch:
			require.Equal(t, c.want, d, c.name)
		default:
			t.Errorf("%s: nothing from the monitor", c.name)
		}
		_, more := <-ch
		require.False(t, more, c.name)
	}
	for range 2 { // leaving twice is fine; leaving where one never was is not, and does nothing
		require.NoError(t, s.Unsubscribe(ended))
		require.NoError(t, m.Unsubscribe(ended))
	}
	for _, ref := range []earshot.Ref{{}, theirs} {
		require.ErrorIs(t, s.Unsubscribe(ref), earshot.ErrUnknownRef)
		require.ErrorIs(t, m.Unsubscribe(ref), earshot.ErrUnknownRef)
	}
	require.True(t, other.Listening("x"))
}
