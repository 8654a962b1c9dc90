package rethinkdb_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	r "gopkg.in/rethinkdb/rethinkdb-go.v6"

	"github.com/earshot-go/earshot/backend/rethinkdb"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

func make1(id string) event.Event {
	return event.Event{ID: id, Source: "/test", Type: "test.tick", Data: []byte(`{"n":9007199254740993}`)}
}

func makeAll(prefix string, n int) []event.Event {
	evs := make([]event.Event, n)
	for i := range evs {
		evs[i] = make1(fmt.Sprintf("%s-%d", prefix, i))
	}
	return evs
}

// within is a context for one step of a test.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func tail(t testing.TB, b *rethinkdb.Bus, tl bus.Tail) bus.Feed {
	t.Helper()
	f, err := b.Tail(within(t), tl)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

// read returns the IDs of the next n events and the last token.
func read(t testing.TB, f bus.Feed, n int) (ids []string, at bus.Token) {
	t.Helper()
	for range n {
		d, err := f.Next(within(t))
		require.NoError(t, err, "after %v", ids)
		ids, at = append(ids, d.Event.ID), d.Token
	}
	return ids, at
}

// rest reads a feed with Past to its end.
func rest(t testing.TB, f bus.Feed) (ids []string) {
	t.Helper()
	for {
		d, err := f.Next(within(t))
		if err != nil {
			require.EqualError(t, err, "EOF")
			return ids
		}
		ids = append(ids, d.Event.ID)
	}
}

func idsOf(evs []event.Event) (ids []string) {
	for _, ev := range evs {
		ids = append(ids, ev.ID)
	}
	return ids
}

func run(t testing.TB, b *rethinkdb.Bus, term r.Term) []json.RawMessage {
	t.Helper()
	rows, err := b.Run(within(t), term)
	require.NoError(t, err)
	return rows
}

// The members of a document are there for queries, and so is the data.
func TestDocument(t *testing.T) {
	b := fixture{at: base(t)}.bus(t)
	ev := event.Event{
		ID: "doc-1", Source: "/shop/1", Type: "order.placed", Subject: "order/7",
		Time: time.Date(2026, 11, 20, 9, 0, 0, 5e8, time.UTC), Data: []byte(`{"amount":12,"no":9007199254740993}`),
	}
	require.NoError(t, b.Publish(within(t), ev))
	text, err := ev.AppendJSON(nil)
	require.NoError(t, err)
	rows := run(t, b, b.TableTerm().Get("/shop/1 doc-1").Without("ts"))
	require.Len(t, rows, 1)
	want, err := json.Marshal(map[string]any{
		"id": "/shop/1 doc-1", "n": 1, "type": "order.placed", "source": "/shop/1", "subject": "order/7",
		"time": "2026-11-20T09:00:00.5Z", "event": string(text),
	})
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(rows[0]))
	rows = run(t, b, b.TableTerm().HasFields("event").Filter(func(d r.Term) r.Term {
		return r.JSON(d.Field("event")).Field("data").Field("amount").Gt(10)
	}).Pluck("id"))
	require.Equal(t, `[{"id":"/shop/1 doc-1"}]`, fmt.Sprintf("%s", rows))
	rows = run(t, b, b.TableTerm().OrderBy(r.OrderByOpts{Index: "ts"}).Pluck("id"))
	require.Equal(t, `[{"id":"/shop/1 doc-1"}]`, fmt.Sprintf("%s", rows), "the stream's own document is not in the index")
}

// IDs that cannot be primary keys are, and the same ID of another source is another event.
func TestIDs(t *testing.T) {
	b := fixture{at: base(t)}.bus(t)
	long := fmt.Sprintf("%0500d", 1)
	evs := []event.Event{make1("earshot:stream"), make1(long), make1(long + "x"), make1("short")}
	for range 2 {
		require.NoError(t, b.Publish(within(t), evs...))
	}
	require.ElementsMatch(t, idsOf(evs), rest(t, tail(t, b, bus.Tail{From: bus.Start, Past: true})))
	f := tail(t, b, bus.Tail{})
	var others []event.Event
	for _, source := range []string{"/other", "/test short", "earshot:stream", long, long[1:]} {
		other := make1("short")
		other.Source = source
		others = append(others, other)
	}
	split := make1("short short") // "/test" and this are no copy of "/test short" and "short"
	others = append(others, split)
	for range 2 {
		require.NoError(t, b.Publish(within(t), append(others, evs...)...))
	}
	ids, _ := read(t, f, len(others))
	require.ElementsMatch(t, idsOf(others), ids)
	require.Len(t, rest(t, tail(t, b, bus.Tail{From: bus.Start, Past: true})), len(evs)+len(others))
}

