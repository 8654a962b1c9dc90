package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/queue"
)

// What Lease, Settle and Enqueue ask is answered by looks into indexes, and never by reading a table or sorting: so
// it costs the same with a million items.
func TestHotStatementsUseIndexes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "jobs.db")
	s := openStore(t, path, nil)
	_, err := s.Reap(t.Context())
	require.NoError(t, err)
	f, err := s.reader(t.Context())
	require.NoError(t, err)
	for _, query := range []string{
		selectDue, selectNext, selectExpiry, takeOne, takeMany, shortInserts[0].query, longInserts[1].query, selectReap, deleteDone, unparkFirst, forgetOld,
		"SELECT id FROM earshot_items ORDER BY seq DESC LIMIT ?+0",
		"SELECT " + heldColumns + " FROM earshot_items WHERE seq = ? AND state = 1 AND deliveries = ?",
	} {
		args := make([]any, strings.Count(query, "?"))
		rows, err := f.read.Query("EXPLAIN QUERY PLAN "+query, args...)
		require.NoError(t, err, query)
		var plan []string
		for rows.Next() {
			var a, b, c int
			var detail string
			require.NoError(t, rows.Scan(&a, &b, &c, &detail))
			plan = append(plan, detail)
			scans := strings.HasPrefix(detail, "SCAN") && !strings.HasPrefix(detail, "SCAN p") && !strings.Contains(detail, "json_each") &&
				!strings.Contains(detail, "CONSTANT ROW") && !strings.Contains(detail, "VALUES") && !(detail == "SCAN earshot_items" && strings.HasSuffix(query, "ORDER BY seq DESC LIMIT ?+0"))
			require.False(t, scans || strings.Contains(detail, "TEMP B-TREE"), "%s\n%s", detail, query)
		}
		require.NoError(t, rows.Err())
		require.NoError(t, rows.Close())
		if query == selectDue {
			require.Contains(t, plan, "SEARCH earshot_items USING COVERING INDEX earshot_items_pending (queue=? AND prio<?)")
			require.Contains(t, plan, "SEARCH i USING INDEX earshot_items_pending (queue=? AND prio=? AND due<?)")
		}
	}
}

// Two processes, and a second store in this one, work on the same queues: everything is done once.
func TestProcessesShareTheWork(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "jobs.db")
	a, b := openStore(t, path, nil), openStore(t, path, nil)
	c := startChild(t, "acks", path, nil) // enqueues 20
	const each = 50
	var mu sync.Mutex
	seen := map[string]int{}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all sync.WaitGroup
	errs := make(chan error, 100)
	for i, s := range []*Store{a, b} {
		all.Go(func() {
			for n := range each {
				if _, err := s.Enqueue(ctx, []queue.Item{{ID: fmt.Sprint(i, "-", n), Queue: "q", Name: "n"}}); err != nil {
					errs <- err
				}
			}
		})
		all.Go(func() {
			for {
				l, err := s.Lease(ctx, queue.LeaseRequest{Queues: []string{"q"}, Max: 3, TTL: time.Minute})
				var settled []error
				if err == nil && len(l) > 0 {
					done := make([]queue.Settlement, len(l))
					for i := range l {
						done[i] = l[i].Ack()
					}
					settled, err = s.Settle(ctx, done)
				}
				if err := errors.Join(append(settled, err)...); err != nil {
					errs <- err
					return
				}
				mu.Lock()
				for i := range l {
					seen[l[i].ID]++
				}
				n := len(seen)
				mu.Unlock()
				if n == 20+2*each {
					cancel() // the other one may wait
					return
				}
				if len(l) == 0 && s.Wait(ctx, []string{"q"}) != nil {
					return
				}
			}
		})
	}
	require.Len(t, c.rest(), 20)
	all.Wait()
	close(errs)
	for err := range errs {
		require.ErrorIs(t, err, context.Canceled)
	}
	require.Len(t, seen, 20+2*each)
	for id, n := range seen {
		require.Equal(t, 1, n, id)
	}
}

// To lease and release an item leaves the pages alone that only hold its payload.
func TestLeaseLeavesThePayloadAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "jobs.db")
	s := openStore(t, path, nil)
	_, err := s.Enqueue(t.Context(), []queue.Item{{ID: "1", Queue: "q", Name: "n", Payload: make([]byte, 1<<20)}})
	require.NoError(t, err)
	change(t, path, "PRAGMA wal_checkpoint(TRUNCATE)")
	l, err := s.Lease(t.Context(), queue.LeaseRequest{Queues: []string{"q"}, Max: 1, TTL: time.Minute, Worker: "w"})
	require.NoError(t, err)
	require.Len(t, l, 1)
	_, err = s.Settle(t.Context(), []queue.Settlement{l[0].Release(0)})
	require.NoError(t, err)
	info, err := os.Stat(path + "-wal")
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(100<<10))
}

