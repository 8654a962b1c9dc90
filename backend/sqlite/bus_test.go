package sqlite

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/bustest"
	"github.com/earshot-go/earshot/event"
)

// These are inside tests: they shorten waiting, limit the size of a file, and look at tables.

const patience = 20 * time.Second

// There is no wire to cut, and so nothing for bustest.Faults.
func TestBus(t *testing.T) { bustest.Run(t, newStream) }

func newStream(t testing.TB) bustest.Stream {
	path := filepath.Join(t.TempDir(), "events.db")
	table := `"` + tableOf("earshot") + `"`
	return bustest.Stream{
		Open: func(t testing.TB, _ string) bus.Bus {
			b, err := bus.Open("sqlite:" + path)
			require.NoError(t, err)
			return b
		},
		Recreate: func(t testing.TB) {
			change(t, path, "BEGIN IMMEDIATE; DROP TABLE IF EXISTS "+table+"; DELETE FROM earshot_streams; COMMIT")
		},
		Trim: func(t testing.TB, keep int) {
			b := openBus(t, path, &BusOptions{Keep: int64(keep)})
			f, err := openFile(t.Context(), path, openMode{sync: SyncFull, create: createStreams})
			require.NoError(t, err)
			defer f.close(nil)
			require.NoError(t, f.begin(t.Context()))
			in, err := newInserter(f, tableOf("earshot"))
			require.NoError(t, err)
			k := keeper{opts: &b.opts}
			require.NoError(t, f.end(k.prune(in, 1<<30)))
		},
		Break: func(t testing.TB) func() {
			change(t, path, "CREATE TRIGGER broken BEFORE INSERT ON "+table+" BEGIN SELECT RAISE(ABORT, 'broken'); END")
			return func() { change(t, path, "DROP TRIGGER broken") }
		},
	}
}

// change does something to a file behind the back of those that have it open.
func change(t testing.TB, path, query string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", dsn(path, "busy_timeout(5000)"))
	require.NoError(t, err)
	defer db.Close()
	_, err = db.Exec(query, args...)
	require.NoError(t, err, query)
}

// openBus returns a bus that is closed at the test's end.
func openBus(t testing.TB, path string, opts *BusOptions) *Bus {
	t.Helper()
	b, err := OpenBus("sqlite:"+path, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close(context.Background())) })
	return b
}

func openTail(t testing.TB, b *Bus, tail bus.Tail) bus.Feed {
	t.Helper()
	f, err := b.Tail(t.Context(), tail)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func newEvent(id string) event.Event {
	return event.Event{ID: id, Source: "/test", Type: "test.happened", Data: []byte(`{"id":"` + id + `"}`)}
}

// next returns the next delivery, or what Next answers within a time.
func next(t testing.TB, f bus.Feed) (bus.Delivery, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return f.Next(ctx)
}

func want(t testing.TB, f bus.Feed, ids ...string) {
	t.Helper()
	for _, id := range ids {
		d, err := next(t, f)
		require.NoError(t, err)
		require.Equal(t, id, d.Event.ID)
	}
}
