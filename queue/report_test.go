package queue_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/queue"
)

// listen returns a function that returns the reports that came since it was called last.
func listen(t *testing.T, srv *earshot.Server, name string) func() []queue.Report {
	t.Helper()
	var mu sync.Mutex
	var all []queue.Report
	_, err := earshot.NewChannel[queue.Report](srv, name, nil).Handle(t.Context(), func(_ context.Context, m earshot.Message[queue.Report]) error {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, m.Event)
		return nil
	}, nil)
	require.NoError(t, err)
	return func() []queue.Report {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		out := all
		all = nil
		return out
	}
}

func TestReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := earshot.NewServer(nil)
		defer srv.Close()
		q, store := open(t, &queue.Options{Server: srv, Name: "jobs", Work: queue.Work{TTL: 10 * time.Second}})
		reports := listen(t, srv, "jobs")
		ctx := t.Context()
		next := make(chan error)
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(ctx context.Context, l queue.Leased) error {
			time.Sleep(time.Second)
			if l.Name == "lost" {
				<-ctx.Done()
				return ctx.Err()
			}
			return <-next
		}, queue.Work{Backoff: func(int) time.Duration { return time.Hour }}))

		ev := queue.Event{ID: "e", Name: "x", TID: "17", MaxFails: 2, When: time.Minute}
		id := queue.ItemID("e", "q")
		of := func(what queue.What, deliveries, fails int, took time.Duration, err string) []queue.Report {
			return []queue.Report{{What: what, Queue: "q", ID: id, Name: "x", TID: "17", Deliveries: deliveries, Fails: fails, Took: took, Err: err}}
		}
		require.NoError(t, q.Publish(ctx, ev))
		require.Equal(t, of(queue.Published, 0, 0, 0, ""), reports())
		require.NoError(t, q.Publish(ctx, ev))
		require.Equal(t, of(queue.Repeated, 0, 0, 0, ""), reports())
		time.Sleep(time.Minute)
		require.Equal(t, of(queue.Begun, 1, 0, 0, ""), reports())
		next <- queue.Later(time.Minute)
		require.Equal(t, of(queue.Released, 1, 0, time.Second, ""), reports())
		time.Sleep(time.Minute)
		require.Equal(t, of(queue.Begun, 2, 0, 0, ""), reports())
		next <- errors.New("boom")
		require.Equal(t, of(queue.Failed, 2, 1, time.Second, "boom"), reports())
		time.Sleep(time.Hour)
		require.Equal(t, of(queue.Begun, 3, 1, 0, ""), reports())
		next <- errors.New("boom again")
		require.Equal(t, of(queue.Died, 3, 2, time.Second, "boom again"), reports())
		require.Equal(t, 2, only(t, q).Fails)
		_, err := q.Redrive(ctx, queue.Query{ID: id})
		require.NoError(t, err)
		require.Equal(t, of(queue.Begun, 4, 0, 0, ""), reports())
		next <- queue.Dead(errors.New("enough"))
		require.Equal(t, of(queue.Died, 4, 0, time.Second, "enough"), reports(), "to bury is no fail")
		require.Equal(t, 0, only(t, q).Fails)
		_, err = q.Redrive(ctx, queue.Query{ID: id})
		require.NoError(t, err)
		reports()
		next <- nil
		require.Equal(t, of(queue.Done, 5, 0, time.Second, ""), reports())

		require.NoError(t, q.Unbind(ctx, "q", queue.All()))
		require.NoError(t, q.Publish(ctx, queue.Event{ID: "nobody", Name: "y", TID: "z"}))
		require.Equal(t, []queue.Report{{What: queue.Unbound, ID: "nobody", Name: "y", TID: "z"}}, reports())

		require.NoError(t, q.Publish(ctx, queue.Event{Name: "lost", Queue: "q"}))
		reports()
		store.Fail(queue.ErrDisconnected)
		time.Sleep(30 * time.Second)
		lost, trouble := 0, 0
		for _, r := range reports() {
			switch r.What {
			case queue.Lost:
				lost++
				require.Contains(t, r.Err, queue.ErrLeaseLost.Error())
				require.Equal(t, "lost", r.Name)
			case queue.Trouble:
				trouble++
				require.Contains(t, r.Err, queue.ErrDisconnected.Error())
				require.NotEmpty(t, r.Name)
			default:
				require.Fail(t, "unexpected", "%+v", r)
			}
		}
		require.Equal(t, 1, lost)
		require.Greater(t, trouble, 3)
		require.EqualValues(t, trouble, q.Counts().Trouble)
		store.Fail(nil)

		c := q.Counts()
		c.Trouble, c.LastTrouble = 0, ""
		require.Equal(t, queue.Counts{
			Published: 2, Repeated: 1, Unbound: 1, Begun: 6, Done: 1, Failed: 1, Died: 2, Released: 1, Lost: 1, Running: map[string]int{"q": 0},
		}, c)
	})
}

