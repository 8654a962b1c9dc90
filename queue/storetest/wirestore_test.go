package storetest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// A wireStore is a store whose items are with a wireServer: the suite needs one, to be tested itself. It asks a line of
// JSON and gets a line of JSON, on a connection of its own for each call that is under way.
type wireStore struct {
	addr     string
	password string
	answer   time.Duration // how long a call waits for its answer
	closed   chan struct{}

	mu   sync.Mutex // guards the fields below
	done bool
	free []*wireConn
	jobs sync.WaitGroup
}

type wireConn struct {
	net.Conn
	lines *bufio.Reader
}

// A request names a method and has its arguments, an answer has its results.
type request struct {
	Password, Method string
	Items            []queue.Item
	Lease            queue.LeaseRequest
	Settle           []queue.Settlement
	Add, Remove      []queue.Binding
	Rev              queue.Rev
	Query            queue.Query
	Queues           []string
}

type answer struct {
	Err      string
	Kind     int // of the error, in kinds; 0 is none
	Enqueued []queue.Enqueued
	Leased   []queue.Leased
	Settled  []answer
	Bindings []queue.Binding
	Rev      queue.Rev
	Records  []queue.Record
	N        int
	Stats    queue.Stats
	Now      time.Time
}

// wireBytes is small, because JSON is slow.
const wireBytes = 128 << 10

var kinds = []error{nil, queue.ErrLeaseLost, queue.ErrInvalid, queue.ErrTooLarge, queue.ErrStaleBindings, queue.ErrUnsupported,
	queue.ErrDisconnected, queue.ErrDenied, queue.ErrFull, queue.ErrDamaged, queue.ErrClosed, errors.New("other")}

func failure(err error) answer {
	if err == nil {
		return answer{}
	}
	for i, kind := range kinds {
		if i > 0 && errors.Is(err, kind) {
			return answer{Err: err.Error(), Kind: i}
		}
	}
	return answer{Err: err.Error(), Kind: len(kinds) - 1}
}

func (a answer) err() error {
	if a.Kind <= 0 || a.Kind >= len(kinds) {
		return nil
	}
	return fmt.Errorf("%w: %s", kinds[a.Kind], a.Err)
}

func openWire(url string) (queue.Store, error) {
	addr, ok := strings.CutPrefix(url, "wire://")
	if !ok {
		return nil, fmt.Errorf("wire: %w: %q", queue.ErrInvalid, url)
	}
	return newWireStore(addr), nil
}

func newWireStore(addr string) *wireStore {
	return &wireStore{addr: addr, answer: 4 * time.Second, closed: make(chan struct{})}
}

// call asks, and waits for the answer.
func (s *wireStore) call(ctx context.Context, r request) (answer, error) {
	s.mu.Lock()
	if s.done {
		s.mu.Unlock()
		return answer{}, queue.ErrClosed
	}
	s.jobs.Add(1)
	s.mu.Unlock()
	defer s.jobs.Done()
	if ctx.Err() != nil {
		return answer{}, context.Cause(ctx)
	}
	r.Password = s.password
	a, err := s.ask(ctx, r)
	switch {
	case err == nil:
		return a, a.err()
	case ctx.Err() != nil:
		return a, context.Cause(ctx)
	}
	select {
	case <-s.closed:
		return a, queue.ErrClosed
	default:
		return a, fmt.Errorf("%w: %w", queue.ErrDisconnected, err)
	}
}

func (s *wireStore) ask(ctx context.Context, r request) (a answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.answer)
	defer cancel()
	s.mu.Lock()
	var c *wireConn
	if n := len(s.free); n > 0 {
		c, s.free = s.free[n-1], s.free[:n-1]
	}
	s.mu.Unlock()
	if c == nil {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.addr)
		if err != nil {
			return a, err
		}
		c = &wireConn{conn, bufio.NewReader(conn)}
	}
	ended := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-ctx.Done():
			c.Close()
		case <-s.closed:
			c.Close()
		case <-ended:
		}
	}()
	line, err := json.Marshal(r)
	if err == nil {
		_, err = c.Write(append(line, '\n'))
	}
	if err == nil {
		line, err = c.lines.ReadBytes('\n')
	}
	if err == nil {
		err = json.Unmarshal(line, &a)
	}
	close(ended)
	<-stopped
	if err != nil {
		c.Close()
		s.mu.Lock() // the others are no better, in all likelihood
		for _, c := range s.free {
			c.Close()
		}
		s.free = nil
		s.mu.Unlock()
		return a, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done || ctx.Err() != nil { // or closed a moment ago, by the goroutine above
		c.Close()
	} else {
		s.free = append(s.free, c)
	}
	return a, nil
}