// A transaction of an application makes the tables if they are not there yet, beside its own.
func TestEnqueueTxMakesTables(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.db")
	db, err := sql.Open("sqlite", dsn(path, "journal_mode(wal)", "busy_timeout(5000)")+"&_txlock=immediate")
	require.NoError(t, err)
	defer db.Close()
	_, err = db.Exec("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
	require.NoError(t, err)
	s := openStore(t, path, nil)
	items := []queue.Item{{ID: "1", Queue: "q", Name: "n"}, {ID: "1", Queue: "q", Name: "n"}, {ID: "2", Queue: "q", Name: "n", Key: "k"}}
	tx, err := db.Begin()
	require.NoError(t, err)
	_, err = tx.Exec("INSERT INTO orders VALUES (1)")
	require.NoError(t, err)
	got, err := s.EnqueueTx(t.Context(), tx, items)
	require.NoError(t, err)
	require.Equal(t, []queue.Enqueued{{ID: "1"}, {ID: "1", Status: queue.Duplicate}, {ID: "2"}}, got)
	require.NoError(t, tx.Rollback())
	records, err := s.Find(t.Context(), queue.Query{}) // the store makes them itself
	require.NoError(t, err)
	require.Empty(t, records)

	waited := make(chan error, 1)
	l, err := s.Lease(t.Context(), queue.LeaseRequest{Queues: []string{"q"}, Max: 1, TTL: time.Minute})
	require.NoError(t, err)
	require.Empty(t, l)
	go func() { waited <- s.Wait(context.Background(), []string{"q"}) }()
	tx, err = db.Begin()
	require.NoError(t, err)
	_, err = s.EnqueueTx(t.Context(), tx, items)
	require.NoError(t, err)
	require.NoError(t, tx.Commit())
	require.NoError(t, <-waited)
	l, err = s.Lease(t.Context(), queue.LeaseRequest{Queues: []string{"q"}, Max: 5, TTL: time.Minute})
	require.NoError(t, err)
	require.Len(t, l, 2)
	require.NoError(t, s.Close(t.Context()))
	tx, err = db.Begin()
	require.NoError(t, err)
	_, err = s.EnqueueTx(t.Context(), tx, items)
	require.ErrorIs(t, err, queue.ErrClosed)
	require.NoError(t, tx.Rollback())
}

// A bus finds its place in a file that a store has made, and a store in one of a bus.
func TestStoreAndBusShareAFile(t *testing.T) {
	t.Parallel()
	for _, busFirst := range []bool{true, false} {
		path := filepath.Join(t.TempDir(), "both.db")
		s, b := openStore(t, path, nil), openBus(t, path, nil)
		if busFirst {
			require.NoError(t, b.Publish(t.Context(), newEvent("1")))
		}
		_, err := s.Enqueue(t.Context(), []queue.Item{{ID: "1", Queue: "q", Name: "n"}})
		require.NoError(t, err)
		require.NoError(t, b.Publish(t.Context(), newEvent("2")))
	}
}

// Several stores make the tables at the same time, in a file that a bus uses as well.
func TestTablesAreMadeOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "jobs.db")
	errs := make(chan error, 9)
	for i := range 8 {
		s := openStore(t, path, nil)
		go func() {
			_, err := s.Enqueue(context.Background(), []queue.Item{{ID: fmt.Sprint(i), Queue: "q", Name: "n"}})
			errs <- err
		}()
	}
	b := openBus(t, path, nil)
	go func() { errs <- b.Publish(context.Background(), newEvent("1")) }()
	for range 9 {
		require.NoError(t, <-errs)
	}
	records, err := openStore(t, path, nil).Find(t.Context(), queue.Query{})
	require.NoError(t, err)
	require.Len(t, records, 8)
	sound(t, path)
}

func TestStoreAddresses(t *testing.T) {
	t.Parallel()
	for address, says := range map[string]string{
		"sqlite:":                      "names no file",
		"sqlite::memory:":              "is no file",
		"sqlite:jobs.db?keep=1":        "there are maxbytes, sync",
		"sqlite:jobs.db?sync=off":      "full or normal",
		"sqlite:jobs.db?maxbytes=-1":   "between 1 and",
		"sqlite:jobs.db?maxbytes=many": "maxbytes",
		"sqlite://host/jobs.db":        "more than a path",
	} {
		s, err := queue.Open(address)
		require.ErrorContains(t, err, says, address)
		require.Nil(t, s)
	}
	s, err := OpenStore("sqlite:/var/my%20lib/jobs.db?maxbytes=10", &StoreOptions{MaxBytes: 20})
	require.NoError(t, err)
	require.Equal(t, "sqlite:///var/my%20lib/jobs.db", s.String())
	require.Equal(t, 10, s.Caps().MaxBytes)
	require.NoError(t, s.Close(t.Context()))
}

