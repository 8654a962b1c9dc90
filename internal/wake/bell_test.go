package wake_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/internal/wake"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const never = -1

var ctx = context.Background()

// asleep returns a bell that knows nothing to become due in these queues.
func asleep(queues ...string) *wake.Bell {
	b := wake.New()
	b.Sleep(b.Mark(queues), never)
	return b
}

// waits returns how long Wait blocks, for at most an hour; or -1 if it fails.
func waits(b *wake.Bell, queues ...string) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	begun := time.Now()
	if err := b.Wait(ctx, queues); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return -1
	}
	return time.Since(begun)
}

func TestUnknownQueueIsWorthALook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := asleep("a")
		require.Equal(t, time.Hour, waits(b, "a"))
		require.Zero(t, waits(b, "b"))
		require.Zero(t, waits(b, "a", "b"))
		require.Zero(t, waits(b, "b"), "and stays so until somebody looks")
		require.Equal(t, time.Hour, waits(b), "no queue, no items")
	})
}

func TestRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			ring, want time.Duration
		}{
			"now":         {0, 0},
			"overdue":     {-time.Minute, 0},
			"long ago":    {math.MinInt64, 0},
			"in a second": {time.Second, time.Second},
			"in ages":     {math.MaxInt64, time.Hour},
		} {
			b := asleep("a", "b")
			b.Ring("b", c.ring)
			require.Equal(t, c.want, waits(b, "a", "b"), name)
			require.Equal(t, time.Hour, waits(b, "a"), name)
		}

		b := asleep("a")
		b.Ring("a", time.Minute)
		b.Ring("a", time.Second)
		b.Ring("a", time.Hour)
		require.Equal(t, time.Second, waits(b, "a"), "the earliest counts")
		require.Zero(t, waits(b, "a"), "until somebody has looked")
		b.Sleep(b.Mark([]string{"a"}), time.Minute)
		require.Equal(t, time.Minute, waits(b, "a"))

		b = asleep("a", "b", "c")
		b.Ring("a", time.Minute)
		b.Ring("b", time.Second)
		b.Ring("c", time.Hour)
		require.Equal(t, time.Second, waits(b, "a", "b", "c"), "the earliest of all queues")
	})
}

// Those who wait are told when what they wait for comes earlier.
func TestRingWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			tell func(b *wake.Bell)
			want time.Duration
		}{
			"now":     {func(b *wake.Bell) { b.Ring("a", 0) }, time.Second},
			"soon":    {func(b *wake.Bell) { b.Ring("a", time.Second) }, 2 * time.Second},
			"later":   {func(b *wake.Bell) { b.Ring("a", time.Hour) }, time.Minute},
			"another": {func(b *wake.Bell) { b.Ring("b", 0) }, time.Minute},
			"all":     {func(b *wake.Bell) { b.RingAll() }, time.Second},
			"a look":  {func(b *wake.Bell) { b.Sleep(b.Mark([]string{"a"}), time.Second) }, 2 * time.Second},
			"put off": {func(b *wake.Bell) { b.Sleep(b.Mark([]string{"a"}), 2*time.Minute) }, 2*time.Minute + time.Second},
		} {
			b := asleep("a", "b")
			b.Ring("a", time.Minute)
			took := make(chan time.Duration, 2)
			for range cap(took) {
				go func() { took <- waits(b, "a") }()
			}
			time.Sleep(time.Second)
			c.tell(b)
			require.Equal(t, []time.Duration{c.want, c.want}, []time.Duration{<-took, <-took}, name)
		}
	})
}

