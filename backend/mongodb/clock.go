package mongodb

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

const (
	// clockFor is how long a measurement is good.
	clockFor = 30 * time.Second
	// drift is how far two clocks go apart in that time at most, if nobody sets them.
	drift = 3 * time.Millisecond
	// clockAsks is how often the server is asked for one measurement. It tells whole milliseconds only: each answer
	// narrows down further where within the millisecond its clock is.
	clockAsks = 5
)

// A clock is the server's, as far as it is known here. The stores of a process that have the same server have the same
// clock, so that they agree, and a sequence that is in order over all of them.
type clock struct {
	mu          sync.Mutex    // guards the fields below
	least, most time.Duration // the server's time minus ours is between these
	measured    time.Time     // by the monotonic clock, as ours may be set while the server's is not; zero: never
	doubt       bool          // it has to be measured again
	told        int64         // what now returned last
	seq         int64         // what next returned last
}

var clocks struct {
	mu sync.Mutex
	of map[string]*clock // by URI; for good, since they are few
}

func clockOf(uri string) *clock {
	clocks.mu.Lock()
	defer clocks.mu.Unlock()
	if clocks.of == nil {
		clocks.of = map[string]*clock{}
	}
	c := clocks.of[uri]
	if c == nil {
		c = &clock{}
		clocks.of[uri] = c
	}
	return c
}

// now returns the server's time, if it was measured not long ago.
func (c *clock) now() (us int64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	since := time.Since(c.measured)
	if c.measured.IsZero() || c.doubt || since > clockFor {
		return 0, false
	}
	us = c.measured.Add(since + c.least + (c.most-c.least)/2).UnixMicro()
	// A better measurement may put it back by a little, but it does not run backwards for that.
	if back := c.told - us; back > 0 && back < length(drift) {
		us = c.told
	}
	c.told = us
	return us, true
}

// forget has the clock measured again.
func (c *clock) forget() {
	c.mu.Lock()
	c.doubt = true
	c.mu.Unlock()
}

// heard takes notice of what the server's clock said at some time between asked and answered, in whole milliseconds.
func (c *clock) heard(said, asked, answered time.Time) {
	least, most := said.Sub(answered), said.Add(time.Millisecond).Sub(asked)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.measured.IsZero() {
		// The differences are those to the wall clock here, as it was when c.measured was: to compare them it
		// has to have run on evenly.
		set := asked.Round(0).Sub(c.measured.Round(0)) - asked.Sub(c.measured)
		l, m := c.least-set, c.most-set
		if asked.Sub(c.measured) > time.Second {
			l, m = l-drift, m+drift
		}
		if least <= m && most >= l { // otherwise the server's clock was set, or it is another server's
			least, most = max(least, l), min(most, m)
		}
	}
	c.least, c.most, c.measured, c.doubt = least, most, asked, false
}

// next returns the first of n numbers by which items are in order: the server's time, or more than the one before.
func (c *clock) next(n int, now int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := max(c.seq+1, now)
	c.seq = first + int64(n) - 1
	return first
}

// setClock asks the server for its time, some times.
func (s *Store) setClock(ctx context.Context, times int) error {
	for range times {
		var answer struct {
			LocalTime time.Time `bson:"localTime"`
		}
		asked := time.Now()
		err := s.step(ctx, func(ctx context.Context, db *mongo.Database) error {
			return db.Client().Database("admin").RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&answer)
		})
		if err != nil {
			return err
		}
		if answer.LocalTime.IsZero() {
			return errors.New("the server does not tell its time: is it MongoDB 5.0 or later?")
		}
		s.clock.heard(answer.LocalTime, asked, time.Now())
	}
	return nil
}
