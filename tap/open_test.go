package tap_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
	"github.com/earshot-go/earshot/tap/filter"
	"github.com/stretchr/testify/require"
)

// open opens a stream until the test's end.
func open(t testing.TB, s *earshot.Server, text string) *tap.Stream {
	t.Helper()
	st, err := tap.Open(s, text)
	require.NoError(t, err, "%s", text)
	t.Cleanup(func() { st.Close() })
	return st
}

// take reads n records.
func take(t testing.TB, st *tap.Stream, n int) (all []tap.Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for r := range st.Records(ctx) {
		if all = append(all, r); len(all) == n {
			return all
		}
	}
	t.Fatalf("%d records of %d: %+v, %v", len(all), n, st.Stats(), st.Err())
	return nil
}

// Records come in the order of the sends, across channels, with all that there is to know.
func TestOpen(t *testing.T) {
	s := newServer(t)
	orders := earshot.NewChannel[order](s, "orders", nil)
	st := open(t, s, "")
	require.True(t, orders.Listening())
	before := time.Now()
	orders.Send(order{ID: 1})
	earshot.SendEvent(s, "found", "text")
	earshot.SendEvent(s, 7, []int{1, 2})
	orders.Send(order{ID: 2})
	earshot.SendEvent[string, error](s, "found", nil)
	var got []string
	for _, r := range take(t, st, 5) {
		got = append(got, fmt.Sprint(r.Channel, "#", r.Seq, " ", r.Type(), " ", r.Event()))
		require.Zero(t, r.Missed)
		require.False(t, r.Time.Before(before) || r.Time.After(time.Now()))
		require.Equal(t, r.Event() != nil, r.Value().IsValid())
	}
	require.Equal(t, []string{
		"orders#1 tap_test.order {1 0 0s  }", "found#1 string text", "7#1 []int [1 2]", "orders#2 tap_test.order {2 0 0s  }", "found#2 <nil> <nil>",
	}, got)
	require.Equal(t, tap.Stats{Seen: 5, Shown: 5}, st.Stats())
	require.NoError(t, st.Close())
	require.NoError(t, st.Close())
	require.ErrorIs(t, st.Err(), earshot.ErrClosed)
	require.False(t, orders.Listening())
	for r := range st.Records(t.Context()) {
		t.Errorf("a record after Close: %v", r)
	}
}

// A filter that does not parse opens nothing.
func TestOpen_BadFilter(t *testing.T) {
	s := newServer(t)
	_, err := tap.Open(s, `amount>>1 "`)
	var e *filter.Error
	require.ErrorAs(t, err, &e)
	require.Contains(t, err.Error(), "^")
	require.False(t, s.Listening("c"))
}

// What is left out is counted: by the filter, by the rate, by sampling, and by a reader who is too slow.
func TestOpen_Counts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		filtered, rated := open(t, s, "chan:c amount>=90"), open(t, s, "chan:c rate:10/s")
		sampled, both := open(t, s, "chan:c 1/10"), open(t, s, "chan:c amount>=50 1/5 rate:5/s")
		slow := open(t, s, "chan:c")
		for i := range 100 {
			earshot.SendEvent(s, "c", order{Amount: i})
			earshot.SendEvent(s, "other", order{Amount: i})
		}
		check := func(st *tap.Stream, want tap.Stats, missed ...uint64) {
			t.Helper()
			require.Equal(t, uint64(100), st.Stats().Waiting)
			var got []uint64
			for _, r := range take(t, st, int(want.Shown)) {
				got = append(got, r.Missed)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			for range st.Records(ctx) {
				t.Error("one more")
			}
			cancel()
			require.Equal(t, want, st.Stats())
			if missed != nil {
				require.Equal(t, missed, got)
			}
		}
		check(filtered, tap.Stats{Seen: 100, Shown: 10, Filtered: 90})
		check(rated, tap.Stats{Seen: 100, Shown: 10, Shed: 90}, make([]uint64, 10)...)
		check(sampled, tap.Stats{Seen: 100, Shown: 10, Shed: 90}, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9)
		check(both, tap.Stats{Seen: 100, Shown: 5, Filtered: 50, Shed: 45}, 0, 4, 4, 4, 4)
		time.Sleep(time.Second)
		earshot.SendEvent(s, "c", order{})
		require.Equal(t, uint64(90), take(t, rated, 1)[0].Missed, "since the last one that was shown")

		const kept = 1 << 16
		for range kept {
			earshot.SendEvent(s, "c", 1)
		}
		r := take(t, slow, 1)[0]
		require.Equal(t, uint64(101), r.Missed)
		require.Equal(t, tap.Stats{Seen: 102, Shown: 1, Shed: 101, Waiting: kept - 1}, slow.Stats())
		require.NoError(t, slow.Close())
		require.Equal(t, tap.Stats{Seen: 102, Shown: 1, Shed: 101, Waiting: kept - 1}, slow.Stats(), "what nobody looked at stays that")
		for range slow.Records(t.Context()) {
			t.Error("a record after Close")
		}
	})
}

