package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// EnqueueTx stores items in a transaction of the application on the same file: they are there if, and when, it is
// committed. The connection is the application's own: any driver of SQLite will do, and the transaction should be one
// that writes from the beginning (BEGIN IMMEDIATE), or it may fail with SQLITE_BUSY, as any that reads before it writes.
// If the tables of queues are not there yet they are made within the transaction.
//
// While the transaction is open nobody else can write to the file, other calls of this Store included: keep it short.
// Those who wait for the items find them within 25 ms after the commit. An error leaves the transaction to the
// application, to be rolled back: some of the items may be in it. It does not need, and does not open, this Store's own
// connection.
func (s *Store) EnqueueTx(ctx context.Context, tx *sql.Tx, items []queue.Item) ([]queue.Enqueued, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if s.ctx.Err() != nil {
		return nil, s.closedError()
	}
	rows, _, err := itemRows(items, s.opts.MaxBytes)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	enqueued := make([]queue.Enqueued, len(rows))
	places := make([]place, len(rows))
	for i := range rows {
		places[i] = place{&rows[i], &enqueued[i]}
	}
	ready, err := storeReady(ctx, tx)
	if err == nil && !ready {
		err = makeStore(tx)
	}
	if err == nil {
		session := session{db: transaction{ctx, tx}, now: time.Now().UnixMicro()}
		err = session.store(places)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err == sql.ErrTxDone {
			return nil, fmt.Errorf("sqlite: enqueue in a transaction: %w", err)
		}
		return nil, s.words.explain(s.path, "enqueue in a transaction", err)
	}
	return enqueued, nil
}

// A transaction is one of the application.
type transaction struct {
	ctx context.Context
	tx  *sql.Tx
}

func (t transaction) exec(query string, args ...any) (sql.Result, error) {
	return t.tx.ExecContext(t.ctx, query, args...)
}

func (t transaction) query(query string, args ...any) (*sql.Rows, error) {
	return t.tx.QueryContext(t.ctx, query, args...)
}
