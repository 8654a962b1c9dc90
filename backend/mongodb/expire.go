package mongodb

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/earshot-go/earshot/internal/wake"
)

// expired returns items of queues, all if there are none, whose lease has ended.
func (s *Store) expired(ctx context.Context, queues []string, now int64) ([]row, error) {
	filter := bson.M{"q": bson.M{"$gte": ""}, "st": in([]string{leased, taking}), "at": bson.M{"$lte": now}}
	if queues != nil {
		filter["q"] = in(queues)
	}
	return s.items().rows(ctx, filter, withoutPayload().SetLimit(maxExpired).SetSort(bson.M{"at": 1}))
}

// takeBack ends expired leases, of those that were not prolonged or settled meanwhile, and returns how many.
func (s *Store) takeBack(ctx context.Context, rows []row, now int64) (n int, err error) {
	step := token()
	type group struct {
		queue, worker string
		lease         bson.ObjectID
		due           int64
		state         string
	}
	groups := map[group][]row{}
	var held []row
	for _, r := range rows {
		g := group{r.Queue, r.Worker, r.Lease, r.Due, r.State}
		groups[g] = append(groups[g], r)
		if r.Key != "" || r.Serial != "" {
			held = append(held, r)
		}
	}
	var list []mongo.WriteModel
	for g, members := range groups {
		ids, born := identities(members)
		filter := bson.M{"_id": in(ids), "in": in(born), "tk": g.lease, "st": g.state, "at": bson.M{"$lte": now}}
		if g.state == taking { // nobody has had it: it does not count
			list = append(list, updateMany(filter, bson.M{
				"$set":   bson.M{"op": step, "st": pending, "lane": g.queue, "at": g.due},
				"$unset": bson.M{"tk": 1},
			}))
			continue
		}
		reason := fmt.Sprintf("the lease of worker %q has expired", g.worker)
		list = append(list, failing(filter, g.queue, g.due, reason, now, step, bson.M{"tk": 1})...) // with its end: see free
	}
	if n, _, err = s.items().update(ctx, list...); err != nil {
		return 0, err
	}
	for g := range groups {
		s.bell.Ring(g.queue, wake.In(g.due-now))
	}
	if len(held) == 0 {
		return n, nil
	}
	ids, _ := identities(held)
	after, err := s.items().rows(ctx, bson.M{"_id": in(ids), "op": step}, withoutPayload())
	if err != nil {
		return n, err
	}
	leases := map[string]bson.ObjectID{}
	for _, r := range held {
		leases[r.ID] = r.Lease
	}
	for i := range after {
		after[i].Lease = leases[after[i].ID] // the one that it had
	}
	return n, s.letGo(ctx, after, now)
}

// Reap takes back all items whose lease has expired, and finishes all that others have left half done; see
// queue.Maintainer.
func (s *Store) Reap(ctx context.Context) (total int, err error) {
	err = s.do(ctx, "reap", func(ctx context.Context, now int64) error {
		for {
			rows, err := s.expired(ctx, nil, now)
			if err != nil {
				return err
			}
			n, err := s.takeBack(ctx, rows, now)
			if total += n; err != nil {
				return err
			}
			if len(rows) < maxExpired {
				return s.mend(ctx, now, true)
			}
		}
	})
	return total, err
}

// unfinishedFor is how long a document may be between two steps before others go on with it. To do so earlier is
// harmless, and of no use.
const unfinishedFor = 10 * time.Second
