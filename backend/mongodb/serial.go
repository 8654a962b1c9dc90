package mongodb

import (
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// A lock is a document for a serial key. It names the lease that has the key, and means nothing once the item is not
// leased by that very lease any more: an item lets go of it by its own change, in the same step.
type lock struct {
	ID    string        `bson:"_id"` // serialLane
	Item  string        `bson:"id"`
	Lease bson.ObjectID `bson:"tk"`

	holder *row // if it is there
}

// held reports whether the lock is, given its item. A lock that is not held never is again: the name of a lease is used
// once, and is written here after it is in the item.
func (k *lock) held() bool {
	h := k.holder
	return h != nil && h.Lease == k.Lease && (h.State == taking || h.State == leased)
}

// claimSerial takes the first of each lane, if no other of it is leased, and otherwise parks all of them.
//
// An item is marked as taking before its lock is written, so that a lock without a holder is always one that was left
// behind. Of two that mark different items at the same time one gets the lock, and the other gives way.
func (l *leasing) claimSerial(ctx context.Context, byLane map[string][]row, c *claimed) error {
	var lanes []string
	for lane := range byLane {
		lanes = append(lanes, lane)
	}
	locks, err := l.s.readLocks(ctx, lanes)
	if err != nil {
		return err
	}
	var first, park []row
	var busy []string
	for lane, rows := range byLane {
		if k := locks[lane]; k != nil && k.held() {
			park, busy = append(park, rows...), append(busy, lane)
			continue
		}
		first = append(first, rows[0])
		c.again = c.again || len(rows) > 1 // they are parked when that one has the lock
	}
	if len(park) > 0 {
		c.moved = true
		if err := l.s.park(ctx, park, busy, l.now); err != nil {
			return err
		}
	}
	marked, err := l.mark(ctx, first)
	if err != nil {
		return err
	}
	c.lost = c.lost || len(marked) < len(first)
	if len(marked) == 0 {
		return nil
	}
	won, lost, err := l.s.lock(ctx, marked, locks)
	if err != nil {
		return err
	}
	c.moved = c.moved || len(won) > 0
	c.again = c.again || len(lost) > 0
	_, err = l.give(ctx, won, func(rows []row) bson.M {
		ids, born := identities(rows)
		return bson.M{"_id": in(ids), "in": in(born), "tk": rows[0].Lease, "st": taking}
	})
	if err != nil {
		return err
	}
	return l.s.unmark(ctx, lost)
}

// mark marks rows as taking, and returns those that it has marked.
func (l *leasing) mark(ctx context.Context, rows []row) ([]row, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	ids, born := identities(rows)
	step := token()
	matched, _, err := l.s.items().update(ctx, updateMany(l.free(bson.M{"_id": in(ids), "in": in(born)}), bson.M{
		"$set":   bson.M{"st": taking, "tk": step, "op": step, "at": l.now + length(l.s.mends.after)},
		"$unset": bson.M{"lane": 1},
	}))
	switch {
	case err != nil || matched == 0:
		return nil, err
	case matched < len(rows):
		return l.s.items().rows(ctx, bson.M{"_id": in(ids), "op": step}, withoutPayload())
	}
	rows = slices.Clone(rows)
	for i := range rows {
		rows[i].Lease = step
	}
	return rows, nil
}

// lock takes the locks for rows that are marked, as far as they are not held by others.
func (s *Store) lock(ctx context.Context, marked []row, seen map[string]*lock) (won, lost []row, err error) {
	var docs []any
	var fresh []row
	for _, r := range marked {
		lane := serialLane(r.Queue, r.Serial)
		old := seen[lane]
		if old == nil {
			docs = append(docs, lock{ID: lane, Item: r.ID, Lease: r.Lease})
			fresh = append(fresh, r)
			continue
		}
		matched, _, err := s.serials().update(ctx, updateOne(bson.M{"_id": lane, "tk": old.Lease},
			set(bson.M{"id": r.ID, "tk": r.Lease})))
		if err != nil {
			return nil, nil, err
		}
		if matched == 1 {
			won = append(won, r)
		} else {
			lost = append(lost, r)
		}
	}
	if len(fresh) == 0 {
		return won, lost, nil
	}
	there, err := s.serials().insert(ctx, docs)
	for n, r := range fresh {
		if slices.Contains(there, n) {
			lost = append(lost, r)
		} else {
			won = append(won, r)
		}
	}
	return won, lost, err
}

// unmark takes back that rows are marked.
func (s *Store) unmark(ctx context.Context, rows []row) error {
	var list []mongo.WriteModel
	for _, r := range rows {
		list = append(list, updateOne(bson.M{"_id": r.ID, "in": r.Born, "tk": r.Lease, "st": taking},
			bson.M{"$set": bson.M{"st": pending, "lane": r.Queue, "at": r.Due}, "$unset": bson.M{"tk": 1}}))
	}
	_, _, err := s.items().update(ctx, list...)
	return err
}

// park puts rows into the lanes of their serial keys, which were busy. If one of those came free meanwhile, nobody saw
// the row there who could have let it go: that is done here.
func (s *Store) park(ctx context.Context, rows []row, lanes []string, now int64) error {
	byLane := map[string][]row{}
	for _, r := range rows {
		lane := serialLane(r.Queue, r.Serial)
		byLane[lane] = append(byLane[lane], r)
	}
	var list []mongo.WriteModel
	for lane, rows := range byLane {
		ids, born := identities(rows)
		list = append(list, updateMany(bson.M{"_id": in(ids), "in": in(born), "st": pending, "du": bson.M{"$lte": now}},
			set(bson.M{"st": parked, "lane": lane})))
	}
	if _, _, err := s.items().update(ctx, list...); err != nil {
		return err
	}
	return s.mendLanes(ctx, lanes)
}

// mendLanes lets the first item out of each lane whose lock is not held. It is called now and then for all lanes, and
// by whoever has put something into a lane.
func (s *Store) mendLanes(ctx context.Context, lanes []string) error {
	if len(lanes) == 0 {
		return nil
	}
	locks, err := s.readLocks(ctx, lanes)
	if err != nil {
		return err
	}
	var free []string
	left := map[string]bson.ObjectID{}
	for _, lane := range lanes {
		switch k := locks[lane]; {
		case k == nil:
			free = append(free, lane)
		case !k.held():
			free = append(free, lane)
			left[lane] = k.Lease
		}
	}
	if len(free) == 0 {
		return nil
	}
	return s.letOut(ctx, free, left)
}

// letOut lets the first item out of each lane, and then takes away the locks that leases have left. It is called by
// whoever has settled an item, after that, or found one that has expired. When it is called once more than is needed,
// one item more waits in the queue, and is parked again.
func (s *Store) letOut(ctx context.Context, lanes []string, left map[string]bson.ObjectID) error {
	// Grouped by nothing else, and in order: MongoDB takes a seek in the index for each lane.
	var crowded []string
	pipeline := bson.A{bson.M{"$match": bson.M{"lane": in(lanes)}}, bson.M{"$sort": bson.M{"lane": 1}}, bson.M{"$group": bson.M{"_id": "$lane"}}}
	err := s.items().group(ctx, pipeline, func(raw bson.Raw) {
		if lane, ok := raw.Lookup("_id").StringValueOK(); ok {
			crowded = append(crowded, lane)
		}
	})
	if err != nil {
		return err
	}
	for _, lane := range crowded {
		queue := queueOf(lane)
		r, err := s.items().take(ctx, bson.M{"lane": lane}, set(bson.M{"st": pending, "lane": queue}), order)
		if err != nil {
			return err
		}
		if r != nil {
			s.bell.Ring(queue, 0)
		}
	}
	// After that: until then the lock is what says that there is something to mend.
	var list []mongo.WriteModel
	for lane, lease := range left {
		list = append(list, deleteOne(bson.M{"_id": lane, "tk": lease}))
	}
	_, _, err = s.serials().update(ctx, list...)
	return err
}

// readLocks returns locks with the items that they say they belong to.
func (s *Store) readLocks(ctx context.Context, lanes []string) (map[string]*lock, error) {
	found := map[string]*lock{}
	var owners []string
	err := s.serials().find(ctx, bson.M{"_id": in(lanes)}, options.Find(), func(raw bson.Raw) error {
		k := new(lock)
		if err := bson.Unmarshal(raw, k); err != nil {
			return garbled(s.serials().name, raw, err)
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
		k.holder = byID[k.Item]
	}
	return found, nil
}
