package redis

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// Find returns items in the order in which they were enqueued. The server has sets by ID, TID, Queue and, within a
// queue, State; what else is asked for is looked at a thousand items at a time, a round trip and about a millisecond
// of the server for each, until enough are found or ctx ends.
func (s *Store) Find(ctx context.Context, q queue.Query) ([]queue.Record, error) {
	const what = "find in"
	if err := q.Validate(true); err != nil {
		return nil, fmt.Errorf("redis: %s %s: %w", what, s, err)
	}
	if q.Limit == 0 {
		q.Limit = 100
	}
	var found []queue.Record
	_, err := s.sweep(ctx, what, findScript, "find", q, func(v value) error {
		if len(v.list)%4 != 0 {
			return errReply
		}
		for i := 0; i < len(v.list); i += 4 {
			if r, ok := readRow(string(v.at(i)), v.at(i+1), v.at(i+2)); ok {
				r.Reason = string(v.at(i + 3))
				found = append(found, r.Record)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Remove removes items that wait or are dead, in the order in which they were enqueued, about a thousand in each round
// trip. After an error some may be removed.
func (s *Store) Remove(ctx context.Context, q queue.Query) (int, error) {
	return s.change(ctx, "remove from", "remove", q)
}

// Redrive makes items due now, in the order in which they were enqueued, about a thousand in each round trip. After
// an error some may be.
func (s *Store) Redrive(ctx context.Context, q queue.Query) (int, error) {
	return s.change(ctx, "redrive in", "redrive", q)
}

func (s *Store) change(ctx context.Context, what, action string, q queue.Query) (int, error) {
	if err := q.Validate(false); err != nil {
		return 0, fmt.Errorf("redis: %s %s: %w", what, s, err)
	}
	q.After = ""
	return s.sweep(ctx, what, sweepScript, action, q, func(value) error { return nil })
}

// sweep runs one of the two scripts that go over items, until there are no more, or enough. See lua/sweep.lua.
func (s *Store) sweep(ctx context.Context, what string, sc *script, action string, q queue.Query, found func(value) error) (total int, err error) {
	after := "0"
	if q.After != "" {
		n, err := strconv.ParseUint(q.After, 10, 63)
		if err != nil {
			return 0, fmt.Errorf("redis: %s %s: %w: After %.40q is no Cursor of this store", what, s, queue.ErrInvalid, q.After)
		}
		after = strconv.FormatUint(n, 10)
	}
	limit := q.Limit
	if limit == 0 {
		limit = math.MaxInt32
	}
	state := map[queue.State]string{queue.StatePending: "p", queue.StateLeased: "l", queue.StateDead: "d"}[q.State]
	for total < limit {
		v, err := s.call(ctx, what, sc, action, q.ID, q.Queue, q.Name, q.TID, state, after, limit-total, leaseBytes)
		if err != nil {
			return total, err
		}
		n, err := v.int(1)
		if err != nil || len(v.list) != 4 {
			return total, s.failed(ctx, what, errReply)
		}
		total += int(n)
		for _, queue := range v.list[2].list {
			s.bell.Ring(string(queue.text), 0)
		}
		if err := found(v.list[3]); err != nil {
			return total, s.failed(ctx, what, err)
		}
		if after = string(v.at(0)); after == "" {
			break
		}
	}
	return total, nil
}

// Stats counts the items of all queues. It costs the server a few look-ups for each queue and priority, however many
// items there are.
func (s *Store) Stats(ctx context.Context) (queue.Stats, error) {
	const what = "stats of"
	v, err := s.call(ctx, what, statsScript)
	if err != nil {
		return queue.Stats{}, err
	}
	now, err := v.int(0)
	if err != nil || len(v.list)%6 != 1 {
		return queue.Stats{}, s.failed(ctx, what, errReply)
	}
	stats := queue.Stats{Now: time.UnixMicro(now).UTC()}
	for i := 1; i < len(v.list); i += 6 {
		var n [4]int64
		for j := range n {
			if n[j], err = v.int(i + 1 + j); err != nil {
				return queue.Stats{}, s.failed(ctx, what, err)
			}
		}
		q := queue.QueueStats{Queue: string(v.at(i)), Ready: int(n[0]), Delayed: int(n[1]), Leased: int(n[2]), Dead: int(n[3])}
		if oldest, err := v.int(i + 5); err == nil {
			q.OldestReady = time.UnixMicro(oldest).UTC()
		}
		stats.Queues = append(stats.Queues, q)
	}
	slices.SortFunc(stats.Queues, func(a, b queue.QueueStats) int { return strings.Compare(a.Queue, b.Queue) })
	return stats, nil
}