// seen = shown + filtered + shed at every moment, and never less than before, whoever looks while
// everything is running.
func TestOpen_StatsWhileRunning(t *testing.T) {
	s := newServer(t)
	st := open(t, s, "chan:c type:int 1/3 rate:100000/s")
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	const senders, each = 3, 20_000
	for range senders {
		wg.Go(func() {
			for i := range each {
				if earshot.SendEvent(s, "c", i); i%4 == 0 {
					earshot.SendEvent(s, "c", "text")
				}
			}
		})
	}
	var readers sync.WaitGroup
	readers.Go(func() {
		for range st.Records(ctx) {
		}
	})
	for range 3 {
		readers.Go(func() {
			for last := (tap.Stats{}); ctx.Err() == nil; {
				c := st.Stats()
				if c.Seen != c.Shown+c.Filtered+c.Shed || c.Seen < last.Seen || c.Shown < last.Shown || c.Filtered < last.Filtered || c.Shed < last.Shed {
					t.Errorf("%+v after %+v", c, last)
					return
				}
				last = c
			}
		})
	}
	wg.Wait()
	eventually(t, "all to be seen", func() bool { return st.Stats().Seen == senders*each*5/4 })
	require.Zero(t, st.Stats().Waiting)
	cancel()
	readers.Wait()
}

// Close may be called while another goroutine reads.
func TestOpen_CloseWhileReading(t *testing.T) {
	s := newServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			earshot.SendEvent(s, "c", i)
		}
	})
	for range 200 {
		st := open(t, s, "chan:c")
		var shown uint64
		got := make(chan struct{})
		over := make(chan struct{})
		go func() {
			defer close(over)
			for range st.Records(context.Background()) {
				if shown++; shown == 10 {
					close(got)
				}
			}
		}()
		<-got
		st.Close()
		<-over
		c := st.Stats()
		require.Equal(t, shown, c.Shown)
		require.Equal(t, c.Seen, c.Shown+c.Shed)
		require.Equal(t, c, st.Stats(), "and that is final")
	}
	cancel()
	wg.Wait()
	require.False(t, s.Listening("c"))
}

// A record is JSON as the page has it, whatever it holds; secrets are masked.
func TestRecord_JSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		st := open(t, s, "")
		earshot.SendEvent(s, "orders", order{ID: 1 << 60, Card: secret})
		earshot.SendEvent[string, any](s, "orders", nil)
		earshot.SendEvent(s, "orders", func() {})
		all := take(t, st, 3)
		b, err := json.Marshal(all[0])
		require.NoError(t, err)
		require.JSONEq(t, `{"channel":"orders","seq":1,"time":"2000-01-01T00:00:00Z","type":"tap_test.order","size":56,
			"event":{"id":1152921504606846976,"amount":0,"card":"[secret]"}}`, string(b))
		require.Contains(t, string(b), "1152921504606846976")
		b, err = json.Marshal(all)
		require.NoError(t, err)
		require.True(t, json.Valid(b))
		b, err = json.Marshal(tap.Record{})
		require.NoError(t, err, "the zero one is no use, and no panic")
		require.True(t, json.Valid(b))
	})
}
