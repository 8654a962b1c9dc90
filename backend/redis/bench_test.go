package redis_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot/backend/redis"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
	client "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// batch returns events of about 300 bytes of JSON, and their texts.
func batch(b *testing.B, n int) (evs []event.Event, texts []any) {
	for i := range n {
		ev := event.Event{ID: event.NewID(), Source: "/bench/1", Type: "user.added", Time: time.Now(),
			Data: fmt.Appendf(nil, `{"n":%d,"text":"%s"}`, i, strings.Repeat("x", 120))}
		text, err := ev.AppendJSON(nil)
		require.NoError(b, err)
		evs, texts = append(evs, ev), append(texts, text)
	}
	return evs, texts
}

func rate(b *testing.B, n int) {
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "events/s")
}

// What the bus publishes, and what the library alone does with the same texts on the same server.
func BenchmarkPublish(b *testing.B) {
	s := shared(b, "--appendonly", "yes")
	for _, n := range []int{1, 100, 500, 2000} {
		evs, texts := batch(b, n)
		b.Run(fmt.Sprintf("library/n=%d", n), func(b *testing.B) {
			c, key, ctx := s.client(), s.newStream(b), context.Background()
			defer c.Close()
			b.ReportAllocs()
			for b.Loop() {
				p := c.Pipeline()
				for _, text := range texts {
					p.XAdd(ctx, &client.XAddArgs{Stream: key, MaxLen: 10000, Approx: true, Values: []any{"e", text}})
				}
				if _, err := p.Exec(ctx); err != nil {
					b.Fatal(err)
				}
			}
			rate(b, n)
		})
		b.Run(fmt.Sprintf("bus/n=%d", n), func(b *testing.B) {
			e := opened(b, s, &redis.BusOptions{Keep: 10000})
			b.ReportAllocs()
			for b.Loop() {
				if err := e.Publish(b.Context(), evs...); err != nil {
					b.Fatal(err)
				}
			}
			rate(b, n)
		})
	}
}

// From Publish of one event until it has come, and the same with XADD and XREAD BLOCK: of a text that is there, and of
// an event that is written and read as JSON.
func BenchmarkLatency(b *testing.B) {
	s := shared(b, "--appendonly", "yes")
	evs, texts := batch(b, 1)
	library := func(b *testing.B, json bool) {
		c, key, ctx := s.client(), s.newStream(b), context.Background()
		defer c.Close()
		came := make(chan error)
		go func() {
			for last := "0-0"; ; {
				got, err := c.XRead(ctx, &client.XReadArgs{Streams: []string{key, last}, Block: 5 * time.Second, Count: 100}).Result()
				if err == nil {
					last = got[0].Messages[0].ID
					if text := got[0].Messages[0].Values["e"].(string); json && text != "end" {
						var ev event.Event
						err = ev.UnmarshalJSON([]byte(text))
					}
				}
				came <- err
				if err != nil || got[0].Messages[0].Values["e"] == "end" {
					return
				}
			}
		}()
		add := func(text any) {
			if err := c.XAdd(ctx, &client.XAddArgs{Stream: key, MaxLen: 10000, Approx: true, Values: []any{"e", text}}).Err(); err != nil {
				b.Fatal(err)
			}
			if err := <-came; err != nil {
				b.Fatal(err)
			}
		}
		for b.Loop() {
			text := texts[0]
			if json {
				t, err := evs[0].AppendJSON(nil)
				if err != nil {
					b.Fatal(err)
				}
				text = t
			}
			add(text)
		}
		add("end")
	}
	b.Run("library", func(b *testing.B) { library(b, false) })
	b.Run("library+json", func(b *testing.B) { library(b, true) })
	b.Run("bus", func(b *testing.B) {
		e := opened(b, s, nil)
		f, err := e.Tail(b.Context(), bus.Tail{})
		require.NoError(b, err)
		for b.Loop() {
			if err := e.Publish(b.Context(), evs...); err != nil {
				b.Fatal(err)
			}
			if _, err := f.Next(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A long stream, read from its beginning.
func BenchmarkReplay(b *testing.B) {
	s := shared(b, "--appendonly", "yes")
	const n = 20_000
	evs, _ := batch(b, n)
	e := opened(b, s, nil)
	require.NoError(b, e.Publish(b.Context(), evs...))
	b.ReportAllocs()
	for b.Loop() {
		f, err := e.Tail(b.Context(), bus.Tail{From: bus.Start, Past: true})
		require.NoError(b, err)
		for range n {
			if _, err := f.Next(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		f.Close()
	}
	rate(b, n)
}