// What others put into the table is skipped and counted, in the past and live.
func TestGarbage(t *testing.T) {
	b := fixture{at: base(t)}.bus(t)
	evs := makeAll("good", 5)
	require.NoError(t, b.Publish(within(t), evs[0]))
	garbage := func() {
		for i, doc := range []map[string]any{
			{"ts": r.Now(), "args": []any{"beep", "boop"}}, // of a table as it was before earshot
			{"ts": r.Now(), "event": "{"},
			{"ts": r.Now(), "event": 7, "n": "x"},
			{"ts": r.Now(), "event": map[string]any{"id": "x"}, "n": -5},
			{"ts": r.Now(), "id": 5 * (i5() + 1)},
			{"ts": r.Now(), "n": 1e300},
			{"ts": r.Now().Add(1e6), "n": 1, "event": "x"}, // days ahead: everything until then would be behind it
			{"ts": nil, "event": "x"},                      // not in the index: only a changefeed has it
		} {
			if doc["id"] == nil {
				doc["id"] = fmt.Sprintf("garbage-%d-%d", i5(), i)
			}
			run(t, b, b.TableTerm().Insert(doc))
		}
	}
	garbage()
	require.NoError(t, b.Publish(within(t), evs[1]))
	f := tail(t, b, bus.Tail{From: bus.Start})
	ids, _ := read(t, f, 2)
	require.Equal(t, idsOf(evs[:2]), ids)
	require.EqualValues(t, 6, b.Garbage())
	require.NoError(t, b.Publish(within(t), evs[2])) // live from here on
	ids, _ = read(t, f, 1)
	require.Equal(t, idsOf(evs[2:3]), ids)
	garbage()
	require.NoError(t, b.Publish(within(t), evs[3]))
	ids, at := read(t, f, 1)
	require.Equal(t, idsOf(evs[3:4]), ids)
	require.EqualValues(t, 14, b.Garbage())
	require.Empty(t, rest(t, tail(t, b, bus.Tail{From: bus.After(at), Past: true})))
	require.NoError(t, b.Publish(within(t), evs[4]))
	require.Equal(t, idsOf(evs[4:]), rest(t, tail(t, b, bus.Tail{From: bus.After(at), Past: true})))
}

var i5 = func() func() int {
	var mu sync.Mutex
	n := 0
	return func() int { mu.Lock(); defer mu.Unlock(); n++; return n }
}()

// A write that was slow shows up at a place that a token has passed. A resume finds it: alone if the token is of
// a quiet stream, and with the others of its part of the overlap if it is of a busy one.
func TestLateDocument(t *testing.T) {
	for _, n := range []int{5, 300} {
		b := fixture{at: base(t)}.bus(t)
		evs := makeAll("early", n)
		require.NoError(t, b.Publish(within(t), evs...))
		_, at := read(t, tail(t, b, bus.Tail{From: bus.Start}), n)
		require.Empty(t, rest(t, tail(t, b, bus.Tail{From: bus.After(at), Past: true})))

		late := make1("late")
		text, err := late.AppendJSON(nil)
		require.NoError(t, err)
		run(t, b, b.TableTerm().Insert(map[string]any{
			"id": "late", "ts": r.Now().Sub(3), "n": 1, "source": "/test", "type": late.Type, "event": string(text),
		}))
		require.NoError(t, b.Publish(within(t), make1("next")))
		f := tail(t, b, bus.Tail{From: bus.After(at)})
		ids, at := read(t, f, 2)
		require.Equal(t, []string{"late", "next"}, ids, "with %d", n)
		require.Empty(t, rest(t, tail(t, b, bus.Tail{From: bus.After(at), Past: true})))
	}
}

// Keep and KeepFor delete, a feed that was behind says so, and one that was not does not.
func TestRetention(t *testing.T) {
	x := fixture{at: base(t), opts: rethinkdb.BusOptions{Keep: 20}}
	b := x.bus(t)
	f := tail(t, b, bus.Tail{})
	evs := makeAll("keep", 200)
	for i := range evs {
		require.NoError(t, b.Publish(within(t), evs[i]))
	}
	ids, _ := read(t, f, len(evs))
	require.Equal(t, idsOf(evs), ids, "a feed that keeps up")
	require.Eventually(t, func() bool {
		n := len(rest(t, tail(t, b, bus.Tail{From: bus.Start, Past: true})))
		require.GreaterOrEqual(t, n, 20)
		return n <= 25
	}, 5*time.Second, 20*time.Millisecond)
	ids = rest(t, tail(t, b, bus.Tail{From: bus.Start, Past: true}))
	require.Equal(t, idsOf(evs[200-len(ids):]), ids, "the newest are kept")

	at := f.(bus.Positioned).Token()
	require.NoError(t, b.TrimBefore(within(t), 0))
	require.Empty(t, rest(t, tail(t, b, bus.Tail{From: bus.Start, Past: true})))
	require.Empty(t, rest(t, tail(t, b, bus.Tail{From: bus.After(at), Past: true})), "nothing is missing")
	require.NoError(t, b.Publish(within(t), make1("a")))
	require.NoError(t, b.TrimBefore(within(t), 0))
	behind := tail(t, b, bus.Tail{From: bus.After(at), Past: true})
	_, err := behind.Next(within(t))
	var gap *bus.GapError
	require.ErrorAs(t, err, &gap)
	require.Equal(t, at, gap.After)
	require.Empty(t, rest(t, behind))
}

