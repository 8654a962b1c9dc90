package memstore_test

import (
	"cmp"
	"slices"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// A plain store is the contract once more, without heaps: it looks at all items for everything it is asked. The
// random test holds the store to it.
type plain struct {
	seq   int
	items []*plainItem
	keys  map[[2]string]*plainKey
}

type plainItem struct {
	queue.Record
	seq     int
	receipt string
}

type plainKey struct {
	id      string
	item    *plainItem
	inScope bool
	until   time.Time
}

func (p *plain) byID(id string) *plainItem {
	for _, it := range p.items {
		if it.ID == id {
			return it
		}
	}
	return nil
}

func (p *plain) enqueue(it queue.Item, now time.Time) queue.Enqueued {
	if p.byID(it.ID) != nil {
		return queue.Enqueued{ID: it.ID, Status: queue.Duplicate}
	}
	due := it.Due
	if due.IsZero() {
		due = now.Add(it.Delay)
	}
	name := [2]string{it.Queue, it.Key}
	if k := p.keys[name]; it.Key != "" && k != nil && (k.inScope || now.Before(k.until)) {
		if it.Replace && k.item != nil && k.item.State == queue.StatePending {
			k.item.Payload, k.item.Headers, k.item.Due = it.Payload, it.Headers, due
			return queue.Enqueued{ID: k.id, Status: queue.Replaced}
		}
		return queue.Enqueued{ID: k.id, Status: queue.Duplicate}
	}
	p.seq++
	n := &plainItem{seq: p.seq, Record: queue.Record{Item: it, State: queue.StatePending, Created: now}}
	n.Due, n.Delay = due, 0
	p.items = append(p.items, n)
	if it.Key != "" {
		p.keys[name] = &plainKey{it.ID, n, true, now.Add(it.Hold)}
	}
	return queue.Enqueued{ID: it.ID, Status: queue.Inserted}
}

// blocked reports whether another item of the Serial is leased.
func (p *plain) blocked(it *plainItem) bool {
	return it.Serial != "" && slices.ContainsFunc(p.items, func(o *plainItem) bool {
		return o.State == queue.StateLeased && o.Queue == it.Queue && o.Serial == it.Serial
	})
}

// next returns the item to lease next, and when one of the queues will have something if none is due now.
func (p *plain) next(queues []string, now time.Time) (best *plainItem, at time.Time) {
	for _, it := range p.items {
		if !slices.Contains(queues, it.Queue) {
			continue
		}
		when := it.Due
		if it.State == queue.StateLeased {
			when = it.Until
		}
		if it.State != queue.StateDead && !p.blocked(it) || it.State == queue.StateLeased {
			if at.IsZero() || when.Before(at) {
				at = when
			}
		}
		if it.State == queue.StatePending && !it.Due.After(now) && !p.blocked(it) && (best == nil ||
			cmp.Or(cmp.Compare(best.Priority, it.Priority), it.Due.Compare(best.Due), cmp.Compare(it.seq, best.seq)) < 0) {
			best = it
		}
	}
	return best, at
}

func (p *plain) lease(r queue.LeaseRequest, now time.Time) (leased []*plainItem) {
	p.reap(r.Queues, now)
	for len(leased) < r.Max {
		it, _ := p.next(r.Queues, now)
		if it == nil {
			break
		}
		if it.Scope == queue.UntilLeased {
			p.outOfScope(it)
		}
		it.State, it.Worker, it.Until = queue.StateLeased, r.Worker, now.Add(r.TTL)
		it.Deliveries++
		leased = append(leased, it)
	}
	return leased
}

// reap takes back expired leases, of all queues if none are named, in the order of their ends.
func (p *plain) reap(queues []string, now time.Time) (n int) {
	for _, it := range p.items {
		if it.State == queue.StateLeased && !it.Until.After(now) && (queues == nil || slices.Contains(queues, it.Queue)) {
			p.fail(it, it.Due, `the lease of worker "`+it.Worker+`" has expired`, now)
			n++
		}
	}
	return n
}

func (p *plain) fail(it *plainItem, due time.Time, reason string, now time.Time) {
	it.Fails++
	it.Reason = reason
	if it.MaxFails >= 0 && it.Fails >= cmp.Or(it.MaxFails, queue.DefaultMaxFails) {
		p.bury(it, now)
		return
	}
	it.State, it.Until, it.Due = queue.StatePending, time.Time{}, due
}

func (p *plain) bury(it *plainItem, now time.Time) {
	it.State, it.Until = queue.StateDead, now
	p.outOfScope(it)
}

func (p *plain) outOfScope(it *plainItem) {
	if k := p.keys[[2]string{it.Queue, it.Key}]; k != nil && k.item == it {
		k.inScope = false
	}
}

func (p *plain) gone(it *plainItem) {
	p.items = slices.DeleteFunc(p.items, func(o *plainItem) bool { return o == it })
	if k := p.keys[[2]string{it.Queue, it.Key}]; k != nil && k.item == it {
		k.item = nil
	}
}

// settle reports whether the lease is the present one.
func (p *plain) settle(s queue.Settlement, now time.Time) bool {
	it := p.byID(s.ID)
	if it == nil || it.Queue != s.Queue || it.State != queue.StateLeased || it.receipt != s.Receipt {
		return false
	}
	switch s.Action {
	case queue.Ack:
		p.outOfScope(it)
		p.gone(it)
	case queue.Fail:
		due := s.At
		if due.IsZero() {
			due = now.Add(s.Delay)
		}
		p.fail(it, due, s.Reason, now)
	case queue.Release:
		it.State, it.Until = queue.StatePending, time.Time{}
		if s.Delay > 0 {
			it.Due = now.Add(s.Delay)
		}
	case queue.Bury:
		it.Reason = s.Reason
		p.bury(it, now)
	case queue.Extend:
		it.Until = now.Add(s.TTL)
	}
	return true
}

// find returns the items that fit and are in one of the states.
func (p *plain) find(q queue.Query, states ...queue.State) (found []*plainItem) {
	for _, it := range p.items {
		if (q.ID == "" || q.ID == it.ID) && (q.Queue == "" || q.Queue == it.Queue) && (q.Name == "" || q.Name == it.Name) &&
			(q.TID == "" || q.TID == it.TID) && (q.State == "" || q.State == it.State) && (states == nil || slices.Contains(states, it.State)) {
			found = append(found, it)
		}
	}
	return found
}

func (p *plain) remove(q queue.Query) (n int) {
	for _, it := range p.find(q, queue.StatePending, queue.StateDead) {
		if n == q.Limit && n > 0 {
			break
		}
		if k := p.keys[[2]string{it.Queue, it.Key}]; k != nil && k.item == it {
			delete(p.keys, [2]string{it.Queue, it.Key})
		}
		p.gone(it)
		n++
	}
	return n
}

func (p *plain) redrive(q queue.Query, now time.Time) (n int) {
	for _, it := range p.find(q, queue.StatePending, queue.StateDead) {
		if n == q.Limit && n > 0 {
			break
		}
		if it.State == queue.StatePending && !it.Due.After(now) {
			continue
		}
		if it.State == queue.StateDead {
			it.Fails = 0
		}
		it.State, it.Due, it.Until = queue.StatePending, now, time.Time{}
		n++
	}
	return n
}

func (p *plain) stats(now time.Time) (all []queue.QueueStats) {
	for _, it := range p.items {
		i, ok := slices.BinarySearchFunc(all, it.Queue, func(s queue.QueueStats, name string) int { return cmp.Compare(s.Queue, name) })
		if !ok {
			all = slices.Insert(all, i, queue.QueueStats{Queue: it.Queue})
		}
		switch s := &all[i]; {
		case it.State == queue.StateLeased:
			s.Leased++
		case it.State == queue.StateDead:
			s.Dead++
		case it.Due.After(now):
			s.Delayed++
		default:
			s.Ready++
			if s.OldestReady.IsZero() || it.Due.Before(s.OldestReady) {
				s.OldestReady = it.Due
			}
		}
	}
	return all
}
