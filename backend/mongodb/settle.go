package mongodb

import (
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/earshot-go/earshot/internal/wake"
	"github.com/earshot-go/earshot/queue"
)

// Settle ends or prolongs leases: all of a call in one step, and what has to be cleaned up after it in some more. See
// queue.Store.
func (s *Store) Settle(ctx context.Context, list []queue.Settlement) (errs []error, err error) {
	if len(list) == 0 {
		return nil, s.nothing(ctx, "settle in")
	}
	err = s.do(ctx, "settle in", func(ctx context.Context, now int64) error {
		errs, err = s.settle(ctx, list, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	return errs, nil
}

func (s *Store) settle(ctx context.Context, list []queue.Settlement, now int64) ([]error, error) {
	errs := make([]error, len(list))
	receipts := make([]receipt, len(list))
	var todo []int
	for i := range list {
		var ok bool
		if errs[i] = list[i].Validate(); errs[i] != nil {
			continue
		}
		if receipts[i], ok = readReceipt(list[i].Receipt); !ok {
			errs[i] = queue.ErrLeaseLost
			continue
		}
		todo = append(todo, i)
	}
	for len(todo) > 0 {
		t := settling{s: s, now: now, step: token(), list: list, receipts: receipts, errs: errs}
		// What is there twice is done one after the other: the first may end the lease.
		var later []int
		met := map[string]bool{}
		for _, i := range todo {
			if met[list[i].ID] {
				later = append(later, i)
				continue
			}
			met[list[i].ID] = true
			t.todo = append(t.todo, i)
		}
		todo = later
		if err := t.run(ctx); err != nil {
			return nil, err
		}
	}
	return errs, nil
}

// A settling settles some items, of which each is there once.
type settling struct {
	s        *Store
	now      int64
	step     bson.ObjectID
	list     []queue.Settlement
	receipts []receipt
	errs     []error
	todo     []int
}

// A group are settlements that one statement can do.
type group struct {
	lease bson.ObjectID
	what  queue.Settlement // without ID and Receipt
	due   int64            // when they are due again, for Fail and Release
}

func (t *settling) run(ctx context.Context) error {
	if len(t.todo) == 1 {
		i := t.todo[0]
		if t.list[i].Action == queue.Ack && !t.receipts[i].holds {
			_, n, err := t.s.items().update(ctx, deleteOne(t.filter(t.groupOf(i), []int{i})))
			if n == 0 {
				t.errs[i] = queue.ErrLeaseLost
			}
			return err
		}
	}
	groups := map[group][]int{}
	for _, i := range t.todo {
		g := t.groupOf(i)
		groups[g] = append(groups[g], i)
	}
	var statements []mongo.WriteModel
	for g, members := range groups {
		statements = append(statements, t.statements(g, members)...)
	}
	matched, _, err := t.s.items().update(ctx, statements...)
	if err != nil {
		return err
	}
	won, rows, err := t.outcome(ctx, matched == len(t.todo))
	if err != nil {
		return err
	}
	for _, i := range t.todo {
		switch {
		case !won[i]:
			t.errs[i] = queue.ErrLeaseLost
		case t.list[i].Action == queue.Fail, t.list[i].Action == queue.Release:
			t.s.bell.Ring(t.list[i].Queue, wake.In(t.groupOf(i).due-t.now))
		}
	}
	return t.after(ctx, won, rows)
}

func (t *settling) groupOf(i int) group {
	g := group{lease: t.receipts[i].lease, what: t.list[i]}
	g.what.ID, g.what.Receipt = "", ""
	switch {
	case g.what.Action == queue.Fail:
		g.due = dueAt(g.what.At, g.what.Delay, t.now)
	case g.what.Action == queue.Release && g.what.Delay > 0:
		g.due = t.now + length(g.what.Delay)
	case g.what.Action == queue.Release:
		g.due = t.receipts[i].due
	}
	return g
}

func (t *settling) filter(g group, members []int) bson.M {
	var ids []string
	var born []bson.ObjectID
	for _, i := range members {
		ids, born = append(ids, t.list[i].ID), append(born, t.receipts[i].born)
	}
	return bson.M{"_id": in(ids), "in": in(born), "q": g.what.Queue, "st": leased, "tk": g.lease}
}

// statements change the items of a group if their lease is the one of the receipts. What they leave can be gone on with
// by anybody.
func (t *settling) statements(g group, members []int) []mongo.WriteModel {
	fields := bson.M{"op": t.step}
	unset := bson.M{"tk": 1, "un": 1}
	switch g.what.Action {
	case queue.Ack:
		fields["st"], fields["at"] = done, t.now
	case queue.Fail:
		return failing(t.filter(g, members), g.what.Queue, g.due, queue.CutReason(g.what.Reason), t.now, t.step, bson.M{"tk": 1, "un": 1})
	case queue.Release:
		fields["st"], fields["lane"], fields["du"], fields["at"] = pending, g.what.Queue, g.due, g.due
	case queue.Bury:
		fields["st"], fields["un"], fields["kh"], fields["re"] = dead, t.now, false, queue.CutReason(g.what.Reason)
		unset = bson.M{"tk": 1, "at": 1}
	case queue.Extend:
		fields["at"] = t.now + length(g.what.TTL)
		fields["un"] = fields["at"]
		return []mongo.WriteModel{updateMany(t.filter(g, members), set(fields))}
	}
	return []mongo.WriteModel{updateMany(t.filter(g, members), bson.M{"$set": fields, "$unset": unset})}
}

// failing returns the statements that count a fail: one for those that have more left, and one for those that die of it.
func failing(filter bson.M, queue string, due int64, reason string, now int64, step bson.ObjectID, unset bson.M) []mongo.WriteModel {
	last := bson.M{}
	for k, v := range filter {
		last[k] = v
	}
	filter["lf"], last["lf"] = bson.M{"$gt": 1}, bson.M{"$lte": 1}
	count := bson.M{"fl": 1, "lf": -1}
	return []mongo.WriteModel{
		updateMany(filter, bson.M{
			"$set":   bson.M{"op": step, "re": reason, "st": pending, "lane": queue, "du": due, "at": due},
			"$unset": unset, "$inc": count,
		}),
		updateMany(last, bson.M{
			"$set":   bson.M{"op": step, "re": reason, "st": dead, "un": now, "kh": false},
			"$unset": bson.M{"tk": 1, "at": 1}, "$inc": count,
		}),
	}
}

// outcome returns which settlements had an effect, and of those that may hold a key the items as they are now.
func (t *settling) outcome(ctx context.Context, all bool) (won map[int]bool, rows []row, err error) {
	won = map[int]bool{}
	var ids []string
	for _, i := range t.todo {
		won[i] = all
		if !all || t.receipts[i].holds && t.list[i].Action != queue.Extend {
			ids = append(ids, t.list[i].ID)
		}
	}
	if len(ids) == 0 {
		return won, nil, nil
	}
	found, err := t.s.items().rows(ctx, bson.M{"_id": in(ids), "op": t.step}, withoutPayload())
	if err != nil {
		return nil, nil, err
	}
	byID := map[string]row{}
	for _, r := range found {
		byID[r.ID] = r
	}
	for _, i := range t.todo {
		if r, ok := byID[t.list[i].ID]; ok {
			won[i] = true
			if t.receipts[i].holds && t.list[i].Action != queue.Extend {
				rows = append(rows, r)
			}
		}
	}
	return won, rows, nil
}

// after lets go what the settled items held, and takes away those that are done.
func (t *settling) after(ctx context.Context, won map[int]bool, rows []row) error {
	leases := map[string]bson.ObjectID{}
	for _, i := range t.todo {
		leases[t.list[i].ID] = t.receipts[i].lease
	}
	for i := range rows {
		rows[i].Lease = leases[rows[i].ID] // the one that it had
	}
	if err := t.s.letGo(ctx, rows, t.now); err != nil {
		return err
	}
	var ids []string
	for _, i := range t.todo {
		if won[i] && t.list[i].Action == queue.Ack {
			ids = append(ids, t.list[i].ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	_, _, err := t.s.items().update(ctx, deleteMany(bson.M{"_id": in(ids), "op": t.step, "st": done}))
	return err
}

// letGo cleans up after rows that are leased no more, or removed. It wakes who waits for their serial keys, and takes
// away the keys of those that are dead or done. Of those whose last lease is known the locks were their own.
func (s *Store) letGo(ctx context.Context, rows []row, now int64) error {
	var lanes, unsure []string
	var free []row
	left := map[string]bson.ObjectID{}
	for _, r := range rows {
		if r.Serial != "" {
			lane := serialLane(r.Queue, r.Serial)
			if r.Lease.IsZero() {
				unsure = append(unsure, lane)
			} else {
				lanes, left[lane] = append(lanes, lane), r.Lease
			}
		}
		if r.State == dead || r.State == done {
			free = append(free, r)
		}
	}
	if err := s.mendLanes(ctx, slices.Compact(slices.Sorted(slices.Values(unsure)))); err != nil {
		return err
	}
	if len(lanes) > 0 {
		if err := s.letOut(ctx, lanes, left); err != nil {
			return err
		}
	}
	return s.freeKeys(ctx, free, now)
}
