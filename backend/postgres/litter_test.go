package postgres_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/stretchr/testify/require"
)

// Keys do not stay behind.
func TestKeysAreForgotten(t *testing.T) {
	h := newHome(t)
	s := h.open(t)
	const n = 30
	for i := range n {
		it := item("a"+string(rune('a'+i)), func(it *queue.Item) { it.Key = it.ID })
		it.Hold = time.Duration(i%2) * time.Millisecond
		_, err := s.Enqueue(t.Context(), []queue.Item{it})
		require.NoError(t, err)
		errs, err := s.Settle(t.Context(), []queue.Settlement{lease(t, s, 1)[0].Ack()})
		require.NoError(t, err)
		require.NoError(t, errs[0])
	}
	count := func() (n int) {
		c := h.connect(t)
		defer c.Close(context.Background())
		require.NoError(t, c.QueryRow(t.Context(), "SELECT count(*) FROM "+h.schema+".keys").Scan(&n))
		return n
	}
	require.Less(t, count(), 4)
	require.Eventually(t, func() bool {
		_, err := s.Reap(t.Context())
		return err == nil && count() == 0
	}, 10*time.Second, 5*time.Millisecond)
}

// The store cleans up behind itself, so that Lease does not become slower and slower.
func TestVacuum(t *testing.T) {
	h := newHome(t)
	s := h.open(t)
	var ran int
	c := h.connect(t)
	defer c.Close(context.Background())
	for i := 0; ran == 0; i++ {
		require.Less(t, i, 60, "VACUUM did not run")
		var items []queue.Item
		for k := range 1000 {
			items = append(items, item(strings.Repeat("i", i)+string(rune('一'+k))))
		}
		_, err := s.Enqueue(t.Context(), items)
		require.NoError(t, err)
		var done []queue.Settlement
		for _, l := range lease(t, s, 1000) {
			done = append(done, l.Ack())
		}
		_, err = s.Settle(t.Context(), done)
		require.NoError(t, err)
		require.NoError(t, c.QueryRow(t.Context(), "SELECT vacuum_count FROM pg_stat_all_tables WHERE schemaname = $1 AND relname = 'items'", h.schema).Scan(&ran))
	}
}
