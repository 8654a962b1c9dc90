package mongodb

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/earshot-go/earshot/queue"
)

// batch is how many items Remove and Redrive change at a time.
const batch = 500

// states returns those of documents that package queue sees as one.
func states(of queue.State) []string {
	switch of {
	case queue.StatePending:
		return []string{pending, parked, taking}
	case queue.StateLeased:
		return []string{leased}
	case queue.StateDead:
		return []string{dead}
	}
	return []string{pending, parked, taking, leased, dead}
}

func selection(q queue.Query) bson.M {
	filter := bson.M{"st": in(states(q.State))}
	for field, value := range map[string]string{"_id": q.ID, "q": q.Queue, "nm": q.Name, "ti": q.TID} {
		if value != "" {
			filter[field] = value
		}
	}
	return filter
}

// Find returns items in the order in which they were enqueued; see queue.Finder.
func (s *Store) Find(ctx context.Context, q queue.Query) (list []queue.Record, err error) {
	if err := q.Validate(true); err != nil {
		return nil, err
	}
	filter := selection(q)
	if q.After != "" {
		seq, id, err := readCursor(q.After)
		if err != nil {
			return nil, err
		}
		filter["$or"] = after(seq, id)
	}
	if q.Limit == 0 {
		q.Limit = 100
	}
	err = s.do(ctx, "find in", func(ctx context.Context, _ int64) error {
		o := options.Find().SetSort(ascending("sq", "_id")).SetLimit(int64(q.Limit))
		rows, err := s.items().rows(ctx, filter, o)
		for i := range rows {
			list = append(list, rows[i].record())
		}
		return err
	})
	return list, err
}

// after selects what comes after a place in the order of enqueueing.
func after(seq int64, id string) bson.A {
	return bson.A{bson.M{"sq": bson.M{"$gt": seq}}, bson.M{"sq": seq, "_id": bson.M{"$gt": id}}}
}

// Remove removes items that wait or are dead; see queue.Finder.
func (s *Store) Remove(ctx context.Context, q queue.Query) (int, error) {
	return s.change(ctx, "remove from", q, func(ctx context.Context, rows []row, now int64) (int, error) {
		step := token()
		ids, born := identities(rows)
		n, _, err := s.items().update(ctx, updateMany(
			bson.M{"_id": in(ids), "in": in(born), "st": in([]string{pending, parked, dead})},
			bson.M{"$set": bson.M{"st": done, "at": now, "op": step, "rm": true, "kh": false}, "$unset": bson.M{"lane": 1}}))
		if err != nil || n == 0 {
			return 0, err
		}
		gone, err := s.items().rows(ctx, bson.M{"_id": in(ids), "op": step}, withoutPayload())
		if err != nil {
			return 0, err
		}
		return n, s.finish(ctx, gone, now)
	})
}

// Redrive makes items due now; see queue.Redriver.
func (s *Store) Redrive(ctx context.Context, q queue.Query) (int, error) {
	return s.change(ctx, "redrive in", q, func(ctx context.Context, rows []row, now int64) (int, error) {
		var list []mongo.WriteModel
		for _, r := range rows {
			own := bson.M{"_id": r.ID, "in": r.Born, "st": pending, "du": bson.M{"$gt": now}}
			fields := bson.M{"du": now, "at": now}
			if r.State == dead {
				own = bson.M{"_id": r.ID, "in": r.Born, "st": dead}
				fields["st"], fields["lane"], fields["fl"], fields["lf"] = pending, r.Queue, int64(0), lives(int(r.MaxFails))
			}
			list = append(list, updateOne(own, bson.M{"$set": fields, "$unset": bson.M{"un": 1}}))
		}
		n, _, err := s.items().update(ctx, list...)
		for _, r := range rows {
			s.bell.Ring(r.Queue, 0)
		}
		return n, err
	})
}

// change calls some with the items that a query selects, as many at a time as fit into one step, until it has changed
// as many as the query allows.
func (s *Store) change(ctx context.Context, what string, q queue.Query, some func(context.Context, []row, int64) (int, error)) (total int, err error) {
	if err := q.Validate(false); err != nil {
		return 0, err
	}
	err = s.do(ctx, what, func(ctx context.Context, now int64) error {
		filter := selection(q)
		for {
			n := batch
			if q.Limit > 0 {
				n = min(n, q.Limit-total)
			}
			rows, err := s.items().rows(ctx, filter, withoutPayload().SetSort(ascending("sq", "_id")).SetLimit(int64(n)))
			if err != nil || len(rows) == 0 {
				return err
			}
			changed, err := some(ctx, rows, now)
			if total += changed; err != nil || len(rows) < n || total == q.Limit {
				return err
			}
			last := rows[len(rows)-1]
			filter["$or"] = after(last.Seq, last.ID)
		}
	})
	return total, err
}
