package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/stretchr/testify/require"
)

// An item of a serial that is taken away leaves its place to the next.
func TestSerialGoesOnWithoutRemoved(t *testing.T) {
	h := newHome(t)
	s := h.open(t)
	serial := func(it *queue.Item) { it.Serial = "s" }
	keyed := func(it *queue.Item) { it.Serial, it.Key, it.Replace = "s", "k", true }
	_, err := s.Enqueue(t.Context(), []queue.Item{item("a", serial), item("b", serial), item("c", keyed), item("d", serial)})
	require.NoError(t, err)
	first := lease(t, s, 1)
	require.Len(t, first, 1)
	require.Empty(t, lease(t, s, 10)) // b, c and d are parked
	_, err = s.Settle(t.Context(), []queue.Settlement{first[0].Ack()})
	require.NoError(t, err)
	n, err := s.Remove(t.Context(), queue.Query{ID: "b"})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	second := lease(t, s, 10)
	require.Len(t, second, 1)
	require.Equal(t, "c", second[0].ID)
	_, err = s.Settle(t.Context(), []queue.Settlement{second[0].Release(0)})
	require.NoError(t, err)
	later := item("e", keyed)
	later.Delay = time.Hour
	became, err := s.Enqueue(t.Context(), []queue.Item{later})
	require.NoError(t, err)
	require.Equal(t, []queue.Enqueued{{ID: "c", Status: queue.Replaced}}, became)
	ls := lease(t, s, 10)
	require.Len(t, ls, 1)
	require.Equal(t, "d", ls[0].ID)
}

// To look behind items whose serial is busy is not to lease more than was asked for.
func TestLeaseBehindSerial(t *testing.T) {
	h := newHome(t)
	s := h.open(t)
	var items []queue.Item
	for i := range 200 {
		items = append(items, item(fmt.Sprintf("%03d", i), func(it *queue.Item) {
			if i < 16 {
				it.Serial = "s"
			}
		}))
	}
	_, err := s.Enqueue(t.Context(), items)
	require.NoError(t, err)
	require.Len(t, lease(t, s, 1), 1)
	for i := range 20 {
		ls := lease(t, s, 3) // looks at 3 items, 12 and then 48
		require.Len(t, ls, 3)
		require.Equal(t, fmt.Sprintf("%03d", 16+3*i), ls[0].ID)
	}
}
