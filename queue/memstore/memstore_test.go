package memstore_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/memstore"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background()

func TestOpen(t *testing.T) {
	a, err := queue.Open("mem:")
	require.NoError(t, err)
	b, err := queue.Open("mem:")
	require.NoError(t, err)
	_, err = a.Enqueue(ctx, []queue.Item{{ID: "1", Queue: "q", Name: "n"}})
	require.NoError(t, err)
	stats, err := b.(queue.Statter).Stats(ctx)
	require.NoError(t, err)
	require.Empty(t, stats.Queues, "each is a store of its own")

	s, err := queue.Open("mem:shop?password=secret")
	require.ErrorIs(t, err, queue.ErrInvalid)
	require.Nil(t, s)
	require.NotContains(t, err.Error(), "secret")
	require.Contains(t, err.Error(), "write mem:")
}

func TestMaxBytes(t *testing.T) {
	for _, c := range []struct{ option, limit int }{{0, 1 << 20}, {10, 10}, {-1, 0}} {
		s := memstore.New(&memstore.Options{MaxBytes: c.option})
		require.Equal(t, c.limit, s.Caps().MaxBytes)
		it := queue.Item{ID: "1", Queue: "q", Name: "n", Payload: []byte(strings.Repeat("x", c.limit+1))}
		_, err := s.Enqueue(ctx, []queue.Item{it})
		if c.limit == 0 {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, queue.ErrTooLarge)
		}
	}
}

// What callers do with their items afterwards is nothing to the store, and the other way round.
func TestCopies(t *testing.T) {
	s := memstore.New(nil)
	mine := queue.Item{ID: "1", Queue: "q", Name: "n", Payload: []byte("payload"), Headers: map[string]string{"k": "v"}}
	spoil := func(it queue.Item) {
		copy(it.Payload, "spoiled")
		it.Headers["k"] = "spoiled"
	}
	whole := func(it queue.Item) {
		t.Helper()
		require.Equal(t, "payload", string(it.Payload))
		require.Equal(t, map[string]string{"k": "v"}, it.Headers)
	}
	_, err := s.Enqueue(ctx, []queue.Item{mine})
	require.NoError(t, err)
	spoil(mine)
	for range 2 {
		found, err := s.Find(ctx, queue.Query{})
		require.NoError(t, err)
		whole(found[0].Item)
		spoil(found[0].Item)
		leased, err := s.Lease(ctx, queue.LeaseRequest{Queues: []string{"q"}, Max: 1, TTL: time.Minute})
		require.NoError(t, err)
		whole(leased[0].Item)
		spoil(leased[0].Item)
		_, err = s.Settle(ctx, []queue.Settlement{leased[0].Release(0)})
		require.NoError(t, err)
	}
}

func TestEnqueueAt(t *testing.T) {
	s := memstore.New(nil)
	items := []queue.Item{{ID: "1", Queue: "q", Name: "n"}}
	_, rev, err := s.Bindings(ctx, 0)
	require.NoError(t, err)
	_, err = s.EnqueueAt(ctx, rev, items)
	require.NoError(t, err)
	_, err = s.Bind(ctx, []queue.Binding{{Queue: "q", Selector: queue.All()}}, nil)
	require.NoError(t, err)
	for _, items := range [][]queue.Item{items, nil} {
		_, err = s.EnqueueAt(ctx, rev, items)
		require.ErrorIs(t, err, queue.ErrStaleBindings)
	}
}

// A lease takes back no more than a thousand leases, and Wait knows that there are others.
func TestManyExpiredLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(nil)
		request := queue.LeaseRequest{Queues: []string{"q"}, Max: 3000, TTL: time.Minute}
		for _, it := range numbered(2500) {
			_, err := s.Enqueue(ctx, []queue.Item{it})
			require.NoError(t, err)
		}
		lease := func(want int) {
			t.Helper()
			begun := time.Now()
			require.NoError(t, s.Wait(ctx, request.Queues))
			require.LessOrEqual(t, time.Since(begun), time.Minute)
			got, err := s.Lease(ctx, request)
			require.NoError(t, err)
			require.Len(t, got, want)
		}
		lease(2500)
		time.Sleep(30 * time.Second)
		lease(1000)
		lease(1000)
		lease(500)
		time.Sleep(2 * time.Minute)
		n, err := s.Reap(ctx)
		require.NoError(t, err)
		require.Equal(t, 2500, n)
	})
}

func numbered(n int) (items []queue.Item) {
	for i := range n {
		items = append(items, queue.Item{ID: fmt.Sprint(i), Queue: "q", Name: "n"})
	}
	return items
}
