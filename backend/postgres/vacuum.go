package postgres

import (
	"context"
	"sync/atomic"
	"time"
)

// An item that is leased leaves a dead entry at the front of the index in which Lease looks, and every Lease passes by it
// until VACUUM removes it. Autovacuum comes once a minute, when there may be hundreds of thousands. So the store asks for
// VACUUM itself, as soon as it is worth it.

// litterLimit is how many dead rows are left alone, besides a tenth of the live ones, with which the price of VACUUM
// grows.
const litterLimit = 5000

type litter struct {
	leased  atomic.Int64 // since the last time that somebody asked
	busy    atomic.Bool  // somebody asks
	remains int64        // what VACUUM could not remove: another transaction may see it. For who is busy
}

// leave counts items that were leased, and has somebody clean up when there were many.
func (s *Store) leave(n int) {
	l := &s.litter
	if l.leased.Add(int64(n)) < litterLimit || !l.busy.CompareAndSwap(false, true) {
		return
	}
	l.leased.Store(0)
	s.goes(func() {
		s.vacuum()
		l.busy.Store(false)
	})
}

// vacuum cleans up the table of items if there is much to clean up. If it cannot, nothing is lost but time.
func (s *Store) vacuum() {
	c, err := s.pool.dial(s.life)
	if err != nil {
		return
	}
	defer drop(c)
	count := func() (dead, live int64, err error) {
		ctx, cancel := context.WithTimeout(s.life, callTime)
		defer cancel()
		err = c.QueryRow(ctx, `SELECT n_dead_tup, n_live_tup FROM pg_stat_all_tables WHERE schemaname = $1 AND relname = 'items'`, s.opts.Schema).Scan(&dead, &live)
		return dead, live, err
	}
	dead, live, err := count()
	if err != nil || dead < litterLimit+live/10+2*s.litter.remains {
		return
	}
	ctx, cancel := context.WithTimeout(s.life, time.Minute)
	defer cancel()
	if _, err := c.Exec(ctx, s.sql(`VACUUM (INDEX_CLEANUP ON, TRUNCATE OFF, SKIP_LOCKED ON) {s}.items`)); err == nil {
		s.litter.remains, _, _ = count()
	}
}
