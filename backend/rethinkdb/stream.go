package rethinkdb

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	r "gopkg.in/rethinkdb/rethinkdb-go.v6"

	"github.com/earshot-go/earshot/bus"
)

// A stream is the document that says which stream a table holds. A table that is made anew gets another one.
type stream struct {
	Epoch string `json:"epoch"`
	Low   string `json:"low"` // the last place that the retention has deleted, "" for none
}

var errNoStream = errors.New("rethinkdb: the table does not say which stream it holds")

// trimmedTo is the last place that the retention has deleted.
func (s stream) trimmedTo() pos {
	p, _ := parsePos(s.Low)
	return p
}

// keeps reports whether the server is a RethinkDB, which says its version, or one that has everything in memory.
func (c *conn) keeps() bool { return c.version != "" }

func (b *Bus) get() r.Term { return b.table.Get(streamID) }

func (b *Bus) readStream(ctx context.Context, c *conn) (stream, error) {
	query, err := start(b.get())
	if err != nil {
		return stream{}, err
	}
	rep, err := c.roundTrip(ctx, c.newToken(), query)
	if err != nil {
		return stream{}, err
	}
	return streamOf(rep)
}

func streamOf(rep reply) (s stream, err error) {
	if err := rep.err(); err != nil {
		return s, err
	}
	if len(rep.Rows) > 0 {
		_ = json.Unmarshal(rep.Rows[0], &s)
	}
	if s.Epoch == "" {
		return s, errNoStream
	}
	return s, nil
}

// ensure makes what is missing: database, table, index and stream. Others may do so at the same time.
func (b *Bus) ensure(ctx context.Context, c *conn) (stream, error) {
	s, err := b.readStream(ctx, c)
	if err == nil || !again(err) {
		return s, err
	}
	if isMissing(err) {
		err = b.make(ctx, c, r.DB(b.DB).TableCreate(b.Table))
		if isMissingDB(err) {
			if err = b.make(ctx, c, r.DBCreate(b.DB)); err == nil {
				err = b.make(ctx, c, r.DB(b.DB).TableCreate(b.Table))
			}
		}
		if err != nil {
			return s, fmt.Errorf("create table %s.%s: %w", b.DB, b.Table, err)
		}
	}
	if c.keeps() { // the other server has no such query, and no need of it
		if _, _, err := c.all(ctx, b.table.Wait(r.WaitOpts{WaitFor: "ready_for_writes", Timeout: 4}), 0); err != nil {
			return s, err
		}
	}
	if err := b.make(ctx, c, b.table.IndexCreate("ts")); err != nil {
		return s, fmt.Errorf("create the index ts on %s.%s: %w", b.DB, b.Table, err)
	}
	if _, _, err := c.all(ctx, b.table.IndexWait("ts"), 0); err != nil {
		return s, err
	}
	// The stream comes last: where it is, everything is. A second one is refused.
	var w written
	if err := c.one(ctx, b.table.Insert(map[string]any{"id": streamID, "ts": nil, "epoch": newEpoch()}), &w); err != nil {
		return s, err
	}
	s, err = b.readStream(ctx, c)
	if errors.Is(err, errNoStream) && w.err() != nil {
		err = w.err()
	}
	return s, err
}

// make runs a query that creates something. That it is there already is as good.
func (b *Bus) make(ctx context.Context, c *conn, term r.Term) error {
	var created json.RawMessage
	if err := c.one(ctx, term, &created); err != nil && !isThere(err) {
		return err
	}
	return nil
}

func newEpoch() string { return rand.Text()[:16] }

// same returns ErrForeignToken unless the table still holds the stream of this epoch.
func (s stream) same(epoch string, err error) error {
	switch {
	case err != nil && again(err):
		return fmt.Errorf("rethinkdb: %w: the stream %s is gone (%w)", bus.ErrForeignToken, epoch, err)
	case err != nil:
		return err
	case s.Epoch != epoch:
		return fmt.Errorf("rethinkdb: %w: the stream was made anew (epoch %s, now %s)", bus.ErrForeignToken, epoch, s.Epoch)
	}
	return nil
}
