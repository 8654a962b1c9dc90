package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// roundTrip enqueues an item, which has to be leased, and found, as it was.
func (c *client) roundTrip(it queue.Item) queue.Leased {
	c.t.Helper()
	c.add(it)
	c.found(it)
	l := c.take(it.Queue, it.ID)[0]
	if diff := difference(it, l.Item); diff != "" {
		c.t.Fatalf("item %s has come changed: %s", it.ID, diff)
	}
	return l
}

// found fails the test if Find brings an item changed. Without a Finder it is not looked at.
func (c *client) found(it queue.Item) {
	c.t.Helper()
	if _, ok := c.Store.(queue.Finder); !ok {
		return
	}
	if diff := difference(it, c.record(it.ID).Item); diff != "" {
		c.t.Fatalf("item %s was found changed: %s", it.ID, diff)
	}
}

// Every field of an item comes back.
func fidelity(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("form")
	full := m.make()
	full.Parent = "parent-1"
	full.Headers = map[string]string{"traceparent": "00-1", "Größe": "12 €", "Empty": "", "a.b$c": "<&>\"'\\\n\t"}
	full.Priority = -128
	full.MaxFails = -1
	full.Due = time.Date(2001, 2, 3, 4, 5, 6, 789_123_456, time.FixedZone("east", 5*3600))
	if c.Caps().Unique {
		full.Key = "key of it"
	}
	if c.Caps().Serial {
		full.Serial = "serial of it"
	}
	l := c.roundTrip(full)
	if l.Deliveries != 1 || l.Fails != 0 {
		t.Fatalf("the first lease of an item has Deliveries %d and Fails %d", l.Deliveries, l.Fails)
	}
	c.settle(l.Ack())
	for _, it := range []queue.Item{
		{ID: m.queue + "-plain", Queue: m.queue, Name: "n"},
		m.make(priority(127), maxFails(1)), m.make(maxFails(1<<31 - 1)), m.make(priority(-1), maxFails(-7)),
		m.make(func(it *queue.Item) { it.Headers = map[string]string{} }),
	} {
		c.settle(c.roundTrip(it).Ack())
	}
}

// atMost is n, or less if a payload must not be that large.
func (c *client) atMost(n int) int {
	if most := c.Caps().MaxBytes; most > 0 {
		return min(n, most)
	}
	return n
}

// A payload is any bytes, and text any text.
func enqueueBinaryAndUnicodePayload(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("bytes")
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, p := range []string{
		"", "\x00", string(all), "not UTF-8: \xff\xfe\xc3(", "12", "1e400", "null", "true", `{"a": 1.0, "b":9007199254740993}`, "'; --",
		"zażółć 中文 🚀 \u202e", strings.Repeat("x", c.atMost(100_000)), " spaces ", "\r\n", "$1 %s ? :x",
	} {
		it := m.make(payload(p))
		it.TID = "über 中文 🚀 '\"\\ %s $1 ? :x {{}}"
		c.settle(c.roundTrip(it).Ack())
	}
	it := m.make()
	it.Payload = nil
	c.settle(c.roundTrip(it).Ack())
}

// Names are as long as they may be, of any letters, and none is another.
func oddNames(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("n")
	for i, text := range []string{
		strings.Repeat("x", queue.MaxName-len(m.queue)), strings.Repeat("ü", (queue.MaxName-len(m.queue))/2), "🚀", "a:b", "{a}", "a/b", "../a",
		"a b", "*", ">", "a.b.c", "%", "_", "$x", "NULL", `"quoted"`, "'", "\\", "a\u202eb", "{}", "[1]", "#", "?q=1&r=2", "\u00a0",
	} {
		name := m.queue + text
		it := queue.Item{ID: name, Queue: name, Name: name, TID: name, Parent: name, Headers: map[string]string{name: name}}
		if c.Caps().Unique {
			it.Key = name
		}
		if c.Caps().Serial {
			it.Serial = name
		}
		c.add(it)
		c.found(it)
		l := c.lease(queue.LeaseRequest{Queues: []string{name}, Max: 2, TTL: long, Worker: name})
		if len(l) != 1 {
			t.Fatalf("from the queue %q Lease has brought %d items, and there is one", name, len(l))
		}
		if diff := difference(it, l[0].Item); diff != "" {
			t.Fatalf("item %q has come changed: %s", name, diff)
		}
		if i%2 == 0 {
			c.settle(l[0].Ack())
		} else {
			c.settle(l[0].Fail(0, name))
		}
	}
}

