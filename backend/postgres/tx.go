package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// EnqueueTx is Enqueue within a transaction of the application, which has to be one of the store's database. After an
// error the transaction can only be rolled back. Who waits is told when it is committed, with NOTIFY; with notify=off
// they look within a second.
func (s *Store) EnqueueTx(ctx context.Context, tx pgx.Tx, items []queue.Item) ([]queue.Enqueued, error) {
	return s.within(ctx, items, func(a *answer, text string, args []any) error {
		return a.scan(tx.QueryRow(ctx, text, args...))
	})
}

// A SQLStore is a Store whose transactions are those of database/sql.
type SQLStore struct{ *Store }

var _ queue.TxEnqueuer[*sql.Tx] = SQLStore{}

// SQL returns the store for applications which use database/sql, with the driver of pgx: queue.New takes it, and then
// queue.PublishTx takes a *sql.Tx.
func (s *Store) SQL() SQLStore { return SQLStore{s} }

// EnqueueTx is that of Store for a *sql.Tx.
func (s SQLStore) EnqueueTx(ctx context.Context, tx *sql.Tx, items []queue.Item) ([]queue.Enqueued, error) {
	return s.within(ctx, items, func(a *answer, text string, args []any) error {
		m := pgtype.NewMap() // for the arrays
		return tx.QueryRowContext(ctx, text, args...).Scan(&a.now, &a.rev, m.SQLScanner(&a.became), m.SQLScanner(&a.holders))
	})
}

// within has the application's transaction ask, and tell others when it is committed.
func (s *Store) within(ctx context.Context, items []queue.Item, ask func(a *answer, text string, args []any) error) ([]queue.Enqueued, error) {
	args, err := s.fields(items, nil)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, s.idle(ctx, "enqueue in a transaction")
	}
	if !s.prepared.Load() { // over a connection of our own: the schema is to stay if the transaction does not
		if _, err := s.Now(ctx); err != nil {
			return nil, err
		}
	}
	if !s.enter() {
		return nil, s.closedError()
	}
	defer s.running.Done()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("postgres: enqueue in a transaction %s: %w", s, context.Cause(ctx))
	}
	text := s.sql(enqueueSQL)
	if note := s.noteOf(items); note != "" {
		text += ", pg_notify($18, $19)"
		args = append(args, s.channel(), note)
	}
	var got answer
	if err := ask(&got, text, args); err != nil {
		switch {
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		case gone(err):
			s.prepared.Store(false)
			err = meaning(err)
		default:
			err = meaning(err)
		}
		return nil, fmt.Errorf("postgres: enqueue in a transaction %s: %w", s, err)
	}
	return got.enqueued(items), nil
}

// noteOf tells those who wait for items that are due soon after a commit. The server's time is not known here, so a Due
// is told as now, unless it is far off: who waits looks, and learns when it is.
func (s *Store) noteOf(items []queue.Item) string {
	if s.opts.NoNotify {
		return ""
	}
	due := map[string]time.Duration{}
	for i := range items {
		switch it := &items[i]; {
		case it.Due.IsZero() && it.Delay < soon:
			earlier(due, it.Queue, it.Delay)
		case !it.Due.IsZero() && time.Until(it.Due) < time.Hour:
			earlier(due, it.Queue, 0)
		}
	}
	for _, text := range writeNotes("", due) {
		return text // the rest finds the next patrol
	}
	return ""
}
