package tap_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/require"
)

// ended reads what a stream says at its end, and that it is the end.
func (v *viewer) ended(reason string) {
	v.t.Helper()
	require.Equal(v.t, `{"reason":"`+reason+`"}`, v.event("end").Data)
	_, err := v.in.ReadByte()
	require.ErrorIs(v.t, err, io.EOF)
}

// UX-46: streams end with the server that they listen to, at once, whatever their state, and say so.
func TestUX46_Shutdown(t *testing.T) {
	bubble(t, func(t *testing.T, s *earshot.Server, e endpoint) {
		var viewers []*viewer
		for range 50 {
			viewers = append(viewers, e.stream("/events"), e.stream("/events?filter=chan:none"), e.stream("/events?rate=1/s"))
			if len(viewers) >= 100 {
				break
			}
		}
		sendInts(s, "c", 1, 10)
		lines, silent := e.open("/events?stats=1&filter=chan:none"), e.open("/events?filter=chan:none")
		for _, v := range viewers {
			v.event("stats")
		}
		start := time.Now()
		require.NoError(t, s.Shutdown(t.Context()))
		for _, v := range viewers {
			for f, ok := v.next(); ; f, ok = v.next() {
				require.True(t, ok, "it ended without a word")
				if f.Event == "stats" {
					v.stats(f)
				} else if f.Event == "end" {
					require.Equal(t, `{"reason":"server closed"}`, f.Data)
					break
				}
			}
			require.Empty(t, v.rest())
		}
		all := lines.rest()
		require.Equal(t, `{"end":{"reason":"server closed"}}`, all[len(all)-1].Data)
		require.Empty(t, silent.rest(), "who did not ask for more gets events only")
		require.LessOrEqual(t, time.Since(start), 100*time.Millisecond)
		v := e.open("/events")
		require.Equal(t, http.StatusServiceUnavailable, v.res.StatusCode)
		require.Contains(t, v.rest()[0].Data, "server closed")
	})
}

// UX-46: over a real network, and under load, it takes no longer than one can see.
func TestUX46_ShutdownUnderLoad(t *testing.T) {
	s := newServer(t)
	e := serve(t, newPage(t, s, allow(all)))
	var viewers []*viewer
	for range 20 {
		viewers = append(viewers, e.stream("/events?rate=all"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for i := 0; ctx.Err() == nil; i++ {
			earshot.SendEvent(s, "c", order{ID: int64(i)})
		}
	}()
	took := make(chan time.Duration, len(viewers))
	begun := make(chan struct{}, len(viewers))
	var start time.Time
	for _, v := range viewers {
		go func() {
			defer func() { took <- time.Since(start) }()
			first := true
			for f, ok := v.next(); ok && f.Event != "end"; f, ok = v.next() {
				if first && f.Event == "record" {
					begun <- struct{}{}
					first = false
				}
			}
		}()
	}
	for range viewers {
		<-begun
	}
	start = time.Now() // before Close, and so before anybody reads it
	s.Close()
	var worst time.Duration
	for range viewers {
		worst = max(worst, <-took)
	}
	t.Logf("%d viewers have been told after %v", len(viewers), worst)
	require.Less(t, worst, patience/10)
}

// Close ends the streams of one page, and those that wait for their viewers; the server, and other
// pages, go on.
func TestPage_Close(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		p, other := newPage(t, s, nil), newPage(t, s, nil)
		e, e2 := serveBubble(t, p), serveBubble(t, other)
		v, lines, stay := e.stream("/events"), e.open("/events?stats=1"), e2.stream("/events?filter=chan:other")
		gone := e.stream("/events")
		gone.hang()
		synctest.Wait()
		require.True(t, s.Listening("c"))
		start := time.Now()
		require.NoError(t, p.Close())
		require.NoError(t, p.Close())
		v.ended("page closed")
		all := lines.rest()
		require.Equal(t, `{"end":{"reason":"page closed"}}`, all[len(all)-1].Data)
		synctest.Wait()
		require.Zero(t, time.Since(start))
		require.False(t, s.Listening("c"))
		require.True(t, s.Listening("other"))
		require.Equal(t, http.StatusServiceUnavailable, e.open("/events").res.StatusCode)
		stay.event("stats")
	})
}

// A web server that goes first takes the streams along, if it is told to: they would keep its Shutdown
// waiting.
func TestPage_RegisterOnShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		p := newPage(t, s, nil)
		var srv *http.Server
		e := serveBubble(t, p, func(h *http.Server) {
			srv = h
			h.RegisterOnShutdown(func() { p.Close() })
		})
		v := e.stream("/events")
		v.event("stats")
		start := time.Now()
		over := make(chan error)
		go func() { over <- srv.Shutdown(t.Context()) }()
		v.ended("page closed")
		require.NoError(t, <-over)
		require.Less(t, time.Since(start), time.Second)
		require.False(t, s.Listening("c"))
	})
}

// The same with httptest, whose Close waits for all requests.
func TestPage_CloseInTests(t *testing.T) {
	s := newServer(t)
	p := newPage(t, s, nil)
	ts := httptest.NewServer(p)
	res, err := ts.Client().Get(ts.URL + "/events")
	require.NoError(t, err)
	defer res.Body.Close()
	p.Close()
	ts.Close()
	_, err = io.ReadAll(res.Body)
	require.NoError(t, err)
}

// When the viewer hangs up its channels are idle again, at once or when it has been waited for.
func TestStream_ViewerGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := earshot.NewChannel[int](s, "c", nil)
		began, over := 0, 0
		c.OnDemand(func(ctx context.Context) { began++; <-ctx.Done(); over++ })
		p := newPage(t, s, nil)
		e := serveBubble(t, p)
		for i := range 5 {
			v := e.stream("/events")
			synctest.Wait()
			require.Equal(t, i+1, began, "a viewer is somebody who listens")
			v.hang()
			time.Sleep(4 * time.Second)
			synctest.Wait()
			require.Equal(t, i+1, over)
			require.False(t, c.Listening())
		}
	})
}

// A closed server is the error of opening a stream, and the reason of one that was open.
func TestOpen_ServerClosed(t *testing.T) {
	s := newServer(t)
	st, err := tap.Open(s, "")
	require.NoError(t, err)
	require.NoError(t, st.Err())
	sendInts(s, "c", 1, 3)
	for range st.Records(t.Context()) {
		break
	}
	s.Close()
	n := 0
	for range st.Records(t.Context()) {
		n++
	}
	require.ErrorIs(t, st.Err(), earshot.ErrServerClosed)
	c := st.Stats()
	require.Equal(t, tap.Stats{Seen: uint64(1 + n), Shown: uint64(1 + n), Waiting: uint64(2 - n)}, c)
	_, err = tap.Open(s, "")
	require.ErrorIs(t, err, earshot.ErrServerClosed)
	require.True(t, errors.Is(err, earshot.ErrServerClosed))
	require.NoError(t, st.Close())
}
