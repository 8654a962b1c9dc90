package queue_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/memstore"
)

func TestExponential(t *testing.T) {
	b := queue.Exponential(time.Second, time.Hour)
	for fails, whole := range map[int]time.Duration{
		-1: time.Second, 0: time.Second, 1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 12: 2048 * time.Second,
		13: time.Hour, 62: time.Hour, 63: time.Hour, 64: time.Hour, 1000: time.Hour, math.MaxInt: time.Hour,
	} {
		least, most, sum := time.Duration(math.MaxInt64), time.Duration(0), time.Duration(0)
		for range 1000 {
			d := b(fails)
			least, most, sum = min(least, d), max(most, d), sum+d
		}
		require.GreaterOrEqual(t, least, whole/2, "fails %d", fails)
		require.LessOrEqual(t, most, whole, "fails %d", fails)
		require.Less(t, least, whole*53/100, "all of the half is used")
		require.Greater(t, most, whole*97/100, "all of the half is used")
		require.InEpsilon(t, whole*3/4, sum/1000, 0.05)
	}
	require.Zero(t, queue.Exponential(0, 0)(3))
	require.LessOrEqual(t, queue.Exponential(time.Hour, time.Second)(1), time.Second)
	for fails, most := range map[int]time.Duration{1: time.Second, 17: 65536 * time.Second, 18: 24 * time.Hour, 100: 24 * time.Hour} {
		require.InDelta(t, most*3/4, queue.DefaultBackoff(fails), float64(most/4))
	}
}

// Fails of the same time do not come again at the same time; and the backoff is told how often an item has failed.
func TestBackoffIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, nil)
		ctx := t.Context()
		begin := time.Now()
		again := make(chan time.Duration, 1000)
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(_ context.Context, l queue.Leased) error {
			if l.Fails == 0 {
				return errors.New("together")
			}
			again <- time.Since(begin)
			return nil
		}, queue.Work{Concurrency: 1000, Backoff: queue.Exponential(time.Hour, time.Hour)}))
		events := make([]queue.Event, cap(again))
		for i := range events {
			events[i].Name = "x"
		}
		require.NoError(t, q.Publish(ctx, events...))
		time.Sleep(2 * time.Hour)
		tenths := map[int]int{}
		for range cap(again) {
			tenths[int((<-again-30*time.Minute)/(3*time.Minute))]++
		}
		for i := range 10 {
			require.InDelta(t, 100, tenths[i], 60, "of the %dth part of the half hour: %v", i, tenths)
		}
	})
}

func TestMaxFails(t *testing.T) {
	for maxFails, want := range map[int]int{0: queue.DefaultMaxFails, 1: 1, 3: 3, -1: 100} {
		synctest.Test(t, func(t *testing.T) {
			q, _ := open(t, nil)
			calls := 0
			require.NoError(t, q.Subscribe(t.Context(), "q", queue.All(), func(_ context.Context, l queue.Leased) error {
				calls++
				if calls == 100 {
					return nil
				}
				return errors.New("boom")
			}, queue.Work{Backoff: func(int) time.Duration { return time.Second }}))
			require.NoError(t, q.Publish(t.Context(), queue.Event{Name: "x", MaxFails: maxFails}))
			time.Sleep(time.Hour)
			synctest.Wait()
			require.Equal(t, want, calls)
			if maxFails >= 0 {
				require.Equal(t, queue.StateDead, only(t, q).State)
				require.EqualValues(t, 1, q.Counts().Died)
				require.EqualValues(t, want-1, q.Counts().Failed)
			}
		})
	}
}

type broken struct{}

func (b *broken) Error() string { return fmt.Sprint(*b) }

