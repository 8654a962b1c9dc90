package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot-go/earshot/internal/wake"
	"github.com/earshot-go/earshot/queue"
)

func init() {
	queue.Register(engineName, func(address string) (queue.Store, error) {
		s, err := OpenStore(address, nil)
		if err != nil {
			return nil, err // not a nil *Store in an interface
		}
		return s, nil
	})
}

var (
	_ queue.Store               = (*Store)(nil)
	_ queue.Finder              = (*Store)(nil)
	_ queue.Redriver            = (*Store)(nil)
	_ queue.Statter             = (*Store)(nil)
	_ queue.Waker               = (*Store)(nil)
	_ queue.Clock               = (*Store)(nil)
	_ queue.RevEnqueuer         = (*Store)(nil)
	_ queue.TxEnqueuer[*sql.Tx] = (*Store)(nil)
	_ queue.Maintainer          = (*Store)(nil)
)

// A Store is the queues in one SQLite file. It implements [queue.Store] and all that a store may be able to do besides.
// Its methods may be called from many goroutines. All that change something block until that is on disk, their context
// ends, or for 5 s, after which they return queue.ErrDisconnected; calls from many goroutines share commits: many at
// once are much faster than one after another. After Close they return queue.ErrClosed.
type Store struct {
	*writer[*job]
	opts   StoreOptions
	bell   *wake.Bell
	opened atomic.Pointer[file] // for those who read

	watching sync.Once
}

// OpenStore returns the store of a URL: "sqlite:jobs.db". The package documentation says what a URL may be, and
// [StoreOptions] what can be in its query. It does not touch the file: the first call opens it, and makes it, and its
// tables, if they are not there. Errors are mistakes in the URL or the options.
func OpenStore(address string, opts *StoreOptions) (*Store, error) {
	path, o, err := parseStoreURL(address, opts)
	if err != nil {
		return nil, err
	}
	s := &Store{writer: newWriter[*job](path, &storeWords), opts: o, bell: wake.New()}
	s.worker = &clerk{store: s}
	return s, nil
}

// String returns the URL of the store with an absolute path: "sqlite:///var/lib/shop/jobs.db".
func (s *Store) String() string { return "sqlite://" + (&url.URL{Path: s.path}).EscapedPath() }

// Caps says what the store promises. It does not block.
func (s *Store) Caps() queue.Caps {
	c := queue.Caps{
		Engine: engineName, Durable: true, MultiProcess: true, AtomicBatch: true, Fenced: true, Extend: true, Unique: true,
		Serial: true, MaxBytes: s.opts.MaxBytes,
		Note: "on disk before a call returns; for processes of one host",
	}
	if s.opts.Sync == SyncNormal {
		c.Note = "survives kill -9, but the loss of power takes what was done last; for processes of one host"
	}
	return c
}

// Now returns the time of the store: the clock of this host. It does not block.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	if ctx.Err() != nil {
		return time.Time{}, context.Cause(ctx)
	}
	if s.ctx.Err() != nil {
		return time.Time{}, s.closedError()
	}
	return timeOf(time.Now().UnixMicro()), nil
}

// Close ends all calls, and gives the file back. A transaction that has begun is finished first; Close waits for that,
// or until ctx ends, and returns the cause of ctx then. It is idempotent.
func (s *Store) Close(ctx context.Context) error {
	s.bell.Close(s.closedError())
	return s.close(ctx)
}

// Enqueue stores items, all or none. What it waits for stands with [Store].
func (s *Store) Enqueue(ctx context.Context, items []queue.Item) ([]queue.Enqueued, error) {
	return s.enqueue(ctx, items, nil)
}

// EnqueueAt stores items, all or none, if the bindings have that revision.
func (s *Store) EnqueueAt(ctx context.Context, rev queue.Rev, items []queue.Item) ([]queue.Enqueued, error) {
	return s.enqueue(ctx, items, &rev)
}

