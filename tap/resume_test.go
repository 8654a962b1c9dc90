package tap_test

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/require"
)

// seqs reads records, and returns their numbers.
func (v *viewer) seqs(n int) (all []uint64) {
	v.t.Helper()
	for range n {
		all = append(all, v.record().Seq)
	}
	return all
}

// gap reads how many records are said to be missing.
func (v *viewer) gap() uint64 {
	v.t.Helper()
	gap := parse(v.t, v.event("gap").Data)
	require.NotEmpty(v.t, gap["reason"])
	n, err := strconv.ParseUint(number(gap["missed"]), 10, 64)
	require.NoError(v.t, err)
	return n
}

// UX-43: who comes back in time gets exactly what it has not, and nothing twice.
func TestUX43_Resume(t *testing.T) {
	bubble(t, func(t *testing.T, s *earshot.Server, e endpoint) {
		v := e.stream("/events?filter=chan:c")
		sendInts(s, "c", 1, 5)
		v.record()
		last := v.record().id
		v.record() // on its way, but never seen by the page
		v.hang()
		synctest.Wait()
		sendInts(s, "c", 6, 8)
		time.Sleep(2 * time.Second)
		sendInts(s, "c", 9, 9)
		v = e.stream("/events?filter=chan:c", "Last-Event-ID", last)
		sendInts(s, "c", 10, 10)
		for want := uint64(3); want <= 10; want++ {
			r := v.record()
			require.Equal(t, want, r.Seq)
			require.Equal(t, strings.Split(last, "-")[0]+"-"+number(want), r.id)
			require.Zero(t, r.Missed)
		}
		require.Equal(t, counts{Seen: 10, Shown: 10, Payloads: true}, v.stats(v.event("stats")), "the counts go on")
	})
}

// UX-43: however often, and wherever in the stream, the connection is lost.
func TestUX43_ResumeAgainAndAgain(t *testing.T) {
	for seed := range uint64(20) {
		bubble(t, func(t *testing.T, s *earshot.Server, e endpoint) {
			random := rand.New(rand.NewPCG(seed, 0))
			v, last := e.stream("/events?filter=chan:c"), ""
			sent, got := 0, 0
			for sent < 400 || got < sent {
				if n := random.IntN(12); sent < 400 {
					sendInts(s, "c", sent+1, sent+n)
					sent += n
				}
				for range random.IntN(12) {
					if got == sent {
						break
					}
					r := v.record()
					got++
					require.Equal(t, uint64(got), r.Seq, "seed %d", seed)
					last = r.id
				}
				if random.IntN(3) == 0 && last != "" {
					v.hang()
					if random.IntN(2) == 0 {
						time.Sleep(time.Duration(random.IntN(2500)) * time.Millisecond)
					}
					v = e.stream("/events?filter=chan:c", "Last-Event-ID", last)
				}
			}
		})
	}
}

// UX-43: what is not kept any more is a gap, with the number of records that are missing.
func TestUX43_GapWithCount(t *testing.T) {
	bubble(t, func(t *testing.T, s *earshot.Server, e endpoint) {
		v := e.stream("/events?filter=chan:c")
		var ids []string
		for i := range 1000 {
			sendInts(s, "c", i, i)
			ids = append(ids, v.record().id)
		}
		v.hang()
		synctest.Wait()
		v = e.stream("/events?filter=chan:c", "Last-Event-ID", ids[99])
		missed := v.gap()
		require.Less(t, missed, uint64(800), "some hundred are kept")
		for want := 100 + missed + 1; want <= 1000; want++ {
			require.Equal(t, want, v.record().Seq)
		}
	})
}

// UX-43: of large records fewer are kept.
func TestUX43_GapOfLargeRecords(t *testing.T) {
	bubble(t, func(t *testing.T, s *earshot.Server, e endpoint) {
		v := e.stream("/events?filter=chan:c")
		first := ""
		for i := range 60 {
			earshot.SendEvent(s, "c", strings.Repeat("x", 50_000))
			if r := v.record(); i == 0 {
				first = r.id
			}
		}
		v.hang()
		synctest.Wait()
		v = e.stream("/events?filter=chan:c", "Last-Event-ID", first)
		missed := v.gap()
		require.Greater(t, missed, uint64(30))
		for want := 1 + missed + 1; want <= 60; want++ {
			require.Equal(t, want, v.record().Seq)
		}
	})
}

