package storetest

import (
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// wantBindings fails the test if these are not the bindings, in whatever order, and returns their revision.
func (c *client) wantBindings(why string, want ...queue.Binding) queue.Rev {
	c.t.Helper()
	got, rev := c.bindings(0)
	if !sameBindings(got, want) {
		c.t.Fatalf("%s: the bindings are %v, and have to be %v", why, got, want)
	}
	if again, same := c.bindings(rev); len(again) > 0 || same != rev {
		c.t.Fatalf("%s: Bindings since revision %d, which is the present one: %v and revision %d", why, rev, again, same)
	}
	return rev
}

func sameBindings(a, b []queue.Binding) bool {
	order := func(bs []queue.Binding) []queue.Binding {
		bs = slices.Clone(bs)
		sort.Slice(bs, func(i, j int) bool {
			return bs[i].Queue+"\x00"+bs[i].Selector.String() < bs[j].Queue+"\x00"+bs[j].Selector.String()
		})
		return bs
	}
	return slices.Equal(order(a), order(b))
}

// Bindings are added, removed and listed, and each change is another revision.
func bindUnbindList(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	revs := map[queue.Rev]bool{}
	change := func(why string, add, remove []queue.Binding, want ...queue.Binding) {
		t.Helper()
		_, before := c.bindings(0)
		rev := c.bind(add, remove)
		if got := c.wantBindings(why, want...); got != rev {
			t.Fatalf("%s: Bind has returned revision %d, and Bindings says %d", why, rev, got)
		}
		if revs[rev] || rev == before {
			t.Fatalf("%s: the revision %d was there before", why, rev)
		}
		revs[rev] = true
		if got, now := c.bindings(before); !sameBindings(got, want) || now != rev {
			t.Fatalf("%s: Bindings since the revision before: %v, revision %d", why, got, now)
		}
	}
	revs[c.wantBindings("a new store")] = true
	a, b := queue.Binding{Queue: "a", Selector: queue.Name("user.added")}, queue.Binding{Queue: "a", Selector: queue.Pattern("user.added")}
	x, y := queue.Binding{Queue: "b", Selector: queue.Name("user.added")}, queue.Binding{Queue: "a", Selector: queue.All()}
	z := queue.Binding{Queue: "A", Selector: queue.All()}
	change("one is added", []queue.Binding{a}, nil, a)
	change("more are added", []queue.Binding{b, x, y, z}, nil, a, b, x, y, z)
	change("some are removed", nil, []queue.Binding{a, z}, b, x, y)
	change("one is added and one removed", []queue.Binding{a}, []queue.Binding{x}, a, b, y)
	change("all are removed", nil, []queue.Binding{a, b, y})
	change("one is added again", []queue.Binding{a}, nil, a)
}

// To add what is there, or remove what is not, is no change.
func bindIsIdempotent(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	a, b := queue.Binding{Queue: "a", Selector: queue.Name("x")}, queue.Binding{Queue: "a", Selector: queue.Name("y")}
	rev := c.bind([]queue.Binding{a, a}, nil)
	for _, same := range []struct{ add, remove []queue.Binding }{
		{nil, nil}, {[]queue.Binding{a}, nil}, {[]queue.Binding{a, a}, nil}, {nil, []queue.Binding{b}}, {[]queue.Binding{a}, []queue.Binding{b, b}},
	} {
		if got := c.bind(same.add, same.remove); got != rev {
			t.Fatalf("Bind of %v without %v changes nothing, and the revision is %d and was %d", same.add, same.remove, got, rev)
		}
	}
	if got := c.wantBindings("nothing was changed", a); got != rev {
		t.Fatalf("the revision is %d, and Bind has said %d", got, rev)
	}
}

// What is no binding is refused, together with the others of the call.
func invalidBindingRefused(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	good := queue.Binding{Queue: "a", Selector: queue.Name("x")}
	c.bind([]queue.Binding{good}, nil)
	for _, bad := range []queue.Binding{
		{}, {Queue: "a"}, {Selector: queue.All()}, {Queue: "a", Selector: queue.Regexp("(")}, {Queue: "a", Selector: queue.Name("")},
		{Queue: "a", Selector: queue.Selector{Kind: "sql", Text: "1=1"}}, {Queue: "a\x00", Selector: queue.All()},
		{Queue: "a", Selector: queue.Pattern("**.a")}, {Queue: "a", Selector: queue.Name(strings.Repeat("x", queue.MaxName+1))},
	} {
		err := call(t, patience, "Bind", bindCall(c.Store, []queue.Binding{{Queue: "b", Selector: queue.All()}, bad}, []queue.Binding{good}))
		wantError(t, "Bind of "+bad.Selector.String()+" to the queue "+bad.Queue, err, queue.ErrInvalid)
	}
	c.wantBindings("nothing but errors since", good)
}

// fanOut is what the layer above does with an event: one item for each queue that a binding gives it to.
func (c *client) fanOut(id, name string) []queue.Enqueued {
	c.t.Helper()
	bs, _ := c.bindings(0)
	var queues []string
	for _, b := range bs {
		match, err := b.Selector.Compile()
		if err != nil {
			c.t.Fatalf("a selector has come back from the store, and is none: %v", err)
		}
		if match(name) && !slices.Contains(queues, b.Queue) {
			queues = append(queues, b.Queue)
		}
	}
	sort.Strings(queues)
	var items []queue.Item
	for _, q := range queues {
		items = append(items, queue.Item{ID: id + "/" + q, Queue: q, Name: name, TID: "user 17"})
	}
	return c.enqueue(items...)
}

// An event has one item in each queue that is bound to it, and each is a work of its own.
func fanOutOneItemPerQueue(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	var add []queue.Binding
	for _, q := range []string{"crm", "mail", "log"} {
		add = append(add, queue.Binding{Queue: q, Selector: queue.Name("user.added")}, queue.Binding{Queue: q, Selector: queue.Pattern("user.*")})
	}
	c.bind(add, nil)
	c.fanOut("e1", "user.added")
	for _, again := range c.fanOut("e1", "user.added") { // half-failed, and repeated
		if again.Status != queue.Duplicate {
			t.Fatalf("fan-out for the second time: %v %q", again.Status, again.ID)
		}
	}
	for _, q := range []string{"crm", "mail", "log"} {
		c.take(q, "e1/"+q)
	}
}

// An event that no queue is bound to leads to nothing.
func noQueueNoItem(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	c.bind([]queue.Binding{{Queue: "crm", Selector: queue.Name("user.added")}}, nil)
	if got := c.fanOut("e1", "user.gone"); len(got) > 0 {
		t.Fatalf("fan-out without a queue: %v", got)
	}
	c.none("nothing was bound to that event", "crm", "user.gone")
}

// Selectors come back from the store as what they were.
func wildcardAndRegexpBindings(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	add := []queue.Binding{
		{Queue: "one", Selector: queue.Pattern("user.*")}, {Queue: "more", Selector: queue.Pattern("user.**")},
		{Queue: "re", Selector: queue.Regexp(`^user\.(added|gone)$`)}, {Queue: "digits", Selector: queue.Regexp(`\d{2,}"'\\|größe`)},
		{Queue: "all", Selector: queue.All()}, {Queue: "name", Selector: queue.Name("user.*")},
	}
	c.bind(add, nil)
	c.wantBindings("selectors of each kind", add...)
	for name, want := range map[string]string{
		"user.added":      "all more one re",
		"user.mail.added": "all more",
		"größe":           "all digits",
		"user.*":          "all more name one",
	} {
		var queues []string
		for _, got := range c.fanOut(name, name) {
			queues = append(queues, strings.TrimPrefix(got.ID, name+"/"))
		}
		if got := strings.Join(queues, " "); got != want {
			t.Fatalf("%s is for the queues %q, and has to be for %q", name, got, want)
		}
	}
}

// What one process binds another one sees.
func bindingChangeSeenByOtherProcessWithin(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	a, b := e.client(t), e.client(t)
	var all []queue.Binding
	for i := range 20 {
		from, to := a, b
		if i%2 == 1 {
			from, to = b, a
		}
		next := queue.Binding{Queue: "q", Selector: queue.Name(strings.Repeat("x", i+1))}
		all = append(all, next)
		_, before := to.bindings(0)
		rev := from.bind([]queue.Binding{next}, nil)
		for end := time.Now().Add(e.Seen); ; <-time.After(time.Millisecond) {
			late := time.Now().After(end)
			got, now := to.bindings(before)
			if now == rev && sameBindings(got, all) {
				break
			}
			if late {
				t.Fatalf("%v after Bind has returned revision %d another client sees %d bindings at revision %d, and %d were made", e.Seen, rev, len(got), now, len(all))
			}
		}
	}
}

// Items are stored at a revision of the bindings, or not at all.
func enqueueAtStaleBindings(t testing.TB, open func(t testing.TB) Engine) {
	c := open(t).client(t)
	m := newMaker("rev")
	_, rev := c.bindings(0)
	at := func(c *client, rev queue.Rev, items ...queue.Item) error {
		t.Helper()
		got, err := c.tryEnqueueAt(rev, items...)
		if err == nil && len(got) != len(items) {
			t.Fatalf("EnqueueAt of %d items has %d answers", len(items), len(got))
		}
		return err
	}
	good := func(rev queue.Rev, items ...queue.Item) {
		t.Helper()
		if err := at(c, rev, items...); err != nil {
			t.Fatalf("EnqueueAt at the present revision: %v", err)
		}
	}
	items := m.some(6)
	good(rev, items[0])
	good(rev)
	now := c.another().bind([]queue.Binding{{Queue: m.queue, Selector: queue.All()}}, nil)
	for _, stale := range []queue.Rev{rev, now + 1, now - 1, 0} {
		wantError(t, "EnqueueAt at another revision", at(c, stale, items[1], items[2]), queue.ErrStaleBindings)
		wantError(t, "EnqueueAt of no items at another revision", at(c, stale), queue.ErrStaleBindings)
	}
	c.take(m.queue, items[0].ID)
	good(now, items[1:3]...)
	got, err := c.tryEnqueueAt(now, items[1], items[3])
	if err != nil || got[0].Status != queue.Duplicate || got[1].Status != queue.Inserted {
		t.Fatalf("EnqueueAt of an item that is there and of a new one: %v, %v", got, err)
	}
	c.take(m.queue, items[1].ID, items[2].ID, items[3].ID)
	wantError(t, "EnqueueAt of an item that is not valid", at(c, now, items[4], queue.Item{ID: "x"}), queue.ErrInvalid)
	c.none("a call with an item that is not valid stores nothing", m.queue)
}
