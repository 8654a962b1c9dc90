package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/earshot-go/earshot/backend/postgres"
	"github.com/earshot-go/earshot/queue"
	"github.com/stretchr/testify/require"
)

// settled has a store listen, and waits until it knows that there is nothing.
func settled(t testing.TB, s *postgres.Store) {
	t.Helper()
	require.Eventually(t, func() bool {
		lease(t, s, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		return errors.Is(s.Wait(ctx, []string{"q"}), context.DeadlineExceeded)
	}, 20*time.Second, time.Millisecond)
}

// What one process enqueues, another one that waits has soon after: by notifications, and without within a second.
func TestLatencyAcross(t *testing.T) {
	for _, c := range []struct {
		query string
		n     int
		most  time.Duration // of most
	}{{"notify=on", 5, 100 * time.Millisecond}, {"notify=off", 1, 3 * time.Second}} {
		t.Run(c.query, func(t *testing.T) {
			h := newHome(t)
			from, to := h.open(t, c.query), h.open(t, c.query)
			settled(t, to)
			var took []time.Duration
			for i := range c.n {
				woken := make(chan error, 1)
				go func() { woken <- to.Wait(context.Background(), []string{"q"}) }()
				begin := time.Now()
				_, err := from.Enqueue(t.Context(), []queue.Item{item(string(rune('a' + i)))})
				require.NoError(t, err)
				require.NoError(t, <-woken)
				took = append(took, time.Since(begin))
				settled(t, to)
			}
			t.Logf("after %v", took)
			quick := 0
			for _, d := range took {
				if d < c.most {
					quick++
				}
			}
			require.Greater(t, quick, c.n/2)
		})
	}
}

// A process that enqueues and ends is heard.
func TestCloseTells(t *testing.T) {
	h := newHome(t)
	to := h.open(t)
	settled(t, to)
	quick := 0
	for i := range 4 {
		from := h.open(t)
		woken := make(chan error, 1)
		go func() { woken <- to.Wait(context.Background(), []string{"q"}) }()
		begin := time.Now()
		it := item(string(rune('a' + i)))
		it.Queue = "other" // its notification goes at once, that of the next one has to wait
		_, err := from.Enqueue(t.Context(), []queue.Item{it})
		require.NoError(t, err)
		_, err = from.Enqueue(t.Context(), []queue.Item{item(string(rune('A' + i)))})
		require.NoError(t, err)
		require.NoError(t, from.Close(t.Context()))
		require.NoError(t, <-woken)
		if time.Since(begin) < 150*time.Millisecond {
			quick++
		}
		settled(t, to)
	}
	require.GreaterOrEqual(t, quick, 3, "of 4 were told, and not found by the way")
}

// Times that are centuries away are as far as they are.
func TestFarTimes(t *testing.T) {
	h := newHome(t)
	s := h.open(t)
	settled(t, s)
	it := item("a")
	it.Due = time.Date(2400, 1, 1, 0, 0, 0, 0, time.UTC)
	_, err := s.Enqueue(t.Context(), []queue.Item{it})
	require.NoError(t, err)
	lease(t, s, 1)
	ls, err := s.Lease(t.Context(), queue.LeaseRequest{Queues: []string{"r"}, Max: 1, TTL: time.Minute})
	require.NoError(t, err)
	require.Empty(t, ls)
	h.exec(t, `SELECT pg_notify('earshot.{s}', '{"due":{"q":9223372036854775807}}'), pg_notify('earshot.{s}', '{"due":{"r":-9223372036854775807}}')`)
	require.NoError(t, s.Wait(t.Context(), []string{"r"}))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, s.Wait(ctx, []string{"q"}), context.DeadlineExceeded)
	it = item("b")
	it.Due = time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC)
	_, err = s.Enqueue(t.Context(), []queue.Item{it})
	require.NoError(t, err)
	require.NoError(t, s.Wait(t.Context(), []string{"q"}))
	require.Equal(t, "b", lease(t, s, 1)[0].ID)
}
