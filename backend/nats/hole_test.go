package nats_test

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

func wantGap(t testing.TB, f bus.Feed, missed int) {
	t.Helper()
	_, err := next(t, f)
	var gap *bus.GapError
	require.ErrorAs(t, err, &gap)
	require.EqualValues(t, missed, gap.Missed)
}

// A stream that keeps the newest of each subject has holes. They are told with a hint as without.
func TestHintAndNewestOfSubject(t *testing.T) {
	url, a := local(t)
	a.update(func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 })
	b := open(t, url, nil)
	require.NoError(t, b.Publish(t.Context(), made("z.z")))
	for _, hint := range [][]string{nil, {"user.added"}} {
		f, err := b.Tail(t.Context(), bus.Tail{Hint: hint})
		require.NoError(t, err)
		token := f.(bus.Positioned).Token()
		evs := several("user.added", 5)
		require.NoError(t, b.Publish(t.Context(), evs...))
		f, err = b.Tail(t.Context(), bus.Tail{Hint: hint, From: bus.After(token)})
		require.NoError(t, err)
		wantGap(t, f, 4)
		wantNext(t, f, evs[4].ID)
	}
}

// Events that are removed from the middle while a feed with a hint is behind: it ends, and the one after it tells.
func TestHintAndRemovedEvents(t *testing.T) {
	url, a := local(t)
	b := open(t, url, nil)
	var evs []event.Event
	for i := range 3000 { // more than a feed asks for at once
		evs = append(evs, made([]string{"even.a", "odd.a"}[i%2]))
	}
	require.NoError(t, b.Publish(t.Context(), evs...))
	tail := bus.Tail{From: bus.Start, Hint: []string{"odd.*"}}
	f, err := b.Tail(t.Context(), tail)
	require.NoError(t, err)
	wantNext(t, f, evs[1].ID)
	a.stream(func(ctx context.Context, _ jetstream.JetStream, s jetstream.Stream) error {
		return s.DeleteMsg(ctx, 2800) // evs[2799], an odd one
	})
	for i := 3; err == nil && i < 2799; i += 2 {
		var d bus.Delivery
		if d, err = next(t, f); err == nil {
			require.Equal(t, evs[i].ID, d.Event.ID)
			tail.From = bus.After(d.Token)
		}
	}
	require.ErrorIs(t, err, bus.ErrDisconnected)
	f, err = b.Tail(t.Context(), tail)
	require.NoError(t, err)
	for {
		d, err := next(t, f)
		if err != nil {
			var gap *bus.GapError
			require.ErrorAs(t, err, &gap)
			require.EqualValues(t, 1, gap.Missed)
			break
		}
		require.NotEqual(t, evs[2999].ID, d.Event.ID)
	}
	wantNext(t, f, evs[2800].ID)
}

// The token stays before a gap until an event has come, so that whoever stops there hears of it again.
func TestTokenBeforeGap(t *testing.T) {
	url, a := local(t)
	b := open(t, url, nil)
	f, err := b.Tail(t.Context(), bus.Tail{})
	require.NoError(t, err)
	before := f.(bus.Positioned).Token()
	evs := several("a", 5)
	require.NoError(t, b.Publish(t.Context(), evs...))
	a.trim(1)
	f, err = b.Tail(t.Context(), bus.Tail{From: bus.After(before)})
	require.NoError(t, err)
	require.Equal(t, before, f.(bus.Positioned).Token())
	wantGap(t, f, 4)
	require.Equal(t, before, f.(bus.Positioned).Token())
	d := wantNext(t, f, evs[4].ID)
	require.Equal(t, d.Token, f.(bus.Positioned).Token())

	// The same for a gap that an open feed meets.
	require.NoError(t, b.Publish(t.Context(), several("a", 2000)...))
	f, err = b.Tail(t.Context(), bus.Tail{From: bus.After(before)})
	require.NoError(t, err)
	wantGap(t, f, 4)
	d = wantNext(t, f, evs[4].ID)
	a.trim(0)
	for {
		got, err := next(t, f)
		if err != nil {
			var gap *bus.GapError
			require.ErrorAs(t, err, &gap)
			require.Equal(t, d.Token, gap.After)
			require.Equal(t, d.Token, f.(bus.Positioned).Token())
			return
		}
		d = got
	}
}
