package rethinkdb

import (
	"context"
	"encoding/json"
	"fmt"

	r "gopkg.in/rethinkdb/rethinkdb-go.v6"
	"gopkg.in/rethinkdb/rethinkdb-go.v6/ql2"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

// One insert has up to this many documents and, unless one alone has more, bytes. RethinkDB's manual calls 200
// documents a good size.
const (
	batchRows  = 200
	batchBytes = 2 << 20
)

// reqlNow is r.now() in a query. The server evaluates it once for a batch.
var reqlNow = json.RawMessage(fmt.Sprintf("[%d,[]]", ql2.Term_NOW))

// A batch is the documents of one insert.
type batch struct {
	keys  []string
	query []byte
}

// Publish writes the events in batches, one after the other, each acknowledged from disk. It blocks until the
// last is, for some seconds at the most where the server does not answer.
func (b *Bus) Publish(ctx context.Context, events ...event.Event) error {
	batches, err := b.batches(events)
	if err != nil {
		return err
	}
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	c, err := b.publisher(ctx)
	if err != nil {
		return err
	}
	if len(events) == 0 {
		return b.probe(ctx, c)
	}
	for _, batch := range batches {
		err := b.insert(ctx, c, batch)
		if isMissing(err) {
			// Somebody has dropped the table; an engine makes its own.
			if _, err = b.ensure(ctx, c); err == nil {
				err = b.insert(ctx, c, batch)
			}
		}
		if err != nil {
			return err
		}
		if b.NoPersist {
			b.delete(ctx, c, batch)
		}
	}
	b.retain(c, len(events))
	return nil
}

// batches are the queries that publish events. A mistake in any of them is found before the first is sent.
func (b *Bus) batches(events []event.Event) (all []batch, err error) {
	var text []byte
	n := b.count.Add(int64(len(events))) - int64(len(events))
	var cur *batch
	for i := range events {
		ev := &events[i]
		if text, err = ev.AppendJSON(text[:0]); err != nil {
			return nil, err
		}
		if len(text) > b.MaxBytes {
			return nil, fmt.Errorf("rethinkdb: event %q: %w: %d bytes, the limit is %d", ev.ID, bus.ErrTooLarge, len(text), b.MaxBytes)
		}
		if cur == nil || len(cur.keys) >= batchRows || len(cur.query)+len(text) > batchBytes {
			b.end(cur)
			all = append(all, batch{query: b.begin()})
			cur = &all[len(all)-1]
		} else {
			cur.query = append(cur.query, ',')
		}
		if cur.query, err = appendDocument(cur.query, ev, text, n+int64(i)+1); err != nil {
			return nil, err
		}
		cur.keys = append(cur.keys, key(ev.Source, ev.ID))
	}
	b.end(cur)
	return all, nil
}

// begin and end write what is around the documents of an insert. The client's way through maps costs more than
// the server's work.
func (b *Bus) begin() []byte {
	return fmt.Appendf(nil, "[%d,[%d,[%s,[%d,[", ql2.Query_START, ql2.Term_INSERT, b.tableText, ql2.Term_MAKE_ARRAY)
}

func (b *Bus) end(cur *batch) {
	if cur != nil {
		cur.query = append(cur.query, `]]],{"durability":"hard"}]]`...)
	}
}

func (b *Bus) insert(ctx context.Context, c *conn, batch batch) error {
	var w written
	if err := c.oneRaw(ctx, batch.query, &w); err != nil {
		return err
	}
	if w.Errors == 0 {
		return nil
	}
	return b.duplicates(ctx, c, batch, w.err())
}

// duplicates looks at what an insert has refused. A document that is there already is what a repeated Publish
// meets, and well.
func (b *Bus) duplicates(ctx context.Context, c *conn, batch batch, refused error) error {
	rows, _, err := c.all(ctx, b.table.GetAll(anys(batch.keys)...).Pluck("id"), 0)
	if err != nil {
		return err
	}
	there := make(map[string]bool, len(rows))
	for _, text := range rows {
		var doc struct{ ID string }
		if json.Unmarshal(text, &doc) == nil {
			there[doc.ID] = true
		}
	}
	for _, k := range batch.keys {
		if !there[k] {
			return refused
		}
	}
	return nil
}

// delete removes what nobody is to keep. If that fails the documents stay: the events have been published, and
// no feed looks at the past.
func (b *Bus) delete(ctx context.Context, c *conn, batch batch) {
	var w written
	_ = c.one(ctx, b.table.GetAll(anys(batch.keys)...).Delete(r.DeleteOpts{Durability: "soft"}), &w)
}

// probe asks for a write that changes nothing.
func (b *Bus) probe(ctx context.Context, c *conn) error {
	var w written
	err := c.one(ctx, b.get().Update(map[string]any{}), &w)
	if err == nil {
		err = w.err()
	}
	if isMissing(err) || err == nil && w.Skipped > 0 {
		_, err = b.ensure(ctx, c)
	}
	return err
}

func anys[T any](from []T) []any {
	to := make([]any, len(from))
	for i, v := range from {
		to[i] = v
	}
	return to
}
