package mongodb

import (
	"context"
	"maps"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/earshot-go/earshot/queue"
)

// Stats counts the items, in one step for each kind, and one for each queue that has items which are due. It looks at
// all of them.
func (s *Store) Stats(ctx context.Context) (stats queue.Stats, err error) {
	err = s.do(ctx, "count", func(ctx context.Context, now int64) error {
		stats.Now = instant(now)
		queues := map[string]*queue.QueueStats{}
		of := func(name string) *queue.QueueStats {
			if queues[name] == nil {
				queues[name] = &queue.QueueStats{Queue: name}
			}
			return queues[name]
		}
		var bound bindings
		if _, err := s.meta().get(ctx, bindingsID, &bound); err != nil {
			return err
		}
		for _, b := range bound.List {
			of(b.Queue)
		}
		waits := states(queue.StatePending)
		for _, kind := range []struct {
			filter bson.M
			add    func(*queue.QueueStats, int)
		}{
			{bson.M{"st": in(waits), "du": bson.M{"$lte": now}}, func(q *queue.QueueStats, n int) { q.Ready = n }},
			{bson.M{"st": in(waits), "du": bson.M{"$gt": now}}, func(q *queue.QueueStats, n int) { q.Delayed = n }},
			{bson.M{"st": leased}, func(q *queue.QueueStats, n int) { q.Leased = n }},
			{bson.M{"st": dead}, func(q *queue.QueueStats, n int) { q.Dead = n }},
		} {
			counts, err := s.count(ctx, kind.filter)
			if err != nil {
				return err
			}
			for name, n := range counts {
				kind.add(of(name), n)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(queues)) {
			q := queues[name]
			if q.Ready > 0 {
				o := withoutPayload().SetSort(bson.M{"at": 1}).SetLimit(1)
				oldest, err := s.items().rows(ctx, bson.M{"q": name, "st": in([]string{pending, parked})}, o)
				if err != nil {
					return err
				}
				if len(oldest) > 0 && oldest[0].Due <= now {
					q.OldestReady = instant(oldest[0].Due)
				}
			}
			stats.Queues = append(stats.Queues, *q)
		}
		return nil
	})
	return stats, err
}

// count counts the items of each queue that a filter lets through.
func (s *Store) count(ctx context.Context, filter bson.M) (counts map[string]int, err error) {
	counts = map[string]int{}
	pipeline := bson.A{
		bson.M{"$match": filter},
		bson.M{"$group": bson.M{"_id": "$q", "n": bson.M{"$sum": 1}}},
	}
	err = s.items().group(ctx, pipeline, func(raw bson.Raw) {
		var got struct {
			Queue string `bson:"_id"`
			N     int    `bson:"n"`
		}
		if bson.Unmarshal(raw, &got) == nil && got.Queue != "" {
			counts[got.Queue] = got.N
		}
	})
	return counts, err
}
