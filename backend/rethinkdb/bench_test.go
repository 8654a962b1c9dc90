package rethinkdb_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	r "gopkg.in/rethinkdb/rethinkdb-go.v6"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

// The client with nothing on top writes the same documents in the same batches. The server in memory gets slower
// with the size of its table, so both begin with an empty one for each run.

func benchEvents(n int) []event.Event {
	evs := make([]event.Event, n)
	for i := range evs {
		evs[i] = event.Event{ID: rand.Text(), Source: "/bench", Type: "bench.tick", Time: time.Now(), Data: []byte(`{"user":4711,"what":"something that happens often"}`)}
	}
	return evs
}

func client(b *testing.B) *r.Session {
	b.Helper()
	s, err := r.Connect(r.ConnectOpts{Address: base(b).Host, Timeout: 2 * time.Second})
	require.NoError(b, err)
	b.Cleanup(func() { s.Close() })
	return s
}

func doc(ev event.Event, n int) map[string]any {
	text, _ := ev.AppendJSON(nil)
	return map[string]any{
		"id": ev.ID, "ts": r.Now(), "n": n, "type": ev.Type, "source": ev.Source,
		"time": ev.Time.Format(time.RFC3339Nano), "event": string(text),
	}
}

func BenchmarkPublish(b *testing.B) {
	for _, batch := range []int{1, 200} {
		b.Run(fmt.Sprintf("earshot/batch=%d", batch), func(b *testing.B) {
			eb := fixture{at: base(b)}.bus(b)
			require.NoError(b, eb.Publish(b.Context()))
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				evs := benchEvents(batch)
				b.StartTimer()
				if err := eb.Publish(b.Context(), evs...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(batch*b.N)/b.Elapsed().Seconds(), "events/s")
		})
		b.Run(fmt.Sprintf("client/batch=%d", batch), func(b *testing.B) {
			eb := fixture{at: base(b)}.bus(b)
			require.NoError(b, eb.Publish(b.Context()))
			s, table := client(b), eb.TableTerm()
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				evs := benchEvents(batch)
				b.StartTimer()
				docs := make([]any, batch)
				for i, ev := range evs {
					docs[i] = doc(ev, i)
				}
				if _, err := table.Insert(docs, r.InsertOpts{Durability: "hard"}).RunWrite(s); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(batch*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func BenchmarkLatency(b *testing.B) {
	b.Run("earshot", func(b *testing.B) {
		eb := fixture{at: base(b)}.bus(b)
		f, err := eb.Tail(b.Context(), bus.Tail{})
		require.NoError(b, err)
		for b.Loop() {
			ev := benchEvents(1)
			if err := eb.Publish(b.Context(), ev...); err != nil {
				b.Fatal(err)
			}
			if _, err := f.Next(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("client", func(b *testing.B) {
		eb := fixture{at: base(b)}.bus(b)
		require.NoError(b, eb.Publish(b.Context()))
		s, feed := client(b), client(b)
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel() // ends the changefeed: to close its cursor could wait for ever
		changes, err := eb.TableTerm().Changes(r.ChangesOpts{Squash: false}).Run(feed, r.RunOpts{Context: ctx})
		require.NoError(b, err)
		for b.Loop() {
			ev := benchEvents(1)
			if _, err := eb.TableTerm().Insert(doc(ev[0], 1), r.InsertOpts{Durability: "hard"}).RunWrite(s); err != nil {
				b.Fatal(err)
			}
			var change struct {
				New map[string]any `rethinkdb:"new_val"`
			}
			if !changes.Next(&change) {
				b.Fatal(changes.Err())
			}
		}
	})
}

// How fast a past is read: a page at a time.
func BenchmarkReplay(b *testing.B) {
	const n = 5000
	eb := fixture{at: base(b)}.bus(b)
	require.NoError(b, eb.Publish(b.Context(), benchEvents(n)...))
	for b.Loop() {
		f, err := eb.Tail(b.Context(), bus.Tail{From: bus.Start, Past: true})
		require.NoError(b, err)
		for range n {
			if _, err := f.Next(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		require.NoError(b, f.Close())
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "events/s")
}
