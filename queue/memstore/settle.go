package memstore

import (
	"context"
	"fmt"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// Settle ends or prolongs leases.
func (s *Store) Settle(ctx context.Context, settlements []queue.Settlement) ([]error, error) {
	if err := s.lock(ctx, "settle"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	now := now()
	faults := make([]error, len(settlements))
	for i := range settlements {
		faults[i] = s.settleOne(&settlements[i], now)
	}
	return answer(faults, s.late)
}

func (s *Store) settleOne(t *queue.Settlement, now time.Time) error {
	if err := t.Validate(); err != nil {
		return err
	}
	e := s.byID[t.ID]
	// A lease that has expired is still a lease, until takeBack ends it.
	if e == nil || e.Queue != t.Queue || e.state != queue.StateLeased || e.receipt() != t.Receipt {
		return fmt.Errorf("memstore: %v of item %.40q: %w", t.Action, t.ID, queue.ErrLeaseLost)
	}
	switch t.Action {
	case queue.Ack:
		e.pile.endLease(e)
		s.outOfScope(e, now)
		s.forget(e)
	case queue.Fail:
		due := t.At
		if due.IsZero() {
			due = now.Add(t.Delay)
		}
		s.failed(e, micro(due), t.Reason, now)
		return nil
	case queue.Release:
		e.pile.endLease(e)
		due := e.Due
		if t.Delay > 0 {
			due = micro(now.Add(t.Delay))
		}
		s.await(e, due, now)
		return nil
	case queue.Bury:
		e.pile.endLease(e)
		s.bury(e, queue.CutReason(t.Reason), now)
	case queue.Extend:
		e.until = micro(now.Add(t.TTL))
		e.pile.leased.moved(e)
	}
	s.ring(e.pile, now) // others of its Serial may be leased; or the lease is shorter now
	return nil
}