// Published comes before Begun or after it, and each what comes once.
func TestReportsOfManyItems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := earshot.NewServer(nil)
		defer srv.Close()
		q, _ := open(t, &queue.Options{Server: srv})
		reports := listen(t, srv, "queue")
		var d diary
		require.NoError(t, q.Subscribe(t.Context(), "q", queue.All(), d.handle))
		for range 100 {
			require.NoError(t, q.Publish(t.Context(), queue.Event{Name: "x"}))
		}
		seen := map[queue.What]int{}
		last := map[string]queue.What{}
		for _, r := range reports() {
			seen[r.What]++
			if r.What == queue.Done {
				require.Equal(t, queue.Begun, last[r.ID])
			}
			if r.What != queue.Published {
				last[r.ID] = r.What
			}
		}
		require.Equal(t, map[queue.What]int{queue.Published: 100, queue.Begun: 100, queue.Done: 100}, seen)
	})
}

// lines is a writer for a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), text)
}

// The log has trouble once a minute, however often it comes, and that it is over.
func TestLogOfTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lines
		q, store := open(t, &queue.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		ctx := t.Context()
		for _, name := range []string{"a", "b", "c"} {
			require.NoError(t, q.Subscribe(ctx, name, queue.All(), new(diary).handle))
		}
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}))
		synctest.Wait()
		require.Zero(t, log.count("\n"))
		store.Fail(queue.ErrDisconnected)
		time.Sleep(10*time.Minute + 30*time.Second)
		require.InDelta(t, 11, log.count("has failed"), 1)
		require.Zero(t, log.count("answers again"))
		require.Contains(t, q.Counts().LastTrouble, queue.ErrDisconnected.Error())
		store.Fail(nil)
		time.Sleep(time.Minute)
		require.Equal(t, 1, log.count("answers again"), "also while there is nothing to do")
		require.Empty(t, q.Counts().LastTrouble)

		said := log.count("has failed")
		for range 300 { // in a second it comes and goes
			store.Fail(queue.ErrDisconnected)
			time.Sleep(500 * time.Millisecond)
			store.Fail(nil)
			time.Sleep(500 * time.Millisecond)
		}
		require.InDelta(t, 5, log.count("has failed")-said, 1)
		require.LessOrEqual(t, log.count("answers again"), 1+log.count("has failed")-said)
	})
}

func TestLogOfItems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lines
		q, store := open(t, &queue.Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), Work: queue.Work{TTL: 10 * time.Second}})
		ctx := t.Context()
		var ok atomic.Bool
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(ctx context.Context, l queue.Leased) error {
			switch {
			case ok.Load():
				return nil
			case l.Name == "panics":
				panic("oh")
			case l.Name == "lost":
				<-ctx.Done()
			}
			return errors.New("boom")
		}))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "dies", MaxFails: 1, TID: "17"}))
		synctest.Wait()
		require.Equal(t, 1, log.count("has died"))
		require.Equal(t, 1, log.count("tid=17"))
		require.Equal(t, 1, log.count("reason=boom"))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "panics"}))
		synctest.Wait()
		require.Equal(t, 1, log.count("a handler panicked"))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "lost"}))
		synctest.Wait()
		ok.Store(true)
		store.Fail(queue.ErrDisconnected)
		time.Sleep(11 * time.Second)
		require.Equal(t, 1, log.count("a lease was lost"))
		store.Fail(nil)
	})
}

func TestCountsRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, nil)
		release := make(chan struct{})
		require.NoError(t, q.Subscribe(t.Context(), "q", queue.All(), func(context.Context, queue.Leased) error {
			<-release
			return nil
		}, queue.Work{Concurrency: 2}))
		for range 3 {
			require.NoError(t, q.Publish(t.Context(), queue.Event{Name: "x"}))
		}
		synctest.Wait()
		require.Equal(t, map[string]int{"q": 2}, q.Counts().Running)
		require.EqualValues(t, 2, q.Counts().Begun)
		close(release)
		synctest.Wait()
		require.Equal(t, map[string]int{"q": 0}, q.Counts().Running)
	})
}

func TestNobodyListens(t *testing.T) {
	srv := earshot.NewServer(nil)
	defer srv.Close()
	q, _ := open(t, &queue.Options{Server: srv})
	require.NoError(t, q.Subscribe(t.Context(), "q", queue.All(), new(diary).handle))
	require.NoError(t, q.Publish(t.Context(), queue.Event{Name: "x"}))
	for s := range srv.Channels() {
		require.Zero(t, s.Sent, "%v", s.Name)
		require.False(t, s.Live)
	}
}
