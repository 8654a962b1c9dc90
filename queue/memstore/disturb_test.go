package memstore_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/memstore"
	"github.com/stretchr/testify/require"
)

// stored returns a store with one item, that is due in the queue q, and all calls there are on it.
func stored(t *testing.T) (*memstore.Store, map[string]func(ctx context.Context) error) {
	s := memstore.New(nil)
	_, err := s.Enqueue(ctx, []queue.Item{{ID: "old", Queue: "q", Name: "n"}})
	require.NoError(t, err)
	_, rev, err := s.Bindings(ctx, 0)
	require.NoError(t, err)
	added := []queue.Item{{ID: "new", Queue: "other", Name: "n"}}
	return s, map[string]func(ctx context.Context) error{
		"Enqueue":   func(ctx context.Context) error { return second(s.Enqueue(ctx, added)) },
		"EnqueueAt": func(ctx context.Context) error { return second(s.EnqueueAt(ctx, rev, added)) },
		"Lease": func(ctx context.Context) error {
			return second(s.Lease(ctx, queue.LeaseRequest{Queues: []string{"q"}, Max: 1, TTL: time.Minute}))
		},
		"Settle": func(ctx context.Context) error { return second(s.Settle(ctx, nil)) },
		"Bind": func(ctx context.Context) error {
			return second(s.Bind(ctx, []queue.Binding{{Queue: "bound", Selector: queue.All()}}, nil))
		},
		"Bindings": func(ctx context.Context) error { _, _, err := s.Bindings(ctx, 0); return err },
		"Find":     func(ctx context.Context) error { return second(s.Find(ctx, queue.Query{})) },
		"Remove":   func(ctx context.Context) error { return second(s.Remove(ctx, queue.Query{Queue: "q"})) },
		"Redrive":  func(ctx context.Context) error { return second(s.Redrive(ctx, queue.Query{Queue: "q"})) },
		"Stats":    func(ctx context.Context) error { return second(s.Stats(ctx)) },
		"Now":      func(ctx context.Context) error { return second(s.Now(ctx)) },
		"Reap":     func(ctx context.Context) error { return second(s.Reap(ctx)) },
		"Wait":     func(ctx context.Context) error { return s.Wait(ctx, []string{"unheard of"}) },
	}
}

func second[T any](_ T, err error) error { return err }

// seen is what is in a store.
func seen(t *testing.T, s *memstore.Store) []string {
	found, err := s.Find(ctx, queue.Query{})
	require.NoError(t, err)
	bound, _, err := s.Bindings(ctx, 0)
	require.NoError(t, err)
	all := []string{}
	for _, r := range found {
		all = append(all, r.ID+" "+string(r.State))
	}
	for _, b := range bound {
		all = append(all, b.Queue+" "+b.Selector.String())
	}
	return all
}

func TestFail(t *testing.T) {
	s, calls := stored(t)
	s.Fail(queue.ErrDisconnected)
	for name, call := range calls {
		require.ErrorIs(t, call(ctx), queue.ErrDisconnected, name)
	}
	s.Fail(nil)
	require.Equal(t, []string{"old pending"}, seen(t, s), "no call has had an effect")
	require.NoError(t, calls["Enqueue"](ctx))
}

func TestFailAnswers(t *testing.T) {
	for name, want := range map[string][]string{
		"Enqueue":   {"old pending", "new pending"},
		"EnqueueAt": {"old pending", "new pending"},
		"Lease":     {"old leased"},
		"Bind":      {"old pending", "bound all"},
		"Remove":    {},
		"Bindings":  {"old pending"},
		"Find":      {"old pending"},
		"Now":       {"old pending"},
		"Reap":      {"old pending"},
		"Redrive":   {"old pending"},
		"Settle":    {"old pending"},
		"Stats":     {"old pending"},
	} {
		s, calls := stored(t)
		s.FailAnswers(queue.ErrDisconnected)
		require.ErrorIs(t, calls[name](ctx), queue.ErrDisconnected, name)
		s.FailAnswers(nil)
		require.Equal(t, want, seen(t, s), name)
	}
}

// Those who wait look when something is wrong, and find out.
func TestFailEndsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(nil)
		lease := queue.LeaseRequest{Queues: []string{"q"}, Max: 1, TTL: time.Minute}
		_, err := s.Lease(ctx, lease)
		require.NoError(t, err)
		ended := make(chan error, 1)
		go func() { ended <- s.Wait(ctx, lease.Queues) }()
		synctest.Wait()
		require.Empty(t, ended)
		s.Fail(queue.ErrDisconnected)
		require.NoError(t, <-ended)
		_, err = s.Lease(ctx, lease)
		require.ErrorIs(t, err, queue.ErrDisconnected)
	})
}

func TestFreeze(t *testing.T) {
	gone := errors.New("the caller has gone")
	for how, c := range map[string]struct {
		free func(s *memstore.Store)
		want error
	}{
		"Thaw":  {func(s *memstore.Store) { s.Thaw() }, nil},
		"Fail":  {func(s *memstore.Store) { s.Fail(queue.ErrDisconnected) }, queue.ErrDisconnected},
		"Close": {func(s *memstore.Store) { s.Close(ctx) }, queue.ErrClosed},
		"end":   {func(*memstore.Store) { time.Sleep(2 * time.Minute) }, gone},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, calls := stored(t)
			delete(calls, "Bind") // it would be in the way of EnqueueAt
			s.Freeze()
			s.Freeze()
			ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, gone)
			defer cancel()
			ended := make(chan error, len(calls))
			for _, call := range calls {
				go func() { ended <- call(ctx) }()
			}
			time.Sleep(time.Second)
			require.Empty(t, ended, how)
			c.free(s)
			freed := time.Now()
			for range calls {
				require.ErrorIs(t, <-ended, c.want, how)
			}
			require.Zero(t, time.Since(freed), how)
		})
	}
}
