package mongodb

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/earshot-go/earshot/internal/wake"
	"github.com/earshot-go/earshot/queue"
)

func init() {
	open := func(url string) (queue.Store, error) {
		s, err := OpenStore(url, nil)
		if err != nil {
			return nil, err // not a nil *Store in an interface
		}
		return s, nil
	}
	for _, scheme := range []string{"mongodb", "mongodb+srv"} {
		queue.Register(scheme, open)
	}
}

// A Store keeps items in a database of MongoDB. All methods may be called from many goroutines, and from many
// processes that have the same URL. They wait for the server, 5 seconds at most for each answer.
type Store struct {
	opts  StoreOptions
	at    address
	bell  *wake.Bell
	clock *clock
	mends mends
	desk  desk
	fault func() error // for tests: what it returns befalls the next step

	life    context.Context // ends with Close
	end     context.CancelCauseFunc
	running sync.WaitGroup // calls and the patrol; nobody adds after closed
	dropped sync.WaitGroup // links that are being closed
	ended   chan struct{}  // closed when nothing runs any more
	patrol  sync.Once

	mu        sync.Mutex // guards the fields below
	closed    bool
	link      *link // nil: there is no connection, and nobody tries to make one
	ready     bool  // the collections were looked at over this link
	preparing *preparing
}

// A link is a client of the driver, which keeps connections and looks after the servers.
type link struct {
	client *mongo.Client
	db     *mongo.Database
}

// A preparing is under way for all calls that have come since it began.
type preparing struct {
	done chan struct{}
	err  error // to be read after done
}

var (
	_ queue.Store       = (*Store)(nil)
	_ queue.Finder      = (*Store)(nil)
	_ queue.Redriver    = (*Store)(nil)
	_ queue.Statter     = (*Store)(nil)
	_ queue.Waker       = (*Store)(nil)
	_ queue.Clock       = (*Store)(nil)
	_ queue.RevEnqueuer = (*Store)(nil)
	_ queue.Maintainer  = (*Store)(nil)
)

// OpenStore returns a store in the database of a URL, which the package's documentation describes. It connects to
// nothing: its errors are mistakes in the URL or the options, which may be nil.
func OpenStore(url string, opts *StoreOptions) (*Store, error) {
	o, at, err := settings(url, opts)
	if err != nil {
		return nil, err
	}
	s := &Store{opts: o, at: at, bell: wake.New(), clock: clockOf(at.uri), ended: make(chan struct{})}
	s.mends.every, s.mends.after = mendEvery, unfinishedFor
	s.life, s.end = context.WithCancelCause(context.Background())
	return s, nil
}

// String returns the URL without the password.
func (s *Store) String() string { return s.at.shown }

// Caps says what the store promises. It does not block.
func (s *Store) Caps() queue.Caps {
	return queue.Caps{
		Engine: "mongodb", Durable: true, MultiProcess: true, Fenced: true, Extend: true, Unique: true, Serial: true,
		MaxBytes: s.opts.MaxBytes,
		Note: "what other processes enqueue is noticed within a second; a batch is not stored as one; " +
			"items of several processes are in order to within some milliseconds; " +
			"an EnqueueAt that overlaps a Bind counts as before it",
	}
}

// Close ends all calls that are under way and closes the connections. It waits until that is done or ctx ends. It is
// idempotent. Leased items stay so until their TTL has passed.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if first {
		s.end(queue.ErrClosed)
		s.bell.Close(s.failed(context.Background(), "wait", queue.ErrClosed))
		go func() { // ends with the calls, whose context has ended, and with the driver's goroutines
			s.running.Wait()
			s.drop(s.current()) // nobody makes one any more
			s.dropped.Wait()
			close(s.ended)
		}()
	}
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("mongodb: close %s: %w", s, context.Cause(ctx))
	}
}

