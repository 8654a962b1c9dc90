package memstore

import (
	"context"
	"fmt"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// Enqueue stores items: all of them, or after an error none, unless it is one of FailAnswers.
func (s *Store) Enqueue(ctx context.Context, items []queue.Item) ([]queue.Enqueued, error) {
	return s.enqueue(ctx, items, nil)
}

// EnqueueAt is Enqueue, unless the bindings have another revision.
func (s *Store) EnqueueAt(ctx context.Context, rev queue.Rev, items []queue.Item) ([]queue.Enqueued, error) {
	return s.enqueue(ctx, items, &rev)
}

func (s *Store) enqueue(ctx context.Context, items []queue.Item, rev *queue.Rev) ([]queue.Enqueued, error) {
	for i := range items {
		if err := items[i].Validate(s.maxBytes); err != nil {
			return nil, err
		}
	}
	if err := s.lock(ctx, "enqueue"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	if rev != nil && *rev != s.rev {
		return nil, fmt.Errorf("memstore: enqueue: %w: their revision is %d, not %d", queue.ErrStaleBindings, s.rev, *rev)
	}
	now := now()
	s.forgetKeys(now)
	became := make([]queue.Enqueued, len(items))
	for i := range items {
		became[i] = s.enqueueOne(&items[i], now)
	}
	return answer(became, s.late)
}

func (s *Store) enqueueOne(it *queue.Item, now time.Time) queue.Enqueued {
	if s.byID[it.ID] != nil {
		return queue.Enqueued{ID: it.ID, Status: queue.Duplicate}
	}
	if k := s.held(it, now); k != nil {
		if it.Replace && k.item.state == queue.StatePending {
			s.replace(k.item, it, now)
			return queue.Enqueued{ID: k.item.ID, Status: queue.Replaced}
		}
		return queue.Enqueued{ID: k.item.ID, Status: queue.Duplicate}
	}
	p := s.piles[it.Queue]
	if p == nil {
		p = newPile(it.Queue)
		s.piles[it.Queue] = p
	}
	s.seq++
	e := &entry{Item: copied(*it), seq: s.seq, pile: p, created: now}
	e.Delay = 0
	s.byID[e.ID] = e
	s.order = append(s.order, e)
	s.hold(e, now)
	s.await(e, dueOf(it, now), now)
	return queue.Enqueued{ID: it.ID, Status: queue.Inserted}
}

// replace gives a pending item what another one brings that has its key.
func (s *Store) replace(e *entry, by *queue.Item, now time.Time) {
	fresh := copied(*by)
	e.Payload, e.Headers = fresh.Payload, fresh.Headers
	e.pile.take(e)
	s.await(e, dueOf(by, now), now)
}

// dueOf returns when an item is due that is enqueued now.
func dueOf(it *queue.Item, now time.Time) time.Time {
	if it.Due.IsZero() {
		return micro(now.Add(it.Delay))
	}
	return micro(it.Due)
}
