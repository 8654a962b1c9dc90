package memstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/earshot-go/earshot/queue"
)

// Find returns items in the order in which they were enqueued.
func (s *Store) Find(ctx context.Context, q queue.Query) ([]queue.Record, error) {
	if err := q.Validate(true); err != nil {
		return nil, err
	}
	after := int64(0)
	if q.After != "" {
		var err error
		if after, err = strconv.ParseInt(q.After, 10, 64); err != nil || after < 0 {
			return nil, fmt.Errorf("memstore: find: %w: After %.40q is no Cursor of this store", queue.ErrInvalid, q.After)
		}
	}
	if q.Limit == 0 {
		q.Limit = 100
	}
	if err := s.lock(ctx, "find"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var found []queue.Record
	for _, e := range s.selected(q, after, queue.StatePending, queue.StateLeased, queue.StateDead) {
		found = append(found, queue.Record{
			Item: copied(e.Item), State: e.state, Deliveries: e.deliveries, Fails: e.fails, Created: e.created,
			Until: e.until, Worker: e.worker, Reason: e.reason, Cursor: e.cursor(),
		})
	}
	return answer(found, s.late)
}

// Remove removes items that are pending or dead.
func (s *Store) Remove(ctx context.Context, q queue.Query) (int, error) {
	if err := q.Validate(false); err != nil {
		return 0, err
	}
	if err := s.lock(ctx, "remove"); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	found := s.selected(q, 0, queue.StatePending, queue.StateDead)
	for _, e := range found {
		if e.state == queue.StatePending {
			e.pile.take(e)
		}
		if k := s.keyOf(e); k != nil {
			s.free(k)
		}
		s.forget(e)
	}
	return answer(len(found), s.late)
}

// Redrive makes items due now: dead ones, and pending ones that wait for their time.
func (s *Store) Redrive(ctx context.Context, q queue.Query) (int, error) {
	if err := q.Validate(false); err != nil {
		return 0, err
	}
	if err := s.lock(ctx, "redrive"); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	now, limit, n := now(), q.Limit, 0
	q.Limit = 0
	for _, e := range s.selected(q, 0, queue.StatePending, queue.StateDead) {
		switch {
		case limit > 0 && n == limit:
			continue
		case e.state == queue.StateDead:
			e.fails = 0
		case e.Due.After(now):
			e.pile.take(e)
		default:
			continue // it is due
		}
		s.await(e, now, now)
		n++
	}
	return answer(n, s.late)
}

// selected returns the items in one of the states that fit a query, in the order in which they were enqueued.
func (s *Store) selected(q queue.Query, after int64, states ...queue.State) (found []*entry) {
	among := s.order
	if q.ID != "" {
		among = nil
		if e := s.byID[q.ID]; e != nil {
			among = []*entry{e}
		}
	}
	begin, _ := slices.BinarySearchFunc(among, after+1, func(e *entry, seq int64) int { return cmp.Compare(e.seq, seq) })
	for _, e := range among[begin:] {
		if q.Limit > 0 && len(found) == q.Limit {
			break
		}
		if slices.Contains(states, e.state) && fits(q, e) {
			found = append(found, e)
		}
	}
	return found
}

func fits(q queue.Query, e *entry) bool {
	return (q.Queue == "" || q.Queue == e.Queue) && (q.Name == "" || q.Name == e.Name) &&
		(q.TID == "" || q.TID == e.TID) && (q.State == "" || q.State == e.state)
}
