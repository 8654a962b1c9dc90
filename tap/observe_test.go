package tap_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// A rate is known from the second look on, if that is not at once or much later; over= is two looks.
func TestObserve_Rate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		p := newPage(t, s, nil)
		newMailbox[int](t, s, "orders", &earshot.MailboxOptions{Name: "till", Capacity: 10})
		every := func(d time.Duration, n int) {
			for range n {
				time.Sleep(d)
				sendInts(s, "orders", 1, 1)
			}
		}
		rate := func(target string) any {
			t.Helper()
			return find(t, rows(t, view(t, p, target), "channels"), "channel", "orders")["rate"]
		}
		every(time.Millisecond, 50)
		require.Nil(t, rate("/channels.json"), "unknown, which is not 0")
		time.Sleep(400 * time.Millisecond)
		require.Nil(t, rate("/channels.json"), "after so short a time")
		every(time.Millisecond, 600)
		require.Equal(t, "600", number(rate("/channels.json")), "600 in a second since the first look")
		require.Equal(t, "600", number(rate("/channels.json")), "still, at the same moment")
		every(20*time.Millisecond, 50)
		require.Equal(t, "50", number(rate("/channels.json")))
		time.Sleep(time.Second)
		require.Equal(t, "0", number(rate("/channels.json")))
		every(time.Second, 11)
		require.Nil(t, rate("/channels.json"), "an average over so long is old news")

		done := make(chan struct{})
		go func() {
			defer close(done)
			time.Sleep(50 * time.Millisecond)
			sendInts(s, "orders", 1, 1)
			every(100*time.Millisecond, 20)
		}()
		require.Equal(t, "10", number(rate("/channels.json?over=1s")))
		<-done
	})
}

// Who gets on, but not fast enough, is no slow subscriber; the page says what it loses.
func TestObserve_Losing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		p := newPage(t, s, nil)
		m := newMailbox[int](t, s, "orders", &earshot.MailboxOptions{Name: "till", Capacity: 2})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 20 {
				time.Sleep(100 * time.Millisecond)
				sendInts(s, "orders", 1, 4)
				m.TryReceive()
				m.TryReceive()
			}
		}()
		v := view(t, p, "/overview.json?over=1050ms")
		require.Equal(t, "warn", v["status"])
		require.Contains(t, v["summary"], "1 subscriber losing events: tap/main_test.go:")
		require.Contains(t, v["summary"], "on orders, 19 a second")
		losing := seconds(t, rows(t, view(t, p, "/subscribers.json"), "subscribers")[0]["losing"])
		require.InDelta(t, 20, losing.Seconds(), 1)
		<-done
		look(t, p, "/")
		time.Sleep(time.Second)
		require.Equal(t, "ok", view(t, p, "/overview.json")["status"])
	})
}

// A channel that came to life again counts from 0, and its rate does not go below.
func TestObserve_CameToLifeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		p := newPage(t, s, nil)
		m := newMailbox[int](t, s, "orders", nil)
		sendInts(s, "orders", 1, 100)
		row := func() row { return find(t, rows(t, view(t, p, "/channels.json"), "channels"), "channel", "orders") }
		earshot.NewChannel[int](s, "orders", nil)
		row()
		time.Sleep(time.Second)
		require.Equal(t, "0", number(row()["rate"]))
		m.Close()
		newMailbox[int](t, s, "orders", nil)
		sendInts(s, "orders", 1, 5)
		time.Sleep(time.Second)
		require.Nil(t, row()["rate"])
		sendInts(s, "orders", 1, 5)
		time.Sleep(time.Second)
		require.Equal(t, "5", number(row()["rate"]))
		require.Equal(t, "10", number(row()["sent"]))
	})
}

// The last event was when a look found a new one: known only for those that came while somebody looked.
func TestObserve_Last(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		p := newPage(t, s, nil)
		newMailbox[int](t, s, "orders", nil)
		last := func() any {
			return find(t, rows(t, view(t, p, "/channels.json"), "channels"), "channel", "orders")["last"]
		}
		sendInts(s, "orders", 1, 1)
		require.Nil(t, last())
		time.Sleep(time.Second)
		require.Nil(t, last())
		sendInts(s, "orders", 1, 1)
		at := time.Now()
		require.True(t, at.Equal(when(t, last())))
		time.Sleep(5 * time.Second)
		require.True(t, at.Equal(when(t, last())))
		time.Sleep(time.Minute) // the watch rests, and forgets
		require.Nil(t, last())
	})
}

// How long the oldest has been waiting is known from when it was first seen, whatever comes after it.
func TestObserve_Oldest(t *testing.T) {
	for _, policy := range []earshot.Overflow{earshot.Unbounded, earshot.DropOldest, earshot.DropNewest} {
		t.Run(policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				p := newPage(t, s, nil)
				m := newMailbox[int](t, s, "orders", &earshot.MailboxOptions{Overflow: policy, Capacity: 1000})
				oldest := func() time.Duration {
					v := rows(t, view(t, p, "/subscribers.json"), "subscribers")[0]["oldest"]
					if v == nil { // nothing waits
						return -1
					}
					return seconds(t, v)
				}
				require.Negative(t, oldest())
				sendInts(s, "orders", 1, 1)
				require.Zero(t, oldest(), "just seen")
				for i := range 100 { // more looks than are remembered
					time.Sleep(time.Second)
					sendInts(s, "orders", 1, 1)
					require.Equal(t, time.Duration(i+1)*time.Second, oldest())
				}
				for range 50 {
					m.TryReceive()
				}
				got := oldest()
				require.LessOrEqual(t, got, 51*time.Second, "it came no earlier")
				require.GreaterOrEqual(t, got, 40*time.Second)
				for range 51 {
					m.TryReceive()
				}
				require.Negative(t, oldest())
			})
		})
	}
}

// A mailbox that keeps the oldest, and loses what comes after, has its oldest for as long as it has it.
func TestObserve_OldestOfDropNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		p := newPage(t, s, nil)
		newMailbox[int](t, s, "orders", &earshot.MailboxOptions{Overflow: earshot.DropNewest, Capacity: 3})
		for i := range 20 {
			sendInts(s, "orders", 1, 10)
			got := rows(t, view(t, p, "/subscribers.json"), "subscribers")[0]
			require.Equal(t, time.Duration(i)*time.Second, seconds(t, got["oldest"]), "%v", got)
			time.Sleep(time.Second)
		}
	})
}

// One that keeps the newest has it for no longer than that.
func TestObserve_OldestOfDropOldest(t *testing.T) {
	for _, policy := range []earshot.Overflow{earshot.DropOldest, earshot.Latest} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t)
			p := newPage(t, s, nil)
			newMailbox[int](t, s, "orders", &earshot.MailboxOptions{Overflow: policy, Capacity: 3})
			for range 20 {
				sendInts(s, "orders", 1, 10)
				require.Zero(t, seconds(t, rows(t, view(t, p, "/subscribers.json"), "subscribers")[0]["oldest"]), "%v", policy)
				time.Sleep(time.Second)
			}
		})
	}
}

// An observation ends with its page, and says so; it ends with its viewer.
func TestObserve_OverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		p := newPage(t, s, nil)
		time.AfterFunc(time.Second, func() { p.Close() })
		start := time.Now()
		w := ask(p, local("GET", "/overview.json?over=10s"))
		require.Equal(t, time.Second, time.Since(start))
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.NotEmpty(t, parse(t, w.Body.String())["error"])
	})
}
