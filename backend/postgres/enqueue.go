package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/jackc/pgx/v5"
)

// Enqueue stores items: all of them, or after an error none. If the connection broke it is not known which.
func (s *Store) Enqueue(ctx context.Context, items []queue.Item) ([]queue.Enqueued, error) {
	return s.enqueue(ctx, items, nil)
}

// EnqueueAt is Enqueue, unless the bindings have another revision.
func (s *Store) EnqueueAt(ctx context.Context, rev queue.Rev, items []queue.Item) ([]queue.Enqueued, error) {
	return s.enqueue(ctx, items, &rev)
}

func (s *Store) enqueue(ctx context.Context, items []queue.Item, rev *queue.Rev) ([]queue.Enqueued, error) {
	args, err := s.fields(items, rev)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 && rev == nil {
		return nil, s.idle(ctx, "enqueue")
	}
	var got answer
	err = s.call(ctx, "enqueue", len(items), func(ctx context.Context, c *pgx.Conn) error {
		got = answer{}
		return got.scan(c.QueryRow(ctx, s.sql(enqueueSQL), args...))
	})
	if err != nil {
		return nil, err
	}
	if rev != nil && got.rev != nil && *got.rev != int64(*rev) {
		return nil, fmt.Errorf("postgres: enqueue %s: %w: their revision is %d, not %d", s, queue.ErrStaleBindings, *got.rev, *rev)
	}
	became := got.enqueued(items)
	due := map[string]time.Duration{}
	for i := range items {
		if became[i].Status != queue.Duplicate {
			earlier(due, items[i].Queue, dueIn(&items[i], got.now))
		}
	}
	s.announce(due)
	return became, nil
}

// idle answers a call that has nothing to do.
func (s *Store) idle(ctx context.Context, what string) error {
	if !s.enter() {
		return s.closedError()
	}
	s.running.Done()
	if ctx.Err() != nil {
		return fmt.Errorf("postgres: %s %s: %w", what, s, context.Cause(ctx))
	}
	return nil
}

const enqueueSQL = `SELECT now, rev, became, holders FROM {s}.enqueue($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`

// An answer is what the function enqueue returns.
type answer struct {
	now     time.Time
	rev     *int64
	became  []int16 // nil: all were inserted
	holders []string
}

func (a *answer) scan(row interface{ Scan(...any) error }) error {
	return row.Scan(&a.now, &a.rev, &a.became, &a.holders)
}

func (a *answer) enqueued(items []queue.Item) []queue.Enqueued {
	out := make([]queue.Enqueued, len(items))
	for i := range items {
		out[i].ID = items[i].ID
		if i < len(a.became) && i < len(a.holders) {
			out[i] = queue.Enqueued{ID: a.holders[i], Status: queue.Status(a.became[i])}
		}
	}
	return out
}

func dueIn(it *queue.Item, now time.Time) time.Duration {
	if it.Due.IsZero() {
		return it.Delay
	}
	return it.Due.Sub(now)
}

// A column is a field of all items. It is sent as NULL if no item has it.
type column[T comparable] struct {
	values []T
	used   bool
}

func (c *column[T]) add(v T) {
	var zero T
	c.values = append(c.values, v)
	c.used = c.used || v != zero
}

func (c *column[T]) arg() []T {
	if !c.used {
		return nil
	}
	return c.values
}

// fields returns the arguments of the function enqueue.
func (s *Store) fields(items []queue.Item, rev *queue.Rev) ([]any, error) {
	n := len(items)
	ids, queues, names := make([]string, n), make([]string, n), make([]string, n)
	payloads, priorities, maxFails := make([][]byte, n), make([]int16, n), make([]int32, n)
	var tids, parents, headers, serials, keys column[string]
	var dues []*time.Time
	var delays, holds column[int64]
	var scopes column[int16]
	var replaces column[bool]
	size := 0
	for i := range items {
		it := &items[i]
		if err := it.Validate(s.opts.MaxBytes); err != nil {
			return nil, err
		}
		ids[i], queues[i], names[i] = it.ID, it.Queue, it.Name
		if len(it.Payload) > 0 {
			payloads[i] = it.Payload
			size += len(it.Payload)
		}
		priorities[i], maxFails[i] = int16(it.Priority), int32(min(max(it.MaxFails, -1), 1<<31-1))
		tids.add(it.TID)
		parents.add(it.Parent)
		text, err := headersText(it.Headers)
		if err != nil {
			return nil, err
		}
		headers.add(text)
		serials.add(it.Serial)
		keys.add(it.Key)
		if !it.Due.IsZero() {
			if dues == nil {
				dues = make([]*time.Time, n)
			}
			dues[i] = &it.Due
		}
		delays.add(it.Delay.Microseconds())
		holds.add(it.Hold.Microseconds())
		scopes.add(int16(it.Scope))
		replaces.add(it.Replace)
	}
	if size > largestCall {
		return nil, fmt.Errorf("postgres: enqueue: %w: the payloads of this call have %d bytes together, the limit is %d: make several calls", queue.ErrTooLarge, size, largestCall)
	}
	args := []any{(*int64)(rev), ids, queues, names, payloads, priorities, maxFails,
		tids.arg(), parents.arg(), headers.arg(), dues, delays.arg(), serials.arg()}
	if !keys.used {
		return append(args, []string(nil), []int16(nil), []int64(nil), []bool(nil)), nil
	}
	return append(args, keys.values, scopes.values, holds.values, replaces.values), nil
}

func headersText(headers map[string]string) (string, error) {
	if len(headers) == 0 {
		return "", nil
	}
	text, err := json.Marshal(headers)
	return string(text), err
}
