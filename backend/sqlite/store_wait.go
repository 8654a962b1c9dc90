package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Wait blocks until Lease may have something for one of the queues, or ctx ends. What this Store value stores wakes it
// at once; what others do is found by asking SQLite's data_version, every 2 ms while there is something to hear, then ever
// less often, down to every 25 ms.
func (s *Store) Wait(ctx context.Context, queues []string) error {
	s.watching.Do(s.startWatch)
	return s.bell.Wait(ctx, queues)
}

func (s *Store) startWatch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.running.Go(s.watch) // both end with s.ctx; Close waits for them
	s.running.Go(func() { s.bell.Patrol(s.ctx, time.Second, s.nextDue) })
}

// watch rings when another connection has committed something that is due.
func (s *Store) watch() {
	for s.ctx.Err() == nil {
		f, err := s.reader(s.ctx)
		if err == nil {
			f.look(s.ctx, func(error) { s.news() })
		}
		// Who leases finds out what it is.
		s.bell.RingAll()
		if err != nil && !pause(s.ctx, 500*time.Millisecond, time.Second) {
			return
		}
	}
}

// news rings for the queues that somebody waits for.
func (s *Store) news() {
	for _, q := range s.bell.Waiting() {
		in, err := s.nextDue(s.ctx, []string{q})
		if err != nil {
			in = 0
		}
		if in >= 0 {
			s.bell.Ring(q, in)
		}
	}
}

// nextDue returns the time until something is due, or a lease ends.
func (s *Store) nextDue(ctx context.Context, queues []string) (in time.Duration, err error) {
	f, err := s.reader(ctx)
	if err != nil {
		return 0, err
	}
	reading := session{db: readOnly{f.read}, now: time.Now().UnixMicro()}
	return reading.next(queues)
}

// readOnly carries out queries of those who only read.
type readOnly struct{ *sql.DB }

func (r readOnly) query(query string, args ...any) (*sql.Rows, error) { return r.Query(query, args...) }

func (readOnly) exec(string, ...any) (sql.Result, error) { return nil, errors.ErrUnsupported }

// look reads from the file, which is opened if need be.
func (s *Store) look(ctx context.Context, doing string, read func(*file) error) error {
	f, err := s.reader(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	if err = read(f); err == nil {
		return nil
	}
	select {
	case <-f.gone: // while it was read
		err = f.why
	default:
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if spoils(err) || kind(err) == codeError {
			f.close(err)
		}
	}
	return s.explain(doing, err)
}

// reader returns the open file, which is still the one at its path.
func (s *Store) reader(ctx context.Context) (*file, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if s.ctx.Err() != nil {
		return nil, s.closedError()
	}
	if f := s.opened.Load(); f != nil {
		if f.moved() {
			f.close(errReplaced)
		}
		select {
		case <-f.gone:
		default:
			return f, nil
		}
	}
	r := newRequest(&job{open: true})
	if err := s.ask(ctx, r, "open"); err != nil {
		return nil, err
	}
	return r.work.file, nil
}