// Whatever a handler returns or throws, the process lives and the item is settled.
func TestOddResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, nil)
		ctx := t.Context()
		var none *broken
		results := map[string]func() error{
			"nil pointer":      func() error { return none },
			"panic with Dead":  func() error { panic(queue.Dead(errors.New("thrown"))) },
			"panic with nil":   func() error { panic(nil) },
			"long":             func() error { return errors.New(string(make([]byte, 1<<20))) },
			"dead, no reason":  func() error { return queue.Dead(nil) },
			"wrapped dead":     func() error { return fmt.Errorf("so: %w", queue.Dead(errors.New("over"))) },
			"retry, no reason": func() error { return queue.RetryAfter(time.Hour, nil) },
			"retry at once":    func() error { return queue.RetryAfter(-time.Hour, errors.New("now")) },
			"later for ever":   func() error { return queue.Later(math.MaxInt64) },
		}
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(_ context.Context, l queue.Leased) error {
			if l.Fails > 0 {
				return queue.Later(24 * time.Hour)
			}
			return results[l.Name]()
		}))
		for name := range results {
			require.NoError(t, q.Publish(ctx, queue.Event{ID: name, Name: name}))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for name, want := range map[string]struct {
			state  queue.State
			reason string
			fails  int
		}{
			"nil pointer":      {queue.StatePending, "the handler panicked: runtime error", 1},
			"panic with Dead":  {queue.StatePending, "the handler panicked: thrown", 1},
			"panic with nil":   {queue.StatePending, "the handler panicked: panic called with nil", 1},
			"long":             {queue.StatePending, "\uFFFD", 1},
			"dead, no reason":  {queue.StateDead, "buried", 0},
			"wrapped dead":     {queue.StateDead, "so: over", 0},
			"retry, no reason": {queue.StatePending, "again in 1h0m0s", 1},
			"retry at once":    {queue.StatePending, "now", 1},
			"later for ever":   {queue.StatePending, "", 0},
		} {
			all, err := q.Find(ctx, queue.Query{ID: queue.ItemID(name, "q")})
			require.NoError(t, err)
			require.Len(t, all, 1, name)
			require.Equal(t, want.state, all[0].State, name)
			require.Equal(t, want.fails, all[0].Fails, name)
			require.Contains(t, all[0].Reason, want.reason, name)
		}
		require.EqualValues(t, 3, q.Counts().Panics)
	})
}

func TestPanicTellsWhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, nil)
		require.NoError(t, q.Subscribe(t.Context(), "q", queue.All(), func(context.Context, queue.Leased) error { panic("oh") }))
		require.NoError(t, q.Publish(t.Context(), queue.Event{Name: "x", MaxFails: 1}))
		synctest.Wait()
		require.Contains(t, only(t, q).Reason, "TestPanicTellsWhere")
	})
}

// Leases are extended three times in their TTL or a little more often, all jobs in one call.
func TestHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spy := newSpy(memstore.New(nil))
		q := over(t, spy, nil)
		ctx := t.Context()
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(context.Context, queue.Leased) error {
			time.Sleep(time.Hour)
			return nil
		}, queue.Work{TTL: 30 * time.Second}))
		for range 10 {
			require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}))
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		require.InDelta(t, 360, spy.count("extend"), 5)
		require.EqualValues(t, 10, q.Counts().Done)
		n := spy.count("lease")
		time.Sleep(time.Hour)
		require.Equal(t, n, spy.count("lease"), "nothing is asked while nothing happens")
	})
}

// A lease lives as long as one extension in time gets through.
func TestHeartbeatsGetThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spy := newSpy(memstore.New(nil))
		q := over(t, spy, nil)
		ctx := t.Context()
		var n atomic.Int32
		spy.when(onlyOn("extend", func(ctx context.Context, do func() error) error {
			switch n.Add(1) % 3 {
			case 0:
				return queue.ErrDisconnected
			case 1:
				time.Sleep(9 * time.Second) // the beat has given it up by then
				return queue.ErrDisconnected
			}
			return do()
		}))
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(ctx context.Context, _ queue.Leased) error {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(time.Hour):
				return nil
			}
		}, queue.Work{TTL: 30 * time.Second}))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}))
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		require.Zero(t, q.Counts().Lost)
		require.EqualValues(t, 1, q.Counts().Done)
	})
}

// The handler hears of it when its lease is over, not later: from then on others may have the item.
func TestLeaseIsLostInTime(t *testing.T) {
	for name, c := range map[string]struct {
		wrap func(*spy) queue.Store
		lose func(*spy)
	}{
		"silent":       {func(s *spy) queue.Store { return s }, func(s *spy) { s.when(silent) }},
		"disconnected": {func(s *spy) queue.Store { return s }, func(s *spy) { s.when(answers(queue.ErrDisconnected)) }},
		"full":         {func(s *spy) queue.Store { return s }, func(s *spy) { s.when(answers(queue.ErrFull)) }},
		"cannot extend": {func(s *spy) queue.Store {
			caps := s.Caps()
			caps.Extend = false
			return capped{s, caps}
		}, func(*spy) {}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				spy := newSpy(memstore.New(nil))
				q := over(t, c.wrap(spy), nil)
				ctx := t.Context()
				var cause error
				var at time.Duration
				require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(ctx context.Context, l queue.Leased) error {
					if l.Deliveries > 1 {
						return nil
					}
					begin := time.Now()
					<-ctx.Done()
					cause, at = context.Cause(ctx), time.Since(begin)
					return errors.New("what is said now does not count")
				}, queue.Work{TTL: 10 * time.Second}))
				require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}))
				synctest.Wait()
				c.lose(spy)
				time.Sleep(time.Minute)
				synctest.Wait()
				require.ErrorIs(t, cause, queue.ErrLeaseLost)
				require.Equal(t, 10*time.Second, at)
				require.EqualValues(t, 1, q.Counts().Lost)
				require.Zero(t, q.Counts().Failed)
				spy.when(nil)
				if name != "silent" { // there a call is under way that does not end
					time.Sleep(time.Minute)
					require.EqualValues(t, 1, q.Counts().Done)
				}
			})
		})
	}
}

