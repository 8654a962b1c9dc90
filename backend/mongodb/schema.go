package mongodb

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/earshot-go/earshot/queue"
)

// version is that of the documents. A store that finds a greater one touches nothing.
const version = 1

const (
	schemaID   = "schema"
	bindingsID = "bindings"
)

type schema struct {
	ID      string `bson:"_id"`
	Version int    `bson:"version"`
}

// order is that of a lease.
var order = bson.D{{Key: "pr", Value: -1}, {Key: "du", Value: 1}, {Key: "sq", Value: 1}}

func ascending(fields ...string) bson.D {
	var d bson.D
	for _, f := range fields {
		d = append(d, bson.E{Key: f, Value: 1})
	}
	return d
}

// indexes of the items: what a lease takes; what has to happen next; Find, and Find by TID. The names are short because
// an index is known by the collection's name and its own.
var indexes = map[string]bson.D{
	"lane": append(ascending("lane"), order...),
	"at":   ascending("q", "st", "at"),
	"seq":  ascending("sq", "_id"),
	"tid":  ascending("ti"),
}

// setup makes what is missing. Several processes may do so at the same time: all of it may be done twice.
func (s *Store) setup(ctx context.Context, now int64) error {
	var have schema
	there, err := s.meta().get(ctx, schemaID, &have)
	switch {
	case err != nil:
		return err
	case there && have.Version > version:
		return errNewer
	case there && have.Version < 1:
		return fmt.Errorf("%w: the document schema of %s is not of earshot: choose another prefix", queue.ErrDamaged, s.meta().name)
	}
	if !there {
		if err := s.index(ctx, s.items(), indexes); err != nil {
			return err
		}
		if err := s.index(ctx, s.keys(), map[string]bson.D{"gc": ascending("gc")}); err != nil {
			return err
		}
	}
	// The bindings before the schema: who finds that finds those, unless somebody took them away.
	if !there || !s.haveBindings(ctx) {
		if _, err := s.meta().insert(ctx, []any{bindings{ID: bindingsID, Rev: now}}); err != nil {
			return err
		}
		_, err = s.meta().insert(ctx, []any{schema{schemaID, version}})
	}
	return err
}

func (s *Store) haveBindings(ctx context.Context) bool {
	rev, err := s.revision(ctx)
	return err == nil && rev != 0
}

func (s *Store) index(ctx context.Context, t table, fields map[string]bson.D) error {
	for name, keys := range fields {
		// One by one: FerretDB fails when several are there already.
		list := bson.A{bson.D{{Key: "key", Value: keys}, {Key: "name", Value: name}}}
		err := s.step(ctx, func(ctx context.Context, db *mongo.Database) error {
			return db.RunCommand(ctx, bson.D{{Key: "createIndexes", Value: t.name}, {Key: "indexes", Value: list}}).Err()
		})
		if err != nil {
			return err
		}
	}
	return nil
}
