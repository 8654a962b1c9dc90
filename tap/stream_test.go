package tap_test

import (
	"encoding/json"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// bubble runs a test of a stream in a synctest bubble, with a server, a page and a network.
func bubble(t *testing.T, f func(t *testing.T, s *earshot.Server, e endpoint)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		f(t, s, serveBubble(t, newPage(t, s, allow(all))))
	})
}

// UX-41: every event is a line of JSON, with all that one may know of it.
func TestUX41_Lines(t *testing.T) {
	bubble(t, func(t *testing.T, s *earshot.Server, e endpoint) {
		for _, target := range []string{"/events", "/events.ndjson", "/events?rate=all"} {
			v := e.open(target)
			require.Equal(t, "application/x-ndjson", v.res.Header.Get("Content-Type"))
			require.False(t, v.waiting(), "it begins with the first event, and with nothing else")
			sent := time.Now()
			earshot.SendEvent(s, "orders", order{ID: math.MaxInt64, Amount: 5, Took: 1500 * time.Millisecond, Card: secret})
			r := v.record()
			require.Equal(t, "orders", r.Channel)
			require.Equal(t, "", r.Kind)
			require.Equal(t, uint64(1), r.Seq)
			require.True(t, sent.Equal(when(t, r.Time)), "%v %v", sent, r.Time)
			require.Equal(t, "tap_test.order", r.Type)
			require.Equal(t, `{"id":9223372036854775807,"amount":5,"took":"1.5s","card":"[secret]"}`, string(r.Event))
			require.Positive(t, r.Size)

			earshot.SendEvent(s, 7, error(nil))
			r = v.record()
			require.Equal(t, "7 int nil null", strings.Join([]string{r.Channel, r.Kind, r.Type, string(r.Event)}, " "))
			earshot.SendEvent(s, "x\n\"<b>\u202e", []byte("ab"))
			f, _ := v.next()
			require.NotContains(t, f.Data, "<")
			require.NotContains(t, f.Data, "\u202e")
			require.Contains(t, f.Data, `"size":2`)
			require.Contains(t, f.Data, `"type":"[]uint8"`)
			v.hang()
			synctest.Wait()
			require.False(t, s.Listening("orders"), "lines are not resumed: nothing waits for the viewer")
		}
	})
}

// Server-sent events have the same, an id each, and what a page has to know besides.
func TestStream_Events(t *testing.T) {
	bubble(t, func(t *testing.T, s *earshot.Server, e endpoint) {
		v := e.stream("/events")
		require.Equal(t, "text/event-stream", v.res.Header.Get("Content-Type"))
		first, ok := v.next()
		require.True(t, ok)
		require.Equal(t, "stats", first.Event)
		require.Equal(t, counts{Payloads: true}, v.stats(first))
		sendInts(s, "c", 1, 3)
		session := ""
		for i := range 3 {
			r := v.record()
			name, n, _ := strings.Cut(r.id, "-")
			require.GreaterOrEqual(t, len(name), 10, "nobody can guess it")
			if i > 0 {
				require.Equal(t, session, name)
			}
			session = name
			require.Equal(t, number(i+1), n)
		}
		start := time.Now()
		for range 3 {
			require.Equal(t, counts{Seen: 3, Shown: 3, Payloads: true}, v.stats(v.event("stats")))
		}
		require.InDelta(t, 3, time.Since(start).Seconds(), 1.01, "each second")
		require.Equal(t, "application/x-ndjson", e.open("/events.ndjson", "Accept", "text/event-stream").res.Header.Get("Content-Type"))
	})
}

// count= ends a stream after so many records, in good order.
func TestStream_Count(t *testing.T) {
	bubble(t, func(t *testing.T, s *earshot.Server, e endpoint) {
		lines := e.open("/events?count=3")
		sendInts(s, "c", 1, 5)
		require.Len(t, lines.rest(), 3)
		synctest.Wait()
		require.False(t, s.Listening("c"))

		lines = e.open("/events?count=2&stats=1&filter=" + "chan:c")
		sendInts(s, "c", 1, 5)
		all := lines.rest()
		require.Len(t, all, 5)
		require.Contains(t, all[0].Data, `{"stats":{"seen":0,`)
		require.Contains(t, all[3].Data, `{"stats":{"seen":2,"shown":2,"filtered":0,"shed":0,"waiting":3,`)
		require.Equal(t, `{"end":{"reason":"count reached"}}`, all[4].Data)

		v := e.stream("/events?count=2")
		sendInts(s, "c", 1, 1)
		v.record()
		time.Sleep(10 * time.Second)
		sendInts(s, "c", 1, 1)
		v.record()
		require.Equal(t, `{"reason":"count reached"}`, v.event("end").Data)
		require.Empty(t, v.rest())
		synctest.Wait()
		require.False(t, s.Listening("c"), "and there is nothing to come back for")
	})
}

