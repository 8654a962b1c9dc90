package rethinkdb

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	r "gopkg.in/rethinkdb/rethinkdb-go.v6"
)

// What tests outside need of the inside: the same queries that the package makes, and shorter times.

// Trim runs the retention that Keep runs.
func (b *Bus) Trim(ctx context.Context, keep int) error {
	c, err := b.publisher(ctx)
	if err != nil {
		return err
	}
	return b.trimTo(ctx, c, keep)
}

// TrimBefore runs the retention that KeepFor runs.
func (b *Bus) TrimBefore(ctx context.Context, age time.Duration) error {
	c, err := b.publisher(ctx)
	if err != nil {
		return err
	}
	return b.trimBefore(ctx, c, age)
}

// Drop removes the table.
func (b *Bus) Drop(ctx context.Context) error {
	_, err := b.Run(ctx, r.DB(b.DB).TableDrop(b.Table))
	if isMissing(err) {
		return nil
	}
	return err
}

// Run runs a query of the test.
func (b *Bus) Run(ctx context.Context, term r.Term) ([]json.RawMessage, error) {
	c, err := dial(ctx, b.address, b.login)
	if err != nil {
		return nil, err
	}
	defer c.close()
	rows, _, err := c.all(ctx, term, 0)
	return rows, err
}

// SetAnswerTimeout sets the time limit of an answer until the end of a test, in which no other one runs.
func SetAnswerTimeout(t testing.TB, d time.Duration) {
	before := answerTimeout
	answerTimeout = d
	t.Cleanup(func() { answerTimeout = before })
}

// TableTerm is the table.
func (b *Bus) TableTerm() r.Term { return b.table }
