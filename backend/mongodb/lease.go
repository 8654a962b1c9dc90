package mongodb

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/earshot-go/earshot/internal/wake"
	"github.com/earshot-go/earshot/queue"
)

const (
	maxExpired = 1000
	maxLook    = 4000
	// maxAnswer is how many bytes of payloads and headers a lease returns, and one item more: the rest is for the
	// next one.
	maxAnswer = 16 << 20
)

// Lease takes items that are due, after it took back those whose lease has expired; see queue.Store. Calls for the same
// queues that come while one is under way are made together after that.
func (s *Store) Lease(caller context.Context, r queue.LeaseRequest) ([]queue.Leased, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	ctx, leave, err := s.begin(caller)
	if err != nil {
		return nil, s.failed(caller, "lease from", err)
	}
	defer leave()
	got, err := s.desk.ask(ctx, s, r)
	if err != nil {
		return nil, s.failed(ctx, "lease from", err)
	}
	if len(got) == 0 {
		return nil, nil
	}
	slices.SortFunc(got, func(a, b row) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Due, b.Due), cmp.Compare(a.Seq, b.Seq))
	})
	out := make([]queue.Leased, len(got))
	for i := range got {
		out[i] = got[i].leased()
	}
	return out, nil
}

// A leasing is some calls of Lease for the same queues. It looks at what is due and then claims it, so that other
// processes may have been faster. Then it looks at more of what is due and claims some of it at random, until it has
// enough or there is no more.
type leasing struct {
	s      *Store
	calls  []*leaseCall
	now    int64
	queues []string
	bytes  int64
}

// want returns how many more items are wanted.
func (l *leasing) want() (n int) {
	for _, c := range l.calls {
		n += c.want()
	}
	return n
}

func (l *leasing) run(ctx context.Context) error {
	marks := l.s.bell.Mark(l.queues)
	look := min(maxLook, l.want())
	cands, all, err := l.first(ctx, look)
	if err != nil {
		return err
	}
	crowded := false // others claim what we look at
	for idle := 0; idle < tries; {
		if all && len(cands) == 0 {
			return l.sleep(ctx, marks)
		}
		if crowded {
			rand.Shuffle(len(cands), func(i, j int) { cands[i], cands[j] = cands[j], cands[i] })
		}
		c, err := l.claim(ctx, cands)
		if err != nil || l.want() == 0 || l.bytes > maxAnswer {
			return err
		}
		if all && !c.lost && !c.again {
			return l.sleep(ctx, marks)
		}
		if !c.moved {
			idle++
		}
		crowded = c.lost
		look = min(maxLook, look*4)
		if cands, all, err = l.look(ctx, look); err != nil {
			return err
		}
	}
	return nil
}

// first looks for what is due and what has expired, at the same time: seldom there is something of the latter.
func (l *leasing) first(ctx context.Context, look int) (cands []row, all bool, err error) {
	var expired []row
	failed := make(chan error, 1)
	now := l.now
	go func() { // ends with its step
		var err error
		expired, err = l.s.expired(ctx, l.queues, now)
		failed <- err
	}()
	cands, all, err = l.look(ctx, look)
	if failure := <-failed; err == nil {
		err = failure
	}
	if err == nil && len(expired) > 0 {
		if _, err = l.s.takeBack(ctx, expired, l.now); err == nil {
			cands, all, err = l.look(ctx, look)
		}
	}
	if err == nil {
		err = l.s.mendNow(ctx, l.now)
	}
	return cands, all, err
}

// look returns the first n that are due, as far as a claim has to know them, and whether those are all.
func (l *leasing) look(ctx context.Context, n int) (cands []row, all bool, err error) {
	o := options.Find().SetSort(order).SetLimit(int64(n)).SetBatchSize(int32(n) + 1).
		SetProjection(bson.M{"_id": 1, "q": 1, "in": 1, "sr": 1, "k": 1, "sc": 1, "sz": 1, "pr": 1, "du": 1, "sq": 1})
	l.now = l.s.now(l.now)
	cands, found, err := l.s.items().all(ctx, l.free(bson.M{}), o)
	return cands, found < n, err
}

