package mongodb

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/earshot-go/earshot/queue"
)

// A key is a document for a key of a queue. It says whose the key is, and means nothing once that item does not say so
// itself: an item lets go of its key by its own change, in the same step. So a key document that nobody took away is
// garbage, and not a key that is held for ever.
type key struct {
	ID   string        `bson:"_id"` // keyID
	Item string        `bson:"id"`
	Born bson.ObjectID `bson:"in"`
	Hold int64         `bson:"hu"`
	GC   int64         `bson:"gc,omitempty"` // when it may be forgotten: the item has let go, and this is the end of Hold

	holder *row // if it is there
}

// held reports whether the key is held, given its item.
func (k *key) held(now int64) bool {
	if k.Hold > now {
		return true
	}
	h := k.holder
	if h == nil || !h.Holds {
		return false
	}
	switch h.State {
	case prep, pending, parked, taking:
		return queue.Scope(h.Scope) == queue.UntilDone || h.Deliveries == 0
	case leased:
		return queue.Scope(h.Scope) == queue.UntilDone
	}
	return false
}

func withoutPayload() *options.FindOptionsBuilder {
	return options.Find().SetProjection(bson.M{"p": 0, "h": 0})
}

// takeKeys takes the keys for rows that are in the state prep, in this order. Of each that got its key nil is returned,
// and it is pending then; of the others who has it, and they are removed. To do it for rows for which somebody else
// does it as well, or did it, is harmless.
func (s *Store) takeKeys(ctx context.Context, rows []row, now int64) (holders []*key, err error) {
	holders = make([]*key, len(rows))
	var todo, won, lost []int
	for i := range rows {
		todo = append(todo, i)
	}
	for range tries {
		docs := make([]any, len(todo))
		for n, i := range todo {
			r := rows[i]
			docs[n] = key{ID: keyID(r.Queue, r.Key), Item: r.ID, Born: r.Born, Hold: r.Hold}
		}
		there, err := s.keys().insert(ctx, docs)
		if err != nil {
			return nil, err
		}
		taken := map[int]bool{}
		var ids []string
		for _, n := range there {
			taken[todo[n]] = true
			ids = append(ids, docs[n].(key).ID)
		}
		found, err := s.readKeys(ctx, ids)
		if err != nil {
			return nil, err
		}
		var again []int
		for _, i := range todo {
			r := rows[i]
			k := found[keyID(r.Queue, r.Key)]
			switch {
			case !taken[i], k != nil && k.Born == r.Born:
				won = append(won, i)
			case k == nil: // gone meanwhile
				again = append(again, i)
			case k.held(now):
				holders[i] = k
				lost = append(lost, i)
			default:
				matched, _, err := s.keys().update(ctx, updateOne(bson.M{"_id": k.ID, "in": k.Born},
					bson.M{"$set": bson.M{"id": r.ID, "in": r.Born, "hu": r.Hold}, "$unset": bson.M{"gc": 1}}))
				if err != nil {
					return nil, err
				}
				if matched == 1 {
					won = append(won, i)
				} else {
					again = append(again, i)
				}
			}
		}
		if todo = again; len(todo) == 0 {
			break
		}
	}
	if len(todo) > 0 {
		return nil, errBusy
	}
	return holders, s.admit(ctx, rows, won, lost)
}

// admit makes the rows pending that have their keys, and removes those that have not.
func (s *Store) admit(ctx context.Context, rows []row, won, lost []int) error {
	var list []mongo.WriteModel
	for _, i := range won {
		r := rows[i]
		list = append(list, updateOne(bson.M{"_id": r.ID, "in": r.Born, "st": prep},
			set(bson.M{"st": pending, "lane": r.Queue, "at": r.Due})))
	}
	for _, i := range lost {
		list = append(list, deleteOne(bson.M{"_id": rows[i].ID, "in": rows[i].Born, "st": prep}))
	}
	_, _, err := s.items().update(ctx, list...)
	return err
}

// readKeys returns keys with the items that they say they belong to.
func (s *Store) readKeys(ctx context.Context, ids []string) (map[string]*key, error) {
	found := map[string]*key{}
	if len(ids) == 0 {
		return found, nil
	}
	var owners []string
	err := s.keys().find(ctx, bson.M{"_id": in(ids)}, options.Find(), func(raw bson.Raw) error {
		k := new(key)
		if err := bson.Unmarshal(raw, k); err != nil {
			return garbled(s.keys().name, raw, err)
		}
		found[k.ID] = k
		owners = append(owners, k.Item)
		return nil
	})
	if err != nil || len(owners) == 0 {
		return found, err
	}
	rows, err := s.items().rows(ctx, bson.M{"_id": in(owners)}, withoutPayload())
	if err != nil {
		return nil, err
	}
	byID := map[string]*row{}
	for i := range rows {
		byID[rows[i].ID] = &rows[i]
	}
	for _, k := range found {
		if r := byID[k.Item]; r != nil && r.Born == k.Born {
			k.holder = r
		}
	}
	return found, nil
}

// replace gives the item that waits under a key the payload of another. If it does not wait, nothing happens; waits says
// whether it did when the key was looked at.
func (s *Store) replace(ctx context.Context, k *key, with row, now int64) (replaced, waits bool, err error) {
	h := k.holder
	if h == nil || h.State != pending && h.State != parked && h.State != prep {
		return false, false, nil
	}
	if h.State == prep { // it has its key: who began to store it has only not come to this
		if err := s.admit(ctx, []row{*h}, []int{0}, nil); err != nil {
			return false, true, err
		}
	}
	// Into the lane of the queue, whichever it was in: in that of a serial key are only those that are due.
	got, err := s.items().take(ctx, bson.M{"_id": h.ID, "in": h.Born, "st": in([]string{pending, parked})},
		set(bson.M{"p": with.Payload, "h": with.Headers, "sz": with.Size, "du": with.Due, "at": with.Due,
			"st": pending, "lane": h.Queue}), nil)
	if err != nil || got == nil {
		return false, true, err
	}
	if got.Serial != "" { // others may have waited for it
		err = s.mendLanes(ctx, []string{serialLane(got.Queue, got.Serial)})
	}
	return true, true, err
}

// freeKeys takes away the keys of items that have let go of them. One whose Hold is not over is forgotten then.
func (s *Store) freeKeys(ctx context.Context, rows []row, now int64) error {
	var list []mongo.WriteModel
	for _, r := range rows {
		if r.Key == "" {
			continue
		}
		own := bson.M{"_id": keyID(r.Queue, r.Key), "in": r.Born}
		if r.Hold > now && !r.Removed {
			list = append(list, updateOne(own, set(bson.M{"gc": r.Hold})))
		} else {
			list = append(list, deleteOne(own))
		}
	}
	_, _, err := s.keys().update(ctx, list...)
	return err
}
