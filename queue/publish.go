package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/earshot-go/earshot/internal/fold"
)

const (
	// What goes into one call of the store, in bytes: an event counts for its payload, whatever the number of queues that
	// get it, and for so much at least that there are no more than 1,000.
	publishMost  = 8 << 20
	publishLeast = publishMost / 1000
	// How often the bindings may change while one call looks at them.
	staleMost = 100
	// Names whose queues are remembered.
	routesMost = 10000
)

// Publish gives the events to all queues that are bound to their names, or to Event.Queue, in this order. It returns
// when they are stored as safely as Caps says; it blocks on the store, until then or until ctx ends: then it returns the
// cause, and whether they are stored is not known. Calls at the same time are put together. Every Subscribe and Bind
// that has returned before, in whatever process, is heeded. An event that no queue is bound to is no error, and gone.
//
// A mistake in one of the events is an error that wraps ErrInvalid or ErrTooLarge, and nothing is stored; so is a Key or
// Serial where Caps has none, with ErrUnsupported. A lost
// connection is tried again twice, for a quarter of a second in all; after that, Publish may be called again with the
// same IDs. With Caps.AtomicBatch all is stored or nothing.
func (q *Queue) Publish(ctx context.Context, events ...Event) error {
	batch, err := q.prepare(events)
	if err != nil || len(batch) == 0 {
		return err
	}
	return q.tries(ctx, func() error {
		_, err := q.publisher.fold.Do(ctx, batch)
		return err
	})
}

// FollowUp publishes events that follow from an item: their Parent is its ID, and their TID that of the item if they
// have none. A handler that is called again for the same item, and follows it up with the same again, repeats itself and
// publishes nothing new, as long as the first events are in the store; Event.ID makes a difference where one is meant.
func (q *Queue) FollowUp(ctx context.Context, parent Leased, events ...Event) error {
	all := make([]Event, len(events))
	twins := map[string]int{}
	for i, ev := range events {
		ev.Parent = parent.ID
		if ev.TID == "" {
			ev.TID = parent.TID
		}
		if ev.ID == "" {
			same := ev.fingerprint()
			ev.ID = digest("follow-up", same, strconv.Itoa(twins[same]))
			twins[same]++
		}
		all[i] = ev
	}
	return q.Publish(ctx, all...)
}

// fingerprint is a text that is the same, in all processes, for events that are the same.
func (ev Event) fingerprint() string {
	if payload, err := encode(ev.Payload); err == nil {
		ev.Payload = string(payload)
	}
	if t, ok := ev.When.(time.Time); ok {
		ev.When = t.Round(0).UTC().String()
	}
	return fmt.Sprintf("%#v", ev)
}

// PublishTx is Publish within a transaction of the application: the items are there if, and when, it is committed. The
// store has to be a TxEnqueuer of that type of transaction, or the error is ErrUnsupported.
//
//	err := queue.PublishTx(ctx, q, tx, queue.Event{Name: "user.added", TID: id})
func PublishTx[T any](ctx context.Context, q *Queue, tx T, events ...Event) error {
	store, ok := q.store.(TxEnqueuer[T])
	if !ok {
		return fmt.Errorf("queue: publish in a transaction: %w: %s has none of type %T", ErrUnsupported, q.caps.Engine, tx)
	}
	batch, err := q.prepare(events)
	if err != nil || len(batch) == 0 {
		return err
	}
	items, err := q.publisher.fresh(ctx, batch)
	if err != nil || len(items) == 0 {
		return err
	}
	_, err = store.EnqueueTx(ctx, tx, items)
	return err
}

// A posted event has been looked at, and waits for its queues.
type posted struct {
	item   Item
	direct bool // it has a queue
}

func (q *Queue) prepare(events []Event) ([]posted, error) {
	if q.ctx.Err() != nil {
		return nil, q.closedError()
	}
	batch := make([]posted, len(events))
	for i := range events {
		it, err := events[i].item(q.caps.MaxBytes)
		switch {
		case err != nil:
			return nil, err
		case it.Key != "" && !q.caps.Unique:
			return nil, it.wrap(fmt.Errorf("%w: %s has no keys", ErrUnsupported, q.caps.Engine))
		case it.Serial != "" && !q.caps.Serial:
			return nil, it.wrap(fmt.Errorf("%w: %s has no Serial", ErrUnsupported, q.caps.Engine))
		}
		batch[i] = posted{it, events[i].Queue != ""}
	}
	return batch, nil
}

