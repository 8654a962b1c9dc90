package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/storetest"
	"github.com/stretchr/testify/require"
)

func TestStore(t *testing.T) { storetest.Run(t, engine) }

func TestStoreFaults(t *testing.T) { storetest.Faults(t, engine) }

func item(id string, with ...func(*queue.Item)) queue.Item {
	it := queue.Item{ID: id, Queue: "q", Name: "test.tick"}
	for _, f := range with {
		f(&it)
	}
	return it
}

func lease(t testing.TB, s queue.Store, n int) []queue.Leased {
	t.Helper()
	ls, err := s.Lease(context.Background(), queue.LeaseRequest{Queues: []string{"q"}, Max: n, TTL: time.Minute})
	require.NoError(t, err)
	return ls
}
