package mongodb

import (
	"context"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// SetFault has each step of a store call f with its number, from 1, before it, and fail with what f returns if that is
// an error. It is to be called while nothing else is.
func (s *Store) SetFault(f func(step int) error) {
	var mu sync.Mutex // a lease takes two steps at the same time
	n := 0
	s.fault = func() error {
		mu.Lock()
		defer mu.Unlock()
		n++
		return f(n)
	}
}

// Impatient has a store go on with what others have left half done at once.
func (s *Store) Impatient() { s.mends.after = 0 }

// Count counts the documents of a collection.
func (s *Store) Count(ctx context.Context, name string) (n int) {
	s.prepare(ctx)
	err := table{s, s.opts.Prefix + "_" + name}.find(ctx, bson.M{}, options.Find(), func(bson.Raw) error {
		n++
		return nil
	})
	if err != nil {
		return -1
	}
	return n
}

var (
	Meaning     = meaning
	Unreachable = unreachable
	TooLarge    = tooLarge
)