// The context ends with ErrTimeout, and what the handler makes of that counts.
func TestTimeoutIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, &queue.Options{Work: queue.Work{Timeout: time.Minute}})
		ctx := t.Context()
		var causes []error
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(ctx context.Context, l queue.Leased) error {
			begin := time.Now()
			<-ctx.Done()
			causes = append(causes, context.Cause(ctx), ctx.Err())
			switch {
			case time.Since(begin) != time.Minute:
				return queue.Dead(errors.New("at another time"))
			case l.Name == "later":
				return queue.Later(time.Hour)
			}
			return nil // it was just done
		}, queue.Work{Concurrency: 1}))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "done"}, queue.Event{Name: "later"}))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.ErrorIs(t, causes[0], queue.ErrTimeout)
		require.ErrorIs(t, causes[1], context.DeadlineExceeded)
		r := only(t, q)
		require.Equal(t, "later", r.Name)
		require.Zero(t, r.Fails)
	})
}

// An extension that comes behind the acknowledgement finds the lease gone, and that is no loss.
func TestExtensionBehindAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spy := newSpy(memstore.New(nil))
		q := over(t, spy, nil)
		ctx := t.Context()
		spy.when(onlyOn("settle", func(_ context.Context, do func() error) error {
			time.Sleep(2 * time.Second)
			return do()
		}))
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(context.Context, queue.Leased) error {
			time.Sleep(19500 * time.Millisecond)
			return nil
		}, queue.Work{TTL: time.Minute}))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}))
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, 1, spy.count("extend"))
		require.EqualValues(t, 1, q.Counts().Done)
		require.Zero(t, q.Counts().Lost)
	})
}

// A lease may have begun when Lease was called: that is when its time is counted from.
func TestLeaseBeginsWithTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spy := newSpy(memstore.New(nil))
		q := over(t, spy, nil)
		ctx := t.Context()
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "x", Queue: "q"}))
		spy.when(func(_ context.Context, call string, do func() error) error {
			switch call {
			case "lease":
				defer time.Sleep(4 * time.Second) // it is answered late
			case "extend":
				return queue.ErrDisconnected
			}
			return do()
		})
		begin := time.Now()
		var at time.Duration
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(ctx context.Context, l queue.Leased) error {
			if l.Deliveries == 1 {
				<-ctx.Done()
				at = time.Since(begin)
			}
			return nil
		}, queue.Work{TTL: 10 * time.Second}))
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, 10*time.Second, at)
		spy.when(nil)
	})
}

// A lease that an extension finds lost ends the work then, and not when it would have been over. An error of the whole
// call says nothing of the lease.
func TestLeaseIsFoundLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spy := newSpy(memstore.New(nil))
		q := over(t, spy, nil)
		ctx := t.Context()
		begin := time.Now()
		ended := make(chan time.Duration, 1)
		leased := make(chan queue.Leased, 1)
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(ctx context.Context, l queue.Leased) error {
			leased <- l
			<-ctx.Done()
			ended <- time.Since(begin)
			return context.Cause(ctx)
		}, queue.Work{TTL: time.Minute}))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}))
		spy.when(onlyOn("extend", func(context.Context, func() error) error { return errBadLease }))
		time.Sleep(40 * time.Second)
		synctest.Wait()
		require.Empty(t, ended)
		spy.when(nil)
		errs, err := spy.Store.Settle(ctx, []queue.Settlement{(<-leased).Ack()}) // somebody has it settled
		require.NoError(t, err)
		require.NoError(t, errs[0])
		require.LessOrEqual(t, <-ended, 51*time.Second)
		synctest.Wait()
		require.EqualValues(t, 1, q.Counts().Lost)
	})
}

var errBadLease = errors.New("the engine is out of order")

