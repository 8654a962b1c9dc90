package earshot_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

func takeAll(t *earshot.Tap) (all []earshot.Heard, missed uint64) {
	buf := make([]earshot.Heard, 100)
	for {
		n, m := t.Take(buf)
		missed += m
		if n == 0 {
			return all, missed
		}
		all = append(all, buf[:n]...)
	}
}

func TestTap_HearsAllTypesInOrderAcrossChannels(t *testing.T) {
	s := newServer(t)
	type point struct{ X, Y int }
	a := earshot.NewChannel[int](s, "a", nil)
	tap := s.Tap(t.Context(), nil)
	b := earshot.NewChannel[point](s, "b", nil) // declared after
	require.True(t, a.Listening())
	require.True(t, b.Listening())
	a.Send(1)
	b.Send(point{2, 3})
	earshot.SendEvent(s, "undeclared", "three")
	earshot.SendEvent(s, 7, "an integer name")
	earshot.SendEvent(s, point{1, 1}, error(nil))
	earshot.SendEvent(s, math.NaN(), 5) // nobody can ever listen there
	a.Send(4)
	b.Send(point{5, 6})
	all, missed := takeAll(tap)
	require.Zero(t, missed)
	var got []string
	for _, h := range all {
		got = append(got, fmt.Sprint(h.Channel(), "#", h.Seq(), " ", h.Event()))
	}
	require.Equal(t, []string{
		"a#1 1", "b#1 {2 3}", "undeclared#1 three", "7#1 an integer name", "{1 1}#1 <nil>", "a#2 4", "b#2 {5 6}",
	}, got)
	require.Equal(t, int64(3), all[1].Value().Field(1).Int())
	require.False(t, all[4].Value().IsValid())
	require.NoError(t, tap.Close())
	require.False(t, a.Listening())
	require.False(t, s.Listening("undeclared"))
	require.False(t, s.Listening(7))
	require.Equal(t, "{1 1}", fmt.Sprint(all[4].Channel()), "what was heard stays readable")
}

func TestTap_LeavesTheRestAlone(t *testing.T) {
	s := newServer(t)
	orders := earshot.NewChannel[int](s, "orders", nil)
	noise := earshot.NewChannel[string](s, "noise", nil)
	tap := s.Tap(t.Context(), &earshot.TapOptions{Match: func(name string) bool { return name == "orders" }})
	require.True(t, orders.Listening())
	require.False(t, noise.Listening())
	require.False(t, s.Listening("other"))
	require.Zero(t, testing.AllocsPerRun(100, func() {
		noise.Send("x")
		earshot.SendEvent(s, "some.other.name", struct{ a, b, c int }{})
	}))
	orders.Send(1)
	st := tap.Stats()
	require.Equal(t, uint64(1), st.Offered)
	require.Equal(t, 1, st.Depth)
	for c := range s.Channels() {
		require.Equal(t, c.Name == "orders", c.Tapped, "%v", c.Name)
		require.Zero(t, c.Subscribers)
	}
	for sub := range s.Subscriptions() {
		t.Error("a tap is no subscription: ", sub)
	}
}

// The server's own channels are heard only by those who ask for them: the slow watch would run.
func TestTap_OwnChannels(t *testing.T) {
	s := newServer(t)
	tap := s.Tap(t.Context(), nil)
	require.False(t, s.Lifecycle().Listening())
	own := s.Tap(t.Context(), &earshot.TapOptions{Match: func(name string) bool { return strings.HasPrefix(name, "earshot.") }})
	require.True(t, s.Lifecycle().Listening())
	require.True(t, s.Slow().Listening())
	m := earshot.NewMailbox[int](t.Context(), s, nil)
	_, err := m.Subscribe("x")
	require.NoError(t, err)
	all, _ := takeAll(own)
	require.Len(t, all, 2) // opened and subscribed, and nothing of the taps
	all, _ = takeAll(tap)
	require.Empty(t, all)
	runtime.KeepAlive(m)
}

