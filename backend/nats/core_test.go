package nats_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/bustest"
)

// A feed that only waits finds out by itself that its wire is dead: nobody publishes here.
func TestCoreSilentWire(t *testing.T) {
	address, _ := local(t)
	u, err := url.Parse(address)
	require.NoError(t, err)
	p := bustest.NewProxy(t, u.Host)
	b := open(t, via(t, address+"&mode=core", p.Addr()), nil)
	f, err := b.Tail(t.Context(), bus.Tail{})
	require.NoError(t, err)
	p.Freeze()
	begun := time.Now()
	_, err = next(t, f)
	require.ErrorIs(t, err, bus.ErrDisconnected)
	require.Less(t, time.Since(begun), 6*time.Second)
}

// Without a stream the server does not wait for a reader. What is dropped is counted exactly, and the feed goes on.
func TestCoreSlowReader(t *testing.T) {
	url, _ := local(t)
	b := open(t, url+"&mode=core", nil)
	f, err := b.Tail(t.Context(), bus.Tail{})
	require.NoError(t, err)
	const n, batch = 100_000, 5_000
	evs := several("a", batch)
	for range n / batch {
		require.NoError(t, b.Publish(t.Context(), evs...))
	}
	// The last one that is there follows all that were dropped: read until the count is right.
	got, missed, gaps := 0, uint64(0), 0
	for got+int(missed) < n {
		_, err := next(t, f)
		var gap *bus.GapError
		switch {
		case err == nil:
			got++
		default:
			require.ErrorAs(t, err, &gap)
			gaps++
			missed += gap.Missed
		}
	}
	require.Positive(t, gaps)
	require.GreaterOrEqual(t, got, 65536)
	last := made("last")
	require.NoError(t, b.Publish(t.Context(), last))
	wantNext(t, f, last.ID)
}

// Several hints are one subscription: the order holds over all their events.
func TestCoreHintsKeepOrder(t *testing.T) {
	url, _ := local(t)
	b := open(t, url+"&mode=core", nil)
	f, err := b.Tail(t.Context(), bus.Tail{Hint: []string{"x.a", "x.b", "x.c"}})
	require.NoError(t, err)
	evs := several("", 3000)
	for i := range evs {
		evs[i].Type = []string{"x.a", "x.b", "x.c"}[i%3]
	}
	require.NoError(t, b.Publish(t.Context(), evs...))
	for _, ev := range evs {
		wantNext(t, f, ev.ID)
	}
}
