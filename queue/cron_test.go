package queue_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/memstore"
)

// tickEvent is what the schedules of these tests publish: into one queue.
var tickEvent = queue.Event{Name: "tick", Queue: "q"}

// ticks returns the ticks of all items, and when each was enqueued.
func ticks(t *testing.T, store queue.Finder) (at []string, late []time.Duration) {
	t.Helper()
	all, err := store.Find(context.Background(), queue.Query{Limit: 10000})
	require.NoError(t, err)
	for _, r := range all {
		tick, err := time.Parse(time.RFC3339, r.Headers[queue.HeaderTick])
		require.NoError(t, err)
		at = append(at, tick.Format("02 15:04:05"))
		late = append(late, r.Created.Sub(tick))
	}
	return at, late
}

// An instance is a process that ends and comes again.
func instance(t *testing.T, store queue.Store, s queue.Schedule) (stop func()) {
	t.Helper()
	q := over(t, store, nil)
	require.NoError(t, q.Cron(s))
	return func() { require.NoError(t, q.Close(context.Background())) }
}

func TestCronEachTickOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New(nil)
		s := queue.Schedule{Name: "c", Spec: "0 * * * *", Event: tickEvent}
		s.Event.Headers = map[string]string{"mine": "yes"}
		one, two := over(t, store, nil), over(t, store, nil)
		ctx := t.Context()
		var d diary
		require.NoError(t, one.Cron(s))
		time.Sleep(59 * time.Minute)
		require.NoError(t, two.Cron(s))
		require.NoError(t, two.Subscribe(ctx, "q", queue.Name("tick"), d.handle)) // acknowledged between the two
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		require.Equal(t, 24, d.count())
		for i, l := range d.all {
			require.Equal(t, time.Date(2000, 1, 1, 1+i, 0, 0, 0, time.UTC).Format(time.RFC3339), l.Headers[queue.HeaderTick])
			require.Equal(t, "yes", l.Headers["mine"])
		}
		require.EqualValues(t, 24, one.Counts().Repeated+two.Counts().Repeated)
		require.Equal(t, map[string]string{"mine": "yes"}, s.Event.Headers)
		require.NoError(t, one.Close(ctx))
		time.Sleep(24 * time.Hour)
		require.Equal(t, 48, d.count(), "the other goes on")
	})
}

func TestCronGoesToBoundQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, nil)
		ctx := t.Context()
		var a, b diary
		require.NoError(t, q.Subscribe(ctx, "a", queue.All(), a.handle))
		require.NoError(t, q.Subscribe(ctx, "b", queue.All(), b.handle))
		require.NoError(t, q.Cron(queue.Schedule{Name: "c", Spec: "@every 90s", Event: queue.Event{Name: "tick"}}))
		require.NoError(t, q.Cron(queue.Schedule{Name: "d", Spec: "@every 90s", Event: queue.Event{Name: "tock"}}))
		time.Sleep(15*time.Minute + time.Second)
		require.Equal(t, 20, a.count())
		require.Equal(t, 20, b.count())
	})
}

func TestCronRefuses(t *testing.T) {
	q, _ := open(t, nil)
	good := queue.Schedule{Name: "c", Spec: "@daily", Event: tickEvent}
	for name, change := range map[string]func(*queue.Schedule){
		"no spec":      func(s *queue.Schedule) { s.Spec = "" },
		"unreadable":   func(s *queue.Schedule) { s.Spec = "61 * * * *" },
		"unknown zone": func(s *queue.Schedule) { s.Spec = "TZ=Nowhere/Town 0 * * * *" },
		"never":        func(s *queue.Schedule) { s.Spec = "0 0 31 2 *" },
		"no name":      func(s *queue.Schedule) { s.Name = "" },
		"no event":     func(s *queue.Schedule) { s.Event = queue.Event{} },
		"ID":           func(s *queue.Schedule) { s.Event.ID = "x" },
		"key":          func(s *queue.Schedule) { s.Event.Key = "x" },
		"hold":         func(s *queue.Schedule) { s.Event.Hold = time.Hour },
		"replace":      func(s *queue.Schedule) { s.Event.Replace = true },
		"once":         func(s *queue.Schedule) { s.Event.Once = queue.OnceEvery(time.Hour) },
		"when":         func(s *queue.Schedule) { s.Event.When = time.Hour },
		"missed":       func(s *queue.Schedule) { s.Missed = 7 },
	} {
		s := good
		change(&s)
		require.ErrorIs(t, q.Cron(s), queue.ErrInvalid, name)
	}
	s := good
	s.Event.Payload = make([]byte, 2<<20)
	require.ErrorIs(t, q.Cron(s), queue.ErrTooLarge)
	require.NoError(t, q.Cron(good))
	require.ErrorIs(t, q.Cron(good), queue.ErrInvalid, "it is there")
}

func TestCronZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, store := open(t, nil)
		require.NoError(t, q.Cron(queue.Schedule{Name: "c", Spec: "TZ=Asia/Tokyo 30 8 * * *", Event: tickEvent}))
		time.Sleep(48 * time.Hour)
		at, late := ticks(t, store)
		require.Equal(t, []string{"01 23:30:00", "02 23:30:00"}, at)
		require.Equal(t, []time.Duration{0, 0}, late)
	})
}

func TestCronMissed(t *testing.T) {
	for name, c := range map[string]struct {
		missed queue.Missed
		want   []string
	}{
		"skip": {queue.SkipMissed, []string{"01 01:00:00", "01 05:00:00"}},
		"run":  {queue.RunMissed, []string{"01 00:00:00", "01 01:00:00", "01 04:00:00", "01 05:00:00"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memstore.New(nil)
				s := queue.Schedule{Name: "c", Spec: "@hourly", Event: tickEvent, Missed: c.missed}
				time.Sleep(30 * time.Minute)
				stop := instance(t, store, s)
				time.Sleep(time.Hour)
				stop() // at 1:30
				time.Sleep(3 * time.Hour)
				stop = instance(t, store, s) // at 4:30
				time.Sleep(20 * time.Minute)
				stop()
				stop = instance(t, store, s) // 4:50: what was made up for is not again
				time.Sleep(20 * time.Minute)
				stop()
				at, _ := ticks(t, store)
				require.Equal(t, c.want, at)
			})
		})
	}
}

// What was made up for, and done, is not made up for again by those who come later.
func TestCronMissedIsRunOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, store := open(t, nil)
		var d diary
		require.NoError(t, q.Subscribe(t.Context(), "q", queue.All(), d.handle))
		for range 47 {
			stop := instance(t, store, queue.Schedule{Name: "c", Spec: "0 0 * * *", Event: tickEvent, Missed: queue.RunMissed})
			time.Sleep(time.Minute)
			stop()
			time.Sleep(time.Hour)
		}
		synctest.Wait()
		require.Equal(t, 2, d.count(), "that of today, and that of tomorrow")
	})
}

// Drain waits for a schedule that is asking the store.
func TestDrainWaitsForCron(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spy := newSpy(memstore.New(nil))
		q := over(t, spy, nil)
		spy.when(onlyOn("now", func(_ context.Context, do func() error) error {
			time.Sleep(3 * time.Second)
			return do()
		}))
		require.NoError(t, q.Cron(queue.Schedule{Name: "c", Spec: "@hourly", Event: tickEvent}))
		synctest.Wait()
		begin := time.Now()
		require.NoError(t, q.Drain(t.Context()))
		require.Equal(t, 3*time.Second, time.Since(begin))
	})
}

// A store that is away or silent at a tick gets it when it is back, whatever Missed says, until the next one is due.
func TestCronStoreIsAway(t *testing.T) {
	for name, disturb := range map[string]func(*memstore.Store){
		"disconnected":  func(s *memstore.Store) { s.Fail(queue.ErrDisconnected) },
		"full":          func(s *memstore.Store) { s.Fail(queue.ErrFull) },
		"silent":        func(s *memstore.Store) { s.Freeze() },
		"answers lost":  func(s *memstore.Store) { s.FailAnswers(queue.ErrDisconnected) },
		"away at begin": func(s *memstore.Store) { s.Fail(queue.ErrDisconnected) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, store := open(t, nil)
				begin := time.Now()
				until := func(d time.Duration) { time.Sleep(time.Until(begin.Add(d))) }
				mend := func() {
					store.Fail(nil)
					store.FailAnswers(nil)
					store.Thaw()
				}
				until(30 * time.Minute)
				if name == "away at begin" {
					disturb(store)
				}
				require.NoError(t, q.Cron(queue.Schedule{Name: "c", Spec: "@hourly", Event: tickEvent}))
				until(50 * time.Minute)
				disturb(store)
				until(80 * time.Minute)
				mend()
				until(110 * time.Minute)
				at, late := ticks(t, store)
				require.Equal(t, []string{"01 01:00:00"}, at)
				if name != "answers lost" {
					require.InDelta(t, 20*time.Minute, late[0], float64(6*time.Second))
				}
				until(170 * time.Minute) // over the tick of 2:00
				disturb(store)
				until(310 * time.Minute) // over those of 3:00, 4:00 and 5:00
				mend()
				until(350 * time.Minute)
				at, _ = ticks(t, store)
				want := []string{"01 01:00:00", "01 02:00:00", "01 05:00:00"}
				switch name {
				case "answers lost":
					want = []string{"01 01:00:00", "01 02:00:00", "01 03:00:00", "01 04:00:00", "01 05:00:00"}
				case "silent": // the call that was under way has its effect when the store goes on
					want = []string{"01 01:00:00", "01 02:00:00", "01 03:00:00", "01 05:00:00"}
				}
				require.Equal(t, want, at)
			})
		})
	}
}

