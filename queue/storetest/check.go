package storetest

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// A life is all that is known of one item.
type life struct {
	item     queue.Item
	tries    []*act // to enqueue it
	inserted []*act // those which were answered with Inserted, or with Duplicate by its ID
	refused  int    // how many were answered with Duplicate of another item
	leases   []*hand
}

// A hand is one lease, and what was done with its receipt.
type hand struct {
	queue.Leased
	act  *act
	ttl  time.Duration
	ends []*end // that are not known to have had no effect, in the order of their beginning
	ext  []*end // Extends, likewise
	lost bool   // one settlement at least has had no effect
}

// An end is a settlement.
type end struct {
	act   *act
	s     queue.Settlement
	known bool // it has had its effect for certain; otherwise it may have
}

// slack is how far two times of the store's clock may be from each other though they are the same.
const slack = 2 * time.Millisecond

// early is how long before its time an item may be leased: stores round, and compare times they have read one after
// the other.
const early = 10 * time.Millisecond

// A judge looks through a history.
type judge struct {
	caps   queue.Caps
	acts   []*act
	lives  map[string]*life
	hands  map[string]*hand // by receipt
	left   map[string]queue.Record
	all    bool
	wrongs []string
}

func (j *judge) wrong(format string, args ...any) {
	if len(j.wrongs) < 100 {
		j.wrongs = append(j.wrongs, fmt.Sprintf(format, args...))
	}
}

// Check returns what must not be, in words, or nothing. Every item that was acknowledged is delivered and ends once, or
// is left; nothing is dead that nobody has buried and that has not failed as often as it may; nothing appears that nobody
// has enqueued, or that was answered with Duplicate of another item; nothing is leased before its time; and for what the store claims: with Fenced no two leases of
// an item are good at the same time and stale receipts have no effect, with Unique no two items hold a key, with
// Serial no two items of one serial are leased, with AtomicBatch calls are stored as a whole or not at all. It has to be
// called when nobody calls the store any more, and all that was due has been leased.
func (h *History) Check(caps queue.Caps) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	j := &judge{caps: caps, acts: h.acts, lives: map[string]*life{}, hands: map[string]*hand{}, left: h.left, all: h.all}
	sort.SliceStable(h.acts, func(a, b int) bool { return h.acts[a].Begin < h.acts[b].Begin })
	for _, a := range h.acts {
		j.enqueued(a)
	}
	for _, a := range h.acts {
		j.leased(a)
	}
	for _, a := range h.acts {
		j.settled(a)
	}
	for _, l := range j.lives {
		sort.SliceStable(l.leases, func(a, b int) bool { return l.leases[a].Deliveries < l.leases[b].Deliveries })
		j.account(l)
		if j.caps.Fenced && !l.twice() {
			j.order(l)
		}
	}
	for id, r := range j.left {
		if j.lives[id] == nil {
			j.wrong("%s is left in the store, and nobody has enqueued it", id)
		} else if diff := difference(j.lives[id].item, r.Item); diff != "" && !failed(diff) {
			j.wrong("%s is left in the store, changed: %s", id, diff)
		}
	}
	if caps.Serial && caps.Fenced {
		j.serials()
	}
	if caps.Unique {
		j.keys()
	}
	if caps.AtomicBatch {
		for _, a := range h.acts {
			j.batch(a)
		}
	}
	sort.Strings(j.wrongs)
	return j.wrongs
}

func (j *judge) enqueued(a *act) {
	for i, it := range a.Enqueue {
		l := j.lives[it.ID]
		if l == nil {
			l = &life{item: it}
			j.lives[it.ID] = l
		}
		l.tries = append(l.tries, a)
		if !a.answered() || i >= len(a.Enqueued) || a.Enqueued[i].Status == queue.Replaced {
			continue
		}
		switch got := a.Enqueued[i]; {
		case got.ID == it.ID:
			l.inserted = append(l.inserted, a)
		case got.Status == queue.Duplicate && it.Key != "":
			l.refused++
		default:
			j.wrong("%s without a key, or as a new item, was answered with %v of %s", it.ID, got.Status, got.ID)
		}
	}
	if a.answered() && len(a.Enqueued) != len(a.Enqueue) {
		j.wrong("Enqueue of %d items has %d answers", len(a.Enqueue), len(a.Enqueued))
	}
}

