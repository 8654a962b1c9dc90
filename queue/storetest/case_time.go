package storetest

import (
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// late is how late an item may be had.
func (e Engine) late() time.Duration {
	if e.Late > 0 {
		return e.Late
	}
	return time.Second
}

// An item is not leased before it is due, by the store's clock.
func delayedNotLeasedEarly(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("early")
	at := time.Now().Add(300 * time.Millisecond)
	a, b, hour := m.make(delay(200*time.Millisecond)), m.make(due(at)), m.make(delay(time.Hour))
	before := time.Now()
	c.add(a, b, hour)
	for _, want := range []struct {
		id    string
		after time.Time
	}{{a.ID, before.Add(a.Delay)}, {b.ID, at}} {
		l, had := c.takeSoonAny(m.queue, want.id)
		// The store's clock may be another one, if it is another machine's.
		if early := want.after.Sub(had); early > 50*time.Millisecond {
			t.Fatalf("%s was leased %v before it was due", l.ID, early)
		}
		if _, ok := c.Store.(queue.Clock); ok && c.now().Before(l.Due) {
			t.Fatalf("%s was leased and is due at %v, and the store's clock says %v", l.ID, l.Due, c.now())
		}
	}
	c.none("what is left is due in an hour", m.queue)
}

// An item that is due is had soon by somebody who waits. One time of three is enough: the machine may be busy.
func delayedLeasedWithin(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	c := e.client(t)
	m := newMaker("late")
	c.none("nothing was enqueued", m.queue)
	var late []time.Duration
	for range 3 {
		it := m.make(delay(100 * time.Millisecond))
		c.add(it)
		enqueued := time.Now()
		_, had := c.takeSoon(long, m.queue, it.ID, "an item with a delay")
		if late = append(late, had.Sub(enqueued)-it.Delay); late[len(late)-1] <= e.late() {
			return
		}
	}
	t.Fatalf("items were had %v after they were due, and have to be within %v", late, e.late())
}

// What is due in the past is due.
func dueInPastIsImmediate(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("past")
	now := m.make()
	c.add(now)
	hour, century := m.make(due(time.Now().Add(-time.Hour))), m.make(due(time.Date(1901, 1, 1, 0, 0, 0, 0, time.UTC)))
	c.add(hour, century)
	c.take(m.queue, century.ID, hour.ID, now.ID)
}

// What is due in ten years waits, and is known.
func farFutureDue(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("far")
	years := m.make(delay(10 * 365 * 24 * time.Hour))
	date := m.make(due(time.Now().Add(10 * 365 * 24 * time.Hour)))
	most := m.make(delay(queue.MaxDelay))
	now := m.make()
	c.add(years, date, most, now)
	c.take(m.queue, now.ID)
	c.wantStatus(years, queue.Duplicate, years.ID, "which waits")
	if _, ok := c.Store.(queue.Clock); !ok {
		return
	}
	if _, ok := c.Store.(queue.Finder); ok {
		want := c.now().Add(most.Delay)
		if off := c.record(most.ID).Due.Sub(want).Abs(); off > time.Minute {
			t.Fatalf("an item with a delay of 100 years is due %v away from that", off)
		}
	}
}

// A delay is counted by the store's clock, and Now is that clock.
func clockTells(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	b := c.another()
	m := newMaker("clock")
	last := c.now()
	for i := range 10 {
		now := []*client{c, b}[i%2].now()
		if now.Before(last.Add(-time.Microsecond)) {
			t.Fatalf("the store's clock said %v, and then %v", last, now)
		}
		last = now
	}
	before := c.now()
	it := m.make()
	c.add(it)
	l := c.take(m.queue, it.ID)[0]
	after := c.now()
	if l.Due.Before(before.Add(-time.Millisecond)) || l.Due.After(after) {
		t.Fatalf("an item without Due is due at %v, and was enqueued between %v and %v", l.Due, before, after)
	}
	if l.Until.Before(before.Add(long-time.Millisecond)) || l.Until.After(after.Add(long+time.Millisecond)) {
		t.Fatalf("a lease of %v between %v and %v ends at %v", long, before, after, l.Until)
	}
}

// A process whose clock is wrong does no harm: what is relative is so to the store's.
func clientClockSkewIgnored(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	c := e.use(t, e.Skew(t))
	m := newMaker("skew")
	now := c.now()
	if off := time.Since(now).Abs(); off < 59*time.Minute {
		t.Fatalf("storetest: the clock of the store of Engine.Skew is only %v away from that of the process", off)
	}
	a, b, hour := m.make(), m.make(delay(100*time.Millisecond)), m.make(delay(time.Hour))
	absolute := m.make(due(now.Add(300 * time.Millisecond)))
	c.add(a, b, hour, absolute)
	begun := time.Now()
	first := c.takeFor(shortest, m.queue, a.ID)[0]
	if _, had := c.takeSoonAny(m.queue, b.ID); had.Sub(begun) > 100*time.Millisecond+3*e.late() {
		t.Fatalf("an item with a delay of 100 ms was had after %v", had.Sub(begun))
	}
	if again, _ := c.takeSoonAny(m.queue, a.ID); again.Fails != 1 || again.Until.Before(now) {
		t.Fatalf("a lease of %v from %v has expired with %d fails, and the next ends at %v", shortest, first.Until, again.Fails, again.Until)
	}
	if _, had := c.takeSoonAny(m.queue, absolute.ID); had.Sub(begun) > 300*time.Millisecond+3*e.late() {
		t.Fatalf("an item that is due in 300 ms by the store's clock was had after %v", had.Sub(begun))
	}
	c.none("what is left is due in an hour", m.queue)
}

// takeSoonAny waits for one item, and gives back what else comes.
func (c *client) takeSoonAny(queueName, id string) (queue.Leased, time.Time) {
	c.t.Helper()
	for end := time.Now().Add(patience); ; c.waitOrPause(queueName) {
		got := c.lease(queue.LeaseRequest{Queues: []string{queueName}, Max: 10})
		now := time.Now()
		found := -1
		for i, l := range got {
			if l.ID == id {
				found = i
			} else {
				c.settle(l.Release(0))
			}
		}
		if found >= 0 {
			return got[found], now
		}
		if now.After(end) {
			c.t.Fatalf("%s was not to be leased for %v", id, patience)
		}
	}
}
