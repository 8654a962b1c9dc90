package postgres_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/earshot-go/earshot/backend/postgres"
	"github.com/earshot-go/earshot/queue"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
)

// A transaction of an application tells those who wait elsewhere, when it is committed.
func TestTxWakes(t *testing.T) {
	h := newHome(t)
	s, waits := h.open(t), h.open(t)
	for _, w := range []*postgres.Store{s, waits} { // the first Wait begins to listen
		settled(t, w)
	}
	c := h.connect(t)
	defer c.Close(context.Background())
	quick := 0
	for i := range 3 {
		tx, err := c.Begin(t.Context())
		require.NoError(t, err)
		_, err = s.EnqueueTx(t.Context(), tx, []queue.Item{item(string(rune('a' + i)))})
		require.NoError(t, err)
		settled(t, waits)
		woken := make(chan error, 1)
		go func() { woken <- waits.Wait(context.Background(), []string{"q"}) }()
		begin := time.Now()
		require.NoError(t, tx.Commit(t.Context()))
		require.NoError(t, <-woken)
		if time.Since(begin) < 300*time.Millisecond {
			quick++
		}
		require.Len(t, lease(t, waits, 1), 1)
	}
	require.GreaterOrEqual(t, quick, 2, "of 3 were told, and not found by the way")
}

// The transactions of database/sql are as good.
func TestSQLTx(t *testing.T) {
	h := newHome(t)
	s := h.open(t).SQL()
	db, err := sql.Open("pgx", shared.user)
	require.NoError(t, err)
	defer db.Close()
	for _, commit := range []bool{false, true} {
		tx, err := db.Begin()
		require.NoError(t, err)
		keyed := item("b", func(it *queue.Item) { it.Key, it.Headers = "k", map[string]string{"a": "b"} })
		became, err := s.EnqueueTx(t.Context(), tx, []queue.Item{item("a"), keyed, item("a")})
		require.NoError(t, err)
		require.Equal(t, []queue.Enqueued{{ID: "a"}, {ID: "b"}, {ID: "a", Status: queue.Duplicate}}, became)
		_, err = s.EnqueueTx(t.Context(), tx, nil)
		require.NoError(t, err)
		if !commit {
			require.NoError(t, tx.Rollback())
			require.Empty(t, lease(t, s, 10))
			continue
		}
		require.NoError(t, tx.Commit())
		require.Len(t, lease(t, s, 10), 2)
	}
	q := queue.New(s, nil)
	defer q.Close(context.Background())
	tx, err := db.Begin()
	require.NoError(t, err)
	require.NoError(t, queue.PublishTx(t.Context(), q, tx, queue.Event{Name: "user.added", Queue: "q"}))
	require.NoError(t, tx.Commit())
	require.Len(t, lease(t, s, 10), 1)
}

// EnqueueTx on a transaction of another database says so.
func TestTxOfAnotherDatabase(t *testing.T) {
	h := newHome(t)
	s := h.open(t)
	c := h.connect(t)
	defer c.Close(context.Background())
	tx, err := c.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(context.Background())
	_, err = s.Now(t.Context())
	require.NoError(t, err)
	h.exec(t, "DROP SCHEMA {s} CASCADE")
	_, err = s.EnqueueTx(t.Context(), tx, []queue.Item{item("a")})
	require.ErrorIs(t, err, queue.ErrDamaged)
	_, err = s.EnqueueTx(t.Context(), tx, []queue.Item{item("a")})
	require.ErrorIs(t, err, queue.ErrInvalid, "the transaction is broken")
}
