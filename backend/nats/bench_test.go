package nats_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot-go/earshot/backend/nats"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

// ping is an event whose JSON is some 300 bytes.
func ping(n int) event.Event {
	return event.Event{ID: event.NewID(), Source: "/bench", Type: "bench.ping", Time: time.Now(), Data: []byte(fmt.Sprintf(`{"n":%d,"text":"%0150d"}`, n, n))}
}

func pings(n int) []event.Event {
	evs := make([]event.Event, n)
	for i := range evs {
		evs[i] = ping(i)
	}
	return evs
}

// bare returns a plain client, and a stream on which it may compare itself with the bus.
func bare(b *testing.B, s *server.Server, storage jetstream.StorageType) (*natsgo.Conn, jetstream.JetStream, string) {
	nc, err := natsgo.Connect(s.ClientURL())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4096))
	if err != nil {
		b.Fatal(err)
	}
	name := streamName()
	if _, err = js.CreateStream(context.Background(), jetstream.StreamConfig{Name: name, Subjects: []string{name + ".>"}, Storage: storage}); err != nil {
		b.Fatal(err)
	}
	return nc, js, name
}

// BenchmarkPublish publishes batches with the bus and, in turn, the same bytes with the client library's own
// PublishAsync, without IDs and so without
// protection against duplicates, and reports the quotient of the rates: 1 is as fast as the library.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{1, 100, 1000, 10000} {
		for _, storage := range []jetstream.StorageType{jetstream.FileStorage, jetstream.MemoryStorage} {
			b.Run(fmt.Sprintf("%v/batch=%d", storage, n), func(b *testing.B) { publishBoth(b, n, storage) })
		}
	}
}

func publishBoth(b *testing.B, n int, storage jetstream.StorageType) {
	s := startServer(b, options(b.TempDir(), server.RANDOM_PORT))
	_, js, name := bare(b, s, storage)
	ours := open(b, s.ClientURL(), &nats.BusOptions{Stream: streamName(), Memory: storage == jetstream.MemoryStorage})
	ctx := context.Background()
	if err := ours.Publish(ctx); err != nil {
		b.Fatal(err)
	}
	evs := pings(n)
	texts := make([][]byte, n)
	var usTime, themTime time.Duration
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		for i := range evs {
			evs[i].ID = event.NewID()
			texts[i], _ = evs[i].AppendJSON(texts[i][:0])
		}
		begun := time.Now()
		for _, text := range texts {
			msg := &natsgo.Msg{Subject: name + ".bench.ping", Data: text}
			if _, err := js.PublishMsgAsync(msg); err != nil {
				b.Fatal(err)
			}
		}
		<-js.PublishAsyncComplete()
		themTime += time.Since(begun)
		b.StartTimer()

		begun = time.Now()
		if err := ours.Publish(ctx, evs...); err != nil {
			b.Fatal(err)
		}
		usTime += time.Since(begun)
	}
	total := float64(b.N) * float64(n)
	b.ReportMetric(total/usTime.Seconds(), "events/s")
	b.ReportMetric(total/themTime.Seconds(), "bare/s")
	b.ReportMetric(themTime.Seconds()/usTime.Seconds(), "ratio")
}

// BenchmarkLatency is the time from Publish to Next of one event, and of the same with an ordered consumer of the
// client library. The ratio of the medians is 1 if the bus adds nothing.
func BenchmarkLatency(b *testing.B) {
	for _, storage := range []jetstream.StorageType{jetstream.FileStorage, jetstream.MemoryStorage} {
		b.Run(storage.String(), func(b *testing.B) { latencyBoth(b, storage) })
	}
}

func latencyBoth(b *testing.B, storage jetstream.StorageType) {
	s := startServer(b, options(b.TempDir(), server.RANDOM_PORT))
	_, js, name := bare(b, s, storage)
	ctx := context.Background()
	consumer, err := js.OrderedConsumer(ctx, name, jetstream.OrderedConsumerConfig{})
	if err != nil {
		b.Fatal(err)
	}
	theirs, err := consumer.Messages()
	if err != nil {
		b.Fatal(err)
	}
	defer theirs.Stop()
	ours := open(b, s.ClientURL(), &nats.BusOptions{Stream: streamName(), Memory: storage == jetstream.MemoryStorage})
	f, err := ours.Tail(ctx, bus.Tail{})
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var us, them []time.Duration
	for b.Loop() {
		ev := ping(0)
		text, _ := ev.AppendJSON(nil)
		begun := time.Now()
		if _, err := js.PublishMsg(ctx, &natsgo.Msg{Subject: name + ".bench.ping", Data: text}, jetstream.WithMsgID(ev.ID)); err != nil {
			b.Fatal(err)
		}
		if _, err := theirs.Next(); err != nil {
			b.Fatal(err)
		}
		them = append(them, time.Since(begun))
		begun = time.Now()
		if err := ours.Publish(ctx, ev); err != nil {
			b.Fatal(err)
		}
		if _, err := f.Next(ctx); err != nil {
			b.Fatal(err)
		}
		us = append(us, time.Since(begun))
	}
	slices.Sort(us)
	slices.Sort(them)
	u, t := us[len(us)/2], them[len(them)/2]
	b.ReportMetric(float64(u.Microseconds()), "p50-µs")
	b.ReportMetric(float64(t.Microseconds()), "bare-p50-µs")
	b.ReportMetric(float64(u)/float64(t), "ratio")
	b.ReportMetric(float64(us[len(us)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkRead reads what a stream has from its start.
func BenchmarkRead(b *testing.B) {
	const n = 20000
	s := startServer(b, options(b.TempDir(), server.RANDOM_PORT))
	ours := open(b, s.ClientURL(), &nats.BusOptions{Stream: "read"})
	ctx := context.Background()
	if err := ours.Publish(ctx, pings(n)...); err != nil {
		b.Fatal(err)
	}
	nc, err := natsgo.Connect(s.ClientURL())
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	var us, them time.Duration
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		begun := time.Now()
		consumer, err := js.OrderedConsumer(ctx, "read", jetstream.OrderedConsumerConfig{})
		if err != nil {
			b.Fatal(err)
		}
		theirs, err := consumer.Messages()
		if err != nil {
			b.Fatal(err)
		}
		for range n {
			if _, err := theirs.Next(); err != nil {
				b.Fatal(err)
			}
		}
		them += time.Since(begun)
		theirs.Stop()
		b.StartTimer()

		begun = time.Now()
		f, err := ours.Tail(ctx, bus.Tail{From: bus.Start, Past: true})
		if err != nil {
			b.Fatal(err)
		}
		for range n {
			if _, err := f.Next(ctx); err != nil {
				b.Fatal(err)
			}
		}
		us += time.Since(begun)
		f.Close()
	}
	b.ReportMetric(float64(b.N)*n/us.Seconds(), "events/s")
	b.ReportMetric(float64(b.N)*n/them.Seconds(), "bare/s")
	b.ReportMetric(them.Seconds()/us.Seconds(), "ratio")
}
