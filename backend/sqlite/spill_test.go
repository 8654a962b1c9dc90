package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

func openSpill(t testing.TB, path string, opts *SpillOptions) *Spill {
	t.Helper()
	s, err := OpenSpill(path, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func peek(t testing.TB, s *Spill, max int) (ids []string) {
	t.Helper()
	evs, err := s.Peek(t.Context(), max)
	require.NoError(t, err)
	for _, ev := range evs {
		ids = append(ids, ev.ID)
	}
	return ids
}

func TestSpillIsFirstInFirstOut(t *testing.T) {
	t.Parallel()
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "spill.db")
	s := openSpill(t, path, nil)
	require.Empty(t, peek(t, s, 10))
	require.NoError(t, s.Drop(ctx, 5))
	require.NoError(t, s.Push(ctx))
	full := newEvent("0")
	full.Extensions = map[string]any{"traceparent": "x"}
	require.NoError(t, s.Push(ctx, full))
	require.NoError(t, s.Push(ctx, newEvent("1"), newEvent("1"), newEvent("2")), "it is not for a spill to compare events")
	require.Equal(t, 4, s.Len())
	require.Equal(t, []string{"0", "1"}, peek(t, s, 2))
	require.Equal(t, []string{"0", "1", "1", "2"}, peek(t, s, 100))
	require.Empty(t, peek(t, s, 0))
	evs, err := s.Peek(ctx, 1)
	require.NoError(t, err)
	require.Equal(t, []event.Event{full}, evs)
	require.NoError(t, s.Drop(ctx, 2))
	require.NoError(t, s.Drop(ctx, 0))
	require.Equal(t, []string{"1", "2"}, peek(t, s, 100))

	require.Error(t, s.Push(ctx, newEvent("3"), event.Event{ID: "bad"}))
	require.Equal(t, 2, s.Len(), "all or none")
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Push(ctx, newEvent("3")), bus.ErrClosed)
	_, err = s.Peek(ctx, 1)
	require.ErrorIs(t, err, bus.ErrClosed)
	require.ErrorIs(t, s.Drop(ctx, 1), bus.ErrClosed)
	released(t, path)

	s = openSpill(t, path, nil)
	require.Equal(t, 2, s.Len())
	require.Equal(t, []string{"1", "2"}, peek(t, s, 100))
	require.NoError(t, s.Drop(ctx, 1000))
	require.Zero(t, s.Len())
	require.NoError(t, s.Push(ctx, newEvent("4")))
	require.Equal(t, []string{"4"}, peek(t, s, 100))
	done, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, s.Push(done, newEvent("5")), context.Canceled)
}

func TestSpillIsBounded(t *testing.T) {
	t.Parallel()
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "spill.db")
	text, err := newEvent("100").AppendJSON(nil)
	require.NoError(t, err)
	s := openSpill(t, path, &SpillOptions{MaxBytes: int64(10*len(text) + 5)})
	push := func(id int) error { return s.Push(ctx, newEvent(fmt.Sprint(id))) }
	for i := range 10 {
		require.NoError(t, push(100+i))
	}
	require.ErrorIs(t, push(200), ErrSpillFull)
	require.Equal(t, 10, s.Len())
	require.NoError(t, s.Drop(ctx, 1))
	require.ErrorIs(t, s.Push(ctx, newEvent("200"), newEvent("201")), ErrSpillFull)
	require.NoError(t, push(200))
	require.ErrorIs(t, push(201), ErrSpillFull)
	require.NoError(t, s.Close())
	s = openSpill(t, path, &SpillOptions{MaxBytes: int64(10*len(text) + 5)})
	require.ErrorIs(t, push(201), ErrSpillFull, "it is not forgotten")
	require.NoError(t, s.Drop(ctx, 10))
	require.NoError(t, push(201))
	_, err = OpenSpill(path, &SpillOptions{MaxBytes: -1})
	require.Error(t, err)
}

// A spill is one process's; when that was killed, the next one may have it.
func TestSpillHasOneOwner(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "spill.db")
	s := openSpill(t, path, nil)
	_, err := OpenSpill(path, nil)
	require.ErrorIs(t, err, ErrSpillInUse)
	require.ErrorContains(t, err, path)
	c := startChild(t, "spill", path, nil, "0")
	require.Contains(t, c.line(t), ErrSpillInUse.Error())
	c.kill()
	require.NoError(t, s.Close())
	c = startChild(t, "spill", path, nil, "0")
	require.Equal(t, "+", c.line(t)[:1])
	_, err = OpenSpill(path, nil)
	require.ErrorIs(t, err, ErrSpillInUse)
	c.kill()
	openSpill(t, path, nil)
}

// Rows that are no events do not stay in the way.
func TestSpillGarbage(t *testing.T) {
	t.Parallel()
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "spill.db")
	s := openSpill(t, path, nil)
	require.NoError(t, s.Push(ctx, many("x", 6)...))
	require.NoError(t, s.Close())
	change(t, path, `UPDATE earshot_spill SET event = x'00' WHERE seq IN (1, 2, 4)`)
	s = openSpill(t, path, nil)
	require.Equal(t, []string{"x-2", "x-4", "x-5"}, peek(t, s, 100))
	require.Equal(t, 3, s.Len())
	require.EqualValues(t, 3, s.Garbage())
	require.NoError(t, s.Drop(ctx, 2))
	require.Equal(t, []string{"x-5"}, peek(t, s, 100))
}

func TestSpillGivesSpaceBack(t *testing.T) {
	t.Parallel()
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "spill.db")
	s := openSpill(t, path, nil)
	ev := newEvent("big")
	ev.Data = []byte(`"` + strings.Repeat("x", 10_000) + `"`)
	for range 20 {
		evs := make([]event.Event, 50)
		for i := range evs {
			evs[i] = ev
		}
		require.NoError(t, s.Push(ctx, evs...))
	}
	evs, err := s.Peek(ctx, 100_000)
	require.NoError(t, err)
	require.Less(t, len(evs), 1000, "at most about 8 MiB at once")
	require.NoError(t, s.Drop(ctx, s.Len()))
	for _, end := range []string{"", "-wal"} {
		if info, err := os.Stat(path + end); err == nil {
			require.Less(t, info.Size(), int64(1<<20), end)
		}
	}
}

func TestSpillFromManyGoroutines(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := openSpill(t, filepath.Join(t.TempDir(), "spill.db"), nil)
	var wg sync.WaitGroup
	errs := make(chan error, 100)
	for g := range 4 {
		wg.Go(func() {
			for i := range 10 {
				errs <- s.Push(ctx, many(fmt.Sprintf("%d-%d", g, i), 3)...)
				_, err := s.Peek(ctx, 2)
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	require.Equal(t, 120, s.Len())
	require.Len(t, peek(t, s, 1000), 120)
}
