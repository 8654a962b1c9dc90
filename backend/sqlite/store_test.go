package sqlite

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	lib "modernc.org/sqlite/lib"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/storetest"
)

func TestStore(t *testing.T) { storetest.Run(t, newQueues) }

func TestStoreFaults(t *testing.T) { storetest.Faults(t, newQueues) }

func newQueues(t testing.TB) storetest.Engine {
	path := filepath.Join(t.TempDir(), "jobs.db")
	disk := newFakeDisk(t, path)
	return storetest.Engine{
		Break: func(testing.TB) (mend func()) {
			disk.fail(func(diskOp) int32 { return lib.SQLITE_FULL })
			return func() { disk.fail(nil) }
		},
		URL: "sqlite:" + path,
		Open: func(t testing.TB, _ string) queue.Store {
			s, err := OpenStore("sqlite:"+path, &StoreOptions{vfs: diskVFS})
			require.NoError(t, err)
			return s
		},
		Begin: func(t testing.TB, s queue.Store) storetest.Tx {
			db, err := sql.Open("sqlite", dsn(path, "busy_timeout(5000)", "journal_mode(wal)")+"&_txlock=immediate")
			require.NoError(t, err)
			t.Cleanup(func() { db.Close() })
			tx, err := db.Begin()
			require.NoError(t, err)
			return storetest.Tx{
				Enqueue: func(ctx context.Context, items []queue.Item) ([]queue.Enqueued, error) {
					return s.(*Store).EnqueueTx(ctx, tx, items)
				},
				Commit: tx.Commit, Rollback: tx.Rollback,
			}
		},
	}
}

// openStore returns a store that is closed at the test's end.
func openStore(t testing.TB, path string, opts *StoreOptions) *Store {
	t.Helper()
	s, err := OpenStore("sqlite:"+path, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	return s
}