func (j *judge) leased(a *act) {
	for _, got := range a.Leased {
		l := j.lives[got.ID]
		if l == nil || l.tries[0].Begin > a.End {
			j.wrong("%s was leased, and nobody has enqueued it", got.ID)
			continue
		}
		if diff := difference(l.item, got.Item); diff != "" && !failed(diff) {
			j.wrong("%s was leased changed: %s", got.ID, diff)
		}
		j.due(l, got, a)
		h := &hand{Leased: got, act: a, ttl: a.Lease.TTL}
		if j.hands[got.Receipt] != nil {
			j.wrong("the receipt %q was had for %s and for %s", got.Receipt, j.hands[got.Receipt].ID, got.ID)
		}
		j.hands[got.Receipt] = h
		l.leases = append(l.leases, h)
	}
}

// due holds a lease against the time of its item: as the store tells it, as it was asked for, and for a Delay by the
// clock of the callers, which runs at the same pace.
func (j *judge) due(l *life, got queue.Leased, a *act) {
	due := got.Due
	if l.item.Due.After(due) {
		due = l.item.Due // whatever has happened to it since, it was not due before
	}
	if began := got.Until.Add(-a.Lease.TTL); due.After(began.Add(early)) {
		j.wrong("%s was leased at %v, and was due at %v", got.ID, began, due)
	}
	if since := time.Duration(a.End - l.tries[0].Begin); since < l.item.Delay-early {
		j.wrong("%s was leased %v after it was enqueued with a Delay of %v", got.ID, since, l.item.Delay)
	}
}

// failed reports whether a difference is only what Fail and Release change.
func failed(diff string) bool { return len(diff) > 4 && diff[:4] == "Due " }

func (j *judge) settled(a *act) {
	for i, s := range a.Settle {
		h := j.hands[s.Receipt]
		if h == nil {
			continue // of a lease whose answer was lost
		}
		result := "?"
		if a.answered() && i < len(a.Settled) {
			result = a.Settled[i]
		}
		if result == lostText {
			h.lost = true
			continue
		}
		e := &end{a, s, result == ""}
		if s.Action == queue.Extend {
			h.ext = append(h.ext, e)
		} else {
			h.ends = append(h.ends, e)
		}
	}
}

// twice reports whether an item may have been in the store twice: enqueued again, because an answer was lost, when it
// was done already. A call without an answer may have its effect at any time, also when a later one was answered: its
// bytes may still be on their way.
func (l *life) twice() bool {
	if len(l.tries) < 2 {
		return false
	}
	for _, try := range l.tries {
		for _, h := range l.leases {
			for _, e := range h.ends {
				if e.s.Action == queue.Ack && (!try.answered() || e.act.Begin < try.End) {
					return true
				}
			}
		}
	}
	return false
}

// account holds against an item how it has ended.
func (j *judge) account(l *life) {
	acked, maybe := 0, 0
	for _, h := range l.leases {
		for _, e := range h.ends {
			if e.s.Action == queue.Ack && e.known {
				acked++
			} else if e.s.Action == queue.Ack {
				maybe++
			}
		}
	}
	r, left := j.left[l.item.ID]
	if left && r.State == queue.StateDead {
		j.dead(l, r)
	}
	if l.refused == len(l.tries) && (left || len(l.leases) > 0) {
		j.wrong("%s was answered with Duplicate of another item, and is there all the same: %s", l.item.ID, l.story())
	}
	again := l.twice()
	switch {
	case len(l.inserted) > 0 && acked+maybe == 0 && !left && j.all:
		j.wrong("%s was enqueued, is not done, and is lost: %s", l.item.ID, l.story())
	case len(l.inserted) > 0 && acked+maybe == 0 && !j.all:
		j.wrong("%s was enqueued and is not done: %s", l.item.ID, l.story())
	case acked > 1 && !again && j.caps.Fenced:
		j.wrong("%s was done %d times: %s", l.item.ID, acked, l.story())
	case acked > 0 && left && !again && j.caps.Fenced:
		j.wrong("%s was done, and is left in the store: %s", l.item.ID, l.story())
	}
}