// KeepFor is seen to by publishers.
func TestKeepFor(t *testing.T) {
	b := fixture{at: base(t), opts: rethinkdb.BusOptions{KeepFor: 100 * time.Millisecond}}.bus(t)
	require.NoError(t, b.Publish(within(t), makeAll("old", 5)...))
	n := 0
	require.Eventually(t, func() bool {
		n++
		require.NoError(t, b.Publish(within(t), make1(fmt.Sprintf("new-%d", n))))
		return rest(t, tail(t, b, bus.Tail{From: bus.Start, Past: true}))[0] != "old-0"
	}, 8*time.Second, 50*time.Millisecond)
}

// With persist=false the table is empty, and every feed has had everything.
func TestNoPersist(t *testing.T) {
	b := fixture{at: base(t), opts: rethinkdb.BusOptions{NoPersist: true}}.bus(t)
	f, g := tail(t, b, bus.Tail{}), tail(t, b, bus.Tail{})
	evs := makeAll("gone", 500)
	require.NoError(t, b.Publish(within(t), evs...))
	require.Equal(t, "[0]", fmt.Sprintf("%s", run(t, b, b.TableTerm().HasFields("event").Count())))
	for _, f := range []bus.Feed{f, g} {
		ids, at := read(t, f, len(evs))
		require.ElementsMatch(t, idsOf(evs), ids)
		require.Empty(t, at)
	}
}

// Whoever comes first makes the table, and everybody has the same stream.
func TestCreationRace(t *testing.T) {
	s := fixture{at: base(t)}.stream(t)
	var wg sync.WaitGroup
	errs := make(chan error, 16)
	tokens := make(chan bus.Token, 16)
	for i := range 8 {
		b := s.Open(t, "")
		t.Cleanup(func() { require.NoError(t, b.Close(context.Background())) })
		wg.Go(func() {
			errs <- b.Publish(context.Background(), make1(fmt.Sprint("race-", i)))
			f, err := b.Tail(context.Background(), bus.Tail{From: bus.Start})
			errs <- err
			if err == nil {
				tokens <- f.(bus.Positioned).Token()
			}
		})
	}
	wg.Wait()
	for range 16 {
		require.NoError(t, <-errs)
	}
	require.Len(t, tokens, 8)
	b := s.Open(t, "").(*rethinkdb.Bus)
	t.Cleanup(func() { require.NoError(t, b.Close(context.Background())) })
	for range 8 {
		require.Len(t, rest(t, tail(t, b, bus.Tail{From: bus.After(<-tokens), Past: true})), 8)
	}
}

// A past of many pages, with documents of the same ts across their edges.
func TestManyPages(t *testing.T) {
	b := fixture{at: base(t)}.bus(t)
	evs := makeAll("page", 2500)
	require.NoError(t, b.Publish(within(t), evs...))
	var same []map[string]any
	for _, ev := range makeAll("same", 1300) {
		text, err := ev.AppendJSON(nil)
		require.NoError(t, err)
		same = append(same, map[string]any{"id": ev.ID, "ts": r.EpochTime(1e9), "n": len(same), "event": string(text)})
	}
	run(t, b, b.TableTerm().Insert(same))
	ids := rest(t, tail(t, b, bus.Tail{From: bus.Start, Past: true}))
	require.Equal(t, append(idsOf(makeAll("same", 1300)), idsOf(evs)...), ids)
}

// A feed that reads the past while the retention deletes it says so.
func TestTrimmedWhileRead(t *testing.T) {
	b := fixture{at: base(t)}.bus(t)
	evs := makeAll("past", 2000)
	require.NoError(t, b.Publish(within(t), evs...))
	f := tail(t, b, bus.Tail{From: bus.Start})
	_, _ = read(t, f, 3)
	require.NoError(t, b.Trim(within(t), 10))
	gaps, last := 0, ""
	for last != evs[len(evs)-1].ID {
		d, err := f.Next(within(t))
		if err == nil {
			last = d.Event.ID
			continue
		}
		var gap *bus.GapError
		require.ErrorAs(t, err, &gap)
		gaps++
	}
	require.Equal(t, 1, gaps)
}

// A feed that reads the past of a table that is made anew has nothing of the new one.
func TestRecreatedWhileRead(t *testing.T) {
	b := fixture{at: base(t)}.bus(t)
	require.NoError(t, b.Publish(within(t), makeAll("old", 2000)...))
	f := tail(t, b, bus.Tail{From: bus.Start})
	_, _ = read(t, f, 3)
	require.NoError(t, b.Drop(within(t)))
	require.NoError(t, b.Publish(within(t), makeAll("new", 10)...))
	for {
		d, err := f.Next(within(t))
		if err != nil {
			require.ErrorIs(t, err, bus.ErrForeignToken)
			return
		}
		require.Contains(t, d.Event.ID, "old")
	}
}
