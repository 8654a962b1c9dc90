package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/jackc/pgx/v5"
)

// Settle ends or prolongs leases.
func (s *Store) Settle(ctx context.Context, settlements []queue.Settlement) ([]error, error) {
	if len(settlements) == 0 {
		return nil, s.idle(ctx, "settle")
	}
	errs := make([]error, len(settlements))
	var todo []receipted
	for i := range settlements {
		v := &settlements[i]
		if errs[i] = v.Validate(); errs[i] != nil {
			continue
		}
		seq, deliveries, ok := readReceipt(v.Receipt)
		if !ok {
			errs[i] = s.lost(v)
			continue
		}
		todo = append(todo, receipted{v, i, seq, deliveries})
	}
	if len(todo) == 0 {
		return errs, s.idle(ctx, "settle")
	}
	// Rows are touched in the order of their numbers, so that calls do not wait for each other in a circle.
	slices.SortStableFunc(todo, func(x, y receipted) int { return cmp.Compare(x.seq, y.seq) })
	for len(todo) > 0 {
		// A second settlement of an item comes after the first.
		var now, later []receipted
		for i, r := range todo {
			if i > 0 && todo[i-1].seq == r.seq {
				later = append(later, r)
			} else {
				now = append(now, r)
			}
		}
		if err := s.settle(ctx, now, errs); err != nil {
			return nil, err
		}
		todo = later
	}
	return errs, nil
}

// receipted is a settlement whose receipt was read.
type receipted struct {
	*queue.Settlement
	place      int // in the call
	seq        int64
	deliveries int32
}

func (s *Store) lost(v *queue.Settlement) error {
	return fmt.Errorf("postgres: %v of item %.40q: %w", v.Action, v.ID, queue.ErrLeaseLost)
}

// settle settles what is in the order of seq, each one once, and puts errors in their places.
func (s *Store) settle(ctx context.Context, todo []receipted, errs []error) error {
	n := len(todo)
	seqs, deliveries, actions := make([]int64, n), make([]int32, n), make([]int16, n)
	ids, names := make([]string, n), make([]string, n)
	delays, ats, reasons := make([]int64, n), make([]*time.Time, n), make([]string, n)
	for i, r := range todo {
		seqs[i], deliveries[i], actions[i], ids[i], names[i] = r.seq, r.deliveries, int16(r.Action), r.ID, r.Queue
		switch r.Action {
		case queue.Fail:
			delays[i], reasons[i] = r.Delay.Microseconds(), queue.CutReason(r.Reason)
			if !r.At.IsZero() {
				ats[i] = &r.At
			}
		case queue.Release:
			delays[i] = r.Delay.Microseconds()
		case queue.Bury:
			reasons[i] = queue.CutReason(r.Reason)
		case queue.Extend:
			delays[i] = r.TTL.Microseconds()
		}
	}
	var now time.Time
	var done []int32 // places that had an effect, from 1; nil: all
	var queues []string
	var dues []time.Time
	err := s.call(ctx, "settle", n, func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, s.sql(`SELECT now, done, queues, dues FROM {s}.settle($1, $2, $3, $4, $5, $6, $7, $8)`),
			seqs, deliveries, ids, names, actions, ats, delays, reasons).Scan(&now, &done, &queues, &dues)
	})
	if err != nil {
		return err
	}
	if done != nil {
		slices.Sort(done)
		for i, r := range todo {
			if _, ok := slices.BinarySearch(done, int32(i+1)); !ok {
				errs[r.place] = s.lost(r.Settlement)
			}
		}
	}
	due := map[string]time.Duration{}
	for i := range min(len(queues), len(dues)) {
		earlier(due, queues[i], dues[i].Sub(now))
	}
	s.announce(due)
	return nil
}