// begin counts a call that begins. Its context ends with the caller's, and with Close; leave is to be called at the end.
func (s *Store) begin(caller context.Context) (ctx context.Context, leave func(), err error) {
	if caller.Err() != nil {
		return nil, nil, context.Cause(caller)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, queue.ErrClosed
	}
	s.running.Add(1)
	ctx, cancel := context.WithCancelCause(caller)
	stop := context.AfterFunc(s.life, func() { cancel(queue.ErrClosed) })
	return ctx, func() {
		stop()
		cancel(nil)
		s.running.Done()
	}, nil
}

// do runs a call of the user: with the collections there, and the server's time.
func (s *Store) do(caller context.Context, what string, call func(ctx context.Context, now int64) error) error {
	ctx, leave, err := s.begin(caller)
	if err != nil {
		return s.failed(caller, what, err)
	}
	defer leave()
	now, err := s.prepare(ctx)
	if err == nil {
		err = call(ctx, now)
	}
	if err != nil {
		return s.failed(caller, what, err)
	}
	return nil
}

// nothing is the error of a call that has nothing to do.
func (s *Store) nothing(ctx context.Context, what string) error {
	_, leave, err := s.begin(ctx)
	if err != nil {
		return s.failed(ctx, what, err)
	}
	leave()
	return nil
}

// failed returns what a call answers after err: what the caller or Close has done to it goes before what that did to
// the connection.
func (s *Store) failed(ctx context.Context, what string, err error) error {
	switch {
	case s.life.Err() != nil:
		err = queue.ErrClosed
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	default:
		err = meaning(err)
		if errors.Is(err, queue.ErrDisconnected) {
			s.distrust()
		}
	}
	return fmt.Errorf("mongodb: %s %s: %w", what, s, err)
}

// distrust has the next call look at the collections and the clock again: the server that answers then may be another
// one.
func (s *Store) distrust() {
	s.mu.Lock()
	s.ready = false
	s.mu.Unlock()
	s.clock.forget()
}

func (s *Store) isReady() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready && s.link != nil
}

// prepare connects, looks at the collections and the clock, if that is needed, and returns the server's time. Calls that
// come at the same time do it together: if it takes long it takes so once.
func (s *Store) prepare(ctx context.Context) (now int64, err error) {
	if now, ok := s.clock.now(); ok && s.isReady() {
		return now, nil
	}
	s.mu.Lock()
	p := s.preparing
	if p == nil {
		p = &preparing{done: make(chan struct{})}
		s.preparing = p
		s.running.Add(1) // the caller is counted: nobody waits for this to be 0 yet
		go func() {      // ends with Close at the latest
			defer s.running.Done()
			p.err = s.makeReady(s.life)
			s.mu.Lock()
			s.preparing = nil
			s.mu.Unlock()
			close(p.done)
		}()
	}
	s.mu.Unlock()
	select {
	case <-p.done:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	if p.err != nil {
		return 0, p.err
	}
	return s.now(time.Now().UnixMicro()), nil
}

func (s *Store) makeReady(ctx context.Context) error {
	if err := s.connect(ctx); err != nil {
		return err
	}
	if _, ok := s.clock.now(); !ok {
		if err := s.setClock(ctx, clockAsks); err != nil {
			return err
		}
	}
	if s.isReady() {
		return nil
	}
	if err := s.setup(ctx, s.now(0)); err != nil {
		return err
	}
	s.mu.Lock()
	s.ready = true
	s.mu.Unlock()
	return nil
}

// now returns the server's time, or the last one that the caller knows.
func (s *Store) now(last int64) int64 {
	if now, ok := s.clock.now(); ok {
		return now
	}
	return last
}

// Now returns the time of the server, to within half of the way to it and back.
func (s *Store) Now(ctx context.Context) (at time.Time, err error) {
	err = s.do(ctx, "clock of", func(ctx context.Context, now int64) error {
		err := s.setClock(ctx, 1)
		at = instant(s.now(now))
		return err
	})
	return at, err
}

// token is new each time, in all processes.
func token() bson.ObjectID { return bson.NewObjectID() }
