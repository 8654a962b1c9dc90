package emitter_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/stretchr/testify/require"
)

// truly runs a test with real goroutines and the real clock, in memory and over a bus.
func truly(t *testing.T, f func(t *testing.T, e *emitter.Emitter)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { f(t, newEmitter(t, emitter.Options{})) })
	t.Run("bus", func(t *testing.T) { f(t, newEmitter(t, emitter.Options{Bus: membus.New(nil)})) })
}

// Many emit at once: each one's events keep their order, and nothing is lost or doubled.
func TestManyEmitAtOnce(t *testing.T) {
	truly(t, func(t *testing.T, e *emitter.Emitter) {
		const workers, each = 8, 500
		var next [workers]int
		var wrong atomic.Int64
		_, err := emitter.On(e, "a", func(_ context.Context, v [2]int) error {
			if next[v[0]] != v[1] {
				wrong.Add(1)
			}
			next[v[0]]++ // listeners are called one after the other
			return nil
		})
		require.NoError(t, err)
		require.NoError(t, e.Ready(t.Context()))
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := range each {
					if err := emitter.Emit(context.Background(), e, "a", [2]int{w, i}); err != nil {
						wrong.Add(1)
					}
				}
				if err := e.EmitWait(context.Background(), "b", nil); err != nil {
					wrong.Add(1)
				}
			})
		}
		wg.Wait()
		require.NoError(t, e.EmitWait(t.Context(), "a", [2]int{0, each}))
		require.Zero(t, wrong.Load())
		for w := range workers {
			want := each
			if w == 0 {
				want++
			}
			require.Equal(t, want, next[w])
		}
	})
}

// A Once is called once, whoever emits and removes at the same moment.
func TestOnceAmongMany(t *testing.T) {
	truly(t, func(t *testing.T, e *emitter.Emitter) {
		for range 30 {
			var called, removed atomic.Int64
			ref, err := e.Once("a", func(context.Context, emitter.Event) error { called.Add(1); return nil })
			require.NoError(t, err)
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() { e.EmitWait(context.Background(), "a", nil) })
			}
			wg.Go(func() {
				if e.Off(ref) {
					removed.Add(1)
				}
			})
			wg.Wait()
			require.LessOrEqual(t, called.Load(), int64(1))
			require.GreaterOrEqual(t, called.Load()+removed.Load(), int64(1))
		}
	})
}

// When Off has returned the listener is not called, unless it is being called at that moment.
func TestOffIsFinal(t *testing.T) {
	truly(t, func(t *testing.T, e *emitter.Emitter) {
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						e.EmitWait(context.Background(), "a", nil)
					}
				}
			})
		}
		var late atomic.Int64
		for range 100 {
			var running sync.Mutex
			var over atomic.Bool
			ref, err := e.On("a", func(context.Context, emitter.Event) error {
				if over.Load() {
					late.Add(1)
				}
				running.Lock()
				defer running.Unlock()
				return nil
			})
			require.NoError(t, err)
			running.Lock()
			require.True(t, e.Off(ref))
			running.Unlock()
			// A call that had begun may not have come to its first line yet. The next event's listeners are
			// called after it.
			fence(t, e)
			over.Store(true)
		}
		close(stop)
		wg.Wait()
		require.Zero(t, late.Load())
	})
}

// fence waits until the listeners of everything before have returned.
func fence(t *testing.T, e *emitter.Emitter) {
	t.Helper()
	ref := on(t, e, "fence", nothing)
	require.NoError(t, e.EmitWait(t.Context(), "fence", nil))
	e.Off(ref)
}

// Everything at once, and the books balance afterwards.
func TestEverythingAtOnce(t *testing.T) {
	truly(t, func(t *testing.T, e *emitter.Emitter) {
		stop := make(chan struct{})
		var wg sync.WaitGroup
		again := func(f func(i int)) {
			wg.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
						f(i)
					}
				}
			})
		}
		ctx := context.Background()
		var wrong atomic.Int64
		kept := on(t, e, "kept", nothing)
		again(func(i int) { e.Emit(ctx, fmt.Sprint("n", i%20), i) })
		again(func(i int) { emitter.Emit(ctx, e, "kept", i) })
		again(func(i int) {
			ref, err := e.On(fmt.Sprint("n", i%20), nothing)
			if err != nil || !e.Off(ref) {
				wrong.Add(1)
			}
		})
		again(func(i int) {
			ref, err := e.OnAny([]string{"*", "n1", "**"}[i%3], nothing)
			if err != nil || !e.Off(ref) {
				wrong.Add(1)
			}
		})
		again(func(i int) {
			if _, err := e.Once("kept", nothing); err != nil {
				wrong.Add(1)
			}
			if err := e.EmitWait(ctx, "kept", nil); err != nil {
				wrong.Add(1)
			}
		})
		again(func(int) { e.Stats(); e.EventNames(); e.ListenerCount("n1"); emitter.Panel(e).View(ctx) })
		time.AfterFunc(100*time.Millisecond, func() { close(stop) })
		wg.Wait()
		require.NoError(t, e.EmitWait(ctx, "kept", nil))
		require.Zero(t, wrong.Load())
		require.True(t, e.Off(kept))
		require.Zero(t, e.Stats().Listeners, "%v", e.EventNames())
	})
}

// Close among emits, registrations and other Closes: each answers, with nil or ErrClosed.
func TestCloseAmongOthers(t *testing.T) {
	for range 30 {
		truly(t, func(t *testing.T, e *emitter.Emitter) {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			errs := make(chan error, 10_000)
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					for i := range 100 {
						_, err := e.On("a", nothing)
						errs <- err
						errs <- e.Emit(ctx, "a", i)
						errs <- e.EmitWait(ctx, "a", i)
					}
				})
			}
			for range 2 {
				wg.Go(func() { errs <- e.Close(ctx) })
			}
			wg.Wait()
			close(errs)
			for err := range errs {
				if err != nil {
					require.ErrorIs(t, err, emitter.ErrClosed)
				}
			}
			require.ErrorIs(t, e.Emit(ctx, "a", nil), emitter.ErrClosed)
		})
	}
}

// Listeners come and go around the moment at which the lane would: none misses an event that is emitted after On.
func TestListeningAroundTheLinger(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		for i := range 60 {
			heard := 0
			ref := on(t, e, "a", func(context.Context, emitter.Event) error { heard++; return nil })
			require.NoError(t, e.EmitWait(t.Context(), "a", i))
			emit(t, e, "a", i)
			synctest.Wait()
			require.Equal(t, 2, heard)
			require.True(t, e.Off(ref))
			time.Sleep(time.Second - 30*time.Nanosecond + time.Duration(i)*time.Nanosecond)
		}
	})
}
