package redis

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

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
	for _, scheme := range schemes {
		queue.Register(scheme, open)
	}
}

// A Store keeps queues on a Redis server. All methods may be called from many goroutines. Calls at the same time share
// up to four connections; one more is there after the first Wait.
type Store struct {
	flights
	opts StoreOptions
	bell *wake.Bell
	said atomic.Pointer[said]

	patrol sync.Once
	ear    struct {
		sync.Mutex // guards the field below
		open       bool
	}
}

// said is what a server has said of itself.
type said struct {
	durable bool
	note    string
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

// OpenStore returns a store in the server of a URL, which the package's documentation describes. It connects to
// nothing: its errors are mistakes in the URL or the options, which may be nil.
func OpenStore(url string, opts *StoreOptions) (*Store, error) {
	o, at, err := storeSettings(url, opts)
	if err != nil {
		return nil, err
	}
	s := &Store{
		flights: flights{pool: newPool(at), key: prefix(o.Namespace) + "meta", sender: rand.Text()}, opts: o, bell: wake.New(),
	}
	s.met = s.learn
	s.said.Store(&said{note: "Not connected yet."})
	return s, nil
}

// prefix is what all keys of a namespace begin with. It has the hash tag, so that all are in one slot of a cluster.
func prefix(namespace string) string { return "earshot:queue:{" + namespace + "}:" }

// String returns the URL without the password.
func (s *Store) String() string { return s.at.shown }

// Caps says what the store promises. Durable is what StoreOptions.Durable is. It does not block.
func (s *Store) Caps() queue.Caps {
	c := queue.Caps{
		Engine:       engine,
		Durable:      s.opts.Durable,
		MultiProcess: true,
		AtomicBatch:  true,
		Fenced:       true,
		Extend:       true,
		Unique:       true,
		Serial:       true,
		MaxBytes:     s.opts.MaxBytes,
		Note:         "What a restart of the server takes away depends on its configuration. With durable=true only a server that loses nothing is accepted.",
	}
	if c.Durable {
		c.Note = "Only a server that writes to its append-only file before it answers is accepted."
	}
	return c
}

// Server says whether the server, when the store last connected to it, was one that loses nothing by a kill -9, and in
// sentences what else its configuration means. It does not block.
func (s *Store) Server() (durable bool, note string) {
	said := s.said.Load()
	return said.durable, said.note
}

// learn notes what the server has said of itself, and refuses one that does not do what Durable promises.
func (s *Store) learn(f facts) error {
	durable, note := f.durable()
	if policy := f.evicts(); policy != "" {
		note = append(note, "maxmemory-policy is "+policy+": set noeviction.")
		if strings.HasPrefix(policy, "allkeys") { // the others drop keys that expire, and ours do not
			durable = false
			note = append(note, "The server may drop queues when memory is short.")
		}
	}
	text := strings.Join(note, " ")
	s.said.Store(&said{durable, text})
	if s.opts.Durable && !durable {
		return fmt.Errorf("%w: the store was opened with durable, and this server may lose items: %s", queue.ErrDenied, text)
	}
	return nil
}

// Now returns the time of the server.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	v, err := s.call(ctx, "time of", nextScript)
	if err != nil {
		return time.Time{}, err
	}
	now, err := v.int(0)
	if err != nil {
		return time.Time{}, s.failed(ctx, "time of", err)
	}
	return time.UnixMicro(now).UTC(), nil
}

// Close ends all calls and closes the connections. It waits until nothing of the store runs any more, or ctx ends. It
// is idempotent.
func (s *Store) Close(ctx context.Context) error {
	s.bell.Close(queue.ErrClosed)
	if err := s.close(ctx); err != nil {
		return fmt.Errorf("redis: close %s: %w", s, err)
	}
	return nil
}

// call has the server run a script, and explains its error.
func (s *Store) call(ctx context.Context, what string, sc *script, args ...any) (value, error) {
	size := 0
	for _, a := range args {
		switch a := a.(type) {
		case string:
			size += len(a)
		case []byte:
			size += len(a)
		}
	}
	v, err := s.do(ctx, &call{script: sc, args: args, size: size})
	if err != nil {
		return value{}, s.failed(ctx, what, err)
	}
	return v, nil
}

// failed returns what a call answers after err: what the caller or Close has done goes before what that did to the
// connection.
func (s *Store) failed(ctx context.Context, what string, err error) error {
	switch {
	case s.life.Err() != nil:
		err = queue.ErrClosed
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	default:
		err = storeMeaning(err)
	}
	return fmt.Errorf("redis: %s %s: %w", what, s, err)
}
