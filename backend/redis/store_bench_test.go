package redis_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot-go/earshot/backend/redis"
	"github.com/earshot-go/earshot/queue"
	"github.com/stretchr/testify/require"
)

var benchIDs atomic.Int64

// work returns items with payloads of 200 bytes.
func work(queueName string, n int) []queue.Item {
	items := make([]queue.Item, n)
	for i := range items {
		items[i] = queue.Item{
			ID: fmt.Sprintf("0192f0c1-7d3a-7bbb-8ccc-%012d", benchIDs.Add(1)), Queue: queueName, Name: "user.added",
			Payload: make([]byte, 200),
		}
	}
	return items
}

// parallel runs f from n goroutines, b.N times in all.
func parallel(b *testing.B, n int, f func() error) {
	var left atomic.Int64
	left.Store(int64(b.N))
	var jobs sync.WaitGroup
	var failed atomic.Value
	b.ResetTimer()
	for range n {
		jobs.Go(func() {
			for left.Add(-1) >= 0 {
				if err := f(); err != nil {
					failed.Store(err)
					return
				}
			}
		})
	}
	jobs.Wait()
	b.StopTimer()
	if err := failed.Load(); err != nil {
		b.Fatal(err)
	}
}

// Enqueue of one item, from one goroutine and from 64, and of a hundred at once; on a server that syncs before it
// answers, and on one that syncs every second.
func BenchmarkStoreEnqueue(b *testing.B) {
	for _, fsync := range []string{"always", "everysec"} {
		s := shared(b, "--appendonly", "yes", "--appendfsync", fsync)
		for _, c := range []struct{ producers, batch int }{{1, 1}, {64, 1}, {1, 100}} {
			b.Run(fmt.Sprintf("fsync=%s/producers=%d/batch=%d", fsync, c.producers, c.batch), func(b *testing.B) {
				st := s.store(b, "")
				b.ReportAllocs()
				parallel(b, c.producers, func() error {
					_, err := st.Enqueue(b.Context(), work("q", c.batch))
					return err
				})
				b.ReportMetric(float64(b.N*c.batch)/b.Elapsed().Seconds(), "items/s")
			})
		}
	}
}

// From Enqueue over Lease to Ack, one item at a time, by 64 goroutines that do all three.
func BenchmarkStoreCycle(b *testing.B) {
	for _, fsync := range []string{"always", "everysec"} {
		s := shared(b, "--appendonly", "yes", "--appendfsync", fsync)
		for _, workers := range []int{1, 64} {
			b.Run(fmt.Sprintf("fsync=%s/workers=%d", fsync, workers), func(b *testing.B) {
				st := s.store(b, "")
				b.ReportAllocs()
				parallel(b, workers, func() error { return cycle(b, st, work("q", 1)) })
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "items/s")
			})
		}
	}
}

// cycle enqueues items, leases as many, and acknowledges those.
func cycle(b *testing.B, st *redis.Store, items []queue.Item) error {
	if _, err := st.Enqueue(b.Context(), items); err != nil {
		return err
	}
	for left := len(items); left > 0; {
		got, err := st.Lease(b.Context(), queue.LeaseRequest{Queues: []string{"q"}, Max: left, TTL: time.Minute})
		if err != nil {
			return err
		}
		left -= len(got)
		acks := make([]queue.Settlement, len(got))
		for i, l := range got {
			acks[i] = l.Ack()
		}
		if _, err := st.Settle(b.Context(), acks); err != nil {
			return err
		}
	}
	return nil
}

// A cycle of ten items with a thousand others that wait, and with EARSHOT_BENCH_ITEMS, 10,000 if it is not set: half
// are due, half later.
func BenchmarkStorePending(b *testing.B) {
	most := 10_000
	if n, err := strconv.Atoi(os.Getenv("EARSHOT_BENCH_ITEMS")); err == nil {
		most = n
	}
	s := shared(b, "--appendonly", "no")
	for _, n := range []int{1000, most} {
		b.Run(fmt.Sprintf("pending=%d", n), func(b *testing.B) {
			st := s.store(b, "")
			before := memory(b, s)
			for done := 0; done < n; done += 500 {
				items := work("q", 500)
				for i := range items {
					if items[i].TID = "user " + strconv.Itoa((done+i)/4); i%2 == 0 {
						items[i].Delay = time.Hour
					}
				}
				_, err := st.Enqueue(b.Context(), items)
				require.NoError(b, err)
			}
			size := float64(memory(b, s)-before) / float64(n)
			b.ResetTimer()
			for range b.N {
				if err := cycle(b, st, work("q", 10)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "µs/cycle")
			b.ReportMetric(size, "bytes/item")
		})
	}
}

// memory is what the server uses.
func memory(b *testing.B, s *server) int {
	n, err := strconv.Atoi(field(s.do(b, "INFO memory").(string), "used_memory"))
	require.NoError(b, err)
	return n
}

// field returns a value of INFO.
func field(info, name string) string {
	_, rest, _ := strings.Cut(info, "\n"+name+":")
	v, _, _ := strings.Cut(rest, "\r")
	return v
}