// A claimed is what became of candidates.
type claimed struct {
	moved bool // some were taken, or put into the lane of their serial key
	lost  bool // others were faster
	again bool // some stay that have to be looked at again
}

// claim takes as many of the candidates as are wanted.
func (l *leasing) claim(ctx context.Context, cands []row) (c claimed, err error) {
	var plain []row
	bySerial := map[string][]row{}
	want := l.want()
	for _, cand := range cands {
		if want == 0 || l.bytes > maxAnswer {
			c.again = true
			break
		}
		if cand.Serial == "" {
			plain = append(plain, cand)
		} else {
			lane := serialLane(cand.Queue, cand.Serial)
			bySerial[lane] = append(bySerial[lane], cand)
			if len(bySerial[lane]) > 1 {
				continue // of these only the first can be taken
			}
		}
		want--
		l.bytes += cand.Size
	}
	won, err := l.give(ctx, plain, func(cands []row) (filter bson.M) {
		ids, born := identities(cands)
		return l.free(bson.M{"_id": in(ids), "in": in(born)})
	})
	if err != nil {
		return c, err
	}
	c.moved, c.lost = won > 0, won < len(plain)
	if len(bySerial) > 0 {
		return c, l.claimSerial(ctx, bySerial, &c)
	}
	return c, nil
}

// free adds to a filter that an item waits, is due, and its last lease is over. The latter two are not so if the clock
// of whoever took it back, or changed when it is due, is before ours.
func (l *leasing) free(filter bson.M) bson.M {
	filter["lane"], filter["du"], filter["un"] = in(l.queues), bson.M{"$lte": l.now}, bson.M{"$not": bson.M{"$gt": l.now}}
	return filter
}

// give makes leases of some rows, as far as they are as the filter says: for each call as many as it wants, in a
// statement of its own.
func (l *leasing) give(ctx context.Context, rows []row, filter func([]row) bson.M) (won int, err error) {
	if len(rows) == 0 {
		return 0, nil
	}
	l.now = l.s.now(l.now)
	var statements []mongo.WriteModel
	var steps []bson.ObjectID
	of := map[bson.ObjectID]*leaseCall{}
	var ids []string
	for _, call := range l.calls {
		mine := rows[:min(call.want(), len(rows))]
		if rows = rows[len(mine):]; len(mine) == 0 {
			continue
		}
		until, step := l.now+length(call.r.TTL), token()
		f := filter(mine)
		fields := bson.M{"st": leased, "op": step, "wk": call.r.Worker, "at": until, "un": until}
		if f["tk"] == nil {
			fields["tk"] = step
		}
		statements = append(statements, updateMany(f, bson.M{"$set": fields, "$unset": bson.M{"lane": 1}, "$inc": bson.M{"dl": 1}}))
		steps = append(steps, step)
		of[step] = call
		for _, r := range mine {
			ids = append(ids, r.ID)
		}
	}
	matched, _, err := l.s.items().update(ctx, statements...)
	if err != nil || matched == 0 {
		return 0, err
	}
	got, err := l.s.items().rows(ctx, bson.M{"_id": in(ids), "op": in(steps)}, options.Find())
	for _, r := range got {
		of[r.Step].got = append(of[r.Step].got, r)
	}
	if err != nil {
		return len(got), err
	}
	return len(got), l.freeLeased(ctx, got)
}

func identities(rows []row) (ids []string, born []bson.ObjectID) {
	for _, r := range rows {
		ids, born = append(ids, r.ID), append(born, r.Born)
	}
	return ids, born
}

// freeLeased takes away the keys that are held until the first lease.
func (l *leasing) freeLeased(ctx context.Context, won []row) error {
	var free []row
	for _, r := range won {
		if r.Key != "" && queue.Scope(r.Scope) == queue.UntilLeased && r.Deliveries == 1 {
			free = append(free, r)
		}
	}
	return l.s.freeKeys(ctx, free, l.now)
}

// sleep tells the bell when something happens next.
func (l *leasing) sleep(ctx context.Context, m wake.Marks) error {
	at, err := l.s.next(ctx, l.queues)
	if err != nil {
		return err
	}
	l.s.bell.Sleep(m, l.s.until(at))
	return nil
}
