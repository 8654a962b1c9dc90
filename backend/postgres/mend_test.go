package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot-go/earshot/backend/postgres"
	"github.com/earshot-go/earshot/queue"
	"github.com/stretchr/testify/require"
)

// With another isolation than READ COMMITTED who frees a serial would not see what was parked in between.
func TestIsolation(t *testing.T) {
	h := newHome(t)
	_, err := h.open(t).Now(t.Context())
	require.NoError(t, err)
	t.Setenv("PGOPTIONS", `-c default_transaction_isolation=repeatable\ read`)
	s := h.open(t)
	_, err = s.Enqueue(t.Context(), []queue.Item{item("a")})
	require.ErrorIs(t, err, queue.ErrUnsupported)
	require.ErrorContains(t, err, "ALTER ROLE")
	if shared.server == nil {
		return // the roles of somebody's server are not ours
	}

	os.Unsetenv("PGOPTIONS") // until the end of the test
	h = newHome(t)
	h.exec(t, `DROP ROLE IF EXISTS strict; CREATE ROLE strict LOGIN SUPERUSER; ALTER ROLE strict SET default_transaction_isolation = 'serializable'`)
	s, err = postgres.OpenStore(strings.Replace(h.url(""), "app@", "strict@", 1), nil)
	require.NoError(t, err)
	defer s.Close(context.Background())
	_, err = s.Enqueue(t.Context(), []queue.Item{item("a")})
	require.ErrorIs(t, err, queue.ErrUnsupported)
	h.exec(t, "ALTER ROLE strict RESET default_transaction_isolation")
	_, err = s.Enqueue(t.Context(), []queue.Item{item("a")})
	require.NoError(t, err)
}

// Of a serial with parked items of which none is leased or pending, Reap makes one pending.
func TestReapMendsSerials(t *testing.T) {
	h := newHome(t)
	s := h.open(t)
	serial := func(name string) func(*queue.Item) { return func(it *queue.Item) { it.Serial = name } }
	_, err := s.Enqueue(t.Context(), []queue.Item{item("a", serial("s")), item("b", serial("s")), item("c", serial("t")), item("d", serial("t"))})
	require.NoError(t, err)
	require.Len(t, lease(t, s, 10), 2)
	require.Empty(t, lease(t, s, 10)) // b and d are parked
	h.exec(t, "DELETE FROM {s}.busy WHERE serial = 's'; DELETE FROM {s}.items WHERE id = 'a'")
	require.Empty(t, lease(t, s, 10))
	_, err = s.Reap(t.Context())
	require.NoError(t, err)
	ls := lease(t, s, 10)
	require.Len(t, ls, 1)
	require.Equal(t, "b", ls[0].ID)
}

// Calls with the same IDs in the opposite order, and keys, do not wait for each other in a circle.
func TestKeyedBatchesInOppositeOrder(t *testing.T) {
	h := newHome(t)
	s := h.open(t)
	before := h.deadlocks(t)
	for round := range 4 {
		var jobs sync.WaitGroup
		errs := make([]error, 2)
		for i := range errs {
			var batch []queue.Item
			for k := range 500 {
				batch = append(batch, item(fmt.Sprintf("%d-%d", round, k)))
			}
			if i == 1 {
				slices.Reverse(batch)
			}
			batch[0].Key = fmt.Sprint(round, i)
			jobs.Go(func() { _, errs[i] = s.Enqueue(context.Background(), batch) })
		}
		jobs.Wait()
		require.NoError(t, errors.Join(errs...))
	}
	require.NoError(t, s.Close(t.Context()))
	require.Equal(t, before, h.deadlocks(t))
}

// Items of one call are stored one after the other, as far as anybody can see.
func TestKeysWithinACall(t *testing.T) {
	h := newHome(t)
	s := h.open(t)
	key := func(name string) func(*queue.Item) { return func(it *queue.Item) { it.Key = name } }
	_, err := s.Enqueue(t.Context(), []queue.Item{item("held", key("h"))})
	require.NoError(t, err)
	replace := item("g", key("k"))
	replace.Replace, replace.Payload = true, []byte("new")
	held := item("y", key("h"))
	held.Hold = time.Hour
	became, err := s.Enqueue(t.Context(), []queue.Item{
		item("z", key("k")), item("a", key("k")), item("a", key("l")), item("a", key("m")), // a takes l
		held, item("y"), item("x", key("l")), item("held", key("n")), replace, item("z"),
	})
	require.NoError(t, err)
	require.Equal(t, []queue.Enqueued{{ID: "z"}, {ID: "z", Status: queue.Duplicate}, {ID: "a"}, {ID: "a", Status: queue.Duplicate},
		{ID: "held", Status: queue.Duplicate}, {ID: "y"}, {ID: "a", Status: queue.Duplicate}, {ID: "held", Status: queue.Duplicate},
		{ID: "z", Status: queue.Replaced}, {ID: "z", Status: queue.Duplicate}}, became)
	var ids []string
	for _, l := range lease(t, s, 10) {
		ids = append(ids, l.ID)
		if l.ID == "z" {
			require.Equal(t, "new", string(l.Payload))
		}
	}
	require.Equal(t, []string{"held", "z", "a", "y"}, ids)
}