// dead holds it against the store if an item is dead that nobody has buried, and that cannot have failed as often as it
// may.
func (j *judge) dead(l *life, r queue.Record) {
	may := j.unanswered(l.item.Queue, 0) // each of them may have leased it, and has expired
	for _, h := range l.leases {
		over := false // for certain without a fail
		for _, e := range h.ends {
			if e.s.Action == queue.Bury {
				return
			}
			over = over || e.known && e.s.Action != queue.Fail
		}
		if !over || !j.caps.Fenced {
			may++
		}
	}
	if limit := fails(l.item); limit < 0 || r.Fails < limit || r.Fails > may {
		j.wrong("%s is dead without a cause: it has %d fails of %d, can have failed %d times, and nobody has buried it: %s", l.item.ID, r.Fails, limit, may, l.story())
	}
}

// unanswered returns how many calls of Lease for a queue have no answer, of those that have begun before a time if one
// is given.
func (j *judge) unanswered(queueName string, before int64) (n int) {
	for _, a := range j.acts {
		if a.Lease != nil && !a.answered() && (before == 0 || a.Begin < before) && slices.Contains(a.Lease.Queues, queueName) {
			n++
		}
	}
	return n
}

// story tells in short what has become of an item.
func (l *life) story() string {
	text := fmt.Sprintf("%d calls to enqueue it", len(l.tries))
	for _, h := range l.leases {
		text += fmt.Sprintf("; lease %d with %d fails", h.Deliveries, h.Fails)
		for _, e := range h.ends {
			text += fmt.Sprintf(", %v", e.s.Action)
			if !e.known {
				text += "?"
			}
		}
		if h.lost {
			text += ", ErrLeaseLost"
		}
	}
	return text
}

// order holds the leases of an item against each other.
func (j *judge) order(l *life) {
	for i, h := range l.leases {
		known := 0
		for _, e := range h.ends {
			if e.known {
				known++
			}
		}
		if known > 1 {
			j.wrong("one lease of %s was settled %d times with effect: %s", l.item.ID, known, l.story())
		}
		if i == 0 {
			if h.Deliveries == 1 && h.Fails != 0 {
				j.wrong("%s has %d fails when it is leased for the first time", l.item.ID, h.Fails)
			}
			continue
		}
		before := l.leases[i-1]
		if before.Deliveries == h.Deliveries {
			j.wrong("%s has two leases that are number %d: %s", l.item.ID, h.Deliveries, l.story())
			continue
		}
		if h.act.End < before.act.Begin {
			j.wrong("%s has lease %d before lease %d: %s", l.item.ID, h.Deliveries, before.Deliveries, l.story())
		}
		if why := before.heldAgainst(h); why != "" {
			j.wrong("%s was leased twice at a time, as number %d and %d: %s: %s", l.item.ID, before.Deliveries, h.Deliveries, why, l.story())
		}
		for _, e := range append(before.ends, before.ext...) {
			if e.known && e.act.Begin > h.act.End {
				j.wrong("%v with the receipt of lease %d of %s has had an effect, though lease %d was had before: %s", e.s.Action, before.Deliveries, l.item.ID, h.Deliveries, l.story())
			}
			if e.known && (e.s.Action == queue.Ack || e.s.Action == queue.Bury) {
				j.wrong("%s was leased as number %d after %v of number %d: %s", l.item.ID, h.Deliveries, e.s.Action, before.Deliveries, l.story())
			}
		}
		if h.Deliveries == before.Deliveries+1 {
			j.count(l, before, h)
		}
	}
}

// count holds the fails of a lease against how the one before has ended.
func (j *judge) count(l *life, before, h *hand) {
	atLeast, atMost := before.Fails+1, before.Fails+1 // it has expired, or failed
	for _, e := range before.ends {
		if e.s.Action == queue.Release {
			atLeast = before.Fails
			if e.known {
				atMost = before.Fails
			}
		}
	}
	if h.Fails < atLeast || h.Fails > atMost {
		j.wrong("%s has %d fails, and has to have %d: %s", l.item.ID, h.Fails, atMost, l.story())
	}
	if limit := fails(l.item); limit >= 0 && h.Fails >= limit {
		j.wrong("%s was leased with %d fails, and may have %d: %s", l.item.ID, h.Fails, limit, l.story())
	}
}

