package mongodb

import (
	"context"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/earshot-go/earshot/internal/wake"
)

const (
	mendEvery = 10 * time.Second
	mendSome  = 200 // documents of a kind at a time
	// settleFor is how long what is done is left to who settles it: until then that one looks which items it was.
	settleFor = time.Second
)

// mends are what a store remembers of what it has looked at to see whether it was left behind.
type mends struct {
	every time.Duration
	after time.Duration // how long something may be half done

	mu                 sync.Mutex // guards the fields below
	next               int64      // by the server's clock
	lane, key, serials string     // up to where it has looked
}

// mendNow mends, if the time has come. One lease in ten seconds does so.
func (s *Store) mendNow(ctx context.Context, now int64) error {
	m := &s.mends
	m.mu.Lock()
	due := now >= m.next
	if due {
		m.next = now + length(m.every)
	}
	m.mu.Unlock()
	if !due {
		return nil
	}
	return s.mend(ctx, now, false)
}

// mend finishes what somebody has begun who is not there any more. Each part looks at some documents, and goes on from
// there the next time; with all it looks at every one.
func (s *Store) mend(ctx context.Context, now int64, all bool) error {
	m := &s.mends
	for _, part := range []func(context.Context, int64) (more bool, err error){
		s.mendItems, s.mendHolds,
		func(ctx context.Context, now int64) (bool, error) { return s.turn(ctx, now, &m.lane, s.mendSomeLanes) },
		func(ctx context.Context, now int64) (bool, error) { return s.turn(ctx, now, &m.key, s.mendSomeKeys) },
		func(ctx context.Context, now int64) (bool, error) {
			return s.turn(ctx, now, &m.serials, s.mendSomeLocks)
		},
	} {
		for more := true; more; {
			var err error
			if more, err = part(ctx, now); err != nil {
				return err
			}
			more = more && all
		}
	}
	return nil
}

// turn calls a part with where it has come to. It reports whether there is more behind that.
func (s *Store) turn(ctx context.Context, now int64, at *string, part func(context.Context, int64, string) (string, error)) (bool, error) {
	s.mends.mu.Lock()
	from := *at
	s.mends.mu.Unlock()
	to, err := part(ctx, now, from)
	if err != nil {
		return false, err
	}
	s.mends.mu.Lock()
	*at = to
	s.mends.mu.Unlock()
	return to != "", nil
}

// mendItems finishes items that are between two steps for too long.
func (s *Store) mendItems(ctx context.Context, now int64) (more bool, err error) {
	filter := bson.M{"q": bson.M{"$gte": ""}, "st": in([]string{prep, done}), "at": bson.M{"$lte": now - length(s.mends.after)}}
	rows, err := s.items().rows(ctx, filter, withoutPayload().SetLimit(mendSome))
	if err != nil || len(rows) == 0 {
		return false, err
	}
	return len(rows) == mendSome, s.finish(ctx, rows, now)
}

// finish ends what was begun with items in the states prep and done.
func (s *Store) finish(ctx context.Context, rows []row, now int64) error {
	var stored, gone []row
	for _, r := range rows {
		if r.State == prep {
			stored = append(stored, r)
		} else {
			gone = append(gone, r)
		}
	}
	if len(stored) > 0 {
		if _, err := s.takeKeys(ctx, stored, now); err != nil {
			return err
		}
		for _, r := range stored {
			s.bell.Ring(r.Queue, wake.In(r.Due-now))
		}
	}
	if len(gone) == 0 {
		return nil
	}
	if err := s.letGo(ctx, gone, now); err != nil {
		return err
	}
	ids, born := identities(gone)
	_, _, err := s.items().update(ctx, deleteMany(bson.M{"_id": in(ids), "in": in(born), "st": done}))
	return err
}

// mendHolds forgets keys whose Hold is over.
func (s *Store) mendHolds(ctx context.Context, now int64) (more bool, err error) {
	_, _, err = s.keys().update(ctx, deleteMany(bson.M{"gc": bson.M{"$lte": now}}))
	return false, err
}

// mendSomeLanes lets items out of the lanes of serial keys that nobody has. Each lane is a seek in the index.
func (s *Store) mendSomeLanes(ctx context.Context, _ int64, from string) (to string, err error) {
	const some = 20
	var lanes []string
	o := options.Find().SetSort(bson.M{"lane": 1}).SetLimit(1).SetProjection(bson.M{"lane": 1})
	for to = from; len(lanes) < some; {
		next := ""
		err := s.items().find(ctx, bson.M{"lane": bson.M{"$gt": to, "$lt": lastSerialLane}}, o, func(raw bson.Raw) error {
			next, _ = raw.Lookup("lane").StringValueOK()
			return nil
		})
		if err != nil {
			return from, err
		}
		if to = next; to == "" {
			break
		}
		lanes = append(lanes, to)
	}
	return to, s.mendLanes(ctx, lanes)
}

// mendSomeLocks takes away locks that nobody has.
func (s *Store) mendSomeLocks(ctx context.Context, _ int64, from string) (to string, err error) {
	ids, to, err := s.some(ctx, s.serials(), from, bson.M{})
	if err != nil || len(ids) == 0 {
		return to, err
	}
	return to, s.mendLanes(ctx, ids)
}

// mendSomeKeys takes away keys that nobody has.
func (s *Store) mendSomeKeys(ctx context.Context, now int64, from string) (to string, err error) {
	ids, to, err := s.some(ctx, s.keys(), from, bson.M{"hu": bson.M{"$lte": now}})
	if err != nil || len(ids) == 0 {
		return to, err
	}
	found, err := s.readKeys(ctx, ids)
	if err != nil {
		return from, err
	}
	var list []mongo.WriteModel
	for _, k := range found {
		if !k.held(now) {
			list = append(list, deleteOne(bson.M{"_id": k.ID, "in": k.Born}))
		}
	}
	_, _, err = s.keys().update(ctx, list...)
	return to, err
}

// some returns the next IDs of a collection, and where to go on, "" at the end.
func (s *Store) some(ctx context.Context, t table, from string, filter bson.M) (ids []string, to string, err error) {
	filter["_id"] = bson.M{"$gt": from}
	o := options.Find().SetSort(bson.M{"_id": 1}).SetLimit(mendSome).SetProjection(bson.M{"_id": 1})
	err = t.find(ctx, filter, o, func(raw bson.Raw) error {
		if id, ok := raw.Lookup("_id").StringValueOK(); ok {
			ids = append(ids, id)
		}
		return nil
	})
	if len(ids) == mendSome {
		to = ids[len(ids)-1]
	}
	return ids, to, err
}
