package storetest_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/storetest"
)

// A shelf is the smallest store that keeps the contract: a map and a lock. It has no keys, no serials and no Find, and
// nobody can be told when to lease; Caps and its methods say so, and the suite leaves out what is about them.
type shelf struct {
	mu       sync.Mutex // guards the fields below
	closed   bool
	seq      int
	items    map[string]*shelved
	bindings []queue.Binding
	rev      queue.Rev
}

type shelved struct {
	queue.Item
	seq, deliveries, fails int
	receipt                string    // of its lease; empty if it is not leased
	until                  time.Time // of its lease
	dead                   bool
}

func newShelf() *shelf { return &shelf{items: map[string]*shelved{}, rev: 1} }

func (s *shelf) Caps() queue.Caps {
	return queue.Caps{Engine: "shelf", AtomicBatch: true, Fenced: true, MaxBytes: 64 << 10, Note: "in memory"}
}

// enter begins a method: the lock is held when there is no error.
func (s *shelf) enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return fmt.Errorf("shelf: %w", queue.ErrClosed)
	}
	return nil
}

func (s *shelf) Enqueue(ctx context.Context, items []queue.Item) ([]queue.Enqueued, error) {
	for i := range items {
		if err := items[i].Validate(s.Caps().MaxBytes); err != nil {
			return nil, err
		}
		if items[i].Key != "" || items[i].Serial != "" {
			return nil, fmt.Errorf("shelf: item %.40q: Key and Serial: %w", items[i].ID, queue.ErrUnsupported)
		}
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var done []queue.Enqueued
	for _, it := range items {
		if s.items[it.ID] != nil {
			done = append(done, queue.Enqueued{ID: it.ID, Status: queue.Duplicate})
			continue
		}
		it = copied(it) // the caller may change its own
		if it.Due.IsZero() {
			it.Due = time.Now().Add(it.Delay)
		}
		it.Due, it.Delay = it.Due.Truncate(time.Microsecond), 0
		s.seq++
		s.items[it.ID] = &shelved{Item: it, seq: s.seq}
		done = append(done, queue.Enqueued{ID: it.ID})
	}
	return done, nil
}

func copied(it queue.Item) queue.Item {
	it.Payload = slices.Clone(it.Payload)
	headers := map[string]string{}
	for k, v := range it.Headers {
		headers[k] = v
	}
	it.Headers = headers
	return it
}

func (s *shelf) Lease(ctx context.Context, r queue.LeaseRequest) ([]queue.Leased, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	now := time.Now()
	var due []*shelved
	for _, it := range s.items {
		if it.receipt != "" && now.After(it.until) {
			it.fail()
		}
		if it.receipt == "" && !it.dead && !it.Due.After(now) && slices.Contains(r.Queues, it.Queue) {
			due = append(due, it)
		}
	}
	slices.SortFunc(due, func(a, b *shelved) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), a.Due.Compare(b.Due), cmp.Compare(a.seq, b.seq))
	})
	var leased []queue.Leased
	for _, it := range due[:min(len(due), r.Max)] {
		it.deliveries++
		it.receipt, it.until = fmt.Sprint(it.seq, ".", it.deliveries), now.Add(r.TTL)
		leased = append(leased, queue.Leased{Item: copied(it.Item), Receipt: it.receipt, Until: it.until, Deliveries: it.deliveries, Fails: it.fails})
	}
	return leased, nil
}

// fail ends a lease with one fail more.
func (it *shelved) fail() {
	it.receipt = ""
	it.fails++
	limit := it.MaxFails
	if limit == 0 {
		limit = queue.DefaultMaxFails
	}
	it.dead = limit > 0 && it.fails >= limit
}

func (s *shelf) Settle(ctx context.Context, ss []queue.Settlement) ([]error, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	errs := make([]error, len(ss))
	for i, one := range ss {
		errs[i] = s.settleLocked(one)
	}
	return errs, nil
}

func (s *shelf) settleLocked(one queue.Settlement) error {
	if err := one.Validate(); err != nil {
		return err
	}
	it := s.items[one.ID]
	if it == nil || it.receipt != one.Receipt {
		return fmt.Errorf("shelf: %v of item %.40q: %w", one.Action, one.ID, queue.ErrLeaseLost)
	}
	now := time.Now()
	switch one.Action {
	case queue.Ack:
		delete(s.items, one.ID)
	case queue.Fail:
		it.fail()
		if it.Due = one.At; one.At.IsZero() {
			it.Due = now.Add(one.Delay)
		}
	case queue.Release:
		it.receipt = ""
		if one.Delay > 0 {
			it.Due = now.Add(one.Delay)
		}
	case queue.Bury:
		it.receipt, it.dead = "", true
	default:
		return fmt.Errorf("shelf: %v: %w", one.Action, queue.ErrUnsupported)
	}
	return nil
}

func (s *shelf) Bind(ctx context.Context, add, remove []queue.Binding) (queue.Rev, error) {
	for _, b := range add {
		if err := b.Validate(); err != nil {
			return 0, err
		}
	}
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	before := len(s.bindings)
	s.bindings = slices.DeleteFunc(s.bindings, func(b queue.Binding) bool { return slices.Contains(remove, b) })
	changed := len(s.bindings) < before
	for _, b := range add {
		if !slices.Contains(s.bindings, b) {
			s.bindings, changed = append(s.bindings, b), true
		}
	}
	if changed {
		s.rev++
	}
	return s.rev, nil
}

func (s *shelf) Bindings(ctx context.Context, since queue.Rev) ([]queue.Binding, queue.Rev, error) {
	if err := s.enter(ctx); err != nil {
		return nil, 0, err
	}
	defer s.mu.Unlock()
	if since == s.rev {
		return nil, since, nil
	}
	return slices.Clone(s.bindings), s.rev, nil
}

func (s *shelf) Close(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// That is all there is to a test of a store. One with a server sets more of Engine: see there.
func TestThirdParty(t *testing.T) {
	open := func(t testing.TB) storetest.Engine {
		s := newShelf()
		return storetest.Engine{Open: func(testing.TB, string) queue.Store { return s }}
	}
	t.Run("Run", func(t *testing.T) { storetest.Run(t, open) })
	t.Run("Faults", func(t *testing.T) { storetest.Faults(t, open) })
}
