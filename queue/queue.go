package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/internal/fold"
)

// Options configure a [Queue]. A nil *Options works.
type Options struct {
	// Name is that of the core channel on which what happens can be tapped. Default: "queue".
	Name string
	// Server has the channel. Default: earshot.Default().
	Server *earshot.Server
	// Logger is told what somebody has to know: items that die, leases that are lost, a store that does not answer.
	// Default: slog.Default().
	Logger *slog.Logger
	// Worker names this process in the store, for people who look at it. Default: the host's name and the process ID.
	Worker string

	// Work is for subscriptions that say nothing else.
	Work Work
	// Patience is how long Drain waits for handlers to return after their contexts were cancelled. Default 1 s.
	Patience time.Duration
	// Poll is how often a store that is no Waker is asked for items. Default 500 ms.
	Poll time.Duration
}

// A Queue publishes events into the queues of a store and works on them. All its methods may be called from many
// goroutines and from handlers; but a handler that calls Drain or Close makes it wait for itself.
type Queue struct {
	store Store
	caps  Caps
	opts  Options
	ch    *earshot.Channel[Report]

	ctx       context.Context // of all that the queue does; ends with Close
	cancel    context.CancelCauseFunc
	publisher *publisher
	settler   *fold.Fold[Settlement, error]
	counts    counts

	mu      sync.Mutex // guards the fields below
	workers map[string]*worker
	crons   []*cronJob
	drained bool
	running sync.WaitGroup // workers and crons
}

// New returns a queue over a store, which Close does not close. It starts nothing and does not touch the store. Negative
// numbers in the options, and a Worker that is no name, are mistakes in the program: New panics.
func New(store Store, opts *Options) *Queue {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Patience < 0 || o.Poll < 0 {
		panic(fmt.Sprintf("queue: New: Patience %v and Poll %v have to be positive", o.Patience, o.Poll))
	}
	o.Work = o.Work.over(Work{Concurrency: 16, TTL: 30 * time.Second, Backoff: DefaultBackoff})
	if err := o.Work.check(); err != nil {
		panic(fmt.Sprintf("queue: New: %v", err))
	}
	if o.Name == "" {
		o.Name = "queue"
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Patience == 0 {
		o.Patience = time.Second
	}
	if o.Poll == 0 {
		o.Poll = 500 * time.Millisecond
	}
	if o.Worker == "" {
		host, _ := os.Hostname()
		o.Worker = fmt.Sprintf("%s:%d", host, os.Getpid())
		if checkName("Worker", o.Worker, true) != nil { // hosts may have any name
			o.Worker = fmt.Sprint(os.Getpid())
		}
	}
	if err := checkName("Worker", o.Worker, true); err != nil {
		panic(fmt.Sprintf("queue: New: %v", err))
	}
	q := &Queue{store: store, caps: store.Caps(), opts: o, workers: map[string]*worker{}}
	q.ch = earshot.NewChannel[Report](o.Server, o.Name, &earshot.ChannelOptions{Doc: "what becomes of the items of queues"})
	q.ctx, q.cancel = context.WithCancelCause(context.Background())
	q.publisher = newPublisher(q)
	q.settler = fold.New(settleMost, func(s []Settlement) ([]error, error) { return q.store.Settle(q.ctx, s) })
	return q
}

// Store returns the store, for what a Queue has no method for.
func (q *Queue) Store() Store { return q.store }

func (q *Queue) closedError() error { return fmt.Errorf("queue: %s: %w", q.caps.Engine, ErrClosed) }

// Bind gives a queue the events that a selector selects, from now on and for good: the store keeps the binding, and
// items wait until somebody subscribes. To bind again changes nothing. It blocks on the store.
func (q *Queue) Bind(ctx context.Context, queue string, selector Selector) error {
	return q.bind(ctx, Binding{queue, selector}, nil)
}

// Unbind takes a binding back. Items that the queue has stay in it. It blocks on the store.
func (q *Queue) Unbind(ctx context.Context, queue string, selector Selector) error {
	return q.bind(ctx, Binding{}, []Binding{{queue, selector}})
}

func (q *Queue) bind(ctx context.Context, add Binding, remove []Binding) error {
	var adding []Binding
	if remove == nil {
		if err := add.Validate(); err != nil {
			return err
		}
		adding = []Binding{add}
	}
	return q.tries(ctx, func() error {
		if q.ctx.Err() != nil {
			return q.closedError()
		}
		_, err := q.store.Bind(ctx, adding, remove)
		return err
	})
}

// Find returns items in the order in which they were enqueued. It blocks on the store, as do Remove, Redrive and Stats;
// a store that cannot do it answers with ErrUnsupported.
func (q *Queue) Find(ctx context.Context, query Query) ([]Record, error) {
	if s, ok := q.store.(Finder); ok {
		return s.Find(ctx, query)
	}
	return nil, q.unsupported("find")
}

// Remove removes items that wait or are dead, and returns how many; those that are worked on stay.
func (q *Queue) Remove(ctx context.Context, query Query) (int, error) {
	if s, ok := q.store.(Finder); ok {
		return s.Remove(ctx, query)
	}
	return 0, q.unsupported("remove")
}

// Redrive makes items due now, dead ones and those that wait for their time, and returns how many. Only their own queue
// gets them, whatever is bound.
func (q *Queue) Redrive(ctx context.Context, query Query) (int, error) {
	if s, ok := q.store.(Redriver); ok {
		return s.Redrive(ctx, query)
	}
	return 0, q.unsupported("redrive")
}

// Stats counts the items of all queues of the store. What this process does with them is in Counts.
func (q *Queue) Stats(ctx context.Context) (Stats, error) {
	if s, ok := q.store.(Statter); ok {
		return s.Stats(ctx)
	}
	return Stats{}, q.unsupported("count")
}

func (q *Queue) unsupported(what string) error {
	return fmt.Errorf("queue: %s items: %w: %s", what, ErrUnsupported, q.caps.Engine)
}

// Drain ends the work here, and the crons: it leases nothing more, and waits for the handlers that run. When ctx ends it
// cancels their contexts, waits for Options.Patience, and gives back the items of those which still run, uncounted, so
// that other workers have them at once (a store that does not answer has up to 5 s for that, and then they come when
// their leases end); then it returns the cause of ctx. Publishing goes on to work, and Subscribe does
// not: it returns ErrClosed. Drain may be called again, and waits as well.
func (q *Queue) Drain(ctx context.Context) error {
	q.mu.Lock()
	q.drained = true
	workers := make([]*worker, 0, len(q.workers))
	for _, w := range q.workers {
		workers = append(workers, w)
	}
	for _, c := range q.crons {
		c.stop()
	}
	q.mu.Unlock()
	var all sync.WaitGroup
	errs := make([]error, len(workers))
	for i, w := range workers {
		all.Go(func() { errs[i] = w.drain(ctx) })
	}
	all.Wait()
	q.running.Wait()
	return errors.Join(errs...)
}

// Close drains, and then ends everything else: publishing returns ErrClosed. It is idempotent, and does not close the
// store.
func (q *Queue) Close(ctx context.Context) error {
	err := q.Drain(ctx)
	q.cancel(q.closedError())
	q.publisher.fold.Close()
	q.settler.Close()
	return err
}
