package memstore

import (
	"context"
	"fmt"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// maxTakenBack is how many expired leases one call of Lease takes back.
const maxTakenBack = 1000

// Lease takes items that are due from the queues.
func (s *Store) Lease(ctx context.Context, r queue.LeaseRequest) ([]queue.Leased, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if err := s.lock(ctx, "lease"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	now := now()
	var piles []*pile
	taken := 0
	for _, name := range r.Queues {
		if p := s.piles[name]; p != nil {
			piles = append(piles, p)
			taken += s.takeBack(p, now, maxTakenBack-taken)
		}
	}
	marks := s.bell.Mark(r.Queues)
	var leased []queue.Leased
	for len(leased) < r.Max {
		e := dueFirst(piles, now)
		if e == nil {
			s.bell.Sleep(marks, nextOf(piles, now))
			break
		}
		if e.Scope == queue.UntilLeased {
			s.outOfScope(e, now)
		}
		e.pile.lease(e, r.Worker, micro(now.Add(r.TTL)))
		leased = append(leased, queue.Leased{
			Item: copied(e.Item), Receipt: e.receipt(), Until: e.until, Deliveries: e.deliveries, Fails: e.fails,
		})
	}
	return answer(leased, s.late)
}

// dueFirst returns the item to lease next, or nil if none is due.
func dueFirst(piles []*pile, now time.Time) (first *entry) {
	for _, p := range piles {
		if e := p.due(now); e != nil && (first == nil || sooner(e, first)) {
			first = e
		}
	}
	return first
}

// nextOf returns in which time there may be something to lease, a negative one being never.
func nextOf(piles []*pile, now time.Time) time.Duration {
	in := time.Duration(-1)
	for _, p := range piles {
		if at, ok := p.next(); ok {
			if d := max(0, at.Sub(now)); in < 0 || d < in {
				in = d
			}
		}
	}
	return in
}

// takeBack takes back expired leases of a queue, and returns how many.
func (s *Store) takeBack(p *pile, now time.Time, most int) (n int) {
	for ; n < most; n++ {
		e := p.leased.first()
		if e == nil || e.until.After(now) {
			break
		}
		s.failed(e, e.Due, fmt.Sprintf("the lease of worker %q has expired", e.worker), now)
	}
	return n
}

// failed ends a lease by a fail.
func (s *Store) failed(e *entry, due time.Time, reason string, now time.Time) {
	e.pile.endLease(e)
	e.fails++
	e.reason = queue.CutReason(reason)
	if e.spent() {
		s.bury(e, e.reason, now)
		s.ring(e.pile, now) // for others of its Serial
		return
	}
	s.await(e, due, now)
}

// Reap takes back all items whose lease has expired.
func (s *Store) Reap(ctx context.Context) (n int, err error) {
	if err := s.lock(ctx, "reap"); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	now := now()
	for _, p := range s.piles {
		n += s.takeBack(p, now, p.leased.Len())
	}
	return answer(n, s.late)
}

// Wait blocks until Lease may have something for one of the queues.
func (s *Store) Wait(ctx context.Context, queues []string) error {
	if err := s.lock(ctx, "wait"); err != nil {
		return err
	}
	s.mu.Unlock()
	return s.bell.Wait(ctx, queues)
}
