package mongodb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/earshot-go/earshot/internal/wake"
)

// Wait blocks until a lease may have something; see queue.Waker. What other processes enqueue it learns by asking the
// server, once a second.
func (s *Store) Wait(ctx context.Context, queues []string) error {
	_, leave, err := s.begin(ctx)
	if err != nil {
		return s.failed(ctx, "wait for", err)
	}
	s.patrol.Do(func() {
		s.running.Add(1)
		go func() { // ends with Close
			defer s.running.Done()
			s.bell.Patrol(s.life, time.Second, s.patrolling)
		}()
	})
	leave()
	// Not counted as a call: the bell ends it.
	return s.bell.Wait(ctx, queues)
}

func (s *Store) patrolling(ctx context.Context, queues []string) (in time.Duration, err error) {
	if _, err := s.prepare(ctx); err != nil {
		s.distrust()
		return 0, err
	}
	at, err := s.next(ctx, queues)
	if err != nil {
		s.distrust()
		return 0, err
	}
	return s.until(at), nil
}

// never is a time after all that there are.
const never = int64(1) << 62

// next returns when the next item of queues is due, or the next lease of theirs ends.
func (s *Store) next(ctx context.Context, queues []string) (at int64, err error) {
	at = never
	o := options.Find().SetSort(bson.M{"at": 1}).SetLimit(1).SetProjection(bson.M{"at": 1})
	filter := bson.M{"q": in(queues), "st": in([]string{pending, leased, taking})}
	err = s.items().find(ctx, filter, o, func(raw bson.Raw) error {
		if v, ok := raw.Lookup("at").AsInt64OK(); ok {
			at = v
		}
		return nil
	})
	return at, err
}

// until returns how long it is until a time of the server: 0 if it has come, negative if it never does.
func (s *Store) until(at int64) time.Duration {
	now, ok := s.clock.now()
	switch {
	case at == never:
		return -1
	case !ok:
		return 0
	}
	return wake.In(at - now)
}
