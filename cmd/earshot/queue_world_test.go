package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/memstore"
	"github.com/stretchr/testify/require"
)

// testStores are the stores of the scheme "test", by what stands behind the colon.
var testStores sync.Map

func init() {
	queue.Register("test", func(address string) (queue.Store, error) {
		name := strings.TrimPrefix(address, "test:")
		if s, ok := testStores.Load(name); ok {
			return s.(queue.Store), nil
		}
		return nil, errors.New("test: there is no store in " + address)
	})
}

// A keptStore outlives the commands that close it.
type keptStore struct{ *memstore.Store }

func (keptStore) Close(context.Context) error { return nil }

// A plainStore can do nothing besides.
type plainStore struct{ queue.Store }

// A deafStore does not heed the end of a context.
type deafStore struct {
	keptStore
	free chan struct{}
}

func (s *deafStore) Stats(context.Context) (queue.Stats, error) {
	<-s.free
	return queue.Stats{}, nil
}

// testStore makes a store known to commands, and returns its URL.
func testStore(t testing.TB, s queue.Store) string {
	t.Helper()
	name := t.Name()
	testStores.Store(name, s)
	t.Cleanup(func() { testStores.Delete(name) })
	return "test:" + name
}

func memory(t testing.TB) (*memstore.Store, string) {
	t.Helper()
	s := memstore.New(nil)
	t.Cleanup(func() { s.Close(context.Background()) })
	return s, testStore(t, keptStore{s})
}

// onStores runs a test on a store in memory and on one in a file.
func onStores(t *testing.T, test func(t *testing.T, s queue.Store, w world)) {
	t.Run("mem", func(t *testing.T) {
		s, url := memory(t)
		test(t, s, queueWorld(url))
	})
	t.Run("sqlite", func(t *testing.T) {
		url := "sqlite:" + filepath.ToSlash(filepath.Join(t.TempDir(), "jobs.db"))
		s, err := queue.Open(url)
		require.NoError(t, err)
		t.Cleanup(func() { s.Close(context.Background()) })
		test(t, s, queueWorld(url))
	})
}

func queueWorld(url string) world { return world{env: map[string]string{"EARSHOT_STORE": url}} }

// enqueue stores items, and gives those an ID that have none.
func enqueue(t testing.TB, s queue.Store, items ...queue.Item) {
	t.Helper()
	for i := range items {
		if items[i].ID == "" {
			items[i].ID = queue.NewID()
		}
		if items[i].Name == "" {
			items[i].Name = "user.added"
		}
	}
	for len(items) > 0 {
		n := min(len(items), 1000)
		_, err := s.Enqueue(t.Context(), items[:n])
		require.NoError(t, err)
		items = items[n:]
	}
}

func lease(t testing.TB, s queue.Store, queueName string, n int, ttl time.Duration) []queue.Leased {
	t.Helper()
	items, err := s.Lease(t.Context(), queue.LeaseRequest{Queues: []string{queueName}, Max: n, TTL: ttl, Worker: "host-7/4711"})
	require.NoError(t, err)
	require.Len(t, items, n)
	return items
}

func settle(t testing.TB, s queue.Store, all ...queue.Settlement) {
	t.Helper()
	errs, err := s.Settle(t.Context(), all)
	require.NoError(t, err)
	for _, err := range errs {
		require.NoError(t, err)
	}
}

// kill has n ready items of a queue die.
func kill(t testing.TB, s queue.Store, queueName string, n int, reason string) {
	t.Helper()
	for n > 0 {
		var all []queue.Settlement
		for _, l := range lease(t, s, queueName, min(n, 500), time.Minute) {
			all = append(all, l.Bury(reason))
		}
		settle(t, s, all...)
		n -= len(all)
	}
}

// seed has in mail two ready items, one of which has failed, a delayed, a leased and a dead one; and news, which has
// none.
func seed(t testing.TB, s queue.Store) {
	t.Helper()
	enqueue(t, s, queue.Item{ID: "dead-1", Queue: "mail", Name: "user.gone", TID: "user 17", Priority: 1})
	kill(t, s, "mail", 1, "smtp: 550 no such user\nat mail.go:12\n")
	enqueue(t, s, queue.Item{ID: "leased-1", Queue: "mail", Priority: 1})
	lease(t, s, "mail", 1, time.Hour)
	enqueue(t, s,
		queue.Item{ID: "ready-1", Queue: "mail", TID: "user 17", Payload: []byte(`{"id":9007199254740993}`), Headers: map[string]string{"trace": "abc"}},
		queue.Item{ID: "-ready-22-characters-2", Queue: "mail", MaxFails: -1},
	)
	settle(t, s, lease(t, s, "mail", 1, time.Hour)[0].Fail(0, "not yet"))
	enqueue(t, s, queue.Item{ID: "delayed-1", Queue: "mail", Delay: 5*time.Minute + 500*time.Millisecond})
	_, err := s.Bind(t.Context(), []queue.Binding{{Queue: "news", Selector: queue.All()}}, nil)
	require.NoError(t, err)
}

func stateOf(t testing.TB, s queue.Store, id string) queue.State {
	t.Helper()
	found, err := s.(queue.Finder).Find(t.Context(), queue.Query{ID: id})
	require.NoError(t, err)
	if len(found) == 0 {
		return ""
	}
	return found[0].State
}

func manyItems(queueName string, n int) (items []queue.Item) {
	for i := range n {
		items = append(items, queue.Item{ID: fmt.Sprintf("item-%04d", i), Queue: queueName})
	}
	return items
}
