package memstore_test

import (
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/memstore"
)

// waiting is how many items are in a store that has many: EARSHOT_BENCH_ITEMS, or 10,000.
func waiting(b *testing.B) int {
	n, err := strconv.Atoi(os.Getenv("EARSHOT_BENCH_ITEMS"))
	if err != nil {
		return 10_000
	}
	return n
}

// A bench is a store under load.
type bench struct {
	*testing.B
	*memstore.Store
	ids atomic.Int64
}

func newBench(b *testing.B) *bench {
	b.ReportAllocs()
	return &bench{B: b, Store: memstore.New(nil)}
}

func (b *bench) item(delay time.Duration) queue.Item {
	return queue.Item{
		ID: strconv.FormatInt(b.ids.Add(1), 10), Queue: "q", Name: "ourapp.user.added", Payload: []byte(`{"user":17}`), Delay: delay,
	}
}

func (b *bench) enqueue(items ...queue.Item) {
	if _, err := b.Enqueue(ctx, items); err != nil {
		b.Error(err)
	}
}

// cycle leases an item and acknowledges it.
func (b *bench) cycle() {
	leased, err := b.Lease(ctx, queue.LeaseRequest{Queues: []string{"q"}, Max: 1, TTL: time.Minute, Worker: "w"})
	if err != nil || len(leased) != 1 {
		b.Error(len(leased), err)
		return
	}
	if _, err := b.Settle(ctx, []queue.Settlement{leased[0].Ack()}); err != nil {
		b.Error(err)
	}
}

func BenchmarkEnqueue(b *testing.B) {
	b.Run("single", func(b *testing.B) {
		s := newBench(b)
		for b.Loop() {
			s.enqueue(s.item(0))
		}
	})
	b.Run("producers=64", func(b *testing.B) {
		s := newBench(b)
		b.SetParallelism(32) // times GOMAXPROCS
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				s.enqueue(s.item(0))
			}
		})
	})
	b.Run("batch=100", func(b *testing.B) {
		s := newBench(b)
		for b.Loop() {
			items := make([]queue.Item, 100)
			for i := range items {
				items[i] = s.item(0)
			}
			s.enqueue(items...)
		}
		b.ReportMetric(float64(b.N)*100/b.Elapsed().Seconds(), "items/s")
	})
}

// An item enqueued, leased and acknowledged, by 64 workers, each for itself.
func BenchmarkCycle(b *testing.B) {
	s := newBench(b)
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.enqueue(s.item(0))
			s.cycle()
		}
	})
}

// The same beside many that wait: they are due, or not yet, or of one Serial.
func BenchmarkCycleBeside(b *testing.B) {
	for _, kind := range []string{"due", "delayed", "serial"} {
		for _, n := range []int{1000, waiting(b)} {
			b.Run(fmt.Sprintf("%s=%d", kind, n), func(b *testing.B) {
				s := newBench(b)
				for range n {
					it := s.item(0)
					switch kind {
					case "delayed":
						it.Delay = time.Hour
					case "serial":
						it.Serial = "s"
					}
					s.enqueue(it)
				}
				for b.Loop() {
					it := s.item(0)
					if kind == "serial" {
						it.Serial = "s"
					}
					s.enqueue(it)
					s.cycle()
				}
			})
		}
	}
}
