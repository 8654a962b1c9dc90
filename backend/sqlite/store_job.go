package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/earshot-go/earshot/internal/wake"
	"github.com/earshot-go/earshot/queue"
)

// A job is what the writer of a Store is asked to do: one of these, with the answer.
type job struct {
	rows     []itemRow
	rev      *queue.Rev // rows are only stored at this revision of the bindings
	enqueued []queue.Enqueued

	lease  *queue.LeaseRequest
	leased []queue.Leased
	again  bool          // none was found yet, after much work: it is committed, and has to go on
	next   time.Duration // until there is more for a lease; negative: nothing is known of

	settle []queue.Settlement
	errs   []error

	bind *binding

	sweep *sweep

	reap bool
	n    int // of reap

	open bool // wants the file for reading
	file *file

	err error // of this job alone
}

// A clerk is the worker of a Store.
type clerk struct {
	store *Store
	file  *file // of which it knows the following
	epoch uint64
	names map[string]int64 // of workers, in earshot_workers

	rings map[string]int64 // when something is due, by queue; of the last transaction
	now   int64
	room  []any // for the arguments of inserts
}

func (c *clerk) mode() openMode {
	return openMode{
		sync: c.store.opts.Sync, pages: c.store.opts.pages, vfs: c.store.opts.vfs, cache: 64 << 10,
		create: func(ctx context.Context, conn *sql.Conn) error {
			if _, err := storeReady(ctx, conn); err != nil {
				return err
			}
			return makeStore(conn)
		},
		ready: func(ctx context.Context, conn *sql.Conn) (bool, error) { return storeReady(ctx, conn) },
	}
}

// committed rings for what is due now, or later.
func (c *clerk) committed(f *file, _ []*request[*job]) {
	c.store.opened.Store(f)
	for q, due := range c.rings {
		c.store.bell.Ring(q, wake.In(due-c.now))
	}
	clear(c.rings)
}

// errCareful: the quick way is not good for this group. All is taken back, and done again the slow way.
var errCareful = errors.New("some of the leases are lost")

func (c *clerk) transact(ctx context.Context, f *file, group []*request[*job]) error {
	if c.file != f {
		epoch := int64(0)
		if err := f.conn.QueryRowContext(ctx, "SELECT epoch FROM earshot_queue").Scan(&epoch); err != nil {
			return err
		}
		c.file, c.epoch, c.names = f, uint64(epoch), map[string]int64{}
	}
	if onlyOpens(group) {
		for _, r := range group {
			r.work.file = f
		}
		return nil
	}
	err := c.try(ctx, group, false)
	if errors.Is(err, errCareful) {
		err = c.try(ctx, group, true)
	}
	if kind(err) == codeError {
		// Somebody has removed a table, or a column: it is looked at again when the file is opened anew.
		f.close(err)
	}
	return err
}

func onlyOpens(group []*request[*job]) bool {
	for _, r := range group {
		if !r.work.open {
			return false
		}
	}
	return true
}

func (c *clerk) try(ctx context.Context, group []*request[*job], carefully bool) error {
	at("begin")
	if err := c.file.begin(ctx); err != nil {
		return err
	}
	at("begun")
	c.now = time.Now().UnixMicro()
	if c.rings == nil {
		c.rings = map[string]int64{}
	}
	clear(c.rings)
	s := &session{db: c.file, clerk: c, now: c.now, rings: c.rings}
	names := len(c.names)
	err := s.do(group, carefully)
	at("commit")
	err = c.file.end(err)
	if err != nil && len(c.names) != names {
		c.names = map[string]int64{} // those that were new are not in the table
	}
	at("committed")
	return err
}

// db is where statements are carried out: in the transaction of the writer, or in one of an application.
type db interface {
	exec(query string, args ...any) (sql.Result, error)
	query(query string, args ...any) (*sql.Rows, error)
}

// A session is one transaction.
type session struct {
	db
	clerk *clerk // nil in a transaction of an application
	now   int64
	rings map[string]int64
}

// do carries out the jobs of a group. They came at the same time, so that they may be done in any order: first what
// makes items free, then what adds some, and last what takes them.
func (s *session) do(group []*request[*job], carefully bool) error {
	if err := s.settle(group, carefully); err != nil {
		return err
	}
	at("settled")
	for _, r := range group {
		if r.work.bind != nil {
			if err := s.bind(r.work.bind); err != nil {
				return err
			}
		}
	}
	if err := s.enqueue(group); err != nil {
		return err
	}
	at("enqueued")
	for _, r := range group {
		var err error
		switch j := r.work; {
		case j.sweep != nil:
			err = j.sweep.change(s, j.sweep)
		case j.open:
			j.file = s.clerk.file
		}
		if err != nil {
			return err
		}
	}
	if err := s.lease(group); err != nil {
		return err
	}
	at("leased")
	return nil
}

// ring says that something is due in a queue.
func (s *session) ring(queue string, due int64) {
	if have, ok := s.rings[queue]; s.rings != nil && (!ok || due < have) {
		s.rings[queue] = due
	}
}

// each calls f for each row of a query. What f scans has to be copied.
func (s *session) each(f func(*sql.Rows) error, query string, args ...any) error {
	rows, err := s.query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// one scans the first row of a query, and reports whether there is one.
func (s *session) one(query string, args []any, to ...any) (there bool, err error) {
	err = s.each(func(r *sql.Rows) error {
		if there {
			return nil
		}
		there = true
		return r.Scan(to...)
	}, query, args...)
	return there, err
}

// count carries out a statement and returns how many rows it has changed.
func (s *session) count(query string, args ...any) (int64, error) {
	result, err := s.exec(query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// damaged says that a row is not as it was written.
func damaged(id string) error {
	return fmt.Errorf("%w: that of item %.40q in earshot_items is not as it was written", errDamagedRow, id)
}
