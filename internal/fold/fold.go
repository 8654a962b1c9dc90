// Package fold lets calls that come while one is under way go together into the next: the round trip, or the commit, is
// paid once for all of them, and a call that comes alone does not wait for others.
package fold

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
)

// ErrClosed is what Do returns after Close.
var ErrClosed = errors.New("closed")

// A Fold has at most one call of its function under way. Do may be called from many goroutines.
type Fold[T, R any] struct {
	// Size is what an item counts towards most. It is set before the first Do. Default: 1.
	Size func(*T) int

	work func([]T) ([]R, error)
	most int

	mu      sync.Mutex // guards the fields below
	calls   []*call[T, R]
	running bool
	closed  bool
	idle    sync.Cond // signalled when running becomes false
}

type call[T, R any] struct {
	items []T
	done  chan struct{} // closed after the fields below were set
	out   []R
	err   error
}

// New returns a Fold of a function that gets the items of one or more calls, in order, and returns one result for each,
// or an error. Calls are put together up to most items, or their Size; one call of more is passed whole.
func New[T, R any](most int, work func([]T) ([]R, error)) *Fold[T, R] {
	f := &Fold[T, R]{work: work, most: most}
	f.idle.L = &f.mu
	return f
}

// Do returns the results for items. It blocks until they are there, or ctx ends: then it returns the cause, and whether
// the function is called with the items is not known, unless ctx had ended before.
// An error is told to all that went together: what only one may be at fault for, look at before.
func (f *Fold[T, R]) Do(ctx context.Context, items []T) ([]R, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	c := &call[T, R]{items: items, done: make(chan struct{})}
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil, ErrClosed
	}
	f.calls = append(f.calls, c)
	if !f.running {
		f.running = true
		go f.run() // ends when no call waits; Close waits for it
	}
	f.mu.Unlock()
	select {
	case <-c.done:
		return c.out, c.err
	case <-ctx.Done():
		f.forget(c)
		return nil, context.Cause(ctx)
	}
}

// forget takes a call back that was not begun.
func (f *Fold[T, R]) forget(c *call[T, R]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, other := range f.calls {
		if other == c {
			f.calls = append(f.calls[:i:i], f.calls[i+1:]...)
			return
		}
	}
}

func (f *Fold[T, R]) run() {
	for {
		group := f.take()
		if group == nil {
			return
		}
		f.serve(group)
		clear(group) // the array behind it lives on, and would keep their items alive
		f.gather()
	}
}

// gather gives those who were answered a moment to call again: without that every second call of the function would be
// for a single one.
func (f *Fold[T, R]) gather() {
	for n := -1; ; {
		runtime.Gosched()
		f.mu.Lock()
		before := n
		n = len(f.calls)
		f.mu.Unlock()
		if n == before {
			return
		}
	}
}

// take returns the calls that are next, or nil after it has noted that nothing runs any more.
func (f *Fold[T, R]) take() []*call[T, R] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.calls) == 0 {
		f.running = false
		f.idle.Broadcast()
		return nil
	}
	n := 0
	for size := 0; n < len(f.calls); n++ {
		if size += f.size(f.calls[n].items); n > 0 && size > f.most {
			break
		}
	}
	group := f.calls[:n:n]
	f.calls = f.calls[n:]
	return group
}

func (f *Fold[T, R]) size(items []T) (size int) {
	if f.Size == nil {
		return len(items)
	}
	for i := range items {
		size += f.Size(&items[i])
	}
	return size
}

func (f *Fold[T, R]) serve(group []*call[T, R]) {
	items := group[0].items
	if len(group) > 1 {
		items = nil
		for _, c := range group {
			items = append(items, c.items...)
		}
	}
	out, err := f.work(items)
	if err == nil && len(out) != len(items) {
		err = fmt.Errorf("%d answers for %d items", len(out), len(items)) // what it does is somebody else's code
	}
	for _, c := range group {
		if c.err = err; err == nil {
			c.out, out = out[:len(c.items):len(c.items)], out[len(c.items):]
		}
		close(c.done)
	}
}

// Close makes later calls of Do return ErrClosed, and waits for those that are under way.
func (f *Fold[T, R]) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for f.running {
		f.idle.Wait()
	}
}
