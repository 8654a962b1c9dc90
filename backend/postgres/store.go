package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot-go/earshot/internal/wake"
	"github.com/earshot-go/earshot/queue"
	"github.com/jackc/pgx/v5"
)

func init() {
	open := func(url string) (queue.Store, error) {
		s, err := OpenStore(url, nil)
		if err != nil {
			return nil, err // not a nil *Store in an interface
		}
		return s, nil
	}
	for _, scheme := range []string{"postgres", "postgresql"} {
		queue.Register(scheme, open)
	}
}

// What a store can do besides.
var (
	_ queue.Finder             = (*Store)(nil)
	_ queue.Redriver           = (*Store)(nil)
	_ queue.Statter            = (*Store)(nil)
	_ queue.Waker              = (*Store)(nil)
	_ queue.Clock              = (*Store)(nil)
	_ queue.RevEnqueuer        = (*Store)(nil)
	_ queue.Maintainer         = (*Store)(nil)
	_ queue.TxEnqueuer[pgx.Tx] = (*Store)(nil)
)

// A Store is a schema of a PostgreSQL database. All methods may be called from many goroutines; all but Caps and String
// block on the server, for seconds at most.
type Store struct {
	opts   StoreOptions
	schema string // in quotation marks
	shown  string
	pool   *pool
	bell   *wake.Bell
	notes  notes
	litter litter

	preparing chan struct{} // has room for one
	prepared  atomic.Bool
	waiting   sync.Once
	waiters   atomic.Int64  // calls of Wait
	wanted    chan struct{} // has room for one: there is a new one

	life    context.Context // ends with Close
	end     context.CancelFunc
	ended   chan struct{} // closed when nothing runs any more
	mu      sync.Mutex    // guards the fields below
	closed  bool
	running sync.WaitGroup // calls and goroutines; nobody adds after closed
}

// OpenStore returns the store in the database of a URL, which the package's documentation describes. It connects to
// nothing: its errors are mistakes in the URL or the options, which may be nil. The first call makes the schema.
func OpenStore(url string, opts *StoreOptions) (*Store, error) {
	o, config, err := settings(url, opts)
	if err != nil {
		return nil, err
	}
	s := &Store{
		opts: o, schema: `"` + o.Schema + `"`, shown: shown(o, config), pool: newPool(config, o.Conns), bell: wake.New(),
		preparing: make(chan struct{}, 1), wanted: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	s.notes.init()
	s.life, s.end = context.WithCancel(context.Background())
	return s, nil
}

// String returns the URL without the password.
func (s *Store) String() string { return s.shown }

// Caps says what the store promises.
func (s *Store) Caps() queue.Caps {
	return queue.Caps{
		Engine: "postgres", Durable: true, MultiProcess: true, AtomicBatch: true, Fenced: true, Extend: true, Unique: true, Serial: true,
		MaxBytes: s.opts.MaxBytes,
		Note:     "durable as the server commits: not with fsync or synchronous_commit off, see Store.Durability",
	}
}

// Now returns the time of the server.
func (s *Store) Now(ctx context.Context) (now time.Time, err error) {
	err = s.call(ctx, "now", 0, func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, s.sql(`SELECT {now}`)).Scan(&now)
	})
	return now, err
}

// Close ends all calls and closes the connections. Before that it tells other processes what they wait for, for 100 ms at
// most. It waits until nothing of the store runs any more, or ctx ends. It is idempotent.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if first {
		s.bell.Close(s.closedError())
		s.finish(ctx)
		s.end()
		s.pool.close()
		go func() { // ends with the calls, whose connections are gone
			s.running.Wait()
			s.pool.open.Wait()
			close(s.ended)
		}()
	}
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("postgres: close %s: %w", s, context.Cause(ctx))
	}
}

func (s *Store) closedError() error { return fmt.Errorf("postgres: %s: %w", s, queue.ErrClosed) }

// enter counts a call or a goroutine that begins, unless the store is closed. It ends with running.Done.
func (s *Store) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.running.Add(1)
	return true
}

// call does something with a connection, in a time that grows with the weight: how many items it is about. What had no
// effect, since other transactions were in the way, is done again.
func (s *Store) call(ctx context.Context, what string, weight int, do func(context.Context, *pgx.Conn) error) error {
	if !s.enter() {
		return s.closedError()
	}
	defer s.running.Done()
	if ctx.Err() != nil {
		return fmt.Errorf("postgres: %s %s: %w", what, s, context.Cause(ctx))
	}
	most := callTime + time.Duration(weight)*200*time.Microsecond
	inner, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("no answer within %v", most))
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	var err error
	for range 4 {
		if err = s.try(inner, do); err == nil {
			return nil
		}
		if !undone(err) {
			break
		}
	}
	switch {
	case s.life.Err() != nil:
		return s.closedError()
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case inner.Err() != nil && code(err) == "":
		err = fmt.Errorf("%w: %w", queue.ErrDisconnected, context.Cause(inner))
		s.pool.distrust()
	default:
		if gone(err) {
			s.prepared.Store(false)
		}
		if err = meaning(err); errors.Is(err, queue.ErrDisconnected) {
			s.pool.distrust()
		}
	}
	return fmt.Errorf("postgres: %s %s: %w", what, s, err)
}

func (s *Store) try(ctx context.Context, do func(context.Context, *pgx.Conn) error) error {
	c, err := s.pool.take(ctx)
	if err != nil {
		return err
	}
	defer s.pool.give(c)
	if !s.prepared.Load() {
		if err := s.prepareOnce(ctx, c); err != nil {
			drop(c) // settings of roles and databases are for new connections
			return err
		}
	}
	return do(ctx, c)
}

// prepareOnce has one call at a time look after the schema.
func (s *Store) prepareOnce(ctx context.Context, c *pgx.Conn) error {
	select {
	case s.preparing <- struct{}{}:
		defer func() { <-s.preparing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if s.prepared.Load() {
		return nil
	}
	err := s.prepare(ctx, c)
	s.prepared.Store(err == nil)
	return err
}
