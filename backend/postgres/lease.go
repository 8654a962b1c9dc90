package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

const (
	// mostReaped is how many leases that have expired one call takes back.
	mostReaped = 1000
	// retry is when it is worthwhile to look again for what is due, but in the hands of another call.
	retry = 2 * time.Millisecond
	// answerBytes is how large the payloads of an answer are together, unless it is a single one.
	answerBytes = 16 << 20
)

// Lease takes items that are due from the queues.
func (s *Store) Lease(ctx context.Context, r queue.LeaseRequest) ([]queue.Leased, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	marks := s.bell.Mark(r.Queues)
	for reaped := false; ; {
		var got batch
		err := s.call(ctx, "lease", min(r.Max, 10_000), func(ctx context.Context, c *pgx.Conn) error {
			return s.lease(ctx, c, r, reaped, &got)
		})
		switch {
		case err != nil:
			return nil, err
		case got.expired:
			if _, err := s.reap(ctx, r.Queues); err != nil {
				return nil, err
			}
			reaped = true
		case got.again && len(got.items) == 0:
			// Many were looked at that cannot be leased for their serials, or not be read.
		default:
			if len(got.items) < r.Max && !got.again {
				s.bell.Sleep(marks, got.next)
			}
			s.leave(len(got.items))
			return got.items, nil
		}
	}
}

// A batch is what the function lease returns.
type batch struct {
	items   []queue.Leased
	next    time.Duration // negative: never
	expired bool          // there are leases to be taken back first
	again   bool          // there may be more
}

func (s *Store) lease(ctx context.Context, c *pgx.Conn, r queue.LeaseRequest, reaped bool, b *batch) error {
	within := callTime
	if end, ok := ctx.Deadline(); ok {
		within = time.Until(end)
	}
	rows, err := c.Query(ctx, s.sql(`SELECT * FROM {s}.lease($1, $2, $3, $4, $5, $6, $7)`),
		r.Queues, min(r.Max, math.MaxInt32), r.TTL.Microseconds(), r.Worker, reaped, within.Microseconds(), answerBytes)
	if err != nil {
		return err
	}
	defer rows.Close()
	*b = batch{next: -1}
	var found []row
	unread := false
	for rows.Next() {
		var w row
		if err := rows.Scan(w.fields()...); err != nil {
			return err
		}
		if w.seq != 0 {
			// An item that is not as Enqueue writes them has a lease that nobody knows of, and dies of that.
			if w.complete() {
				found = append(found, w)
			} else {
				unread = true
			}
			continue
		}
		b.expired, b.again = w.deliveries == 1, w.deliveries == 2 || unread // this row is the last
		if w.due.Valid {
			b.next = max(w.due.Time.Sub(*w.until), retry)
		}
	}
	// The engine returns them in the order in which it finds them.
	slices.SortFunc(found, func(x, y row) int {
		return cmp.Or(cmp.Compare(y.item.Priority, x.item.Priority), x.item.Due.Compare(y.item.Due), cmp.Compare(x.seq, y.seq))
	})
	b.items = make([]queue.Leased, len(found))
	for i, w := range found {
		b.items[i] = queue.Leased{Item: w.item, Receipt: receipt(w.seq, w.deliveries), Until: *w.until, Deliveries: w.deliveries, Fails: w.fails}
	}
	return rows.Err()
}

// A row is one of the table items, as the function lease and Find return it.
type row struct {
	seq               int64
	item              queue.Item
	headers           string
	due               pgtype.Timestamptz
	priority          int16
	scope             int16
	until             *time.Time
	deliveries, fails int
}

// columns is what fields takes.
const columns = `seq, id, queue, name, coalesce(tid, ''), coalesce(parent, ''), payload, coalesce(headers, ''), priority, maxfails, due,
	coalesce(key, ''), scope, coalesce(serial, ''), until, deliveries, fails`

func (w *row) fields() []any {
	it := &w.item
	return []any{&w.seq, &it.ID, &it.Queue, &it.Name, &it.TID, &it.Parent, &it.Payload, &w.headers, &w.priority, &it.MaxFails, &w.due,
		&it.Key, &w.scope, &it.Serial, &w.until, &w.deliveries, &w.fails}
}

// complete fills in what has other types, and reports whether all can be read.
func (w *row) complete() bool {
	w.item.Priority, w.item.Scope = int8(w.priority), queue.Scope(w.scope)
	w.item.Due = w.due.Time
	return w.headers == "" || json.Unmarshal([]byte(w.headers), &w.item.Headers) == nil
}

// receipt names a lease. No other has had it: a number is given to one row, and its deliveries only grow.
func receipt(seq int64, deliveries int) string {
	b := strconv.AppendInt(make([]byte, 0, 24), seq, 10)
	return string(strconv.AppendInt(append(b, '.'), int64(deliveries), 10))
}

// readReceipt is the reverse.
func readReceipt(text string) (seq int64, deliveries int32, ok bool) {
	first, second, _ := strings.Cut(text, ".")
	seq, err := strconv.ParseInt(first, 10, 64)
	n, err2 := strconv.ParseInt(second, 10, 32)
	return seq, int32(n), err == nil && err2 == nil && text == receipt(seq, int(n))
}

// reap takes back leases that have expired.
func (s *Store) reap(ctx context.Context, queues []string) (n int, err error) {
	var names []string
	err = s.call(ctx, "reap", 0, func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, s.sql(`SELECT n, queues FROM {s}.reap($1, $2)`), queues, mostReaped).Scan(&n, &names)
	})
	s.announceNow(names)
	return n, err
}

// Reap takes back all items whose lease has expired, and sees to it that no serial stands still that nobody works on, as
// it may where somebody has changed the tables.
func (s *Store) Reap(ctx context.Context) (all int, err error) {
	for n := mostReaped; n == mostReaped && err == nil; all += n {
		n, err = s.reap(ctx, nil)
	}
	for name, serial := "", ""; err == nil; {
		var names []string
		err = s.call(ctx, "reap", mostReaped, func(ctx context.Context, c *pgx.Conn) error {
			return c.QueryRow(ctx, s.sql(`SELECT queue, serial, queues FROM {s}.mend($1, $2, $3)`), name, serial, mostReaped).Scan(&name, &serial, &names)
		})
		s.announceNow(names)
		if name == "" {
			break
		}
	}
	return all, err
}

// announceNow tells that there may be something to lease at once.
func (s *Store) announceNow(queues []string) {
	due := map[string]time.Duration{}
	for _, name := range queues {
		due[name] = 0
	}
	s.announce(due)
}
