package rethinkdb

import (
	"context"
	"slices"
	"time"

	r "gopkg.in/rethinkdb/rethinkdb-go.v6"
)

// retain runs the retention when it is due, beside what is being published.
func (b *Bus) retain(c *conn, published int) {
	if b.Keep == 0 && b.KeepFor == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.written += published
	if b.trimming || b.closed || !b.dueLocked() {
		return
	}
	b.trimming = true
	b.work.Go(func() { // ends with the bus, with its connection, or when it has caught up
		for {
			err := b.trim(c)
			b.mu.Lock()
			if err != nil || b.closed || !b.dueLocked() {
				b.trimming = false // after an error the next publisher tries again
				b.mu.Unlock()
				return
			}
			b.mu.Unlock()
		}
	})
}

// dueLocked reports whether a tenth more has come than is kept.
func (b *Bus) dueLocked() bool {
	return b.Keep > 0 && b.written > b.Keep/10 ||
		b.KeepFor > 0 && time.Since(b.trimmed) > max(b.KeepFor/10, time.Second)
}

func (b *Bus) trim(c *conn) error {
	b.mu.Lock()
	b.written, b.trimmed = 0, time.Now()
	b.mu.Unlock()
	if b.Keep > 0 {
		if err := b.trimTo(b.ctx, c, b.Keep); err != nil {
			return err
		}
	}
	if b.KeepFor > 0 {
		return b.trimBefore(b.ctx, c, b.KeepFor)
	}
	return nil
}

// trimTo deletes all documents but the newest.
func (b *Bus) trimTo(ctx context.Context, c *conn, keep int) error {
	rows, _, err := c.all(ctx, b.table.OrderBy(r.OrderByOpts{Index: r.Desc("ts")}).Skip(keep).Limit(1).Pluck("id", "ts", "n"), 0)
	if err != nil || len(rows) == 0 {
		return err
	}
	edge := readRow(rows[0]).at.us // the ts of the newest that is to go
	var newer int
	if err := c.one(ctx, b.table.Between(instantTerm(edge+1), r.MaxVal, r.BetweenOpts{Index: "ts"}).Count(), &newer); err != nil {
		return err
	}
	// Of the documents with this very ts some may stay.
	equal, err := b.at(ctx, c, edge)
	if err != nil {
		return err
	}
	equal = equal[:max(len(equal)-max(keep-newer, 0), 0)]
	if len(equal) == 0 {
		return nil
	}
	if err := b.trimmedTo(ctx, c, equal[len(equal)-1].at); err != nil {
		return err
	}
	if err := b.drop(ctx, c, edge-1); err != nil {
		return err
	}
	keys := make([]any, len(equal))
	for i, w := range equal {
		keys[i] = w.id
	}
	var w written
	return c.one(ctx, b.table.GetAll(keys...).Delete(r.DeleteOpts{Durability: "soft"}), &w)
}

// trimBefore deletes what is older than an age.
func (b *Bus) trimBefore(ctx context.Context, c *conn, age time.Duration) error {
	now, err := serverTime(ctx, c)
	if err != nil {
		return err
	}
	edge := now - age.Microseconds()
	rows, _, err := c.all(ctx, b.between(0, edge).OrderBy(r.OrderByOpts{Index: r.Desc("ts")}).Limit(1).Pluck("ts"), 0)
	if err != nil || len(rows) == 0 {
		return err
	}
	edge = readRow(rows[0]).at.us
	equal, err := b.at(ctx, c, edge)
	if err != nil || len(equal) == 0 {
		return err
	}
	if err := b.trimmedTo(ctx, c, equal[len(equal)-1].at); err != nil {
		return err
	}
	return b.drop(ctx, c, edge)
}

// at returns the documents with one ts, in their order.
func (b *Bus) at(ctx context.Context, c *conn, us int64) ([]row, error) {
	texts, _, err := c.all(ctx, b.between(us, us).Pluck("id", "ts", "n"), 0)
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, text := range texts {
		if w := readRow(text); w.at.us == us {
			rows = append(rows, w)
		}
	}
	slices.SortFunc(rows, func(v, w row) int { return v.at.compare(w.at) })
	return rows, nil
}

// trimmedTo says in the stream what is about to be deleted: a feed that does not find it looks there. It has to
// come first, and never goes back.
func (b *Bus) trimmedTo(ctx context.Context, c *conn, p pos) error {
	low := p.String()
	var w written
	err := c.one(ctx, b.get().Update(func(s r.Term) any {
		return r.Branch(s.Field("low").Default("").Lt(low), map[string]any{"low": low}, map[string]any{})
	}), &w)
	if err == nil {
		err = w.err()
	}
	return err
}

// drop deletes the documents up to a ts, some at a time.
func (b *Bus) drop(ctx context.Context, c *conn, us int64) error {
	for {
		var w written
		err := c.one(ctx, b.between(0, us).Limit(1000).Delete(r.DeleteOpts{Durability: "soft"}), &w)
		if err == nil {
			err = w.err()
		}
		if err != nil || w.Deleted == 0 {
			return err
		}
	}
}
