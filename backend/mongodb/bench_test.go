package mongodb_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot-go/earshot/backend/mongodb"
	"github.com/earshot-go/earshot/queue"
)

// FerretDB looks at all documents for each statement: its figures say nothing of MongoDB's. Set EARSHOT_MONGODB_URL.

var numbers atomic.Int64

func fresh(n int, queueName string) []queue.Item {
	items := make([]queue.Item, n)
	for i := range items {
		items[i] = queue.Item{ID: strconv.FormatInt(numbers.Add(1), 36), Queue: queueName, Name: "bench", Payload: make([]byte, 100)}
	}
	return items
}

func BenchmarkEnqueue(b *testing.B) {
	b.Run("single", func(b *testing.B) {
		s := open(b, newDatabase(b).String())
		b.ReportAllocs()
		for b.Loop() {
			put(b, s, fresh(1, "q"))
		}
	})
	b.Run("producers=64", func(b *testing.B) {
		s := open(b, newDatabase(b).String())
		b.SetParallelism(64)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				put(b, s, fresh(1, "q"))
			}
		})
	})
	b.Run("batch=100", func(b *testing.B) {
		s := open(b, newDatabase(b).String())
		b.ReportAllocs()
		for b.Loop() {
			put(b, s, fresh(100, "q"))
		}
		b.ReportMetric(100*float64(b.N)/b.Elapsed().Seconds(), "items/s")
	})
}

func BenchmarkCycle(b *testing.B) {
	b.Run("workers=64", func(b *testing.B) {
		s := open(b, newDatabase(b).String())
		b.SetParallelism(64)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				put(b, s, fresh(1, "q"))
				cycle(b, s)
			}
		})
	})
}

// With how many others that wait does not matter, if the indexes are used.
func BenchmarkLease(b *testing.B) {
	most := 10_000
	if n, err := strconv.Atoi(os.Getenv("EARSHOT_BENCH_ITEMS")); err == nil {
		most = n
	}
	for _, n := range []int{1000, most} {
		b.Run(fmt.Sprint("pending=", n), func(b *testing.B) {
			s := open(b, newDatabase(b).String())
			for left := n; left > 0; left -= 1000 {
				put(b, s, fresh(min(1000, left), "q"))
			}
			b.ReportAllocs()
			for b.Loop() {
				put(b, s, fresh(1, "q"))
				cycle(b, s)
			}
		})
	}
}

func put(b *testing.B, s *mongodb.Store, items []queue.Item) {
	if _, err := s.Enqueue(context.Background(), items); err != nil {
		b.Error(err)
	}
}

func cycle(b *testing.B, s *mongodb.Store) {
	ctx := context.Background()
	ls, err := s.Lease(ctx, queue.LeaseRequest{Queues: []string{"q"}, Max: 1, TTL: time.Minute})
	if err != nil {
		b.Error(err)
		return
	}
	if _, err := s.Settle(ctx, settlements(ls, queue.Leased.Ack)); err != nil {
		b.Error(err)
	}
}
