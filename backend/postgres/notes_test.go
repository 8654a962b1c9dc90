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
