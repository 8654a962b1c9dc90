package tap_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// seconds reads a duration, and when a time.
func seconds(t testing.TB, v any) time.Duration {
	t.Helper()
	f, err := v.(json.Number).Float64()
	require.NoError(t, err)
	return time.Duration(f * float64(time.Second))
}

func when(t testing.TB, v any) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, v.(string))
	require.NoError(t, err)
	return at
}

// UX-36: who does not get on is named within a second, by where it subscribed: at the first look, if
// that takes so long, and on every page that could tell.
func TestUX36_Slow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		p := newPage(t, s, nil)
		stuck := newMailbox[int](t, s, "orders", &earshot.MailboxOptions{Name: "till", Capacity: 5})
		newMailbox[int](t, s, "idle", nil)
		sendInts(s, "orders", 1, 7)

		require.Empty(t, rows(t, view(t, p, "/slow.json"), "slow"), "nobody has watched yet")
		p.Close()
		p = newPage(t, s, nil)
		v := view(t, p, "/slow.json?over=700ms")
		slow := rows(t, v, "slow")
		require.Len(t, slow, 1)
		r := slow[0]
		require.Equal(t, "orders", r["channel"])
		require.Equal(t, "till", r["subscriber"])
		require.Contains(t, r["site"], "/main_test.go:")
		require.Equal(t, "5 2", number(r["depth"])+" "+number(r["missed"]))
		require.GreaterOrEqual(t, seconds(t, r["running"]), 500*time.Millisecond)
		require.LessOrEqual(t, seconds(t, r["running"]), 800*time.Millisecond)
		require.Equal(t, "warn", v["status"])

		over := view(t, p, "/overview.json")
		require.Equal(t, "warn", over["status"])
		require.Contains(t, over["summary"], "1 slow subscriber: ")
		require.Contains(t, over["summary"], r["site"])
		require.Contains(t, over["summary"], "on orders has not got on for 700ms, 5 waiting")
		require.Len(t, rows(t, over, "slow"), 1)
		require.Equal(t, "1", number(rows(t, over, "totals")[0]["slow"]))
		require.Contains(t, look(t, p, "/metrics"), "\nearshot_slow_subscribers 1\n")
		ref := strings.ReplaceAll(r["ref"].(string), "#", "%23")
		require.Contains(t, look(t, p, "/subscriber?ref="+ref), "till has not got on for 700ms")
		require.Equal(t, "warn", view(t, p, "/channels.json")["status"])

		for range 5 {
			stuck.TryReceive()
		}
		time.Sleep(time.Second)
		v = view(t, p, "/slow.json")
		require.Equal(t, "ok", v["status"])
		require.Empty(t, rows(t, v, "slow"))
		require.Len(t, rows(t, v, "past"), 1)
	})
}

// What was said between two looks is told as of then, not as of the look.
func TestSlow_Past(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		p := newPage(t, s, nil)
		m := newMailbox[int](t, s, "orders", nil)
		look(t, p, "/")
		time.Sleep(5 * time.Second)
		began := time.Now()
		sendInts(s, "orders", 1, 3)
		time.Sleep(15 * time.Second)
		r := rows(t, view(t, p, "/slow.json"), "slow")[0]
		require.InDelta(t, 15, seconds(t, r["running"]).Seconds(), 0.3)
		require.WithinDuration(t, began, when(t, r["since"]), 300*time.Millisecond)
		time.Sleep(5 * time.Second)
		recovered := time.Now()
		for range 3 {
			m.TryReceive()
		}
		time.Sleep(20 * time.Second)
		v := view(t, p, "/slow.json")
		require.Empty(t, rows(t, v, "slow"))
		past := rows(t, v, "past")
		require.Len(t, past, 1)
		require.WithinDuration(t, began, when(t, past[0]["since"]), 300*time.Millisecond)
		require.WithinDuration(t, recovered, when(t, past[0]["until"]), 300*time.Millisecond)
		require.InDelta(t, 20, seconds(t, past[0]["running"]).Seconds(), 0.5)
		require.Equal(t, "3", number(past[0]["depth"]), "the most that waited")
	})
}

// Who has ended is not slow any more, and is remembered; the newest comes first, and a hundred at most.
func TestSlow_Ended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		p := newPage(t, s, nil)
		for i := range 103 {
			m := newMailbox[int](t, s, "orders", &earshot.MailboxOptions{Name: "till " + number(i)})
			sendInts(s, "orders", 1, 1)
			require.Len(t, rows(t, view(t, p, "/slow.json?over=1s"), "slow"), 1, "%d", i)
			m.Close()
		}
		v := view(t, p, "/slow.json")
		require.Empty(t, rows(t, v, "slow"))
		past := rows(t, v, "past")
		require.Len(t, past, 100)
		require.Equal(t, "till 102", past[0]["subscriber"])
		require.Equal(t, "till 3", past[99]["subscriber"])
	})
}

