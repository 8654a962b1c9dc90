package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Wait blocks until Lease may have something for one of the queues.
func (s *Store) Wait(ctx context.Context, queues []string) error {
	if !s.enter() {
		return s.closedError()
	}
	defer s.running.Done()
	s.waiting.Do(func() {
		s.goes(func() { s.bell.Patrol(s.life, time.Second, s.next) })
		if !s.opts.NoNotify {
			s.goes(s.listen)
		}
	})
	s.waiters.Add(1)
	defer s.waiters.Add(-1)
	select {
	case s.wanted <- struct{}{}:
	default:
	}
	return s.bell.Wait(ctx, queues)
}

// next asks in which time there may be something to lease.
func (s *Store) next(ctx context.Context, queues []string) (time.Duration, error) {
	var now time.Time
	var due *time.Time
	err := s.call(ctx, "wait", 0, func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, s.sql(`SELECT {now}, {s}.next($1)`), queues).Scan(&now, &due)
	})
	if err != nil || due == nil {
		return -1, err
	}
	return max(0, due.Sub(now)), nil
}