// heldAgainst says why a lease cannot have been over when another one began, or nothing if it can.
func (h *hand) heldAgainst(next *hand) string {
	for _, e := range h.ends {
		if e.act.Begin < next.act.End {
			return ""
		}
	}
	began := next.Until.Add(-next.ttl)
	if until := h.earliestEnd(); began.Before(until.Add(-slack)) {
		return fmt.Sprintf("the first is until %v, and the second has begun at %v", until, began)
	}
	return ""
}

// earliestEnd is when a lease was over at the earliest, by the store's clock, if nobody has settled it.
func (h *hand) earliestEnd() time.Time {
	until := h.Until
	for _, e := range h.ext {
		// It was extended by then or later: the clocks differ, but run at the same pace.
		since := time.Duration(max(0, e.act.Begin-h.act.End))
		extended := h.Until.Add(-h.ttl).Add(since).Add(e.s.TTL)
		if e.known || extended.Before(until) {
			until = extended
		}
	}
	return until
}

// serials holds the leases of items of one serial against each other.
func (j *judge) serials() {
	of := map[string][]*hand{}
	for _, l := range j.lives {
		if l.item.Serial != "" {
			name := l.item.Queue + "\x00" + l.item.Serial
			of[name] = append(of[name], l.leases...)
		}
	}
	for _, hands := range of {
		sort.Slice(hands, func(a, b int) bool { return hands[a].act.Begin < hands[b].act.Begin })
		for i, next := range hands {
			for _, h := range hands[:i] {
				if h.ID == next.ID || next.act.Begin < h.act.End && next.act != h.act {
					continue
				}
				if why := h.heldAgainst(next); why != "" {
					j.wrong("%s and %s of the serial %q were leased at the same time: %s", h.ID, next.ID, next.Serial, why)
				}
			}
		}
	}
}

// keys holds the items that were stored with one key against each other.
func (j *judge) keys() {
	type first struct {
		l *life
		a *act
	}
	of := map[string][]first{}
	for _, l := range j.lives {
		if l.item.Key == "" || l.item.Scope != queue.UntilDone || len(l.inserted) == 0 {
			continue
		}
		name := l.item.Queue + "\x00" + l.item.Key
		of[name] = append(of[name], first{l, l.inserted[0]})
	}
	for _, firsts := range of {
		for _, a := range firsts {
			for _, b := range firsts {
				if a.l == b.l || b.l.tries[0].Begin < a.a.End || j.mayEndBefore(a.l, b.a.End) {
					continue
				}
				j.wrong("%s and %s hold the key %q at the same time: %s", a.l.item.ID, b.l.item.ID, a.l.item.Key, a.l.story())
			}
		}
	}
}

// mayEndBefore reports whether an item may have been done, or dead, by then.
func (j *judge) mayEndBefore(l *life, at int64) bool {
	mortal := l.item.MaxFails >= 0
	for _, h := range l.leases {
		if mortal && h.act.Begin < at {
			return true
		}
		for _, e := range h.ends {
			if (e.s.Action == queue.Ack || e.s.Action == queue.Bury) && e.act.Begin < at {
				return true
			}
		}
	}
	return mortal && j.unanswered(l.item.Queue, at) > 0 // a lease whose answer was lost has expired
}

// batch looks whether a call without an answer has stored some of its items, and not others.
func (j *judge) batch(a *act) {
	if len(a.Enqueue) < 2 || a.answered() {
		return
	}
	there, not := "", ""
	for _, it := range a.Enqueue {
		l := j.lives[it.ID]
		_, left := j.left[it.ID]
		switch {
		case len(l.tries) > 1 || it.Key != "":
			return // it may be there, or not, for other reasons
		case left || len(l.leases) > 0:
			there = it.ID
		default:
			not = it.ID
		}
	}
	if there != "" && not != "" {
		j.wrong("of one call of Enqueue without an answer %s is stored and %s is not", there, not)
	}
}