// rate= lets so many through in a second; the others are shed, and counted in the next one that is shown.
func TestStream_Rate(t *testing.T) {
	for _, target := range []string{"/events?rate=10/s", "/events?rate=10", "/events?filter=rate:10/s", "/events?filter=rate:10/s&rate=500/s", "/events?filter=rate:500/s&rate=10/s", "/events?rate=600/m&filter=chan:c"} {
		bubble(t, func(t *testing.T, s *earshot.Server, e endpoint) {
			burst := uint64(10)
			if strings.Contains(target, "600/m") {
				burst = 600
			}
			v := e.stream(target)
			sendInts(s, "c", 1, 1000)
			for i := range burst {
				r := v.record()
				require.Equal(t, i+1, r.Seq, target)
				require.Zero(t, r.Missed)
			}
			c := v.stats(v.event("stats"))
			for c.Seen < 1000 {
				c = v.stats(v.event("stats"))
			}
			require.Equal(t, counts{Seen: 1000, Shown: burst, Shed: 1000 - burst, Payloads: true}, c, target)
			go func() {
				time.Sleep(time.Second)
				sendInts(s, "c", 1001, 1001)
			}()
			r := v.record()
			require.Equal(t, uint64(1001), r.Seq)
			require.Equal(t, 1000-burst, r.Missed, target)
		})
	}
}

// stats=1 puts the equation between the lines, each second and last of all.
func TestStream_StatsLines(t *testing.T) {
	bubble(t, func(t *testing.T, s *earshot.Server, e endpoint) {
		v := e.open("/events?stats=1&filter=chan:c+type:int+1/2")
		for i := range 10 {
			earshot.SendEvent(s, "c", i)
			earshot.SendEvent(s, "c", "text")
			earshot.SendEvent(s, "other", i)
		}
		shown := 0
		for {
			f, ok := v.next()
			require.True(t, ok)
			var line struct{ Stats *counts }
			require.NoError(t, json.Unmarshal([]byte(f.Data), &line))
			if line.Stats == nil {
				shown++
			} else if line.Stats.Seen == 20 {
				require.Equal(t, counts{Seen: 20, Shown: 5, Filtered: 10, Shed: 5, Payloads: true}, *line.Stats)
				break
			}
		}
		require.Equal(t, 5, shown)
	})
}

// UX-42: something goes over a quiet connection at least each 15 seconds, so that nobody on the way cuts it.
func TestUX42_Heartbeat(t *testing.T) {
	bubble(t, func(t *testing.T, s *earshot.Server, e endpoint) {
		v := e.open("/events")
		var beats []time.Duration
		start := time.Now()
		for range 3 {
			line, err := v.in.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, "\n", line, "readers of lines skip it")
			beats = append(beats, time.Since(start))
			start = time.Now()
		}
		for _, b := range beats {
			require.LessOrEqual(t, b, 16*time.Second)
			require.GreaterOrEqual(t, b, 14*time.Second)
		}
	})
}

// A stream hears only what its filter names: other channels stay as idle as they were.
func TestStream_LeavesTheRestIdle(t *testing.T) {
	bubble(t, func(t *testing.T, s *earshot.Server, e endpoint) {
		noise := earshot.NewChannel[int](s, "noise", nil)
		v := e.stream("/events?filter=chan:orders.*+-chan:orders.test")
		require.False(t, noise.Listening())
		require.True(t, s.Listening("orders.paid"))
		require.False(t, s.Listening("orders.test"))
		require.False(t, s.Slow().Listening())
		require.False(t, s.Lifecycle().Listening())
		v.hang()
		time.Sleep(4 * time.Second)
		require.False(t, s.Listening("orders.paid"))

		own := e.stream("/events?filter=chan:earshot.lifecycle")
		require.True(t, s.Lifecycle().Listening())
		newMailbox[int](t, s, "new", nil)
		require.Equal(t, "earshot.lifecycle", own.record().Channel)
	})
}

// An event is on its way as soon as it is sent, not when the next look is due.
func TestStream_AtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, s *earshot.Server, e endpoint) {
		v := e.open("/events")
		for i := range 20 {
			time.Sleep(300 * time.Millisecond)
			sent := time.Now()
			sendInts(s, "c", i, i)
			v.record()
			require.LessOrEqual(t, time.Since(sent), 10*time.Millisecond)
		}
	})
}

// The stream begins with its header, before there is any event.
func TestStream_HeaderAtOnce(t *testing.T) {
	s := newServer(t)
	e := serve(t, newPage(t, s, nil))
	v := e.open("/events?filter=chan:none")
	require.Equal(t, http.StatusOK, v.res.StatusCode)
	require.True(t, s.Listening("none"))
	v.hang()
	_, err := io.ReadAll(v.res.Body)
	require.Error(t, err)
	eventually(t, "the viewer to go", func() bool { return !s.Listening("none") })
}
