package mongodb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/earshot-go/earshot/internal/wake"
	"github.com/earshot-go/earshot/queue"
)

// Enqueue stores items. Those without a key are stored in one step; see queue.Store, and the package's documentation
// for those with one.
func (s *Store) Enqueue(ctx context.Context, items []queue.Item) ([]queue.Enqueued, error) {
	if len(items) == 0 {
		return nil, s.nothing(ctx, "enqueue in")
	}
	return s.enqueueIf(ctx, items, func(context.Context) error { return nil })
}

// EnqueueAt is Enqueue, if the bindings have that revision when it begins; see queue.RevEnqueuer.
func (s *Store) EnqueueAt(ctx context.Context, rev queue.Rev, items []queue.Item) ([]queue.Enqueued, error) {
	return s.enqueueIf(ctx, items, func(ctx context.Context) error {
		have, err := s.revision(ctx)
		if err == nil && have != rev {
			err = fmt.Errorf("%w: they have revision %d, not %d", queue.ErrStaleBindings, have, rev)
		}
		return err
	})
}

func (s *Store) enqueueIf(ctx context.Context, items []queue.Item, may func(context.Context) error) (out []queue.Enqueued, err error) {
	for i := range items {
		if err := items[i].Validate(s.opts.MaxBytes); err != nil {
			return nil, err
		}
	}
	err = s.do(ctx, "enqueue in", func(ctx context.Context, now int64) error {
		if err := may(ctx); err != nil || len(items) == 0 {
			return err
		}
		seq := s.clock.next(len(items), now)
		e := enqueueing{s: s, now: now, items: items, rows: make([]row, len(items)), out: make([]queue.Enqueued, len(items))}
		var all []int
		for i, it := range items {
			e.rows[i] = newRow(it, now, seq+int64(i))
			all = append(all, i)
		}
		// What was stored before an error is due as well.
		defer func() {
			for i := range e.rows {
				s.bell.Ring(e.rows[i].Queue, wake.In(e.rows[i].Due-now))
			}
		}()
		// A second round is for those that met something half done, or something that changed while they looked.
		for range tries {
			if all, err = e.round(ctx, all); err != nil || len(all) == 0 {
				out = e.out
				return err
			}
		}
		return errBusy
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// tries is how often a step is tried that others get in the way of.
const tries = 20

var errBusy = errors.New("too many others change the same items: try again")

// An enqueueing is a call of Enqueue.
type enqueueing struct {
	s     *Store
	now   int64
	items []queue.Item
	rows  []row
	out   []queue.Enqueued
}

// round tries to store some of the items, and returns those that need another round.
func (e *enqueueing) round(ctx context.Context, todo []int) (again []int, err error) {
	docs := make([]any, len(todo))
	for n, i := range todo {
		e.rows[i].Born = token() // the document of the round before is another one
		docs[n] = e.rows[i]
	}
	there, err := e.s.items().insert(ctx, docs)
	if err != nil {
		return nil, err
	}
	known := map[int]bool{}
	for _, n := range there {
		known[todo[n]] = true
	}
	var keyed, old []int
	for _, i := range todo {
		e.out[i] = queue.Enqueued{ID: e.rows[i].ID}
		switch {
		case known[i]:
			e.out[i].Status = queue.Duplicate
			old = append(old, i)
		case e.rows[i].Key != "":
			keyed = append(keyed, i)
		}
	}
	if len(keyed) > 0 {
		if again, err = e.takeKeys(ctx, keyed); err != nil {
			return nil, err
		}
	}
	unfinished, err := e.finish(ctx, old)
	return append(again, unfinished...), err
}

// finish ends what other calls have begun with documents that have the IDs of items, and returns those that had one.
// Those that were settled or removed just now it leaves for a while to who did that, and would otherwise miss them.
func (e *enqueueing) finish(ctx context.Context, old []int) (again []int, err error) {
	if len(old) == 0 {
		return nil, nil
	}
	var ids []string
	for _, i := range old {
		ids = append(ids, e.rows[i].ID)
	}
	met := map[string]bool{}
	var rows []row
	patience := min(settleFor, e.s.mends.after)
	for begun := time.Now(); ; {
		var err error
		rows, err = e.s.items().rows(ctx, bson.M{"_id": in(ids), "st": in([]string{prep, done})}, withoutPayload())
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			met[r.ID] = true
		}
		since := e.s.now(e.now) - length(patience)
		fresh := slices.ContainsFunc(rows, func(r row) bool { return r.State == done && r.At > since })
		if !fresh || time.Since(begun) > patience {
			break
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	if len(rows) > 0 {
		if err := e.s.finish(ctx, rows, e.now); err != nil {
			return nil, err
		}
	}
	for _, i := range old {
		if met[e.rows[i].ID] {
			again = append(again, i)
		}
	}
	return again, nil
}

// takeKeys takes the keys of items that are stored, and returns those that have to be stored again.
func (e *enqueueing) takeKeys(ctx context.Context, keyed []int) (again []int, err error) {
	rows := make([]row, len(keyed))
	for n, i := range keyed {
		rows[n] = e.rows[i]
	}
	holders, err := e.s.takeKeys(ctx, rows, e.now)
	if err != nil {
		return nil, err
	}
	for n, i := range keyed {
		h := holders[n]
		if h == nil {
			continue
		}
		e.out[i] = queue.Enqueued{ID: h.Item, Status: queue.Duplicate}
		if !e.items[i].Replace {
			continue
		}
		switch replaced, waits, err := e.s.replace(ctx, h, e.rows[i], e.now); {
		case err != nil:
			return nil, err
		case replaced:
			e.out[i].Status = queue.Replaced
		case waits: // it did when we looked
			again = append(again, i)
		}
	}
	return again, nil
}
