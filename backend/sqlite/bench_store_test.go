package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/queue"
)

// As with the bus, each prints how often in a second this disk can write 4 KiB and sync, and compares with what a
// single caller, who has a commit for himself each time, does on the same disk just before.

var benchPayload = []byte(`{"user":"ada","plan":"pro","amount":1234,"note":"012345678901234567890123456789012345678901234567890123456789"}`)

func benchItem() queue.Item {
	return queue.Item{ID: fmt.Sprintf("k3v9d0a1x7f2m5qz%010d", ids.Add(1)), Queue: "crm", Name: "user.added", TID: "user 17", Payload: benchPayload}
}

func benchItems(n int) []queue.Item {
	items := make([]queue.Item, n)
	for i := range items {
		items[i] = benchItem()
	}
	return items
}

// benchStore returns a store whose WAL has reached its size; see warm.
func benchStore(b *testing.B) *Store {
	s := openStore(b, filepath.Join(b.TempDir(), "jobs.db"), nil)
	for range warm {
		_, err := s.Enqueue(b.Context(), benchItems(1000))
		require.NoError(b, err)
	}
	n, err := s.Remove(b.Context(), queue.Query{Queue: "crm"})
	require.NoError(b, err)
	require.Equal(b, 1000*warm, n)
	return s
}

// together has n goroutines call f, times in all or until a time has passed, and returns calls in a second.
func together(b *testing.B, n, times int, d time.Duration, f func(ctx context.Context) error) float64 {
	var left, done atomic.Int64
	left.Store(int64(times))
	var wg sync.WaitGroup
	start := time.Now()
	for range n {
		wg.Go(func() {
			for (times == 0 || left.Add(-1) >= 0) && (d == 0 || time.Since(start) < d) {
				if err := f(context.Background()); err != nil {
					b.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(start).Seconds()
}

// processor reports what the calls since it was called first have taken of the processors. While others use the disk
// this is what can be compared.
func processor(b *testing.B) (report func(calls int)) {
	used := func() int64 {
		var r syscall.Rusage
		require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &r))
		return r.Utime.Nano() + r.Stime.Nano()
	}
	before := used()
	return func(calls int) { b.ReportMetric(float64(used()-before)/1000/float64(calls), "cpu-us/item") }
}

// commits is how many transactions of one small row a bare client of database/sql makes in a second.
func commits(b *testing.B) float64 { return bare(b, 1, 300*time.Millisecond) }

func BenchmarkStoreEnqueue(b *testing.B) {
	for _, c := range []struct{ producers, batch int }{{1, 1}, {8, 1}, {64, 1}, {256, 1}, {1, 100}, {1, 1000}} {
		b.Run(fmt.Sprintf("producers=%d/batch=%d", c.producers, c.batch), func(b *testing.B) {
			bareRate := commits(b)
			s := benchStore(b)
			enqueue := func(ctx context.Context) error {
				_, err := s.Enqueue(ctx, benchItems(c.batch))
				return err
			}
			one := func(ctx context.Context) error {
				_, err := s.Enqueue(ctx, []queue.Item{benchItem()})
				return err
			}
			single := together(b, 1, 0, 300*time.Millisecond, one)
			b.ReportAllocs()
			b.ResetTimer()
			report := processor(b)
			rate := together(b, c.producers, b.N, 0, enqueue) * float64(c.batch)
			b.StopTimer()
			report(b.N * c.batch)
			b.ReportMetric(rate, "items/s")
			b.ReportMetric(rate/single, "x-single")
			b.ReportMetric(rate/bareRate, "x-bare-1/tx")
			b.ReportMetric(disk(), "fsyncs/s")
		})
	}
}

// BenchmarkStoreCycle is enqueue, lease and ack of one item, each a call of its own.
func BenchmarkStoreCycle(b *testing.B) {
	for _, c := range []struct{ workers, batch int }{{1, 1}, {64, 1}, {256, 1}, {1, 100}, {4, 100}} {
		b.Run(fmt.Sprintf("workers=%d/batch=%d", c.workers, c.batch), func(b *testing.B) {
			bareRate := commits(b)
			s := benchStore(b)
			cycle := func(batch int) func(ctx context.Context) error {
				return func(ctx context.Context) error {
					if _, err := s.Enqueue(ctx, benchItems(batch)); err != nil {
						return err
					}
					l, err := s.Lease(ctx, queue.LeaseRequest{Queues: []string{"crm"}, Max: batch, TTL: time.Minute, Worker: "bench"})
					if err != nil || len(l) == 0 {
						return fmt.Errorf("%d leased: %w", len(l), err)
					}
					done := make([]queue.Settlement, len(l))
					for i := range l {
						done[i] = l[i].Ack()
					}
					_, err = s.Settle(ctx, done)
					return err
				}
			}
			single := together(b, 1, 0, 300*time.Millisecond, cycle(1))
			b.ReportAllocs()
			b.ResetTimer()
			report := processor(b)
			rate := together(b, c.workers, b.N, 0, cycle(c.batch)) * float64(c.batch)
			b.StopTimer()
			report(b.N * c.batch)
			b.ReportMetric(rate, "cycles/s")
			b.ReportMetric(rate/single, "x-single")
			b.ReportMetric(rate/bareRate, "x-bare-1/tx")
			b.ReportMetric(disk(), "fsyncs/s")
		})
	}
}

// BenchmarkStorePending is what calls cost while many items wait. EARSHOT_BENCH_ITEMS is how many in the second
// case, 10,000 if it is not set. Half of them are due.
func BenchmarkStorePending(b *testing.B) {
	many, err := strconv.Atoi(os.Getenv("EARSHOT_BENCH_ITEMS"))
	if err != nil {
		many = 10_000
	}
	for _, n := range []int{1000, many} {
		s := openStore(b, filepath.Join(b.TempDir(), "jobs.db"), nil)
		for i := 0; i < n; i += 1000 {
			items := benchItems(1000)
			for k := range items {
				if k%2 == 1 {
					items[k].Delay = time.Hour
				}
			}
			_, err := s.Enqueue(b.Context(), items)
			require.NoError(b, err)
		}
		for _, batch := range []int{1, 100} {
			b.Run(fmt.Sprintf("pending=%d/batch=%d", n, batch), func(b *testing.B) {
				var spent [3]time.Duration
				for b.Loop() {
					items := benchItems(batch)
					t := [4]time.Time{time.Now()}
					_, err := s.Enqueue(b.Context(), items)
					t[1] = time.Now()
					require.NoError(b, err)
					l, err := s.Lease(b.Context(), queue.LeaseRequest{Queues: []string{"crm"}, Max: batch, TTL: time.Minute})
					t[2] = time.Now()
					require.NoError(b, err)
					require.Len(b, l, batch)
					done := make([]queue.Settlement, batch)
					for i := range l {
						done[i] = l[i].Ack()
					}
					errs, err := s.Settle(b.Context(), done)
					t[3] = time.Now()
					require.NoError(b, err)
					require.NoError(b, errs[0])
					for i := range spent {
						spent[i] += t[i+1].Sub(t[i])
					}
				}
				for i, what := range []string{"us-enqueue", "us-lease", "us-settle"} {
					b.ReportMetric(float64(spent[i].Microseconds())/float64(b.N), what)
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(disk(), "fsyncs/s")
			})
		}
	}
}
