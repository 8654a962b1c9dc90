package mongodb

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/earshot-go/earshot/queue"
)

// A desk is where calls of Lease come. One leasing for a list of queues is under way at a time, for all calls that have
// come before it began: of many workers each would look at the same items as the others, and most would be too late.
type desk struct {
	mu    sync.Mutex
	lines map[string]*deskLine // by queues; one is there while a leasing for it is under way
}

type deskLine struct {
	queues  []string
	waiting []*leaseCall
}

// A leaseCall is a call of Lease. Its fields are for the leasing that has it, until done is closed.
type leaseCall struct {
	ctx  context.Context
	r    queue.LeaseRequest
	got  []row
	err  error
	done chan struct{}
}

func (c *leaseCall) want() int { return c.r.Max - len(c.got) }

// ask returns what a leasing has for the call. The caller has begun a call of the store.
func (d *desk) ask(ctx context.Context, s *Store, r queue.LeaseRequest) ([]row, error) {
	c := &leaseCall{ctx: ctx, r: r, done: make(chan struct{})}
	queues := slices.Compact(slices.Sorted(slices.Values(r.Queues)))
	name := strings.Join(queues, "\n")
	d.mu.Lock()
	line := d.lines[name]
	if line == nil {
		line = &deskLine{queues: queues}
		if d.lines == nil {
			d.lines = map[string]*deskLine{}
		}
		d.lines[name] = line
		s.running.Add(1) // a call is running: nobody waits for this to be 0 yet
		go func() {      // ends when nobody waits in the line, and its steps with Close
			defer s.running.Done()
			for calls := d.next(name); len(calls) > 0; calls = d.next(name) {
				s.lease(line.queues, calls)
			}
		}()
	}
	line.waiting = append(line.waiting, c)
	d.mu.Unlock()
	select {
	case <-c.done:
	case <-ctx.Done():
	}
	select {
	case <-c.done:
		return c.got, c.err // what it has got is leased
	default:
		return nil, context.Cause(ctx)
	}
}

// next returns the calls that wait in a line, or takes the line away.
func (d *desk) next(name string) []*leaseCall {
	d.mu.Lock()
	defer d.mu.Unlock()
	line := d.lines[name]
	calls := line.waiting
	if line.waiting = nil; len(calls) == 0 {
		delete(d.lines, name)
	}
	return calls
}

// lease does the work for some calls. Each is told what it got, or what was wrong if it got nothing.
func (s *Store) lease(queues []string, calls []*leaseCall) {
	calls = slices.DeleteFunc(calls, func(c *leaseCall) bool { return c.ctx.Err() != nil })
	if len(calls) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(s.life)
	defer cancel()
	stop := make(chan struct{})
	go func() { // ends with this call: without anybody who waits for it there is no use in going on
		for _, c := range calls {
			select {
			case <-c.ctx.Done():
			case <-stop:
				return
			}
		}
		cancel()
	}()
	now, err := s.prepare(ctx)
	if err == nil {
		l := leasing{s: s, calls: calls, now: now, queues: queues}
		err = l.run(ctx)
	}
	close(stop)
	var unwanted []queue.Settlement
	for _, c := range calls {
		if c.ctx.Err() != nil {
			for i := range c.got {
				unwanted = append(unwanted, c.got[i].leased().Release(0))
			}
			c.got, c.err = nil, context.Cause(c.ctx)
		} else if len(c.got) == 0 {
			c.err = err // otherwise they are leased, and what was wrong comes again
		}
		close(c.done)
	}
	if len(unwanted) > 0 {
		// Better than to wait for the end of their leases, which would count as fails.
		s.settle(s.life, unwanted, now)
	}
}
