package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/jackc/pgx/v5"
)

// chunk is how many items Remove and Redrive take in one transaction.
const chunk = 1000

// where returns the condition of a query, with its arguments, and that of a cursor.
func where(q queue.Query, after int64) (string, []any) {
	args := []any{after}
	conditions := []string{"seq > $1"}
	for _, f := range []struct{ column, value string }{{"id", q.ID}, {"queue", q.Queue}, {"name", q.Name}, {"tid", q.TID}} {
		if f.value != "" {
			args = append(args, f.value)
			conditions = append(conditions, fmt.Sprintf("%s = $%d", f.column, len(args)))
		}
	}
	switch q.State {
	case queue.StatePending:
		conditions = append(conditions, "state IN (0, 3)")
	case queue.StateLeased:
		conditions = append(conditions, "state = 1")
	case queue.StateDead:
		conditions = append(conditions, "state = 2")
	}
	return strings.Join(conditions, " AND "), args
}

// Find returns items in the order in which they were enqueued.
func (s *Store) Find(ctx context.Context, q queue.Query) ([]queue.Record, error) {
	if err := q.Validate(true); err != nil {
		return nil, err
	}
	after := int64(0)
	if q.After != "" {
		var err error
		if after, err = strconv.ParseInt(q.After, 10, 64); err != nil || after < 0 {
			return nil, fmt.Errorf("postgres: find: %w: After %.40q is no Cursor of this store", queue.ErrInvalid, q.After)
		}
	}
	if q.Limit == 0 {
		q.Limit = 100
	}
	condition, args := where(q, after)
	text := s.sql(fmt.Sprintf(`SELECT %s, state, created, coalesce(worker, ''), coalesce(reason, '') FROM {s}.items WHERE %s ORDER BY seq LIMIT %d`, columns, condition, q.Limit))
	var found []queue.Record
	err := s.call(ctx, "find", min(q.Limit, 10_000), func(ctx context.Context, c *pgx.Conn) error {
		rows, err := c.Query(ctx, text, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		found = nil
		for rows.Next() {
			var w row
			var r queue.Record
			var state int16
			if err := rows.Scan(append(w.fields(), &state, &r.Created, &r.Worker, &r.Reason)...); err != nil {
				return err
			}
			w.complete()
			r.Item, r.State, r.Deliveries, r.Fails, r.Cursor = w.item, stateOf(state), w.deliveries, w.fails, strconv.FormatInt(w.seq, 10)
			if w.until != nil {
				r.Until = *w.until
			}
			found = append(found, r)
		}
		return rows.Err()
	})
	return found, err
}

func stateOf(state int16) queue.State {
	switch state {
	case 1:
		return queue.StateLeased
	case 2:
		return queue.StateDead
	}
	return queue.StatePending
}

// Remove removes items that are pending or dead, a thousand in each transaction.
func (s *Store) Remove(ctx context.Context, q queue.Query) (int, error) {
	return s.each(ctx, "remove", q, "state <> 1", func(ctx context.Context, c *pgx.Conn, seqs []int64) (n int, err error) {
		return n, c.QueryRow(ctx, s.sql(`SELECT {s}.remove($1)`), seqs).Scan(&n)
	})
}

// Redrive makes items due now: dead ones, and pending ones that wait for their time; a thousand in each transaction.
func (s *Store) Redrive(ctx context.Context, q queue.Query) (int, error) {
	return s.each(ctx, "redrive", q, s.sql("(state = 2 OR state = 0 AND due > {now})"), func(ctx context.Context, c *pgx.Conn, seqs []int64) (n int, err error) {
		var queues []string
		if err := c.QueryRow(ctx, s.sql(`SELECT n, queues FROM {s}.redrive($1)`), seqs).Scan(&n, &queues); err != nil {
			return 0, err
		}
		s.announceNow(queues)
		return n, nil
	})
}

// each does something with the items that fit a query and a condition, and returns how many it was done with.
func (s *Store) each(ctx context.Context, what string, q queue.Query, also string, do func(context.Context, *pgx.Conn, []int64) (int, error)) (all int, err error) {
	if err := q.Validate(false); err != nil {
		return 0, err
	}
	for after := int64(0); ; {
		limit := chunk
		if q.Limit > 0 {
			limit = min(limit, q.Limit-all)
		}
		condition, args := where(q, after)
		text := s.sql(fmt.Sprintf(`SELECT seq FROM {s}.items WHERE %s AND %s ORDER BY seq LIMIT %d`, condition, also, limit))
		var seqs []int64
		n := 0
		err := s.call(ctx, what, chunk, func(ctx context.Context, c *pgx.Conn) error {
			rows, err := c.Query(ctx, text, args...)
			if err != nil {
				return err
			}
			if seqs, err = pgx.CollectRows(rows, pgx.RowTo[int64]); err != nil || len(seqs) == 0 {
				return err
			}
			n, err = do(ctx, c, seqs)
			return err
		})
		if all += n; err != nil || len(seqs) < limit || q.Limit > 0 && all >= q.Limit {
			return all, err
		}
		after = seqs[len(seqs)-1]
	}
}

// Stats counts the items of all queues that have items or bindings. It reads all of them.
func (s *Store) Stats(ctx context.Context) (stats queue.Stats, err error) {
	err = s.call(ctx, "stats", 0, func(ctx context.Context, c *pgx.Conn) error {
		rows, err := c.Query(ctx, s.sql(`
			WITH time AS MATERIALIZED (SELECT {now} AS now)
			SELECT now, queue, coalesce(ready, 0), coalesce(delayed, 0), coalesce(leased, 0), coalesce(dead, 0), oldest
			FROM time LEFT JOIN (
				SELECT queue, count(*) FILTER (WHERE state IN (0, 3) AND due <= now) AS ready, count(*) FILTER (WHERE state IN (0, 3) AND due > now) AS delayed,
					count(*) FILTER (WHERE state = 1) AS leased, count(*) FILTER (WHERE state = 2) AS dead,
					min(due) FILTER (WHERE state IN (0, 3) AND due <= now) AS oldest
				FROM {s}.items, time GROUP BY queue
			) AS counted FULL JOIN (SELECT DISTINCT queue FROM {s}.bindings) AS bound USING (queue) ON true
			ORDER BY queue`))
		if err != nil {
			return err
		}
		defer rows.Close()
		stats = queue.Stats{}
		for rows.Next() {
			var name *string
			var oldest *time.Time
			var q queue.QueueStats
			if err := rows.Scan(&stats.Now, &name, &q.Ready, &q.Delayed, &q.Leased, &q.Dead, &oldest); err != nil {
				return err
			}
			if name == nil {
				continue // there are none
			}
			if q.Queue = *name; oldest != nil {
				q.OldestReady = *oldest
			}
			stats.Queues = append(stats.Queues, q)
		}
		return rows.Err()
	})
	return stats, err
}