// A lease that expires while nobody looks is found by who waits.
func TestWaitHearsOfExpiry(t *testing.T) {
	t.Parallel()
	s := openStore(t, filepath.Join(t.TempDir(), "jobs.db"), nil)
	_, err := s.Enqueue(t.Context(), []queue.Item{{ID: "1", Queue: "q", Name: "n"}})
	require.NoError(t, err)
	request := queue.LeaseRequest{Queues: []string{"q"}, Max: 2, TTL: 30 * time.Millisecond, Worker: "w"}
	l, err := s.Lease(t.Context(), request)
	require.NoError(t, err)
	require.Len(t, l, 1)
	start := time.Now()
	for l = nil; len(l) == 0; {
		require.NoError(t, s.Wait(t.Context(), []string{"q"}))
		l, err = s.Lease(t.Context(), request)
		require.NoError(t, err)
	}
	require.Less(t, time.Since(start), 500*time.Millisecond, "before the patrol comes")
	require.Equal(t, 1, l[0].Fails)
	r, err := s.Find(t.Context(), queue.Query{ID: "1"})
	require.NoError(t, err)
	require.Equal(t, `the lease of worker "w" has expired`, r[0].Reason)
}

// Of several priorities the next item that is due may be of the lowest.
func TestNextOfAllPriorities(t *testing.T) {
	t.Parallel()
	s := openStore(t, filepath.Join(t.TempDir(), "jobs.db"), nil)
	for i, delay := range []time.Duration{2 * time.Hour, time.Hour, 3 * time.Hour} {
		_, err := s.Enqueue(t.Context(), []queue.Item{{ID: fmt.Sprint(i), Queue: "q", Name: "n", Priority: int8(5 - i), Delay: delay}})
		require.NoError(t, err)
	}
	in, err := s.nextDue(t.Context(), []string{"nothing", "q"})
	require.NoError(t, err)
	require.InDelta(t, time.Hour, in, float64(time.Minute))
	in, err = s.nextDue(t.Context(), []string{"nothing"})
	require.NoError(t, err)
	require.Negative(t, in)
}

// What one store value enqueues, releases or redrives wakes those who wait on it at once, without any look at the file.
func TestStoreCommitWakes(t *testing.T) {
	t.Parallel()
	s := openStore(t, filepath.Join(t.TempDir(), "jobs.db"), nil)
	request := queue.LeaseRequest{Queues: []string{"q"}, Max: 2, TTL: time.Hour}
	wakes := func(what string, do func() error) []queue.Leased {
		for { // until nothing is known to be due
			l, err := s.Lease(t.Context(), request)
			require.NoError(t, err)
			if len(l) == 0 {
				break
			}
		}
		require.NoError(t, do())
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		require.NoError(t, s.bell.Wait(ctx, request.Queues), what) // nobody patrols
		l, err := s.Lease(t.Context(), request)
		require.NoError(t, err)
		require.Len(t, l, 1, what)
		return l
	}
	settle := func(to queue.Settlement) func() error {
		return func() error {
			errs, err := s.Settle(t.Context(), []queue.Settlement{to})
			return errors.Join(append(errs, err)...)
		}
	}
	l := wakes("enqueue", func() error {
		_, err := s.Enqueue(t.Context(), []queue.Item{{ID: "1", Queue: "q", Name: "n"}})
		return err
	})
	l = wakes("release", settle(l[0].Release(0)))
	l = wakes("fail", settle(l[0].Fail(time.Millisecond, "")))
	require.NoError(t, settle(l[0].Bury(""))())
	wakes("redrive", func() error {
		_, err := s.Redrive(t.Context(), queue.Query{Queue: "q"})
		return err
	})
}

// When the item that was next of its serial is removed, or put off, another one is next.
func TestNextOfSerial(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]func(s *Store) error{
		"removed": func(s *Store) error {
			_, err := s.Remove(t.Context(), queue.Query{ID: "2"})
			return err
		},
		"put off": func(s *Store) error {
			_, err := s.Enqueue(t.Context(), []queue.Item{{ID: "4", Queue: "q", Name: "n", Key: "k", Replace: true, Delay: time.Hour}})
			return err
		},
	} {
		s := openStore(t, filepath.Join(t.TempDir(), "jobs.db"), nil)
		_, err := s.Enqueue(t.Context(), []queue.Item{
			{ID: "1", Queue: "q", Name: "n", Serial: "s"}, {ID: "2", Queue: "q", Name: "n", Serial: "s", Key: "k"}, {ID: "3", Queue: "q", Name: "n", Serial: "s"},
		})
		require.NoError(t, err)
		request := queue.LeaseRequest{Queues: []string{"q"}, Max: 3, TTL: time.Minute}
		l, err := s.Lease(t.Context(), request) // 2 and 3 are parked
		require.NoError(t, err)
		require.Len(t, l, 1)
		errs, err := s.Settle(t.Context(), []queue.Settlement{l[0].Ack()}) // 2 is next
		require.NoError(t, errors.Join(append(errs, err)...))
		require.NoError(t, away(s))
		l, err = s.Lease(t.Context(), request)
		require.NoError(t, err)
		require.Len(t, l, 1, name)
		require.Equal(t, "3", l[0].ID, name)
	}
}