// UX-43: if the session is gone, nobody knows what is missing. The page has to say so, not to guess.
func TestUX43_GapUnknown(t *testing.T) {
	bubble(t, func(t *testing.T, s *earshot.Server, e endpoint) {
		v := e.stream("/events?filter=chan:c")
		sendInts(s, "c", 1, 1)
		last := v.record().id
		v.hang()
		time.Sleep(2900 * time.Millisecond)
		require.True(t, s.Listening("c"), "it is waited for")
		time.Sleep(200 * time.Millisecond)
		require.False(t, s.Listening("c"), "but not for long")
		for _, c := range []struct{ target, id string }{
			{"/events?filter=chan:c", last},
			{"/events?filter=chan:c", "AAAAAAAAAAAA-7"},
			{"/events?filter=chan:c", "-"},
			{"/events?filter=chan:c", "-1"},
			{"/events?filter=chan:c", "\x00-\xff"},
		} {
			v := e.stream(c.target, "Last-Event-ID", strings.ToValidUTF8(strings.ReplaceAll(c.id, "\x00", "z"), ""))
			gap := parse(t, v.event("gap").Data)
			require.Contains(t, gap, "missed")
			require.Nil(t, gap["missed"])
			sendInts(s, "c", 1, 1)
			require.True(t, strings.HasSuffix(v.record().id, "-1"), "a new session")
			v.hang()
		}
		line := e.open("/events?filter=chan:c", "Last-Event-ID", last)
		f, _ := line.next()
		require.Contains(t, f.Data, `{"gap":{"reason":`)
		require.Contains(t, f.Data, `"missed":null`)
	})
}

// A session is for the request that it was made for: neither another filter nor other permissions get
// at what it has kept.
func TestResume_OtherRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		may, might := all, all
		p := newPage(t, s, nil)
		_ = p
		page := newPage(t, s, dynamic(&may))
		e := serveBubble(t, page)
		for _, other := range []string{"/events?filter=chan:d", "/events?filter=chan:c&count=5", "/events?filter=chan:c&rate=5/s", "/events"} {
			may = all
			v := e.stream("/events?filter=chan:c")
			earshot.SendEvent(s, "c", canary)
			last := v.record().id
			earshot.SendEvent(s, "c", canary)
			synctest.Wait()
			v.hang()
			v = e.stream(other, "Last-Event-ID", last)
			require.Nil(t, parse(t, v.event("gap").Data)["missed"], other)
			v.hang()
		}
		might = tap.Look
		v := e.stream("/events?filter=chan:c")
		earshot.SendEvent(s, "c", canary)
		last := v.record().id
		v.hang()
		synctest.Wait()
		may = might
		v = e.stream("/events?filter=chan:c", "Last-Event-ID", strings.TrimSuffix(last, "-1")+"-0")
		require.Nil(t, parse(t, v.event("gap").Data)["missed"])
		require.NotContains(t, v.event("stats").Data, canary)
	})
}

// A browser may come back before the server has noticed that it had gone: the old connection ends, and
// the new one goes on where it was.
func TestResume_TakesOver(t *testing.T) {
	bubble(t, func(t *testing.T, s *earshot.Server, e endpoint) {
		old := e.stream("/events?filter=chan:c")
		sendInts(s, "c", 1, 3)
		require.Equal(t, []uint64{1, 2}, old.seqs(2))
		last := old.record().id
		v := e.stream("/events?filter=chan:c", "Last-Event-ID", last)
		sendInts(s, "c", 4, 6)
		require.Equal(t, []uint64{4, 5, 6}, v.seqs(3))
		for _, f := range old.rest() {
			require.Equal(t, "stats", f.Event, "nothing is sent to both")
		}
	})
}

// If the old connection is stuck in a write nobody knows what of it has arrived: that is a gap.
func TestResume_OldOneIsStuck(t *testing.T) {
	bubble(t, func(t *testing.T, s *earshot.Server, e endpoint) {
		old := e.stream("/events?filter=chan:c")
		sendInts(s, "c", 1, 1)
		last := old.record().id
		for range 30 {
			earshot.SendEvent(s, "c", strings.Repeat("x", 60_000))
		}
		time.Sleep(time.Second)
		start := time.Now()
		v := e.stream("/events?filter=chan:c", "Last-Event-ID", last)
		require.Nil(t, parse(t, v.event("gap").Data)["missed"])
		require.LessOrEqual(t, time.Since(start), time.Second)
		old.hang()
	})
}

// Only so many sessions wait for viewers that have gone.
func TestResume_Bounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		opts := allow(all)
		opts.Viewers = 1
		e := serveBubble(t, newPage(t, s, opts))
		var ids []string
		for range 5 {
			v := e.stream("/events?filter=chan:c")
			sendInts(s, "c", 1, 1)
			ids = append(ids, v.record().id)
			v.hang()
			synctest.Wait()
		}
		kept := 0
		for _, id := range ids {
			v := e.stream("/events?filter=chan:c", "Last-Event-ID", id)
			f, _ := v.next()
			if f.Event == "record" || f.Event == "stats" {
				kept++
			}
			v.hang()
			synctest.Wait()
		}
		require.LessOrEqual(t, kept, 2)
		time.Sleep(4 * time.Second)
		require.False(t, s.Listening("c"))
	})
}