// Names that look alike are different names.
func namesAreExact(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("exact")
	base := m.queue
	alike := []string{base + "é", base + "e\u0301", base + "e", base + "E", base + "E ", base + " E", base + "É", base + "ß", base + "ss", base}
	for _, name := range alike {
		c.add(queue.Item{ID: name, Queue: name, Name: name, TID: name})
	}
	for _, name := range alike {
		if _, ok := c.Store.(queue.Finder); ok {
			for _, q := range []queue.Query{{ID: name}, {Queue: name}, {Name: name}, {TID: name}} {
				if got := c.find(q); len(got) != 1 || got[0].ID != name {
					t.Fatalf("Find %+v has brought %s", q, recordNames(got))
				}
			}
		}
		c.ackAll(c.take(name, name))
	}
}

// A time comes back to the microsecond, whenever it is.
func oddTimes(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("time")
	for _, at := range []time.Time{
		time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC), time.Date(1, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
		time.Date(1582, 10, 10, 0, 0, 0, 0, time.UTC), time.Date(1899, 12, 31, 1, 2, 3, 4000, time.UTC),
		time.Date(1969, 12, 31, 23, 59, 59, 999_999_999, time.UTC), time.Unix(0, 0), time.Unix(0, 1000), time.Unix(-1, 0),
		time.Now().Add(-time.Hour), time.Date(2000, 2, 29, 12, 0, 0, 123_456_000, time.FixedZone("west", -11*3600)),
	} {
		c.settle(c.roundTrip(m.make(due(at))).Ack())
	}
	for _, at := range []time.Time{
		time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC), time.Date(2262, 4, 12, 0, 0, 0, 1000, time.UTC),
		time.Date(2500, 1, 1, 0, 0, 0, 123_456_000, time.UTC), time.Now().Add(10 * 365 * 24 * time.Hour),
		time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
	} {
		it := m.make(due(at))
		c.add(it)
		c.found(it)
	}
	c.none("the items are due in hundreds of years", m.queue)
}

// What is enqueued and leased is the caller's: to change it afterwards changes nothing in the store.
func answersAreCopies(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("copy")
	it := m.make(func(it *queue.Item) { it.Headers = map[string]string{"a": "1"} })
	want := it
	want.Payload, want.Headers = []byte(string(it.Payload)), map[string]string{"a": "1"}
	spoil := func(it *queue.Item) {
		it.Headers["a"], it.Headers["b"] = "spoilt", "spoilt"
		for i := range it.Payload {
			it.Payload[i] = '!'
		}
	}
	batch := []queue.Item{it}
	c.add(batch...)
	spoil(&batch[0])
	batch[0] = queue.Item{}
	for round := range 3 {
		if _, ok := c.Store.(queue.Finder); ok {
			r := c.record(want.ID)
			if diff := difference(want, r.Item); diff != "" {
				t.Fatalf("the caller has changed the item in the store, in round %d: %s", round+1, diff)
			}
			spoil(&r.Item)
		}
		l := c.take(m.queue, want.ID)[0]
		if diff := difference(want, l.Item); diff != "" {
			t.Fatalf("the caller has changed the item in the store, in round %d: %s", round+1, diff)
		}
		c.settle(l.Release(0))
		spoil(&l.Item)
	}
}