// One answer has payloads of 16 MiB, or one item, and of calls that share a transaction each gets something.
func TestLeaseOfLargePayloads(t *testing.T) {
	t.Parallel()
	s := openStore(t, filepath.Join(t.TempDir(), "jobs.db"), &StoreOptions{MaxBytes: 20 << 20})
	n := 0
	add := func(megabytes ...int) {
		t.Helper()
		var items []queue.Item
		for _, m := range megabytes {
			n++
			items = append(items, queue.Item{ID: fmt.Sprint(n), Queue: "q", Name: "n", Payload: make([]byte, m<<20)})
		}
		_, err := s.Enqueue(t.Context(), items)
		require.NoError(t, err)
	}
	lease := func(most int) (n int, err error) {
		l, err := s.Lease(t.Context(), queue.LeaseRequest{Queues: []string{"q"}, Max: most, TTL: time.Minute})
		return len(l), err
	}
	want := func(counts ...int) {
		t.Helper()
		for _, c := range counts {
			n, err := lease(100)
			require.NoError(t, err)
			require.Equal(t, c, n)
		}
	}
	add(17, 1, 17)
	want(1, 1, 1, 0)
	add(4, 4, 4, 4, 0, 4)
	want(5, 1, 0)
	add(6, 6, 6, 6, 6)
	type answer struct {
		n   int
		err error
	}
	answers := make(chan answer, 5)
	for range cap(answers) {
		go func() { // ends with its call
			n, err := lease(1)
			answers <- answer{n, err}
		}()
	}
	for range cap(answers) {
		require.Equal(t, answer{n: 1}, <-answers)
	}
	want(0)
}

// Times that are centuries away are neither now nor never.
func TestFarTimes(t *testing.T) {
	t.Parallel()
	s := openStore(t, filepath.Join(t.TempDir(), "jobs.db"), nil)
	now := time.Now()
	rings := func(due time.Time, within time.Duration) bool {
		s.bell.Sleep(s.bell.Mark([]string{"q"}), -1)
		c := clerk{store: s, now: now.UnixMicro(), rings: map[string]int64{"q": due.UnixMicro()}}
		c.committed(nil, nil)
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		return s.bell.Wait(ctx, []string{"q"}) == nil
	}
	for _, year := range []int{1, 1600, 1730, 2000} {
		require.True(t, rings(time.Date(year, 2, 1, 0, 0, 0, 0, time.UTC), patience), year)
	}
	soon := now.Add(math.MaxInt64).Add(math.MaxInt64).Add(10 * time.Millisecond) // as nanoseconds from now
	for _, due := range []time.Time{soon, time.Date(2400, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)} {
		require.False(t, rings(due, 30*time.Millisecond), due)
		_, err := s.Enqueue(t.Context(), []queue.Item{{ID: due.String(), Queue: due.String(), Name: "n", Due: due}})
		require.NoError(t, err)
		in, err := s.nextDue(t.Context(), []string{due.String()})
		require.NoError(t, err)
		require.Greater(t, in, 290*365*24*time.Hour)
	}
}

// What is added and removed is not there, and that is no change if it was not there before. Any binding can be removed.
func TestBindAddsThenRemoves(t *testing.T) {
	t.Parallel()
	s := openStore(t, filepath.Join(t.TempDir(), "jobs.db"), nil)
	bind := func(add, remove []queue.Binding) queue.Rev {
		t.Helper()
		rev, err := s.Bind(t.Context(), add, remove)
		require.NoError(t, err)
		return rev
	}
	b := []queue.Binding{{Queue: "q", Selector: queue.All()}}
	first := bind(nil, nil)
	require.Equal(t, first, bind(b, b))
	invalid := []queue.Binding{{Queue: "q", Selector: queue.Selector{Kind: "of another version"}}}
	require.Equal(t, first, bind(nil, invalid))
	_, err := s.Bind(t.Context(), invalid, nil)
	require.ErrorIs(t, err, queue.ErrInvalid)
	there := bind(b, nil)
	require.NotEqual(t, there, bind(b, b))
	list, _, err := s.Bindings(t.Context(), 0)
	require.NoError(t, err)
	require.Empty(t, list)
}
