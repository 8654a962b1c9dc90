package tap_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/require"
)

// TAP-01, TAP-02: a hundred viewers that never read keep nobody: senders send, a subscriber receives
// everything, a viewer that reads has its records; and when at last they read, or go, every event is
// accounted for.
func TestTAP01_ViewersThatNeverRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := earshot.NewChannel[order](s, "orders", nil)
		e := serveBubble(t, newPage(t, s, allow(all)))
		var viewers []*viewer
		for i := range 100 {
			viewers = append(viewers, e.open("/events?stats=1&filter=chan:orders+"+[]string{"", "amount>=500", "1/7", "rate:100/s"}[i%4]))
		}
		m := newMailbox[order](t, s, "orders", &earshot.MailboxOptions{Overflow: earshot.Unbounded})
		start := time.Now()
		const sent = 70_000
		for i := range sent {
			c.Send(order{Amount: i % 1000, Note: strings.Repeat("x", 100)})
		}
		require.Zero(t, time.Since(start), "nobody waited")
		require.Equal(t, sent, m.Stats().Depth)

		// Each of them gets what its connection and its tap have kept, in order, and the numbers of the rest.
		time.Sleep(time.Second)
		for i, v := range viewers[:4] {
			records, shed, last := uint64(0), uint64(0), uint64(0)
			for {
				f, ok := v.next()
				require.True(t, ok)
				if strings.HasPrefix(f.Data, `{"stats":`) {
					n := parse(t, f.Data)["stats"].(map[string]any)
					if number(n["seen"]) == number(sent) && number(n["waiting"]) == "0" {
						require.Equal(t, number(records), number(n["shown"]), "viewer %d", i)
						break
					}
					continue
				}
				r := record{}
				require.NoError(t, unmarshal(f.Data, &r))
				require.Greater(t, r.Seq, last)
				last = r.Seq
				records++
				shed += r.Missed
			}
			require.NotZero(t, records)
		}
		// The others are given up after a while, and cost nothing then.
		time.Sleep(time.Minute)
		for _, v := range viewers[4:] {
			_, err := v.in.Discard(1 << 30)
			require.Error(t, err, "it has been given up")
		}
		for _, v := range viewers[:4] {
			v.hang()
		}
		time.Sleep(5 * time.Second)
		require.False(t, tapped(s, "orders"))
	})
}

// tapped reports whether some viewer listens to a channel.
func tapped(s *earshot.Server, name string) bool {
	for c := range s.Channels() {
		if c.Name == name {
			return c.Tapped
		}
	}
	return false
}

// TAP-03: streams that come and go leave nothing: no goroutine, no listener, no memory.
func TestTAP03_OpenAndClose(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[int](s, "c", nil)
	p := newPage(t, s, nil)
	e := serve(t, p)
	const n = 100
	round := func(sse bool) { // without the test's cleanups, which would keep everything
		for i := range n {
			ctx, cancel := context.WithCancel(t.Context())
			r, err := http.NewRequestWithContext(ctx, "GET", e.url+"/events?filter=chan:c", nil)
			require.NoError(t, err)
			if sse && i%2 == 0 {
				r.Header.Set("Accept", "text/event-stream")
			}
			res, err := e.client.Do(r)
			require.NoError(t, err)
			require.True(t, c.Listening())
			if i%3 == 0 {
				c.Send(i)
				_, err = res.Body.Read(make([]byte, 1))
				require.NoError(t, err)
			}
			cancel()
			res.Body.Close()
		}
		for range n {
			st, err := tap.Open(s, "chan:c")
			require.NoError(t, err)
			c.Send(1)
			take(t, st, 1)
			st.Close()
		}
		e.client.CloseIdleConnections()
	}
	round(false)
	eventually(t, "the last viewer to go", func() bool { return !c.Listening() })
	before := goroutines()
	heap := heapInUse()
	for range 3 {
		round(true)
	}
	eventually(t, "the last viewer to be given up", func() bool { return !c.Listening() })
	eventually(t, "their goroutines to end", func() bool { return goroutines() <= before+2 })
	require.Less(t, heapInUse(), heap+1<<20)
	require.Equal(t, "0", number(rows(t, view(t, p, "/overview.json"), "totals")[0]["viewers"]))
}

func goroutines() int { return runtime.NumGoroutine() }

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Everything at once: senders, viewers that come, go and come back, pages, and subscribers. Under the race
// detector this is about what they share; a record that is shown is one that was sent.
func TestTAP_Churn(t *testing.T) {
	s := newServer(t)
	p := newPage(t, s, allow(all))
	e := serve(t, p)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for g := range 2 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				earshot.SendEvent(s, fmt.Sprint("n.", i%5), order{ID: int64(i), Amount: int(int64(i) * 3)})
				if i%100 == g {
					time.Sleep(100 * time.Microsecond)
				}
			}
		})
	}
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			m := earshot.NewMailbox[order](ctx, s, &earshot.MailboxOptions{Capacity: 10})
			_, _ = m.Subscribe(fmt.Sprint("n.", i%7))
			m.TryReceive()
			m.Close()
			ask(p, local("GET", []string{"/", "/channels.json", "/subscribers", "/slow.json", "/metrics", "/channel?name=n.1"}[i%6]))
		}
	})
	var viewers sync.WaitGroup
	for g := range 4 {
		viewers.Go(func() {
			last := ""
			for range 15 {
				v := e.stream("/events?filter="+[]string{"chan:n.*", "chan:n.1+amount>100", "1/3", "rate:1000/s"}[g], "Last-Event-ID", last)
				for n := 0; n < 30; {
					f, ok := v.next()
					if !ok {
						t.Error("the stream ended")
						return
					}
					if f.Event != "record" {
						continue
					}
					n++
					last = f.ID
					var r struct{ Event order }
					if err := unmarshal(f.Data, &r); err != nil || int64(r.Event.Amount) != 3*r.Event.ID {
						t.Errorf("%v %s", err, f.Data)
					}
				}
				v.hang()
			}
		})
	}
	viewers.Wait()
	cancel()
	wg.Wait()
}
