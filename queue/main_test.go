package queue_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open returns a queue over a store in memory, which ends with the test, within its bubble.
func open(t *testing.T, opts *queue.Options) (*queue.Queue, *memstore.Store) {
	t.Helper()
	store := memstore.New(nil)
	return over(t, store, opts), store
}

// over returns a queue over a store.
func over(t *testing.T, store queue.Store, opts *queue.Options) *queue.Queue {
	t.Helper()
	var o queue.Options
	if opts != nil {
		o = *opts
	}
	if o.Server == nil {
		o.Server = earshot.NewServer(nil)
		t.Cleanup(func() { o.Server.Close() })
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Worker == "" {
		o.Worker = "w1"
	}
	q := queue.New(store, &o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		q.Close(ctx)
		store.Close(ctx)
	})
	return q
}

// A diary has what handlers were called with.
type diary struct {
	mu  sync.Mutex
	all []queue.Leased
}

func (d *diary) handle(_ context.Context, l queue.Leased) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, l)
	return nil
}

func (d *diary) names() (names []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.all {
		names = append(names, l.Name)
	}
	return names
}

func (d *diary) count() int { return len(d.names()) }

func TestOneItemForEachQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, nil)
		var crm, metrics, other diary
		ctx := t.Context()
		require.NoError(t, q.Subscribe(ctx, "crm", queue.Name("user.added"), crm.handle))
		require.NoError(t, q.Subscribe(ctx, "metrics", queue.Regexp("^user"), metrics.handle))
		require.NoError(t, q.Subscribe(ctx, "other", queue.Pattern("order.*"), other.handle))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "user.added", TID: "17"}, queue.Event{Name: "user.gone"}))
		synctest.Wait()
		require.Equal(t, []string{"user.added"}, crm.names())
		require.ElementsMatch(t, []string{"user.added", "user.gone"}, metrics.names())
		require.Empty(t, other.names())
		require.Equal(t, "17", crm.all[0].TID)
		stats, err := q.Stats(ctx)
		require.NoError(t, err)
		for _, s := range stats.Queues {
			require.Zero(t, s.Ready+s.Delayed+s.Leased+s.Dead, "%+v", s)
		}
	})
}

func TestWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, nil)
		var d diary
		ctx := t.Context()
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), d.handle))
		begin := time.Now()
		require.NoError(t, q.Publish(ctx,
			queue.Event{Name: "text", When: "7 days"},
			queue.Event{Name: "duration", When: time.Hour},
			queue.Event{Name: "time", When: begin.Add(2 * time.Hour)},
			queue.Event{Name: "past", When: begin.Add(-time.Hour)},
		))
		for _, step := range []struct {
			at   time.Duration
			want []string
		}{
			{0, []string{"past"}},
			{time.Hour - time.Millisecond, []string{"past"}},
			{time.Hour, []string{"past", "duration"}},
			{2 * time.Hour, []string{"past", "duration", "time"}},
			{7*24*time.Hour - time.Millisecond, []string{"past", "duration", "time"}},
			{7 * 24 * time.Hour, []string{"past", "duration", "time", "text"}},
		} {
			time.Sleep(time.Until(begin.Add(step.at)))
			synctest.Wait()
			require.Equal(t, step.want, d.names(), "after %v", step.at)
		}
	})
}