// Late results have no effect: another process has the item by then, and what it decides stands.
func TestLateResultIsFenced(t *testing.T) {
	for name, result := range map[string]error{"ack": nil, "fail": errors.New("late"), "dead": queue.Dead(errors.New("late")), "later": queue.Later(time.Hour)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				engine := memstore.New(nil)
				first, second := newSpy(engine), newSpy(engine)
				ctx := t.Context()
				q1, q2 := over(t, first, nil), over(t, second, nil)
				late, release := make(chan struct{}), make(chan struct{})
				work := queue.Work{TTL: 10 * time.Second}
				require.NoError(t, q1.Subscribe(ctx, "q", queue.All(), func(context.Context, queue.Leased) error {
					<-late // deaf
					return result
				}, work))
				require.NoError(t, q1.Publish(ctx, queue.Event{Name: "x"}))
				synctest.Wait()
				first.when(func(ctx context.Context, call string, do func() error) error { return queue.ErrDisconnected })
				require.NoError(t, q2.Subscribe(ctx, "q", queue.All(), func(context.Context, queue.Leased) error {
					<-release
					return queue.Dead(errors.New("the second decides"))
				}, work))
				time.Sleep(time.Minute)
				require.Equal(t, 1, q2.Counts().Running["q"])
				first.when(nil) // it is back
				close(late)
				time.Sleep(time.Minute)
				require.Equal(t, 1, q2.Counts().Running["q"])
				require.Equal(t, 0, q1.Counts().Running["q"])
				close(release)
				synctest.Wait()
				r := only(t, q2)
				require.Equal(t, "the second decides", r.Reason)
				require.Equal(t, 2, r.Deliveries)
				require.Equal(t, 1, r.Fails, "the lease that expired")
				require.EqualValues(t, 1, q1.Counts().Lost)
				require.Zero(t, q1.Counts().Done+q1.Counts().Failed+q1.Counts().Died+q1.Counts().Released)
			})
		})
	}
}

// A result that the store does not take at once is offered again until the lease is over.
func TestSettleIsTriedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		away time.Duration
		done uint64
	}{"back in time": {5 * time.Second, 1}, "too late": {20 * time.Second, 0}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, store := open(t, nil)
				ctx := t.Context()
				var calls atomic.Int32
				require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(context.Context, queue.Leased) error {
					if calls.Add(1) == 1 {
						store.Fail(queue.ErrDisconnected)
						time.AfterFunc(c.away, func() { store.Fail(nil) })
					}
					return nil
				}, queue.Work{TTL: 10 * time.Second}))
				require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}))
				time.Sleep(15 * time.Second)
				require.Equal(t, c.done, q.Counts().Done)
				require.EqualValues(t, 1-c.done, q.Counts().Lost)
				time.Sleep(time.Minute)
				require.EqualValues(t, 1, q.Counts().Done, "in the end it is done")
				require.EqualValues(t, 2-c.done, calls.Load())
				require.Empty(t, items(t, q))
			})
		})
	}
}

// An answer to Settle that was lost: the repetition finds the lease lost, and nobody does the work again.
func TestSettleAnswerIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spy := newSpy(memstore.New(nil))
		q := over(t, spy, nil)
		ctx := t.Context()
		cut := true
		spy.when(onlyOn("settle", func(_ context.Context, do func() error) error {
			err := do()
			if cut {
				cut = false
				return queue.ErrDisconnected
			}
			return err
		}))
		var d diary
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), d.handle))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}))
		time.Sleep(time.Hour)
		require.Equal(t, 1, d.count())
		require.Empty(t, items(t, q))
		require.Zero(t, q.Counts().Running["q"])
	})
}

// An answer to Lease that was lost: the items come when their TTL has passed.
func TestLeaseAnswerIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spy := newSpy(memstore.New(nil))
		q := over(t, spy, nil)
		ctx := t.Context()
		cut := true
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "x", Queue: "q"}))
		spy.when(onlyOn("lease", func(_ context.Context, do func() error) error {
			err := do()
			if cut {
				cut = false
				return queue.ErrDisconnected
			}
			return err
		}))
		var d diary
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), d.handle, queue.Work{TTL: 10 * time.Second}))
		time.Sleep(10*time.Second - time.Millisecond)
		require.Zero(t, d.count())
		time.Sleep(time.Second)
		require.Equal(t, 1, d.count())
	})
}

