package storetest

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// A maker makes the items of one queue, which nobody else has: "shy-1", "shy-2", …
type maker struct {
	queue string
	n     int
}

// newMaker returns a maker whose queue and items are its own.
func newMaker(name string) *maker {
	return &maker{queue: name + "-" + strings.ToLower(rand.Text()[:6])}
}

// make returns an item that is due at once.
func (m *maker) make(with ...func(*queue.Item)) queue.Item {
	m.n++
	it := queue.Item{
		ID:      fmt.Sprintf("%s-%d", m.queue, m.n),
		Queue:   m.queue,
		Name:    "storetest.tick",
		TID:     fmt.Sprintf("thing %d", m.n),
		Payload: fmt.Appendf(nil, `{"n":%d}`, m.n),
	}
	for _, f := range with {
		f(&it)
	}
	return it
}

// some returns n items that are due at once.
func (m *maker) some(n int, with ...func(*queue.Item)) []queue.Item {
	items := make([]queue.Item, n)
	for i := range items {
		items[i] = m.make(with...)
	}
	return items
}

func delay(d time.Duration) func(*queue.Item) { return func(it *queue.Item) { it.Delay = d } }
func due(at time.Time) func(*queue.Item)      { return func(it *queue.Item) { it.Due = at } }
func maxFails(n int) func(*queue.Item)        { return func(it *queue.Item) { it.MaxFails = n } }
func priority(n int8) func(*queue.Item)       { return func(it *queue.Item) { it.Priority = n } }
func serialOf(s string) func(*queue.Item)     { return func(it *queue.Item) { it.Serial = s } }
func key(k string) func(*queue.Item)          { return func(it *queue.Item) { it.Key = k } }
func hold(d time.Duration) func(*queue.Item)  { return func(it *queue.Item) { it.Hold = d } }
func scope(s queue.Scope) func(*queue.Item)   { return func(it *queue.Item) { it.Scope = s } }
func replace(it *queue.Item)                  { it.Replace = true }
func payload(p string) func(*queue.Item)      { return func(it *queue.Item) { it.Payload = []byte(p) } }

// idsOf returns the IDs of items.
func idsOf(items []queue.Item) []string {
	ids := make([]string, len(items))
	for i, it := range items {
		ids[i] = it.ID
	}
	return ids
}

func leasedIDs(ls []queue.Leased) []string {
	ids := make([]string, len(ls))
	for i, l := range ls {
		ids[i] = l.ID
	}
	return ids
}

func recordIDs(rs []queue.Record) []string {
	ids := make([]string, len(rs))
	for i, r := range rs {
		ids[i] = r.ID
	}
	return ids
}

func sameIDs(ids []string, ls []queue.Leased) bool {
	if len(ids) != len(ls) {
		return false
	}
	for i, l := range ls {
		if l.ID != ids[i] {
			return false
		}
	}
	return true
}

// difference tells in what an item that has come is not the one that went, or returns "". Due is compared when the
// one that went has one: the other's is Delay after a moment that only the store knows.
func difference(want, got queue.Item) string {
	for _, f := range []struct {
		name      string
		want, got string
	}{
		{"ID", want.ID, got.ID},
		{"Queue", want.Queue, got.Queue},
		{"Name", want.Name, got.Name},
		{"TID", want.TID, got.TID},
		{"Parent", want.Parent, got.Parent},
		{"Key", want.Key, got.Key},
		{"Serial", want.Serial, got.Serial},
	} {
		if f.want != f.got {
			return fmt.Sprintf("%s is %q and was %q", f.name, f.got, f.want)
		}
	}
	switch {
	case !bytes.Equal(want.Payload, got.Payload):
		return fmt.Sprintf("Payload is %s and was %s", short(got.Payload), short(want.Payload))
	case !maps.Equal(want.Headers, got.Headers):
		return fmt.Sprintf("Headers are %q and were %q", got.Headers, want.Headers)
	case want.Priority != got.Priority:
		return fmt.Sprintf("Priority is %d and was %d", got.Priority, want.Priority)
	case fails(want) != fails(got):
		return fmt.Sprintf("MaxFails is %d and was %d", got.MaxFails, want.MaxFails)
	case !want.Due.IsZero() && !near(want.Due, got.Due):
		return fmt.Sprintf("Due is %v and was %v", got.Due, want.Due)
	}
	return ""
}

// fails is what MaxFails means: a store may say the default in either way, and all that is negative means the same.
func fails(it queue.Item) int {
	if it.MaxFails == 0 {
		return queue.DefaultMaxFails
	}
	return max(it.MaxFails, -1)
}

// near tells whether two times are the same to the microsecond. They may be too far apart for a Duration.
func near(a, b time.Time) bool {
	return a.Add(time.Microsecond).After(b) && b.Add(time.Microsecond).After(a)
}

func short(data []byte) string {
	if len(data) > 80 {
		return fmt.Sprintf("%.80q… of %d bytes", data, len(data))
	}
	return fmt.Sprintf("%q", data)
}

func names(items []queue.Item) string      { return list(idsOf(items)) }
func leasedNames(ls []queue.Leased) string { return list(leasedIDs(ls)) }
func recordNames(rs []queue.Record) string { return list(recordIDs(rs)) }

// list names items, or some if they are many.
func list(ids []string) string {
	if len(ids) == 0 {
		return "nothing"
	}
	text := strings.Join(ids[:min(len(ids), 12)], ", ")
	if len(ids) > 12 {
		text += fmt.Sprintf(", … %d in all", len(ids))
	}
	return text
}