func TestTap_NobodyReads(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[int](s, "c", nil)
	var taps []*earshot.Tap
	for range 100 {
		taps = append(taps, s.Tap(t.Context(), &earshot.TapOptions{Key: "all", Capacity: 1000}))
	}
	const sent = 100_000
	for i := range sent {
		c.Send(i)
	}
	for _, tap := range taps {
		st := tap.Stats()
		require.Equal(t, uint64(sent), st.Offered)
		require.Equal(t, uint64(sent-1000), st.Missed)
		require.Equal(t, 1000, st.Depth)
		all, missed := takeAll(tap)
		require.Equal(t, uint64(sent-1000), missed)
		require.Len(t, all, 1000)
		require.Equal(t, sent-1, all[999].Event())
		require.Equal(t, uint64(sent), all[999].Seq())
	}
}

// What is kept for taps that do not read is kept once, and no more than their capacity.
func TestTap_MemoryIsBounded(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[[64]byte](s, "c", nil)
	before := heapInUse()
	var taps []*earshot.Tap
	for range 100 {
		taps = append(taps, s.Tap(t.Context(), &earshot.TapOptions{Key: "all", Capacity: 10_000}))
	}
	for range 1_000_000 {
		c.Send([64]byte{})
	}
	grown := heapInUse() - before
	t.Logf("%d KiB for 100 taps of 10,000 events of 64 bytes", grown>>10)
	require.Less(t, grown, uint64(2<<20))
	runtime.KeepAlive(taps)
	for _, tap := range taps {
		tap.Close()
	}
	taps = nil
	require.Less(t, heapInUse(), before+64<<10)
}

// Subscribers come, read everything, and go while taps look at the same blocks: what a tap refers to
// must not be cleared, used again, or given back under it.
func TestTap_RefersToWhatIsLeftAlone(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[[4]int](s, "c", nil)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			m := earshot.NewMailbox[[4]int](ctx, s, &earshot.MailboxOptions{Capacity: 64})
			_, _ = c.Subscribe(m)
			for range 50 {
				m.TryReceive()
			}
			n := 0
			for range m.Messages(ctx) {
				if n++; n == 20 { // leave the loop with events in hand: they are given back
					break
				}
			}
			m.Close()
		}
	})
	wg.Go(func() {
		for i := 1; ctx.Err() == nil; i++ {
			c.Send([4]int{i, i, i, i})
			if i%100 == 0 {
				time.Sleep(time.Microsecond)
			}
		}
	})
	end := time.After(300 * time.Millisecond)
	var kept []earshot.Heard
	heard := 0
	for open := true; open; {
		tap := s.Tap(ctx, &earshot.TapOptions{Capacity: 512})
		for range 100 {
			all, _ := takeAll(tap)
			heard += len(all)
			kept = append(kept, all...)
			kept = kept[max(0, len(kept)-300):]
			for _, h := range kept {
				e := h.Event().([4]int)
				if e[0] == 0 || e[0] != e[3] || h.Value().Index(2).Int() != int64(e[0]) {
					t.Fatalf("event %d of the channel reads %v", h.Seq(), e)
				}
			}
			select {
			case <-end:
				open = false
			default:
			}
		}
		tap.Close()
	}
	cancel()
	wg.Wait()
	require.NotZero(t, heard)
}

func TestTap_ReadyAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := earshot.NewServer(nil)
		c := earshot.NewChannel[int](s, "c", nil)
		ctx, cancel := context.WithCancel(t.Context())
		tap := s.Tap(ctx, nil)
		time.AfterFunc(time.Second, func() { c.Send(1) })
		start := time.Now()
		for n := 0; n == 0; n, _ = tap.Take(make([]earshot.Heard, 1)) {
			<-tap.Ready()
		}
		require.Equal(t, time.Second, time.Since(start))
		cancel()
		<-tap.Done()
		require.ErrorIs(t, tap.Err(), context.Canceled)
		<-tap.Ready()
		c.Send(2)
		n, _ := tap.Take(make([]earshot.Heard, 1))
		require.Zero(t, n)

		other := s.Tap(t.Context(), nil)
		c.Send(3)
		require.NoError(t, s.Shutdown(t.Context()), "Shutdown does not wait for what a tap has not taken")
		<-other.Done()
		require.ErrorIs(t, other.Err(), earshot.ErrServerClosed)
		require.ErrorIs(t, s.Tap(t.Context(), nil).Err(), earshot.ErrServerClosed)
		require.Equal(t, uint64(1), other.Stats().Discarded)
	})
}

