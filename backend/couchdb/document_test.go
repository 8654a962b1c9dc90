package couchdb_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

func errorsIs(err, target error) bool { return errors.Is(err, target) }

// People find events by their attributes, and the whole event is there to the last digit.
func TestDocumentIsToBeQueried(t *testing.T) {
	d := newDatabase(t)
	b := d.open(t)
	ev := event.Event{
		ID: "4711", Source: "/shop", Type: "order.paid", Subject: "order/7", Time: time.Date(2026, 11, 20, 12, 0, 0, 5, time.UTC),
		Data: []byte(`{"total":9007199254740993}`), Extensions: map[string]any{"causationid": "4710"},
	}
	require.NoError(t, b.Publish(t.Context(), ev))
	found := must(t, d.server, "POST", d.path+"/_find", map[string]any{"selector": map[string]any{"type": "order.paid", "causationid": "4710"}})
	docs := found["docs"].([]any)
	require.Len(t, docs, 1)
	doc := docs[0].(map[string]any)
	require.Contains(t, doc["_id"], "2026-11-20T12:00:00.000000005Z_")
	for name, value := range map[string]string{"specversion": "1.0", "id": "4711", "source": "/shop", "subject": "order/7"} {
		require.Equal(t, value, doc[name], name)
	}
	require.Contains(t, doc["event_json"], "9007199254740993")
}

// Two sources may use the same ID.
func TestSameIDOfTwoSources(t *testing.T) {
	b := newDatabase(t).open(t)
	evs := some(2)
	evs[1].ID, evs[1].Time, evs[1].Source = evs[0].ID, evs[0].Time, "/other"
	require.NoError(t, b.Publish(t.Context(), evs...))
	require.NoError(t, b.Publish(t.Context(), evs...))
	f, err := b.Tail(t.Context(), bus.Tail{From: bus.Start, Past: true})
	require.NoError(t, err)
	for range evs {
		_, err := f.Next(t.Context())
		require.NoError(t, err)
	}
	_, err = f.Next(t.Context())
	require.ErrorIs(t, err, io.EOF)
}

// Cleaning up behind the readers alarms nobody, and before them it does.
func TestDeletionUnderAFeed(t *testing.T) {
	d := newDatabase(t)
	b := d.open(t)
	require.NoError(t, b.Publish(t.Context(), some(5)...))
	open := func(p bus.Position) bus.Feed {
		f, err := b.Tail(t.Context(), bus.Tail{From: p})
		require.NoError(t, err)
		t.Cleanup(func() { f.Close() })
		return f
	}
	now, start := open(bus.Now), open(bus.Start)
	var at bus.Token
	for range 5 {
		d, err := start.Next(t.Context())
		require.NoError(t, err)
		at = d.Token
	}
	d.trim(t, 0)
	resumed := open(bus.After(at))
	last := some(1)
	require.NoError(t, b.Publish(t.Context(), last...))
	for _, f := range []bus.Feed{now, start, resumed} {
		d, err := f.Next(t.Context())
		require.NoError(t, err)
		require.Equal(t, last[0].Time.UTC(), d.Event.Time.UTC())
	}
	// Published and deleted while nobody reads.
	at = resumed.(bus.Positioned).Token()
	require.NoError(t, b.Publish(t.Context(), some(3)...))
	d.trim(t, 0)
	f := open(bus.After(at))
	_, err := f.Next(t.Context())
	var gap *bus.GapError
	require.ErrorAs(t, err, &gap)
	require.EqualValues(t, 3, gap.Missed)
	require.NotEmpty(t, gap.Reason)
	// Who goes on after having been told is told again, until there is an event behind the gap.
	require.Equal(t, at, f.(bus.Positioned).Token())
	require.Equal(t, at, gap.After)
	require.NoError(t, b.Publish(t.Context(), some(1)...))
	again := open(bus.After(f.(bus.Positioned).Token()))
	_, err = again.Next(t.Context())
	require.ErrorAs(t, err, &gap)
	_, err = again.Next(t.Context())
	require.NoError(t, err)
	require.NoError(t, b.Publish(t.Context(), some(1)...))
	_, err = open(bus.After(again.(bus.Positioned).Token())).Next(t.Context())
	require.NoError(t, err)
}