// skewed is a store with a clock of its own.
type skewed struct {
	*memstore.Store
	ahead atomic.Int64
	asked atomic.Int64
}

func (s *skewed) Now(ctx context.Context) (time.Time, error) {
	s.asked.Add(1)
	now, err := s.Store.Now(ctx)
	return now.Add(time.Duration(s.ahead.Load())), err
}

// Ticks go by the clock of the store.
func TestCronStoreClock(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"a day ahead": 25 * time.Hour, "a day behind": -25 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &skewed{Store: memstore.New(nil)}
				store.ahead.Store(int64(ahead))
				q := over(t, store, nil)
				require.NoError(t, q.Cron(queue.Schedule{Name: "c", Spec: "30 12 * * *", Event: tickEvent}))
				time.Sleep(72 * time.Hour)
				at, late := ticks(t, store)
				want := []string{"02 12:30:00", "03 12:30:00", "04 12:30:00"}
				if ahead < 0 {
					want = []string{"31 12:30:00", "01 12:30:00", "02 12:30:00"}
				}
				require.Equal(t, want, at)
				for _, d := range late {
					require.Equal(t, -ahead, d)
				}
				require.Less(t, store.asked.Load(), int64(72*2))
			})
		})
	}
}

// The clock is set while the next tick is far: by some hours, as by an administrator; or the process was suspended, which
// looks the same.
func TestCronClockIsSet(t *testing.T) {
	for name, c := range map[string]struct {
		missed queue.Missed
		set    time.Duration
		want   []string
	}{
		"ahead, skip": {queue.SkipMissed, 54 * time.Hour, []string{"01 12:00:00", "04 12:00:00"}},
		"ahead, run":  {queue.RunMissed, 54 * time.Hour, []string{"31 12:00:00", "01 12:00:00", "03 12:00:00", "04 12:00:00"}},
		"back":        {queue.SkipMissed, -6 * time.Hour, []string{"01 12:00:00"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &skewed{Store: memstore.New(nil)}
				q := over(t, store, nil)
				require.NoError(t, q.Cron(queue.Schedule{Name: "c", Spec: "0 12 * * *", Event: tickEvent, Missed: c.missed}))
				time.Sleep(13 * time.Hour) // it is 13:00
				store.ahead.Store(int64(c.set))
				time.Sleep(18 * time.Hour)
				at, _ := ticks(t, store)
				require.Equal(t, c.want, at)
			})
		})
	}
}

// A store without a clock goes by that of the process; without RevEnqueuer and Waker it works as well.
func TestCronOnBareStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := memstore.New(nil)
		one, two := over(t, bare{engine}, nil), over(t, bare{engine}, nil)
		s := queue.Schedule{Name: "c", Spec: "*/20 * * * *", Event: queue.Event{Name: "tick"}}
		require.NoError(t, one.Bind(t.Context(), "q", queue.All()))
		require.NoError(t, one.Cron(s))
		require.NoError(t, two.Cron(s))
		time.Sleep(61 * time.Minute)
		at, _ := ticks(t, engine)
		require.Equal(t, []string{"01 00:20:00", "01 00:40:00", "01 01:00:00"}, at)
	})
}

// What the store will never take is said once for each tick, and not tried without end.
func TestCronRefusedByStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spy := newSpy(memstore.New(nil))
		q := over(t, spy, nil)
		spy.when(onlyOn("enqueue", func(context.Context, func() error) error { return queue.ErrTooLarge }))
		require.NoError(t, q.Cron(queue.Schedule{Name: "c", Spec: "@hourly", Event: tickEvent}))
		time.Sleep(150 * time.Minute)
		require.Equal(t, 2, spy.count("enqueue"))
		require.EqualValues(t, 2, q.Counts().Trouble)
	})
}

// Every second, with a store that is away half of the time: each tick once at most, and the order is theirs.
func TestCronManyTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, store := open(t, nil)
		another := over(t, store, nil)
		s := queue.Schedule{Name: "c", Spec: "* * * * * *", Event: tickEvent}
		require.NoError(t, q.Cron(s))
		require.NoError(t, another.Cron(s))
		time.Sleep(500 * time.Millisecond)
		for range 20 {
			time.Sleep(30 * time.Second)
			store.Fail(queue.ErrDisconnected)
			time.Sleep(30 * time.Second)
			store.Fail(nil)
		}
		at, _ := ticks(t, store)
		require.True(t, slices.IsSorted(at))
		require.Len(t, slices.Compact(slices.Clone(at)), len(at))
		require.InDelta(t, 20*30, len(at), 45)
	})
}
