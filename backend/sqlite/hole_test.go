package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/bus"
)

func wantGap(t testing.TB, f bus.Feed, missed int) {
	t.Helper()
	_, err := next(t, f)
	var gap *bus.GapError
	require.ErrorAs(t, err, &gap)
	require.EqualValues(t, missed, gap.Missed)
}

// What is deleted in the middle, and not by retention, is a gap wherever it falls.
func TestHoles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	b := openBus(t, path, nil)
	f := openTail(t, b, bus.Tail{})
	require.NoError(t, b.Publish(t.Context(), many("x", 12)...))
	want(t, f, "x-0", "x-1", "x-2")
	behind := openTail(t, b, bus.Tail{From: bus.After(f.(bus.Positioned).Token())})
	change(t, path, `DELETE FROM "earshot:earshot" WHERE seq BETWEEN 4 AND 7 OR seq IN (10, 12)`)
	wantGap(t, behind, 4) // before the first row of a batch
	want(t, behind, "x-7", "x-8")
	wantGap(t, behind, 1) // within it
	want(t, behind, "x-10")
	wantGap(t, behind, 1) // after the last row
	require.NoError(t, b.Publish(t.Context(), newEvent("1")))
	want(t, behind, "1")
	_, err := next(t, openTail(t, b, bus.Tail{From: bus.At(time.Now().Add(-time.Hour))}))
	require.NoError(t, err, "the oldest is the first")
}

// The first event of a time is the first that a feed has, whatever was deleted before it.
func TestAtAfterHole(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	b := openBus(t, path, nil)
	require.NoError(t, b.Publish(t.Context(), many("x", 12)...))
	change(t, path, `UPDATE "earshot:earshot" SET at = seq * 1000000`)
	change(t, path, `DELETE FROM "earshot:earshot" WHERE seq BETWEEN 4 AND 7`)
	for second := range int64(12) {
		f := openTail(t, b, bus.Tail{From: bus.At(time.Unix(second, 0))})
		d, err := next(t, f)
		require.NoError(t, err, "at %d", second)
		if second >= 4 && second < 8 {
			require.Equal(t, "x-7", d.Event.ID)
		}
	}
}

// The token stays before a gap until an event has come, so that whoever stops there hears of it again.
func TestTokenBeforeGap(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	b := openBus(t, path, nil)
	f := openTail(t, b, bus.Tail{})
	before := f.(bus.Positioned).Token()
	require.NoError(t, b.Publish(t.Context(), many("x", 12)...))
	change(t, path, `DELETE FROM "earshot:earshot" WHERE seq < 12`)
	wantGap(t, f, 11)
	require.Equal(t, before, f.(bus.Positioned).Token())
	want(t, f, "x-11")
	require.NotEqual(t, before, f.(bus.Positioned).Token())

	// Nothing comes after it.
	change(t, path, `DELETE FROM "earshot:earshot"`)
	f = openTail(t, b, bus.Tail{From: bus.After(before), Past: true})
	wantGap(t, f, 12)
	_, err := next(t, f)
	require.Error(t, err)
	require.Equal(t, before, f.(bus.Positioned).Token())
}

// What cannot be opened is nil, and not a *Bus that is.
func TestOpenNothing(t *testing.T) {
	t.Parallel()
	b, err := bus.Open("sqlite:a.db?nonsense=1")
	require.Error(t, err)
	require.True(t, b == nil)
}