func (s *wireStore) Caps() queue.Caps {
	return queue.Caps{Engine: "wire", Durable: true, MultiProcess: true, AtomicBatch: true, Fenced: true, Extend: true, Unique: true, Serial: true, MaxBytes: wireBytes}
}

func (s *wireStore) valid(items []queue.Item) error {
	for i := range items {
		if err := items[i].Validate(s.Caps().MaxBytes); err != nil {
			return err
		}
	}
	return nil
}

// String does not tell the password.
func (s *wireStore) String() string { return "wire://" + s.addr }

func (s *wireStore) Enqueue(ctx context.Context, items []queue.Item) ([]queue.Enqueued, error) {
	if err := s.valid(items); err != nil { // JSON would make another text of what is none
		return nil, err
	}
	a, err := s.call(ctx, request{Method: "Enqueue", Items: items})
	return a.Enqueued, err
}

func (s *wireStore) EnqueueAt(ctx context.Context, rev queue.Rev, items []queue.Item) ([]queue.Enqueued, error) {
	a, err := s.call(ctx, request{Method: "EnqueueAt", Rev: rev, Items: items})
	return a.Enqueued, err
}

func (s *wireStore) Lease(ctx context.Context, r queue.LeaseRequest) ([]queue.Leased, error) {
	a, err := s.call(ctx, request{Method: "Lease", Lease: r})
	return a.Leased, err
}

func (s *wireStore) Settle(ctx context.Context, ss []queue.Settlement) (errs []error, err error) {
	ss = append([]queue.Settlement(nil), ss...)
	for i := range ss {
		ss[i].Reason = queue.CutReason(ss[i].Reason)
		if ss[i].Validate() != nil && ss[i].At.Year() > 9999 {
			ss[i].At, ss[i].Action = time.Time{}, 0 // JSON has no such times
		}
	}
	a, err := s.call(ctx, request{Method: "Settle", Settle: ss})
	for _, one := range a.Settled {
		errs = append(errs, one.err())
	}
	return errs, err
}

func (s *wireStore) Bind(ctx context.Context, add, remove []queue.Binding) (queue.Rev, error) {
	a, err := s.call(ctx, request{Method: "Bind", Add: add, Remove: remove})
	return a.Rev, err
}

func (s *wireStore) Bindings(ctx context.Context, since queue.Rev) ([]queue.Binding, queue.Rev, error) {
	a, err := s.call(ctx, request{Method: "Bindings", Rev: since})
	return a.Bindings, a.Rev, err
}

func (s *wireStore) Find(ctx context.Context, q queue.Query) ([]queue.Record, error) {
	a, err := s.call(ctx, request{Method: "Find", Query: q})
	return a.Records, err
}

func (s *wireStore) Remove(ctx context.Context, q queue.Query) (int, error) {
	a, err := s.call(ctx, request{Method: "Remove", Query: q})
	return a.N, err
}

func (s *wireStore) Redrive(ctx context.Context, q queue.Query) (int, error) {
	a, err := s.call(ctx, request{Method: "Redrive", Query: q})
	return a.N, err
}

func (s *wireStore) Stats(ctx context.Context) (queue.Stats, error) {
	a, err := s.call(ctx, request{Method: "Stats"})
	return a.Stats, err
}

func (s *wireStore) Now(ctx context.Context) (time.Time, error) {
	a, err := s.call(ctx, request{Method: "Now"})
	return a.Now, err
}

func (s *wireStore) Reap(ctx context.Context) (int, error) {
	a, err := s.call(ctx, request{Method: "Reap"})
	return a.N, err
}

func (s *wireStore) Wait(ctx context.Context, queues []string) error {
	_, err := s.call(ctx, request{Method: "Wait", Queues: queues})
	return err
}

func (s *wireStore) Close(context.Context) error {
	s.mu.Lock()
	if !s.done {
		s.done = true
		close(s.closed)
		for _, c := range s.free {
			c.Close()
		}
		s.free = nil
	}
	s.mu.Unlock()
	s.jobs.Wait()
	return nil
}