// tries calls f until it is done, a few times, as long as what it meets is a lost connection.
func (q *Queue) tries(ctx context.Context, f func() error) (err error) {
	for _, pause := range [...]time.Duration{50 * time.Millisecond, 200 * time.Millisecond, 0} {
		if err = f(); !errors.Is(err, ErrDisconnected) || pause == 0 {
			break
		}
		if !sleep(ctx, pause) {
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
	if errors.Is(err, fold.ErrClosed) {
		return q.closedError()
	}
	return err
}

// sleep reports whether ctx is still alive after some time.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// A publisher finds the queues of events and stores their items.
type publisher struct {
	q    *Queue
	fold *fold.Fold[posted, struct{}]
	book router // of the one call of publish that fold has under way
}

func newPublisher(q *Queue) *publisher {
	p := &publisher{q: q}
	p.fold = fold.New(publishMost, p.publish)
	p.fold.Size = func(ev *posted) int { return max(len(ev.item.Payload), publishLeast) }
	return p
}

// publish stores the items of events of many calls.
func (p *publisher) publish(batch []posted) ([]struct{}, error) {
	ctx := p.q.ctx // of nobody who calls: one that gives up must not take the others with it
	done := make([]struct{}, len(batch))
	store, checks := p.q.store.(RevEnqueuer)
	direct := allDirect(batch)
	for stale := 0; ; {
		if !direct && (!checks || !p.book.known) {
			if err := p.book.refresh(ctx, p.q.store); err != nil {
				return nil, err
			}
		}
		items, unbound := p.book.route(batch)
		var out []Enqueued
		var err error
		switch {
		case checks && !direct:
			out, err = store.EnqueueAt(ctx, p.book.rev, items)
		case len(items) > 0:
			out, err = p.q.store.Enqueue(ctx, items)
		}
		if errors.Is(err, ErrStaleBindings) {
			p.book.known = false
			if stale++; stale < staleMost {
				continue
			}
		}
		if err == nil {
			p.q.published(items, out)
			p.q.unbound(unbound)
		}
		return done, err
	}
}

func allDirect(batch []posted) bool {
	for i := range batch {
		if !batch[i].direct {
			return false
		}
	}
	return true
}

// fresh returns the items of events, by the bindings as they are now.
func (p *publisher) fresh(ctx context.Context, batch []posted) ([]Item, error) {
	var book router
	if err := book.refresh(ctx, p.q.store); err != nil {
		return nil, err
	}
	items, unbound := book.route(batch)
	p.q.unbound(unbound)
	return items, nil
}

// A router knows which queues are bound to what.
type router struct {
	known    bool
	rev      Rev
	bindings []bound
	routes   map[string][]string // by the name of the event
}

type bound struct {
	queue string
	match func(string) bool
}

// refresh reads the bindings if they have changed.
func (r *router) refresh(ctx context.Context, store Store) error {
	since := r.rev
	if r.routes == nil {
		since = -1
	}
	all, rev, err := store.Bindings(ctx, since)
	if err != nil {
		return err
	}
	if rev == since {
		r.known = true
		return nil
	}
	var bindings []bound
	for _, b := range all {
		match, err := b.Selector.Compile()
		if err != nil {
			return fmt.Errorf("queue: the binding of %q: %w; a newer version of earshot may have made it", b.Queue, err)
		}
		bindings = append(bindings, bound{b.Queue, match})
	}
	r.known, r.rev, r.routes, r.bindings = true, rev, map[string][]string{}, bindings
	return nil
}

// queues returns the queues of an event, each once.
func (r *router) queues(name string) []string {
	queues, ok := r.routes[name]
	if ok {
		return queues
	}
	seen := map[string]bool{}
	for _, b := range r.bindings {
		if !seen[b.queue] && b.match(name) {
			seen[b.queue] = true
			queues = append(queues, b.queue)
		}
	}
	if len(r.routes) >= routesMost {
		clear(r.routes)
	}
	r.routes[name] = queues
	return queues
}

// route returns the items of events, and the events that have none.
func (r *router) route(batch []posted) (items, unbound []Item) {
	items = make([]Item, 0, len(batch))
	for i := range batch {
		p := &batch[i]
		queues := []string{p.item.Queue}
		if !p.direct {
			if queues = r.queues(p.item.Name); len(queues) == 0 {
				unbound = append(unbound, p.item)
			}
		}
		for _, queue := range queues {
			it := p.item
			it.ID, it.Queue = ItemID(p.item.ID, queue), queue
			items = append(items, it)
		}
	}
	return items, unbound
}
