// Package memstore is a store of package queue in the memory of one process.
//
// It is the store to read and to compare others with: what package queue says of stores is written out here with
// nothing in between, a file for each part. And it is the store to test programs on: [Store.Fail],
// [Store.FailAnswers] and [Store.Freeze] bring about what servers do on their bad days. Nothing in it starts a
// goroutine, and everything in it that waits does so on channels, so that it can be used in the bubbles of
// testing/synctest, where a year of delay passes at once.
//
// Enqueue, Lease and Settle never look at all items: their work grows with the logarithm of the number. Find, Remove
// and Redrive do, unless they are asked for one ID, and so does Stats.
package memstore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/internal/wake"
	"github.com/earshot-go/earshot/queue"
)

func init() {
	queue.Register("mem", func(address string) (queue.Store, error) {
		if address != "mem:" {
			return nil, fmt.Errorf("memstore: open %s: %w: write mem:, which is a new and empty store each time",
				bus.Redact(address), queue.ErrInvalid)
		}
		return New(nil), nil
	})
}

// What a store can do besides.
var (
	_ queue.Finder      = (*Store)(nil)
	_ queue.Redriver    = (*Store)(nil)
	_ queue.Statter     = (*Store)(nil)
	_ queue.Waker       = (*Store)(nil)
	_ queue.Clock       = (*Store)(nil)
	_ queue.RevEnqueuer = (*Store)(nil)
	_ queue.Maintainer  = (*Store)(nil)
)

// Options are the properties of a store. Nil is the defaults.
type Options struct {
	// MaxBytes is how long a payload may be. 0 means 1 MiB, a negative number no limit.
	MaxBytes int
}

// A Store keeps items in memory: they are gone with it. Its methods may be called from many goroutines. Only Wait
// blocks, unless the store is frozen.
type Store struct {
	maxBytes int
	bell     *wake.Bell    // rung with mu held
	closed   chan struct{} // closed by the first Close

	mu       sync.Mutex        // guards the fields below
	seq      int64             // of the newest item: how many there have been
	byID     map[string]*entry // all items
	order    []*entry          // all items, the oldest first, and some that are gone
	gone     int               // how many in order are gone
	piles    map[string]*pile  // by queue; one stays when it is empty: queues are few
	keys     map[keyName]*key  // those that are held, and some whose Hold has passed
	holds    sorted[*key]      // those with a Hold, the one that passes first in front
	bindings map[queue.Binding]struct{}
	rev      queue.Rev // of the bindings
	disturbed
}

// New returns an empty store.
func New(opts *Options) *Store {
	s := &Store{
		maxBytes: 1 << 20,
		bell:     wake.New(),
		closed:   make(chan struct{}),
		byID:     map[string]*entry{},
		piles:    map[string]*pile{},
		keys:     map[keyName]*key{},
		holds:    sortedHolds(),
		bindings: map[queue.Binding]struct{}{},
		// A store made later does not have the revisions of this one, so that what is remembered of this one does
		// not pass for the other's.
		rev:       queue.Rev(time.Now().UnixMicro()),
		disturbed: disturbed{changed: make(chan struct{})},
	}
	if opts != nil && opts.MaxBytes != 0 {
		s.maxBytes = max(opts.MaxBytes, 0)
	}
	return s
}

// Caps says what the store promises.
func (s *Store) Caps() queue.Caps {
	return queue.Caps{
		Engine:      "mem",
		AtomicBatch: true,
		Fenced:      true,
		Extend:      true,
		Unique:      true,
		Serial:      true,
		MaxBytes:    s.maxBytes,
		Note:        "in the memory of this process: gone when it ends",
	}
}

// Now returns the time of this process.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	if err := s.lock(ctx, "now"); err != nil {
		return time.Time{}, err
	}
	defer s.mu.Unlock()
	return answer(now(), s.late)
}

// Close ends the calls that wait.
func (s *Store) Close(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.shut {
		s.shut = true
		close(s.closed)
		s.bell.Close(errClosed)
	}
	return nil
}

// String returns the URL.
func (s *Store) String() string { return "mem:" }

var errClosed = fmt.Errorf("memstore: %w", queue.ErrClosed)

// now is the time as it is stored: microseconds, as on other engines.
func now() time.Time { return micro(time.Now()) }

func micro(t time.Time) time.Time { return time.UnixMicro(t.UnixMicro()).UTC() }

// lock begins a call: it waits while the store is frozen, and tells what is in the way. After nil mu is held.
func (s *Store) lock(ctx context.Context, call string) error {
	for {
		s.mu.Lock()
		var err error
		switch {
		case s.shut:
			err = queue.ErrClosed
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		case s.fail != nil:
			err = s.fail
		case !s.frozen:
			return nil
		}
		changed := s.changed
		s.mu.Unlock()
		if err != nil {
			return fmt.Errorf("memstore: %s: %w", call, err)
		}
		select {
		case <-changed:
		case <-s.closed:
		case <-ctx.Done():
		}
	}
}

// answer ends a call: late, if it is not nil, comes in place of what it would return.
func answer[T any](v T, late error) (T, error) {
	if late != nil {
		var none T
		return none, fmt.Errorf("memstore: %w", late)
	}
	return v, nil
}
