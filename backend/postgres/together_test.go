package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/stretchr/testify/require"
)

// Batches that have items, keys and serials in common, in any order, do not hold each other up.
func TestBatchesInAllOrders(t *testing.T) {
	h := newHome(t)
	s := h.open(t)
	const callers, items = 8, 40
	before := h.deadlocks(t)
	for round := range 4 {
		var jobs sync.WaitGroup
		errs := make([]error, callers)
		for i := range callers {
			jobs.Go(func() {
				var batch []queue.Item
				for k := range items {
					k = (k*7*(i%2*2-1) + i*5 + items*100) % items
					it := item(strings.Repeat("x", round) + string(rune('A'+k)))
					if k%2 == 0 && round > 1 {
						it.Key, it.Replace = it.ID, k%4 == 0
					}
					if round > 0 {
						it.Serial = string(rune('a' + k%5))
					}
					batch = append(batch, it)
				}
				_, errs[i] = s.Enqueue(context.Background(), batch)
			})
		}
		jobs.Wait()
		require.NoError(t, errors.Join(errs...))
		var mu sync.Mutex
		done := map[string]int{}
		for i := range callers {
			jobs.Go(func() {
				for range 500 {
					ls, err := s.Lease(context.Background(), queue.LeaseRequest{Queues: []string{"q"}, Max: 7, TTL: time.Minute})
					var settlements []queue.Settlement
					for _, l := range ls {
						settlements = append(settlements, l.Ack())
					}
					if err == nil {
						_, err = s.Settle(context.Background(), settlements)
					}
					mu.Lock()
					for _, l := range ls {
						done[l.ID]++
					}
					n := len(done)
					mu.Unlock()
					if err != nil {
						errs[i] = err
						return
					}
					if n == items {
						return
					}
				}
			})
		}
		jobs.Wait()
		require.NoError(t, errors.Join(errs...))
		require.Len(t, done, items)
	}
	// A store would try again what the server has ended; but it takes the server a second to find out.
	require.NoError(t, s.Close(t.Context())) // the end of a connection is when the server counts
	require.Equal(t, before, h.deadlocks(t))
}

func (h home) deadlocks(t *testing.T) (n int) {
	c := h.connect(t)
	defer c.Close(context.Background())
	require.NoError(t, c.QueryRow(t.Context(), "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").Scan(&n))
	return n
}

// A key that was held before, and is free since, has one winner as well.
func TestKeyAgainOneWinner(t *testing.T) {
	h := newHome(t)
	s := h.open(t)
	c := h.connect(t)
	defer c.Close(context.Background())
	for round := range 5 {
		first := item(fmt.Sprint("first", round), func(it *queue.Item) { it.Key, it.Hold = "k", 20*time.Millisecond })
		require.Eventually(t, func() bool {
			became, err := s.Enqueue(t.Context(), []queue.Item{first})
			return err == nil && became[0].Status == queue.Inserted
		}, 10*time.Second, 10*time.Millisecond)
		for _, l := range lease(t, s, 10) {
			_, err := s.Settle(t.Context(), []queue.Settlement{l.Ack()})
			require.NoError(t, err)
		}
		require.Eventually(t, func() bool {
			var held int
			return c.QueryRow(t.Context(), "SELECT count(*) FROM "+h.schema+".keys WHERE until > clock_timestamp()").Scan(&held) == nil && held == 0
		}, 10*time.Second, 5*time.Millisecond)
		const callers = 16
		var jobs sync.WaitGroup
		var inserted atomic.Int64
		errs := make([]error, callers)
		for i := range callers {
			jobs.Go(func() {
				it := item(fmt.Sprint(round, "-", i), func(it *queue.Item) { it.Key = "k" })
				became, err := s.Enqueue(context.Background(), []queue.Item{it})
				if errs[i] = err; err == nil && became[0].Status == queue.Inserted {
					inserted.Add(1)
				}
			})
		}
		jobs.Wait()
		require.NoError(t, errors.Join(errs...))
		require.EqualValues(t, 1, inserted.Load())
		for _, l := range lease(t, s, 10) {
			_, err := s.Settle(t.Context(), []queue.Settlement{l.Ack()})
			require.NoError(t, err)
		}
	}
}
