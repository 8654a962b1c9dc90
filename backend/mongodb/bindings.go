package mongodb

import (
	"context"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/earshot-go/earshot/queue"
)

// bindings are one document, so that they change together. It has room for some ten thousand.
type bindings struct {
	ID   string    `bson:"_id"`
	Rev  int64     `bson:"rev"` // begins at the time of its creation: that of a store which was dropped is another
	List []binding `bson:"list"`
}

type binding struct {
	Queue string `bson:"q"`
	Kind  string `bson:"kind"`
	Text  string `bson:"text"`
}

// Bind adds and then removes bindings, in one step; see queue.Store.
func (s *Store) Bind(ctx context.Context, add, remove []queue.Binding) (rev queue.Rev, err error) {
	for _, b := range add {
		if err := b.Validate(); err != nil {
			return 0, err
		}
	}
	err = s.do(ctx, "bind in", func(ctx context.Context, now int64) error {
		for ctx.Err() == nil {
			var have bindings
			there, err := s.meta().get(ctx, bindingsID, &have)
			if err != nil {
				return err
			}
			if !there { // the database was dropped
				if err := s.setup(ctx, now); err != nil {
					return err
				}
				continue
			}
			list := slices.Clone(have.List)
			for _, b := range add {
				if stored := storedBinding(b); !slices.Contains(list, stored) {
					list = append(list, stored)
				}
			}
			for _, b := range remove {
				list = slices.DeleteFunc(list, func(l binding) bool { return l == storedBinding(b) })
			}
			if slices.Equal(list, have.List) {
				rev = queue.Rev(have.Rev)
				return nil
			}
			if list == nil {
				list = []binding{}
			}
			matched, _, err := s.meta().update(ctx, updateOne(bson.M{"_id": bindingsID, "rev": have.Rev},
				set(bson.M{"rev": have.Rev + 1, "list": list})))
			if tooLarge(err) {
				return fmt.Errorf("%w: %d bindings are more than a document can have", queue.ErrFull, len(list))
			}
			if err != nil {
				return err
			}
			if matched == 1 {
				rev = queue.Rev(have.Rev + 1)
				return nil
			} // somebody else was faster: once more, with theirs
		}
		return context.Cause(ctx)
	})
	return rev, err
}

func storedBinding(b queue.Binding) binding {
	return binding{b.Queue, string(b.Selector.Kind), b.Selector.Text}
}

// Bindings returns all bindings, or none if since is the present revision; see queue.Store.
func (s *Store) Bindings(ctx context.Context, since queue.Rev) (list []queue.Binding, rev queue.Rev, err error) {
	err = s.do(ctx, "bindings of", func(ctx context.Context, now int64) error {
		have, err := s.revision(ctx)
		if err != nil {
			return err
		}
		if have == 0 {
			if err := s.setup(ctx, now); err != nil {
				return err
			}
		} else if have == since {
			rev = since
			return nil
		}
		var all bindings
		if _, err := s.meta().get(ctx, bindingsID, &all); err != nil {
			return err
		}
		rev = queue.Rev(all.Rev)
		for _, b := range all.List {
			list = append(list, queue.Binding{Queue: b.Queue, Selector: queue.Selector{Kind: queue.Kind(b.Kind), Text: b.Text}})
		}
		return nil
	})
	return list, rev, err
}

// revision returns that of the bindings, 0 if they are not there.
func (s *Store) revision(ctx context.Context) (queue.Rev, error) {
	var have bindings
	err := s.meta().find(ctx, bson.M{"_id": bindingsID}, options.Find().SetProjection(bson.M{"rev": 1}), func(raw bson.Raw) error {
		if err := bson.Unmarshal(raw, &have); err != nil {
			return garbled(s.meta().name, raw, err)
		}
		return nil
	})
	return queue.Rev(have.Rev), err
}
