package memstore

import (
	"cmp"
	"context"
	"slices"

	"github.com/earshot-go/earshot/queue"
)

// Stats counts the items of all queues that have items or bindings.
func (s *Store) Stats(ctx context.Context) (queue.Stats, error) {
	if err := s.lock(ctx, "stats"); err != nil {
		return queue.Stats{}, err
	}
	defer s.mu.Unlock()
	stats := queue.Stats{Now: now()}
	counts := map[string]*queue.QueueStats{}
	of := func(name string) *queue.QueueStats {
		if counts[name] == nil {
			counts[name] = &queue.QueueStats{Queue: name}
		}
		return counts[name]
	}
	for b := range s.bindings {
		of(b.Queue)
	}
	for _, e := range s.byID {
		c := of(e.Queue)
		switch {
		case e.state == queue.StateLeased:
			c.Leased++
		case e.state == queue.StateDead:
			c.Dead++
		case e.Due.After(stats.Now):
			c.Delayed++
		default:
			if c.Ready++; c.Ready == 1 || e.Due.Before(c.OldestReady) {
				c.OldestReady = e.Due
			}
		}
	}
	for _, c := range counts {
		stats.Queues = append(stats.Queues, *c)
	}
	slices.SortFunc(stats.Queues, func(a, b queue.QueueStats) int { return cmp.Compare(a.Queue, b.Queue) })
	return answer(stats, s.late)
}