// An answer to Lease so late that nobody knows whether the leases are over: the items are given back, not begun.
func TestLeaseAnswerIsLate(t *testing.T) {
	for name, extend := range map[string]bool{"with Extend": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				spy := newSpy(memstore.New(nil))
				caps := spy.Caps()
				caps.Extend = extend
				q := over(t, capped{spy, caps}, nil)
				ctx := t.Context()
				require.NoError(t, q.Publish(ctx, queue.Event{Name: "x", Queue: "q"}))
				late := true
				spy.when(onlyOn("lease", func(_ context.Context, do func() error) error {
					if late {
						late = false
						time.Sleep(time.Hour)
					}
					return do()
				}))
				var cut atomic.Int32
				require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(ctx context.Context, l queue.Leased) error {
					time.Sleep(9 * time.Second)
					if ctx.Err() != nil {
						cut.Add(1)
					}
					return nil
				}, queue.Work{TTL: 10 * time.Second}))
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				require.Zero(t, cut.Load())
				require.EqualValues(t, 1, q.Counts().Done)
				require.EqualValues(t, 1, q.Counts().Released)
				require.EqualValues(t, 1, q.Counts().Begun)
			})
		})
	}
}

// What a handler returns after its lease was over, while the store has not taken the item back, saves the work.
func TestAckOfExpiredLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spy := newSpy(memstore.New(nil))
		q := over(t, spy, nil)
		ctx := t.Context()
		release := make(chan struct{})
		var calls atomic.Int32
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(context.Context, queue.Leased) error {
			calls.Add(1)
			<-release
			return nil
		}, queue.Work{TTL: 10 * time.Second, Concurrency: 1}))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}))
		synctest.Wait()
		spy.when(onlyOn("extend", func(context.Context, func() error) error { return queue.ErrDisconnected }))
		time.Sleep(time.Minute)
		close(release)
		time.Sleep(time.Minute)
		require.EqualValues(t, 1, calls.Load())
		require.Empty(t, items(t, q))
		require.EqualValues(t, 1, q.Counts().Lost)
		require.EqualValues(t, 1, q.Counts().Done)
	})
}

func TestConcurrency(t *testing.T) {
	for concurrency, want := range map[int]int32{0: 16, 1: 1, 5: 5} {
		synctest.Test(t, func(t *testing.T) {
			q, _ := open(t, nil)
			ctx := t.Context()
			var within, most atomic.Int32
			require.NoError(t, q.Subscribe(ctx, "q", queue.All(), func(context.Context, queue.Leased) error {
				most.Store(max(most.Load(), within.Add(1)))
				time.Sleep(time.Second)
				within.Add(-1)
				return nil
			}, queue.Work{Concurrency: concurrency}))
			begin := time.Now()
			for range 40 {
				require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}))
			}
			for q.Counts().Done < 40 {
				time.Sleep(100 * time.Millisecond)
			}
			require.Equal(t, want, most.Load())
			require.InDelta(t, (40+want-1)/want, time.Since(begin).Seconds(), 0.2, "no place is left empty")
		})
	}
}

// A store that tells nobody anything is asked.
func TestPoll(t *testing.T) {
	for poll, want := range map[time.Duration]time.Duration{0: 500 * time.Millisecond, 3 * time.Second: 3 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			spy := newSpy(memstore.New(nil))
			q := over(t, bare{spy}, &queue.Options{Poll: poll})
			ctx := t.Context()
			var d diary
			require.NoError(t, q.Subscribe(ctx, "q", queue.All(), d.handle))
			synctest.Wait()
			require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}))
			time.Sleep(want - time.Millisecond)
			require.Zero(t, d.count())
			time.Sleep(2 * time.Millisecond)
			require.Equal(t, 1, d.count())
			before := spy.count("lease")
			time.Sleep(100 * want)
			require.InDelta(t, 100, spy.count("lease")-before, 2)
		})
	}
}

// A Wait that fails is no reason to ask the store without a pause.
func TestWaitFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spy := newSpy(memstore.New(nil))
		spy.when(onlyOn("wait", func(context.Context, func() error) error { return errBadLease }))
		q := over(t, spy, nil)
		ctx := t.Context()
		var d diary
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), d.handle))
		time.Sleep(time.Minute)
		require.InDelta(t, 120, spy.count("lease"), 3)
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}))
		time.Sleep(time.Second)
		require.Equal(t, 1, d.count())
		require.NoError(t, q.Drain(ctx))
	})
}

// A store that is away is asked ever more seldom, and found soon when it is back.
func TestStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spy := newSpy(memstore.New(nil))
		q := over(t, spy, nil)
		ctx := t.Context()
		var d diary
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), d.handle))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "x", When: time.Minute}))
		synctest.Wait()
		before := spy.count("lease")
		spy.Fail(queue.ErrDisconnected)
		time.Sleep(time.Hour)
		require.InDelta(t, 3600/3.75, spy.count("lease")-before, 100)
		require.NotEmpty(t, q.Counts().LastTrouble)
		spy.Fail(nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.Equal(t, 1, d.count())
		require.Empty(t, q.Counts().LastTrouble)
	})
}