func (s *Store) enqueue(ctx context.Context, items []queue.Item, rev *queue.Rev) ([]queue.Enqueued, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	rows, size, err := itemRows(items, s.opts.MaxBytes)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 && rev == nil {
		if s.ctx.Err() != nil {
			return nil, s.closedError()
		}
		return nil, nil
	}
	r := newRequest(&job{rows: rows, rev: rev, enqueued: make([]queue.Enqueued, len(rows))})
	r.rows, r.bytes = len(rows), size
	if err := s.ask(ctx, r, "enqueue"); err != nil {
		return nil, err
	}
	if r.work.err != nil {
		return nil, r.work.err
	}
	return r.work.enqueued, nil
}

// Lease takes items that are due, with 16 MiB of payloads at most, or one item. It does not wait for them; see Wait.
func (s *Store) Lease(ctx context.Context, l queue.LeaseRequest) ([]queue.Leased, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	marks := s.bell.Mark(l.Queues)
	r := newRequest(&job{lease: &l})
	for {
		if err := s.ask(ctx, r, "lease"); err != nil {
			return nil, err
		}
		if !r.work.again {
			break
		}
		r = newRequest(&job{lease: &l})
	}
	if len(r.work.leased) < l.Max {
		s.bell.Sleep(marks, r.work.next)
	}
	return r.work.leased, nil
}

// Settle ends or prolongs leases.
func (s *Store) Settle(ctx context.Context, settlements []queue.Settlement) ([]error, error) {
	if len(settlements) == 0 {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if s.ctx.Err() != nil {
			return nil, s.closedError()
		}
		return nil, nil
	}
	r := newRequest(&job{settle: settlements, errs: make([]error, len(settlements))})
	r.rows = len(settlements)
	if err := s.ask(ctx, r, "settle"); err != nil {
		return nil, err
	}
	return r.work.errs, nil
}

// Bind adds and then removes bindings.
func (s *Store) Bind(ctx context.Context, add, remove []queue.Binding) (queue.Rev, error) {
	for i := range add {
		if err := add[i].Validate(); err != nil {
			return 0, fmt.Errorf("sqlite: bind: %w", err)
		}
	}
	r := newRequest(&job{bind: &binding{add: add, remove: remove}})
	if err := s.ask(ctx, r, "bind"); err != nil {
		return 0, err
	}
	return r.work.bind.rev, nil
}

// Remove removes items that wait or are dead, some thousand in a transaction. It reads all items if the query has
// neither an ID nor a State.
func (s *Store) Remove(ctx context.Context, q queue.Query) (int, error) {
	return s.sweep(ctx, "remove", (*session).remove, q)
}

// Redrive makes items due now, some thousand in a transaction. What it reads is as with Remove.
func (s *Store) Redrive(ctx context.Context, q queue.Query) (int, error) {
	return s.sweep(ctx, "redrive", (*session).redrive, q)
}

// A sweep changes items that a query selects, in the order of their seq, from one on.
type sweep struct {
	change func(*session, *sweep) error
	query  queue.Query
	after  int64
	limit  int

	// The answer: how many were changed, and the last of them.
	n    int
	last int64
}

// sweepAtOnce is how many items one transaction changes: others wait for it.
const sweepAtOnce = 4000

func (s *Store) sweep(ctx context.Context, doing string, change func(*session, *sweep) error, q queue.Query) (n int, err error) {
	if err := q.Validate(false); err != nil {
		return 0, err
	}
	for after := int64(0); ; {
		limit := sweepAtOnce
		if q.Limit > 0 {
			limit = min(limit, q.Limit-n)
		}
		r := newRequest(&job{sweep: &sweep{change: change, query: q, after: after, limit: limit}})
		if err := s.ask(ctx, r, doing); err != nil {
			return n, err
		}
		done := r.work.sweep
		n, after = n+done.n, done.last
		if done.n < limit || n == q.Limit {
			return n, nil
		}
	}
}

// Reap takes back the items whose lease has expired, and returns how many.
func (s *Store) Reap(ctx context.Context) (n int, err error) {
	for {
		r := newRequest(&job{reap: true})
		if err := s.ask(ctx, r, "reap"); err != nil {
			return n, err
		}
		if n += r.work.n; r.work.n < reapAtOnce {
			return n, nil
		}
	}
}
