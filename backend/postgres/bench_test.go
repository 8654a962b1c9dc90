package postgres_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot-go/earshot/backend/postgres"
	"github.com/earshot-go/earshot/internal/pgserver"
	"github.com/earshot-go/earshot/queue"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// The benchmarks have a server which waits for the disk, unless EARSHOT_POSTGRES_URL names another one.
func benchStore(b *testing.B, more ...string) *postgres.Store {
	b.Helper()
	if shared.admin == "" && os.Getenv("EARSHOT_POSTGRES_URL") == "" {
		s := pgserver.ForTest(b, pgserver.Options{Fsync: true})
		store, err := postgres.OpenStore(s.URL()+"&"+strings.Join(more, "&"), nil)
		require.NoError(b, err)
		b.Cleanup(func() { store.Close(context.Background()) })
		return store
	}
	return newHome(b).open(b, more...)
}

var benchID atomic.Int64

func benchItems(n int) []queue.Item {
	items := make([]queue.Item, n)
	for i := range items {
		items[i] = queue.Item{ID: "bench-" + strconv.FormatInt(benchID.Add(1), 10), Queue: "q", Name: "user.added", Payload: []byte(strings.Repeat("x", 200))}
	}
	return items
}

// many runs f in n goroutines until it was done b.N times.
func many(b *testing.B, n int, f func() error) {
	var left atomic.Int64
	left.Store(int64(b.N))
	var jobs sync.WaitGroup
	b.ResetTimer()
	for range n {
		jobs.Go(func() {
			for left.Add(-1) >= 0 {
				if err := f(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	jobs.Wait()
}

func BenchmarkEnqueue(b *testing.B) {
	for _, c := range []struct{ producers, batch int }{{1, 1}, {64, 1}, {1, 100}, {64, 100}} {
		b.Run(fmt.Sprintf("producers=%d/batch=%d", c.producers, c.batch), func(b *testing.B) {
			s := benchStore(b)
			_, err := s.Enqueue(b.Context(), benchItems(1))
			require.NoError(b, err)
			b.ReportAllocs()
			many(b, c.producers, func() error {
				_, err := s.Enqueue(context.Background(), benchItems(c.batch))
				return err
			})
			b.ReportMetric(float64(b.N*c.batch)/b.Elapsed().Seconds(), "items/s")
		})
	}
}

// One goroutine per item: lease one and acknowledge it, of what is there.
func BenchmarkWork(b *testing.B) {
	for _, batch := range []int{1, 32} {
		b.Run(fmt.Sprintf("workers=64/batch=%d", batch), func(b *testing.B) {
			s := benchStore(b)
			for n := b.N * batch; n > 0; n -= 1000 {
				_, err := s.Enqueue(b.Context(), benchItems(min(n, 1000)))
				require.NoError(b, err)
			}
			many(b, 64, func() error {
				ls, err := s.Lease(context.Background(), queue.LeaseRequest{Queues: []string{"q"}, Max: batch, TTL: time.Minute})
				if err != nil || len(ls) == 0 {
					return err
				}
				done := make([]queue.Settlement, len(ls))
				for i, l := range ls {
					done[i] = l.Ack()
				}
				_, err = s.Settle(context.Background(), done)
				return err
			})
			b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "items/s")
		})
	}
}

// Enqueue, Lease and Settle of one item, while many others wait.
func BenchmarkPending(b *testing.B) {
	most := 10_000
	if n, err := strconv.Atoi(os.Getenv("EARSHOT_BENCH_ITEMS")); err == nil {
		most = n
	}
	for _, kind := range []string{"due", "delayed"} {
		for _, pending := range []int{1000, most} {
			b.Run(fmt.Sprintf("%s=%d", kind, pending), func(b *testing.B) {
				s := benchStore(b)
				for n := pending; n > 0; n -= 5000 {
					items := benchItems(min(n, 5000))
					for i := range items {
						if kind == "delayed" {
							items[i].Delay = time.Hour
						}
					}
					_, err := s.Enqueue(b.Context(), items)
					require.NoError(b, err)
				}
				b.ResetTimer()
				for range b.N {
					_, err := s.Enqueue(b.Context(), benchItems(1))
					require.NoError(b, err)
					ls, err := s.Lease(b.Context(), queue.LeaseRequest{Queues: []string{"q"}, Max: 1, TTL: time.Minute})
					require.NoError(b, err)
					require.Len(b, ls, 1)
					errs, err := s.Settle(b.Context(), []queue.Settlement{ls[0].Ack()})
					require.NoError(b, err)
					require.NoError(b, errs[0])
				}
			})
		}
	}
}

// What the server can do at most: a transaction that writes one row, from 64 connections.
func BenchmarkServer(b *testing.B) {
	start(b)
	h := newHome(b)
	h.exec(b, "CREATE SCHEMA {s}; CREATE TABLE {s}.t (id bigserial PRIMARY KEY, v text)")
	conns := make(chan *pgx.Conn, 64)
	for range 64 {
		c := h.connect(b)
		defer c.Close(context.Background())
		conns <- c
	}
	many(b, 64, func() error {
		c := <-conns
		defer func() { conns <- c }()
		_, err := c.Exec(context.Background(), "INSERT INTO "+h.schema+".t (v) VALUES ($1)", strings.Repeat("x", 200))
		return err
	})
}