// A handler that does not return is shown with what it is stuck in.
func TestSlow_HandlerStack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		p := newPage(t, s, nil)
		c := earshot.NewChannel[int](s, "orders", nil)
		ref, err := c.Handle(t.Context(), stuckHandler, &earshot.SpawnOptions{Name: "sleeper"})
		require.NoError(t, err)
		c.Send(1)
		c.Send(2)
		require.Len(t, rows(t, view(t, p, "/slow.json?over=1s"), "slow"), 1)
		running := rows(t, view(t, p, "/subscriber.json?ref="+strings.ReplaceAll(ref.String(), "#", "%23")), "running")
		found := false
		for _, call := range running {
			if strings.HasSuffix(call["function"].(string), "stuckHandler") {
				found = true
				require.Contains(t, call["site"], "tap/slow_test.go:")
			}
		}
		require.True(t, found, "%v", running)
	})
}

func stuckHandler(ctx context.Context, _ earshot.Message[int]) error {
	<-ctx.Done()
	return nil
}

// The watch is no subscriber that somebody could have to wait for, whatever it has been told.
func TestSlow_NobodyWaitsForThePage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		p := newPage(t, s, nil)
		m := newMailbox[int](t, s, "orders", nil)
		look(t, p, "/")
		sendInts(s, "orders", 1, 1)
		time.Sleep(2 * time.Second) // the page has been told, and nobody looks
		m.TryReceive()
		start := time.Now()
		require.NoError(t, s.Sync(t.Context()))
		require.NoError(t, s.Shutdown(t.Context()))
		require.Zero(t, time.Since(start))
	})
}

// The watch rests half a minute after the last look, and the channels with it.
func TestWatch_Rests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := earshot.NewChannel[int](s, "orders", nil)
		p := newPage(t, s, nil)
		idle := func() bool { return !c.Listening() && !s.Slow().Listening() && !s.Lifecycle().Listening() }
		require.True(t, idle(), "nobody has looked")
		for range 3 {
			for _, page := range []string{"/", "/slow", "/channels.json"} {
				look(t, p, page)
				require.True(t, s.Slow().Listening())
				require.False(t, c.Listening())
				time.Sleep(29 * time.Second)
				require.True(t, s.Slow().Listening(), "29 s after %s", page)
			}
			time.Sleep(2 * time.Second)
			require.True(t, idle(), "31 s after the last look")
			time.Sleep(time.Hour)
			require.True(t, idle())
		}
		for _, page := range []string{"/metrics", "/tap", "/help", "/app.js", "/style.css", "/nothing", "/events?filter=a..b>>"} {
			ask(p, local("GET", page))
			require.True(t, idle(), "%s is no look, or is asked for all the time", page)
		}
		look(t, p, "/")
		p.Close()
		require.True(t, idle(), "closed")
		ask(p, local("GET", "/"))
		require.True(t, idle(), "closed for good")
	})
}

// A look in the very moment in which the watch would rest keeps it awake.
func TestWatch_LooksAtTheLastMoment(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t)
			p := newPage(t, s, nil)
			newMailbox[int](t, s, "orders", nil)
			sendInts(s, "orders", 1, 1)
			look(t, p, "/")
			time.Sleep(30 * time.Second)
			look(t, p, "/")
			require.True(t, s.Slow().Listening())
			time.Sleep(time.Second)
			require.Len(t, rows(t, view(t, p, "/slow.json"), "slow"), 1)
		})
	}
}

// Nothing is slow on a server that has been closed, and the page of it is still there.
func TestSlow_ServerClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		earshot.NewChannel[int](s, "orders", nil)
		p := newPage(t, s, nil)
		newMailbox[int](t, s, "orders", nil)
		sendInts(s, "orders", 1, 1)
		require.Len(t, rows(t, view(t, p, "/slow.json?over=1s"), "slow"), 1)
		s.Close()
		v := view(t, p, "/slow.json?over=1s")
		require.Empty(t, rows(t, v, "slow"))
		require.Len(t, rows(t, v, "past"), 1)
		require.NotEmpty(t, rows(t, view(t, p, "/channels.json"), "channels"), "what was declared is so still")
		fresh := newPage(t, s, nil)
		require.Empty(t, rows(t, view(t, fresh, "/slow.json"), "past"))
	})
}