// What rings between Mark and Sleep counts, whatever the look has found.
func TestRingDuringLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			ring func(b *wake.Bell)
			in   time.Duration // what the look has found
			want time.Duration
		}{
			"nothing":          {func(*wake.Bell) {}, never, time.Hour},
			"nothing, earlier": {func(*wake.Bell) {}, time.Minute, time.Minute},
			"now":              {func(b *wake.Bell) { b.Ring("a", 0) }, never, 0},
			"all":              {func(b *wake.Bell) { b.RingAll() }, never, 0},
			"later":            {func(b *wake.Bell) { b.Ring("a", time.Minute) }, never, time.Minute},
			"twice": {func(b *wake.Bell) {
				b.Ring("a", time.Minute)
				b.Ring("a", 2*time.Minute)
			}, never, time.Minute},
			"after what was found":  {func(b *wake.Bell) { b.Ring("a", time.Minute) }, time.Second, time.Second},
			"before what was found": {func(b *wake.Bell) { b.Ring("a", time.Second) }, time.Minute, time.Second},
		} {
			for before, ring := range map[string]func(b *wake.Bell){
				"unknown": func(*wake.Bell) {},
				"rung":    func(b *wake.Bell) { b.Ring("a", 0) },
				"asleep":  func(b *wake.Bell) { b.Sleep(b.Mark([]string{"a"}), never) },
			} {
				b := wake.New()
				ring(b)
				m := b.Mark([]string{"a"})
				c.ring(b)
				b.Sleep(m, c.in)
				require.Equal(t, c.want, waits(b, "a"), "%s, %s before", name, before)
			}
		}
	})
}

// Of looks at the same time the one that began last decides, and each can make it sooner.
func TestLooksAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queues := []string{"a"}
		b := asleep("a")
		first := b.Mark(queues)
		b.Ring("a", 0)
		last := b.Mark(queues)
		b.Sleep(first, never)
		require.Zero(t, waits(b, "a"), "the first look may not have seen it")
		b.Sleep(last, never)
		require.Equal(t, time.Hour, waits(b, "a"))

		first, last = b.Mark(queues), b.Mark(queues)
		b.Sleep(last, never)
		b.Sleep(first, time.Second)
		require.Equal(t, time.Second, waits(b, "a"))

		first, last = b.Mark(queues), b.Mark(queues)
		b.Sleep(last, time.Second)
		b.Sleep(first, never)
		require.Equal(t, time.Second, waits(b, "a"))

		twice := b.Mark([]string{"a", "a"})
		b.Sleep(twice, never)
		require.Equal(t, time.Hour, waits(b, "a", "a"))
	})
}

func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := asleep("a", "b", "c")
		require.Empty(t, b.Waiting())
		go waits(b, "a", "b")
		go waits(b, "b")
		synctest.Wait()
		require.ElementsMatch(t, []string{"a", "b"}, b.Waiting())
		b.Ring("a", 0)
		synctest.Wait()
		require.Equal(t, []string{"b"}, b.Waiting())
		b.Ring("b", 0)
		synctest.Wait()
		require.Empty(t, b.Waiting())
	})
}

func TestContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := asleep("a")
		gone := errors.New("the caller has gone")
		ctx, cancel := context.WithCancelCause(ctx)
		ended := make(chan error, 1)
		go func() { ended <- b.Wait(ctx, []string{"a"}) }()
		synctest.Wait()
		cancel(gone)
		require.ErrorIs(t, <-ended, gone)
		require.ErrorIs(t, b.Wait(ctx, []string{"never heard of"}), gone, "though it is worth a look")
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mine := errors.New("the store is closed")
		for want, cause := range map[error]error{mine: mine, wake.ErrClosed: nil} {
			b := asleep("a")
			ended := make(chan error, 1)
			go func() { ended <- b.Wait(ctx, []string{"a"}) }()
			synctest.Wait()
			b.Close(cause)
			require.ErrorIs(t, <-ended, want)
			b.Close(errors.New("again"))
			b.Ring("a", 0)
			b.RingAll()
			b.Sleep(b.Mark([]string{"a"}), never)
			require.ErrorIs(t, b.Wait(ctx, []string{"a"}), want)
			require.ErrorIs(t, b.Wait(ctx, []string{"never heard of"}), want)
			require.Empty(t, b.Waiting())
		}
	})
}