// To park the items of a busy serial is done in steps, which stay done.
func TestParksInSteps(t *testing.T) {
	h := newHome(t)
	s := h.open(t)
	_, err := s.Now(t.Context())
	require.NoError(t, err)
	h.exec(t, `INSERT INTO {s}.items (seq, id, queue, name, maxfails, priority, due, created, serial)
		SELECT nextval('{s}.seq'), i, 'q', 'test.tick', 0, 0, now() - interval '1 hour' + i * interval '1 microsecond', now(), CASE WHEN i < 6000 THEN 's' END
		FROM generate_series(1, 6000) AS i`)
	require.Len(t, lease(t, s, 1), 1)

	// While somebody is just freeing the serial nothing can be done, and Lease does not try it over and over.
	c := h.connect(t)
	defer c.Close(context.Background())
	tx, err := c.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM "+h.schema+".busy FOR UPDATE")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	ls, err := s.Lease(ctx, queue.LeaseRequest{Queues: []string{"q"}, Max: 1, TTL: time.Minute})
	require.NoError(t, err)
	require.Empty(t, ls)
	require.NoError(t, tx.Rollback(t.Context()))

	const call = "SELECT count(*) FROM {s}.lease(ARRAY['q'], 1, 60000000, '', true, 5000000, 1000000) WHERE seq <> 0"
	var n, parked int
	require.NoError(t, c.QueryRow(t.Context(), strings.ReplaceAll(call, "{s}", h.schema)).Scan(&n))
	require.NoError(t, c.QueryRow(t.Context(), "SELECT count(*) FROM "+h.schema+".items WHERE state = 3").Scan(&parked))
	require.Zero(t, n)
	require.InDelta(t, 1500, parked, 1000)
	ls = lease(t, s, 1)
	require.Len(t, ls, 1)
	require.Equal(t, "6000", ls[0].ID)
}

// What is leased after the caller has gone is leased for nobody.
func TestLeaseForNobody(t *testing.T) {
	h := newHome(t)
	s := h.open(t)
	_, err := s.Enqueue(t.Context(), []queue.Item{item("a")})
	require.NoError(t, err)
	require.Empty(t, func() []queue.Leased { // the connection is there, and the statement described
		ls, err := s.Lease(t.Context(), queue.LeaseRequest{Queues: []string{"other"}, Max: 1, TTL: time.Minute})
		require.NoError(t, err)
		return ls
	}())
	c := h.connect(t)
	defer c.Close(context.Background())
	tx, err := c.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE "+h.schema+".items IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = s.Lease(ctx, queue.LeaseRequest{Queues: []string{"q"}, Max: 1, TTL: time.Minute})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	var waiting int
	const count = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%' || $1 || '%lease(%' AND pid <> pg_backend_pid()"
	require.NoError(t, tx.QueryRow(t.Context(), count, h.schema).Scan(&waiting))
	require.Equal(t, 1, waiting, "the server does not know that nobody waits")
	require.NoError(t, tx.Rollback(t.Context()))
	require.Eventually(t, func() bool {
		return c.QueryRow(t.Context(), count, h.schema).Scan(&waiting) == nil && waiting == 0
	}, 10*time.Second, 5*time.Millisecond)
	ls := lease(t, s, 1)
	require.Len(t, ls, 1)
	require.Equal(t, 1, ls[0].Deliveries)
}

// An answer has 16 MiB of payloads, or one item.
func TestLeaseIsNotTooLarge(t *testing.T) {
	h := newHome(t)
	s := h.open(t, "maxbytes=20000000")
	for i, size := range []int{6 << 20, 6 << 20, 6 << 20, 17 << 20, 1 << 20} {
		it := item(string(rune('a' + i)))
		it.Payload = make([]byte, size)
		if i < 2 {
			it.Serial = it.ID // their places are given back when others are too large
		}
		_, err := s.Enqueue(t.Context(), []queue.Item{it})
		require.NoError(t, err)
	}
	for _, want := range []string{"ab", "c", "d", "e", ""} {
		got := ""
		for _, l := range lease(t, s, 10) {
			got += l.ID
		}
		require.Equal(t, want, got)
	}
}

// What only the producer says is not returned.
func TestItemsAreAsStored(t *testing.T) {
	h := newHome(t)
	s := h.open(t)
	it := item("a", func(it *queue.Item) { it.Key, it.Hold, it.Replace, it.Delay = "k", time.Hour, true, time.Microsecond })
	_, err := s.Enqueue(t.Context(), []queue.Item{it})
	require.NoError(t, err)
	ls := lease(t, s, 1)
	require.Len(t, ls, 1)
	found, err := s.Find(t.Context(), queue.Query{ID: "a"})
	require.NoError(t, err)
	require.Equal(t, ls[0].Item, found[0].Item)
	require.Equal(t, it.Key, ls[0].Key)
	require.Zero(t, ls[0].Hold+ls[0].Delay)
	require.False(t, ls[0].Replace)
}
