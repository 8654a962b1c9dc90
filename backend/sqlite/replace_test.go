package sqlite

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/bus"
)

func remove(t testing.TB, path string) {
	t.Helper()
	for _, end := range []string{"", "-wal", "-shm"} {
		require.NoError(t, os.Remove(path+end))
	}
}

// A feed on a file that was removed ends, whether somebody publishes or not; what is published goes into a new file.
func TestRemovedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	b := openBus(t, path, nil)
	f := openTail(t, b, bus.Tail{})
	require.NoError(t, b.Publish(t.Context(), newEvent("1")))
	want(t, f, "1")
	token := f.(bus.Positioned).Token()

	remove(t, path)
	begun := time.Now()
	_, err := next(t, f) // without anybody doing anything
	require.ErrorIs(t, err, bus.ErrForeignToken)
	require.Less(t, time.Since(begun), 2*time.Second)
	require.NoFileExists(t, path)

	require.NoError(t, b.Publish(t.Context(), newEvent("2")))
	require.FileExists(t, path)
	_, err = b.Tail(t.Context(), bus.Tail{From: bus.After(token)})
	require.ErrorIs(t, err, bus.ErrForeignToken)
	want(t, openTail(t, b, bus.Tail{From: bus.Start}), "2")
	want(t, openTail(t, openBus(t, path, nil), bus.Tail{From: bus.Start}), "2")
	_, err = next(t, f)
	require.ErrorIs(t, err, bus.ErrForeignToken, "it stays so")
}

// Nothing is written to a file that nobody can find any more, not even by the first Publish after it was replaced.
func TestReplacedFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, other := filepath.Join(dir, "events.db"), filepath.Join(dir, "other.db")
	b, o := openBus(t, path, nil), openBus(t, other, nil)
	f := openTail(t, b, bus.Tail{})
	require.NoError(t, b.Publish(t.Context(), newEvent("old")))
	want(t, f, "old")
	require.NoError(t, o.Publish(t.Context(), newEvent("other")))
	require.NoError(t, o.Close(t.Context())) // it is one file then
	remove(t, path)
	require.NoError(t, os.Rename(other, path))

	require.NoError(t, b.Publish(t.Context(), newEvent("new")))
	_, err := next(t, f)
	require.ErrorIs(t, err, bus.ErrForeignToken)
	want(t, openTail(t, openBus(t, path, nil), bus.Tail{From: bus.Start}), "other", "new")
	sound(t, path)
}

// A stream that was made anew is another one, also if its numbers fit.
func TestRecreatedStream(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	b := openBus(t, path, nil)
	quiet, busy := openTail(t, b, bus.Tail{}), openTail(t, b, bus.Tail{})
	require.NoError(t, b.Publish(t.Context(), many("old", 3)...))
	want(t, busy, "old-0", "old-1", "old-2")
	want(t, quiet, "old-0", "old-1", "old-2")
	change(t, path, `DROP TABLE "earshot:earshot"; DELETE FROM earshot_streams`)
	_, err := next(t, quiet)
	require.ErrorIs(t, err, bus.ErrForeignToken)
	require.NoError(t, b.Publish(t.Context(), many("new", 9)...))
	_, err = next(t, busy)
	require.ErrorIs(t, err, bus.ErrForeignToken)

	// Only the rows, by hand: an empty table with a new epoch.
	again := openTail(t, b, bus.Tail{})
	change(t, path, `DELETE FROM "earshot:earshot"; UPDATE earshot_streams SET epoch = 'other'`)
	_, err = next(t, again)
	require.ErrorIs(t, err, bus.ErrForeignToken)
}

// A stream that was set back to an older state has fewer events than the token says.
func TestRestoredStream(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	b := openBus(t, path, nil)
	require.NoError(t, b.Publish(t.Context(), many("old", 3)...))
	f := openTail(t, b, bus.Tail{})
	token := f.(bus.Positioned).Token()
	change(t, path, `DELETE FROM "earshot:earshot" WHERE seq > 1; UPDATE sqlite_sequence SET seq = 1`)
	_, err := next(t, f)
	require.ErrorIs(t, err, bus.ErrForeignToken)
	_, err = b.Tail(t.Context(), bus.Tail{From: bus.After(token)})
	require.ErrorIs(t, err, bus.ErrForeignToken)
}