func TestPatrol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := asleep("a", "b")
		ctx, cancel := context.WithCancel(ctx)
		var asked atomic.Int32
		answers := make(chan error, 1) // nil: the next item is due in the time of in
		answers <- nil
		var in atomic.Int64
		in.Store(never)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			b.Patrol(ctx, time.Second, func(context.Context, []string) (time.Duration, error) {
				asked.Add(1)
				err := <-answers
				answers <- err
				return time.Duration(in.Load()), err
			})
		}()
		time.Sleep(time.Minute)
		require.Zero(t, asked.Load(), "nobody waits")

		require.Equal(t, time.Hour, waits(b, "a"))
		require.InDelta(t, 3600, asked.Load(), 1, "one query a second, and nothing to tell")

		in.Store(int64(500 * time.Millisecond))
		require.Less(t, waits(b, "b"), 2*time.Second)
		b.Sleep(b.Mark([]string{"a", "b"}), never)
		in.Store(int64(time.Minute))
		require.Equal(t, time.Hour, waits(b, "b"), "there is time enough to tell it at another round")

		in.Store(never)
		<-answers
		answers <- errors.New("the engine has gone")
		require.LessOrEqual(t, waits(b, "b"), time.Second, "who looks finds out")
		cancel()
		<-ended
	})
}

// A store as the bell's users are: items come from everywhere, workers look, and wait when there are none. Nothing is
// left lying, and nobody looks without end. For the race detector too.
func TestNothingIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const producers, workers, each = 8, 8, 300
		b := wake.New()
		var items, looks atomic.Int64
		var done sync.WaitGroup
		ctx, cancel := context.WithCancel(ctx)
		got := make(chan struct{}, producers*each)
		for range workers {
			done.Go(func() {
				queues := []string{"a"}
				for {
					m := b.Mark(queues)
					looks.Add(1)
					if n := items.Load(); n > 0 {
						if items.CompareAndSwap(n, n-1) {
							got <- struct{}{}
						}
						continue // as many as were asked for: the bell is not told
					}
					b.Sleep(m, never)
					if b.Wait(ctx, queues) != nil {
						return
					}
				}
			})
		}
		for i := range producers {
			done.Go(func() {
				for j := range each {
					items.Add(1)
					b.Ring("a", 0)
					if j%10 == i {
						time.Sleep(time.Duration(i) * time.Millisecond)
					}
				}
			})
		}
		for range producers * each {
			<-got
		}
		synctest.Wait()
		before := looks.Load()
		time.Sleep(time.Hour)
		require.Equal(t, before, looks.Load(), "everybody rests")
		cancel()
		done.Wait()
	})
}

// A ring is heard whenever it comes: before Wait, while it begins, and after.
func TestRingWhileWaitBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := wake.New()
		for i := range 20_000 {
			b.Sleep(b.Mark([]string{"a"}), never)
			go func() {
				for range i % 100 {
					runtime.Gosched()
				}
				b.Ring("a", 0)
			}()
			require.Zero(t, waits(b, "a"))
		}
	})
}

// Items that are not due yet keep nobody busy, however many of them are enqueued.
func TestDelayedItemsWakeNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := wake.New()
		looks := 0
		for begun := time.Now(); time.Since(begun) < time.Hour; {
			m := b.Mark([]string{"a"})
			b.Ring("a", time.Minute) // enqueued during the look
			looks++
			b.Sleep(m, never)
			waits(b, "a")
		}
		require.Equal(t, 60, looks)
	})
}

func TestIn(t *testing.T) {
	for micros, want := range map[int64]time.Duration{
		math.MinInt64: 0, -1: 0, 0: 0, 1: time.Microsecond, 1e6: time.Second,
		math.MaxInt64: math.MaxInt64 / 1000 * 1000, 9e18: math.MaxInt64 / 1000 * 1000,
	} {
		require.Equal(t, want, wake.In(micros), "%d µs", micros)
	}
}