func TestTap_BadOptions(t *testing.T) {
	s := newServer(t)
	err := s.Tap(t.Context(), &earshot.TapOptions{Capacity: -1}).Err()
	require.ErrorIs(t, err, earshot.ErrBadOption)
	var e *earshot.Error
	require.True(t, errors.As(err, &e))
	require.Contains(t, e.Site, "tap_test.go:")
	err = s.Tap(t.Context(), &earshot.TapOptions{Key: []int{1}}).Err()
	require.ErrorIs(t, err, earshot.ErrBadOption)
	require.Contains(t, err.Error(), "Key cannot be compared")
	require.NoError(t, s.Tap(t.Context(), nil).Err(), "no lock is held")
}

func TestTap_Forgotten(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[int](s, "c", nil)
	func() { s.Tap(context.Background(), nil) }()
	require.Eventually(t, func() bool { runtime.GC(); return !c.Listening() }, 5*time.Second, time.Millisecond)
}

func TestTap_StartsProducers(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[int](s, "c", nil)
	began, over := make(chan int), make(chan int)
	c.OnDemand(func(ctx context.Context) { began <- 1; <-ctx.Done(); over <- 1 })
	for range 3 {
		one, two := s.Tap(t.Context(), nil), s.Tap(t.Context(), nil)
		<-began
		one.Close()
		require.True(t, c.Listening())
		two.Close()
		<-over
	}
}

// Taps come and go while everything else does, and each is told of every event in between.
func TestTap_Churn(t *testing.T) {
	s := newServer(t)
	const channels = 20
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				name := fmt.Sprint("n.", (i*7+g)%channels)
				switch i % 5 {
				case 0:
					m := earshot.NewMailbox[any](ctx, s, nil)
					_, _ = m.Subscribe(name)
					_, _ = m.SubscribePattern("n.*")
					earshot.SendEvent(s, name, i)
					m.TryReceive()
					m.Close()
				default:
					earshot.SendEvent(s, name, fmt.Sprint(i))
				}
			}
		})
	}
	for range 200 {
		tap := s.Tap(ctx, &earshot.TapOptions{Key: "k"})
		mine := fmt.Sprint("mine.", time.Now().UnixNano())
		for i := range 10 {
			earshot.SendEvent(s, mine, i)
		}
		all, _ := takeAll(tap)
		n, last := 0, map[any]uint64{}
		for _, h := range all {
			if h.Channel() == mine {
				require.Equal(t, n, h.Event())
				n++
			}
			if seq := last[h.Channel()]; seq != 0 && h.Seq() != 1 {
				require.Equal(t, seq+1, h.Seq(), "%v", h.Channel())
			}
			last[h.Channel()] = h.Seq()
		}
		require.Equal(t, 10, n)
		st := tap.Stats()
		require.Equal(t, st.Offered, st.Received+st.Missed+st.Discarded+uint64(st.Depth))
		tap.Close()
	}
	cancel()
	wg.Wait()
	for c := range s.Channels() {
		require.False(t, c.Live, "%v", c.Name)
	}
}

// While very many events are sent the time is read once a millisecond. It never runs backwards by more
// than that, and is exact again when things are calm.
func TestTap_Time(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[int](s, "c", nil)
	tap := s.Tap(t.Context(), nil)
	start := time.Now()
	for i := range 200_000 {
		c.Send(i)
	}
	end := time.Now()
	all, _ := takeAll(tap)
	at := all[0].Time()
	for _, h := range all {
		require.False(t, h.Time().Before(start) || h.Time().After(end), "%v is not between %v and %v", h.Time(), start, end)
		require.False(t, h.Time().Before(at.Add(-50*time.Millisecond)))
		at = h.Time()
	}
	require.Eventually(t, func() bool {
		before := time.Now()
		c.Send(1)
		all, _ := takeAll(tap)
		return len(all) == 1 && !all[0].Time().Before(before)
	}, 5*time.Second, 2*time.Millisecond)
}

func BenchmarkTap(b *testing.B) {
	for _, taps := range []int{0, 1, 100} {
		b.Run(fmt.Sprint("unread=", taps), func(b *testing.B) {
			s := newServer(b)
			c := earshot.NewChannel[int](s, "c", nil)
			for range taps {
				defer s.Tap(b.Context(), &earshot.TapOptions{Key: "k"}).Close()
			}
			_, _ = c.Handle(b.Context(), func(context.Context, earshot.Message[int]) error { return nil }, nil)
			b.ReportAllocs()
			for b.Loop() {
				c.Send(1)
			}
		})
	}
}
