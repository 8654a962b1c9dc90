package sqlite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	lib "modernc.org/sqlite/lib"

	"github.com/earshot-go/earshot/queue"
)

// An image is what is on a disk after the power was lost: what was synced, and some of what was written since, whole
// or torn, or not at all.
type image struct{ db, wal []byte }

func (im *image) apply(op diskOp, data []byte) {
	file := &im.db
	if op.wal {
		file = &im.wal
	}
	if op.kind == "truncate" {
		*file = append((*file)[:min(int64(len(*file)), op.at)], make([]byte, max(0, op.at-int64(len(*file))))...)
		return
	}
	if end := op.at + int64(len(data)); end > int64(len(*file)) {
		*file = append(*file, make([]byte, end-int64(len(*file)))...)
	}
	copy((*file)[op.at:], data)
}

// imageAt returns an image of the disk after n operations.
func imageAt(log []diskOp, n int, r *rand.Rand) image {
	synced := map[bool]int{false: -1, true: -1} // the last sync of each file
	for i, op := range log[:n] {
		if op.kind == "sync" {
			synced[op.wal] = i
		}
	}
	chance := r.IntN(4) // 0: nothing that was not synced is there
	var im image
	for i, op := range log[:n] {
		switch {
		case op.kind != "write" && op.kind != "truncate":
		case i < synced[op.wal] || chance > 0 && r.IntN(4) < chance:
			data := op.data
			if i > synced[op.wal] && len(data) > 0 && r.IntN(3) == 0 {
				data = data[:r.IntN(len(data))/512*512]
			}
			im.apply(op, data)
		}
	}
	return im
}

// Whenever the power is lost, what was acknowledged is there: every image of the disk opens, is sound, and has all items
// that Enqueue had answered, and none that Settle had removed.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("EARSHOT_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("EARSHOT_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	path := filepath.Join(t.TempDir(), "jobs.db")
	d := newFakeDisk(t, path)
	d.keeps = true
	s := openStore(t, path, &StoreOptions{vfs: diskVFS})
	work := func(g int) {
		for n := range 12 {
			items := make([]queue.Item, 1+n%3)
			for i := range items {
				items[i] = queue.Item{ID: fmt.Sprintf("%d-%d-%d", g, n, i), Queue: "q", Name: "n", Payload: []byte(strings.Repeat("x", 100*g))}
			}
			if _, err := s.Enqueue(context.Background(), items); err != nil {
				panic(err)
			}
			for _, it := range items {
				d.note(diskOp{kind: "ack", id: "+" + it.ID})
			}
			if n%2 == 0 {
				continue
			}
			l, err := s.Lease(context.Background(), queue.LeaseRequest{Queues: []string{"q"}, Max: 2, TTL: time.Minute})
			if err != nil {
				panic(err)
			}
			for _, one := range l {
				d.note(diskOp{kind: "ack", id: "?" + one.ID}) // may be gone from now on
				if _, err := s.Settle(context.Background(), []queue.Settlement{one.Ack()}); err != nil {
					panic(err)
				}
				d.note(diskOp{kind: "ack", id: "-" + one.ID})
			}
		}
	}
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() { work(g) })
	}
	all.Wait()
	// So that a checkpoint is among it as well.
	f, err := s.reader(t.Context())
	require.NoError(t, err)
	_, err = f.read.Exec("PRAGMA query_only = 0; PRAGMA wal_checkpoint(RESTART)")
	require.NoError(t, err)
	work(4)
	require.NoError(t, s.Close(t.Context()))

	log, images := d.log, 40
	if testing.Short() {
		images = 30
	}
	dir := t.TempDir()
	for i := range images {
		n := r.IntN(len(log) + 1)
		if i%2 == 0 { // right after something was acknowledged
			for n < len(log) && log[n].kind != "ack" {
				n++
			}
			n = min(n+1, len(log))
		}
		im := imageAt(log, n, r)
		copied := filepath.Join(dir, fmt.Sprintf("%d.db", i))
		require.NoError(t, os.WriteFile(copied, im.db, 0o600))
		require.NoError(t, os.WriteFile(copied+"-wal", im.wal, 0o600))
		expect(t, copied, log[:n], fmt.Sprintf("image %d, after %d operations, EARSHOT_SEED=%d", i, n, seed))
	}
	t.Logf("%d operations, %d images", len(log), images)
}

// expect opens a store and compares it with what was acknowledged.
func expect(t *testing.T, path string, log []diskOp, what string) {
	t.Helper()
	state := map[string]byte{}
	for _, op := range log {
		if op.kind == "ack" {
			state[op.id[1:]] = op.id[0]
		}
	}
	s := openStore(t, path, nil)
	records, err := s.Find(t.Context(), queue.Query{Limit: 10_000})
	require.NoError(t, err, what)
	have := map[string]bool{}
	for _, r := range records {
		have[r.ID] = true
		require.NotEqual(t, byte('-'), state[r.ID], "%s: %s was done, and is there again", what, r.ID)
	}
	for id, is := range state {
		require.False(t, is == '+' && !have[id], "%s: %s was accepted, and is not there", what, id)
	}
	require.NoError(t, s.Close(t.Context()))
	if len(log) > 0 {
		sound(t, path)
	}
}

// The nth write or sync fails, for every n that there is: a clear error, nothing lost or damaged, and it works again.
func TestDiskFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code int32
		is   error
	}{"full": {lib.SQLITE_FULL, queue.ErrFull}, "broken": {lib.SQLITE_IOERR_WRITE, queue.ErrDisconnected}, "sync": {lib.SQLITE_IOERR_FSYNC, queue.ErrDisconnected}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "jobs.db")
			d := newFakeDisk(t, path)
			s := openStore(t, path, &StoreOptions{vfs: diskVFS})
			stored, failed := map[string]bool{}, 0
			for n := range 60 {
				at, count := n%20, 0
				if name == "sync" {
					at %= 2
				}
				d.fail(func(op diskOp) int32 {
					if (op.kind == "sync") != (name == "sync") {
						return 0
					}
					if count++; count > at {
						return c.code
					}
					return 0
				})
				items := []queue.Item{
					{ID: fmt.Sprint(n, "a"), Queue: "q", Name: "n", Payload: make([]byte, 9000), Key: fmt.Sprint(n)}, {ID: fmt.Sprint(n, "b"), Queue: "q", Name: "n", Serial: "s"},
				}
				_, err := s.Enqueue(t.Context(), items)
				if err != nil {
					failed++
					require.ErrorIs(t, err, c.is)
					require.ErrorContains(t, err, path)
				}
				d.fail(nil)
				again, err2 := s.Enqueue(t.Context(), items)
				if err2 != nil { // the connection was given up: the second call works
					again, err2 = s.Enqueue(t.Context(), items)
				}
				require.NoError(t, err2)
				for i, e := range again {
					if err == nil {
						require.Equal(t, queue.Duplicate, e.Status)
					}
					stored[items[i].ID] = true
				}
				if n%20 == 19 {
					f, err := s.reader(t.Context())
					require.NoError(t, err)
					_, err = f.read.Exec("PRAGMA query_only = 0; PRAGMA wal_checkpoint(TRUNCATE)")
					require.NoError(t, err)
				}
			}
			require.Positive(t, failed)
			records, err := s.Find(t.Context(), queue.Query{Limit: 1000})
			require.NoError(t, err)
			require.Len(t, records, len(stored))
			sound(t, path)
			t.Logf("%d of 60 calls failed", failed)
		})
	}
}
