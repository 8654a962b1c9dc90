package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"github.com/earshot-go/earshot/queue"
)

// where writes a query as SQL. The states are written out, so that SQLite can see which index has them.
func where(q *queue.Query, states ...int) (text string, args []any) {
	var list []string
	for _, f := range [...]struct{ column, value string }{{"id", q.ID}, {"queue", q.Queue}, {"name", q.Name}, {"tid", q.TID}} {
		if f.value != "" {
			list, args = append(list, f.column+" = ?"), append(args, f.value)
		}
	}
	switch q.State {
	case queue.StatePending:
		list = append(list, "state IN (0, 3)")
	case queue.StateLeased:
		list = append(list, "state = 1")
	case queue.StateDead:
		list = append(list, "state = 2")
	}
	if len(list) == 0 {
		list = append(list, "1")
	}
	return strings.Join(list, " AND "), args
}

var stateNames = map[int64]queue.State{pending: queue.StatePending, leased: queue.StateLeased, dead: queue.StateDead, parked: queue.StatePending}

// Find returns items. It does not wait for those who write. To look for a Name or TID reads all items of the queue, or
// of all queues.
func (s *Store) Find(ctx context.Context, q queue.Query) (records []queue.Record, err error) {
	if err := q.Validate(true); err != nil {
		return nil, err
	}
	after := int64(0)
	if q.After != "" {
		if after, err = strconv.ParseInt(q.After, 10, 64); err != nil {
			return nil, fmt.Errorf("sqlite: find: %w: After %.40q is no Cursor of this store", queue.ErrInvalid, q.After)
		}
	}
	limit := q.Limit
	if limit == 0 {
		limit = 100
	}
	text, args := where(&q)
	query := "SELECT " + itemColumns + `, state, deliveries, fails, until, created, reason,
		ifnull((SELECT w.name FROM earshot_workers w WHERE w.worker = earshot_items.worker), '')
		FROM earshot_items WHERE ` + text + " AND seq > ? ORDER BY seq LIMIT ?"
	args = append(args, after, limit)
	err = s.look(ctx, "find", func(f *file) error {
		records = nil
		rows, err := f.read.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			r, err := scanRecord(rows)
			if err != nil {
				return err
			}
			records = append(records, r)
		}
		return rows.Err()
	})
	return records, err
}

func scanRecord(rows *sql.Rows) (r queue.Record, err error) {
	var it scanned
	var state, until, created int64
	err = rows.Scan(it.targets(&state, &r.Deliveries, &r.Fails, &until, &created, &r.Reason, &r.Worker)...)
	if err != nil {
		return r, err
	}
	if !it.whole() {
		return r, damaged(it.ID)
	}
	r.Item, r.State, r.Created, r.Cursor = it.Item, stateNames[state], timeOf(created), strconv.FormatInt(it.seq, 10)
	if until != noTime {
		r.Until = timeOf(until)
	}
	return r, nil
}

// remove removes what waits or is dead, within a transaction.
func (s *session) remove(w *sweep) error {
	type gone struct {
		seq                int64
		queue, key, serial string
	}
	var list []gone
	var seqs []int64
	text, args := where(&w.query)
	err := s.each(func(r *sql.Rows) error {
		var g gone
		err := r.Scan(&g.seq, &g.queue, &g.key, &g.serial)
		list, seqs, w.last = append(list, g), append(seqs, g.seq), g.seq
		return err
	}, "SELECT seq, queue, key, serial FROM earshot_items WHERE "+text+" AND state <> 1 AND seq > ? ORDER BY seq LIMIT ?", append(args, w.after, w.limit)...)
	if err != nil {
		return err
	}
	if _, err := s.exec("DELETE FROM earshot_items WHERE seq IN (SELECT value FROM json_each(?))", jsonOf(seqs)); err != nil {
		return err
	}
	for _, g := range list {
		if g.key != "" { // free at once, however long it was to be held
			if _, err := s.exec("DELETE FROM earshot_keys WHERE queue = ? AND key = ? AND seq = ?", g.queue, g.key, g.seq); err != nil {
				return err
			}
		}
		if err := s.unpark(g.queue, g.serial); err != nil {
			return err
		}
	}
	w.n = len(list)
	return nil
}

// redrive makes dead items pending, and pending ones due, within a transaction.
func (s *session) redrive(w *sweep) error {
	var seqs []int64
	text, args := where(&w.query)
	// With OR in place of CASE the planner of SQLite 3.53 ends in an error, because of the partial indexes.
	err := s.each(func(r *sql.Rows) error {
		var seq int64
		var q string
		err := r.Scan(&seq, &q)
		seqs, w.last = append(seqs, seq), seq
		s.ring(q, s.now)
		return err
	}, "SELECT seq, queue FROM earshot_items WHERE "+text+" AND CASE state WHEN 2 THEN 1 WHEN 0 THEN due > ? END AND seq > ? ORDER BY seq LIMIT ?", append(args, s.now, w.after, w.limit)...)
	if err != nil {
		return err
	}
	w.n = len(seqs)
	_, err = s.exec(`UPDATE earshot_items SET fails = CASE state WHEN 2 THEN 0 ELSE fails END, state = 0, due = ?, until = ?
		WHERE seq IN (SELECT value FROM json_each(?))`, s.now, noTime, jsonOf(seqs))
	return err
}
