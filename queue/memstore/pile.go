package memstore

import (
	"cmp"
	"slices"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// A pile is the pending and leased items of a queue, arranged so that the next to lease is found without looking at
// the others, however many are due, delayed, or held up by their Serial:
//
//   - a strand is the pending items of one Serial and one priority, by due time; those without a Serial are
//     a strand as well;
//   - a lane is the strands of one priority, by the due times of their first items. While an item of a Serial is leased
//     none of its strands are in their lanes.
//
// So nothing has to be done when items become due: of each lane the first item of the first strand is, or none.
type pile struct {
	queue  string
	lanes  []*lane           // the highest priority first
	chains map[string]*chain // by Serial
	leased sorted[*entry]    // by the end of their lease
}

type lane struct {
	priority int8
	strands  sorted[*strand]
}

// A chain is the strands of one Serial.
type chain struct {
	serial  string
	busy    bool // one of its items is leased; never if serial is empty
	strands map[int8]*strand
}

type strand struct {
	priority int8
	items    sorted[*entry]
	at       int // its place in the lane, -1 if it is not there
}

func newPile(name string) *pile {
	return &pile{queue: name, chains: map[string]*chain{}, leased: sorted[*entry]{
		less: func(a, b *entry) bool { return a.until.Before(b.until) },
		at:   func(e *entry) *int { return &e.at },
	}}
}

// before is the order of items in a lane: first the one that is due first, then the one that was enqueued first.
func before(a, b *entry) bool {
	if c := a.Due.Compare(b.Due); c != 0 {
		return c < 0
	}
	return a.seq < b.seq
}

// sooner is the order in which items are leased, of those that are due.
func sooner(a, b *entry) bool {
	if a.Priority != b.Priority {
		return a.Priority > b.Priority
	}
	return before(a, b)
}

// due returns the item to lease next, or nil if none is due.
func (p *pile) due(now time.Time) *entry {
	for _, l := range p.lanes {
		if st := l.strands.first(); st != nil && !st.items.first().Due.After(now) {
			return st.items.first()
		}
	}
	return nil
}

// next returns when there may be something to lease: when the first item is due or the first lease expires.
func (p *pile) next() (at time.Time, ok bool) {
	earlier := func(t time.Time) {
		if !ok || t.Before(at) {
			at, ok = t, true
		}
	}
	for _, l := range p.lanes {
		if st := l.strands.first(); st != nil {
			earlier(st.items.first().Due)
		}
	}
	if e := p.leased.first(); e != nil {
		earlier(e.until)
	}
	return at, ok
}

// put adds a pending item.
func (p *pile) put(e *entry) {
	c := p.chains[e.Serial]
	if c == nil {
		c = &chain{serial: e.Serial, strands: map[int8]*strand{}}
		p.chains[e.Serial] = c
	}
	st := c.strands[e.Priority]
	if st == nil {
		st = &strand{priority: e.Priority, at: -1, items: sorted[*entry]{less: before, at: func(e *entry) *int { return &e.at }}}
		c.strands[e.Priority] = st
	}
	st.items.add(e)
	p.place(c, st)
}

// take removes a pending item.
func (p *pile) take(e *entry) {
	c := p.chains[e.Serial]
	st := c.strands[e.Priority]
	st.items.remove(e)
	p.place(c, st)
	p.tidy(c)
}

// lease makes a pending item leased.
func (p *pile) lease(e *entry, worker string, until time.Time) {
	p.setBusy(e.Serial, true)
	p.take(e)
	e.state, e.worker, e.until = queue.StateLeased, worker, until
	e.deliveries++
	p.leased.add(e)
}

// endLease takes back a leased item; it is in no pile then.
func (p *pile) endLease(e *entry) {
	p.leased.remove(e)
	p.setBusy(e.Serial, false)
}

func (p *pile) setBusy(serial string, busy bool) {
	if serial == "" {
		return
	}
	c := p.chains[serial]
	c.busy = busy
	for _, st := range c.strands {
		p.place(c, st)
	}
	p.tidy(c)
}

// place brings a strand to where it belongs after a change.
func (p *pile) place(c *chain, st *strand) {
	strands := &p.lane(st.priority).strands
	switch belongs, is := !c.busy && st.items.Len() > 0, st.at >= 0; {
	case belongs && is:
		strands.moved(st)
	case belongs:
		strands.add(st)
	case is:
		strands.remove(st)
	}
}

// tidy forgets what is empty. What has no Serial is left: it is needed again soon.
func (p *pile) tidy(c *chain) {
	if c.serial == "" {
		return
	}
	for priority, st := range c.strands {
		if st.items.Len() == 0 {
			delete(c.strands, priority)
		}
	}
	if !c.busy && len(c.strands) == 0 {
		delete(p.chains, c.serial)
	}
}

func (p *pile) lane(priority int8) *lane {
	i, ok := slices.BinarySearchFunc(p.lanes, priority, func(l *lane, priority int8) int { return cmp.Compare(priority, l.priority) })
	if !ok {
		p.lanes = slices.Insert(p.lanes, i, &lane{priority: priority, strands: sorted[*strand]{
			less: func(a, b *strand) bool { return before(a.items.first(), b.items.first()) },
			at:   func(st *strand) *int { return &st.at },
		}})
	}
	return p.lanes[i]
}
