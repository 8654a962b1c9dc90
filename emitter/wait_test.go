package emitter_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/earshot-go/earshot/event"
	"github.com/stretchr/testify/require"
)

func TestEmitWaitWaitsForListeners(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		stop := make(chan struct{})
		var heard notes
		on(t, e, "a", func(context.Context, emitter.Event) error { <-stop; return nil })
		on(t, e, "a", heard.note("second"))
		done := inBackground(func() error { return e.EmitWait(context.Background(), "a", nil) })
		require.False(t, finished(done))
		close(stop)
		require.NoError(t, answer(t, done, 0))
		require.Equal(t, []string{"second"}, heard.take())
	})
}

// Each listener that fails is named, and the others are called.
func TestEmitWaitJoinsErrors(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		errOne, errTwo := errors.New("one"), errors.New("two")
		var heard notes
		on(t, e, "a", func(context.Context, emitter.Event) error { return errOne })
		on(t, e, "a", func(context.Context, emitter.Event) error { panic(errTwo) })
		on(t, e, "a", func(context.Context, emitter.Event) error { runtime.Goexit(); return nil })
		place := nextLine()
		e.On("a", func(context.Context, emitter.Event) error { var list []error; return list[len(list)] })
		on(t, e, "a", heard.note("last"))
		for range 3 {
			err := e.EmitWait(t.Context(), "a", nil)
			require.ErrorIs(t, err, errOne)
			require.ErrorIs(t, err, earshot.ErrGoexit)
			var all interface{ Unwrap() []error }
			require.ErrorAs(t, err, &all)
			require.Len(t, all.Unwrap(), 4)
			var last *emitter.ListenerError
			require.ErrorAs(t, all.Unwrap()[3], &last)
			require.Equal(t, "a", last.Event)
			require.Equal(t, place, last.Listener)
			require.ErrorContains(t, last, "index out of range")
			require.ErrorContains(t, last, place)
			require.Equal(t, []string{"last"}, heard.take())
			var p *earshot.PanicError
			require.ErrorAs(t, all.Unwrap()[1], &p)
			require.Equal(t, errTwo, p.Value)
		}
	})
}

func TestEmitWaitThatNobodyHears(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		require.NoError(t, e.EmitWait(t.Context(), "a", nil))
		on(t, e, "b", nothing)
		require.NoError(t, e.EmitWait(t.Context(), "a", nil))
		ref := on(t, e, "a", nothing)
		require.NoError(t, e.EmitWait(t.Context(), "a", nil))
		e.Off(ref)
		require.NoError(t, e.EmitWait(t.Context(), "a", nil))
		e.RemoveAll("")
		time.Sleep(time.Minute)
		require.NoError(t, e.EmitWait(t.Context(), "a", nil))
	})
}

func TestEmitWaitOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var heard notes
		_, err := e.Once("a", func(context.Context, emitter.Event) error { heard.add("once"); return errors.New("oh") })
		require.NoError(t, err)
		require.ErrorContains(t, e.EmitWait(t.Context(), "a", nil), "oh")
		require.NoError(t, e.EmitWait(t.Context(), "a", nil))
		require.Equal(t, []string{"once"}, heard.take())
	})
}

// The listeners are removed while somebody waits for them: there is nothing left to wait for.
func TestEmitWaitWhileListenersGo(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var heard notes
		stop := make(chan struct{})
		on(t, e, "block", func(context.Context, emitter.Event) error { <-stop; return nil })
		ref := on(t, e, "a", heard.note("a"))
		emit(t, e, "block", nil)
		synctest.Wait()
		done := inBackground(func() error { return e.EmitWait(context.Background(), "a", nil) })
		require.False(t, finished(done))
		e.Off(ref)
		e.RemoveAll("")
		time.Sleep(2 * time.Second) // the lane goes
		require.NoError(t, answer(t, done, 0))
		close(stop)
		require.Empty(t, heard.take())
	})
}

func TestEmitWaitEndsWithItsContext(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var heard notes
		stop := make(chan struct{})
		on(t, e, "a", func(context.Context, emitter.Event) error { <-stop; heard.add("a"); return nil })
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(context.Background())
		done := inBackground(func() error { return e.EmitWait(ctx, "a", nil) })
		require.False(t, finished(done))
		cancel(cause)
		require.ErrorIs(t, answer(t, done, 0), cause)
		close(stop)
		require.Equal(t, []string{"a"}, heard.take(), "the event takes its way")
	})
}

func TestEmitWaitFromListener(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var inner, derived error
		on(t, e, "b", nothing)
		on(t, e, "a", func(ctx context.Context, _ emitter.Event) error {
			inner = e.EmitWait(ctx, "b", nil)
			child, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			derived = e.EmitWait(child, "b", nil)
			return nil
		})
		require.NoError(t, e.EmitWait(t.Context(), "a", nil))
		require.ErrorIs(t, inner, emitter.ErrInside)
		require.ErrorContains(t, inner, `"b"`)
		require.ErrorIs(t, derived, emitter.ErrInside)
	})
}

// A listener may wait for another emitter.
func TestEmitWaitOnAnotherEmitter(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newServer(t)
		one, two := newEmitter(t, emitter.Options{Server: s}), newEmitter(t, emitter.Options{Server: s})
		on(t, two, "b", func(context.Context, emitter.Event) error { return errors.New("from b") })
		on(t, one, "a", func(ctx context.Context, _ emitter.Event) error { return two.EmitWait(ctx, "b", nil) })
		require.ErrorContains(t, one.EmitWait(t.Context(), "a", nil), "from b")
	})
}

// Over a bus the answer of the engine is part of what is waited for.
func TestEmitWaitWaitsForTheEngine(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(nil)
		e := newEmitter(t, emitter.Options{Bus: b})
		ready(t, e)
		b.Fail(bus.ErrDisconnected)
		done := inBackground(func() error { return e.EmitWait(context.Background(), "a", nil) })
		time.Sleep(time.Minute)
		require.False(t, finished(done))
		require.ErrorIs(t, e.EmitWait(within(t, time.Second), "a", nil), context.DeadlineExceeded)
		b.Fail(nil)
		require.NoError(t, answer(t, done, 2*time.Second))
		require.Equal(t, []string{"a", "a"}, kept(t, b))
	})
}

// The engine cannot give what the listeners want: whoever waits for them need not wait for ever.
func TestEmitWaitWithoutAFeed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(&membus.Options{NoReplay: true})
		logger, text := logged()
		e := newEmitter(t, emitter.Options{Bus: b, From: bus.Start, Logger: logger})
		on(t, e, "a", nothing)
		done := inBackground(func() error { return e.EmitWait(context.Background(), "a", nil) })
		require.NoError(t, answer(t, done, 10*time.Second))
		synctest.Wait()
		require.Contains(t, text(), bus.ErrUnsupported.Error())
	})
}

// The engine has the event, the feed is slow, and the last listener goes: nobody is left to wait for.
func TestEmitWaitWhoseFeedEnds(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire(nil)
		w.onNext(func(ctx context.Context, _ bus.Feed) (bus.Delivery, error) {
			<-ctx.Done()
			return bus.Delivery{}, ctx.Err()
		})
		e := newEmitter(t, emitter.Options{Bus: w})
		on(t, e, "a", nothing)
		done := inBackground(func() error { return e.EmitWait(within(t, time.Hour), "a", nil) })
		time.Sleep(time.Second)
		require.False(t, finished(done))
		e.RemoveAll("")
		require.NoError(t, answer(t, done, 2*time.Second))
	})
}

// The last listener goes while the event is on its way, and a new feed begins behind it.
func TestEmitWaitAcrossFeeds(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire(nil)
		e := newEmitter(t, emitter.Options{Bus: w})
		on(t, e, "a", nothing)
		ready(t, e)
		proceed := make(chan struct{})
		w.onPublish(func(ctx context.Context, events []event.Event) error {
			err := w.Bus.Publish(ctx, events...)
			<-proceed
			return err
		})
		w.onNext(func(ctx context.Context, _ bus.Feed) (bus.Delivery, error) {
			<-ctx.Done() // the wire is slow
			return bus.Delivery{}, ctx.Err()
		})
		w.Fail(bus.ErrDisconnected) // ends the Next that waits
		w.Fail(nil)
		time.Sleep(5 * time.Second)
		done := inBackground(func() error { return e.EmitWait(context.Background(), "a", nil) })
		synctest.Wait()
		e.RemoveAll("")
		time.Sleep(2 * time.Second)
		w.onNext(nil)
		on(t, e, "a", nothing)
		time.Sleep(5 * time.Second)
		w.onPublish(nil)
		close(proceed)
		answer(t, done, 10*time.Second)
	})
}

// The event that somebody waits for fell off the engine's retention before the feed came to it.
func TestEmitWaitInAGap(t *testing.T) {
	for name, lose := range map[string]func(w *wire){
		"trimmed":   func(w *wire) { w.Trim(0) },
		"made anew": func(w *wire) { w.Reset() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWire(nil)
				proceed := make(chan struct{})
				var held bool
				w.onNext(func(ctx context.Context, in bus.Feed) (bus.Delivery, error) {
					if !held {
						held = true
						<-proceed
					}
					return in.Next(ctx)
				})
				e := newEmitter(t, emitter.Options{Bus: w})
				on(t, e, "a", nothing)
				done := inBackground(func() error { return e.EmitWait(context.Background(), "a", nil) })
				require.False(t, finished(done))
				lose(w)
				foreign(t, w.Bus, "b", "")
				close(proceed)
				require.ErrorIs(t, answer(t, done, 10*time.Second), emitter.ErrDropped)
			})
		})
	}
}

// The event has come back from the engine and finds no room: whoever waits for it is answered when the feed ends.
func TestEmitWaitBehindAFullQueue(t *testing.T) {
	for name, end := range map[string]func(e *emitter.Emitter){
		"listeners go": func(e *emitter.Emitter) { e.RemoveAll("") },
		"close":        func(e *emitter.Emitter) { e.Close(ended()) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				stop := make(chan struct{})
				defer close(stop)
				e := newEmitter(t, emitter.Options{Bus: membus.New(nil), Queue: 1})
				on(t, e, "a", func(context.Context, emitter.Event) error { <-stop; return nil })
				var all []<-chan error // one of them is in hand, one in the queue, one at its door, and the others behind
				for range 6 {
					all = append(all, inBackground(func() error { return e.EmitWait(within(t, time.Hour), "a", nil) }))
					synctest.Wait()
				}
				end(e)
				for _, done := range all[1:] {
					answer(t, done, time.Minute)
				}
			})
		})
	}
}

// Those that found no room leave nothing behind.
func TestEmitWaitLeavesNothing(t *testing.T) {
	held := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	measure := func(t *testing.T, e *emitter.Emitter) {
		ctx := ended()
		before := held()
		for range 20_000 {
			require.ErrorIs(t, e.EmitWait(ctx, "a", nil), context.Canceled)
		}
		require.Less(t, held()-before, 1<<20, "bytes")
	}
	t.Run("queue", func(t *testing.T) {
		e := newEmitter(t, emitter.Options{Queue: 1})
		started, stop := make(chan struct{}), make(chan struct{})
		on(t, e, "a", func(context.Context, emitter.Event) error { close(started); <-stop; return nil })
		once, err := e.Once("b", nothing)
		require.NoError(t, err)
		defer e.Off(once)
		defer close(stop)
		emit(t, e, "a", nil)
		<-started
		emit(t, e, "b", nil) // and the queue is full
		measure(t, e)
	})
	t.Run("buffer", func(t *testing.T) {
		b := membus.New(nil)
		b.Fail(bus.ErrDisconnected)
		logger, _ := logged()
		e := newEmitter(t, emitter.Options{Bus: b, Buffer: 1, Logger: logger})
		emit(t, e, "a", nil)
		measure(t, e)
	})
}

func TestManyEmitWaits(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		on(t, e, "a", func(_ context.Context, ev emitter.Event) error {
			if n, err := decode[int](ev); err != nil || n%2 == 1 {
				return fmt.Errorf("%d %v", n, err)
			}
			return nil
		})
		var all []<-chan error
		for i := range 200 {
			all = append(all, inBackground(func() error { return e.EmitWait(context.Background(), "a", i) }))
		}
		for i, done := range all {
			err := answer(t, done, time.Second)
			if i%2 == 0 {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, fmt.Sprint(i))
			}
		}
	})
}

func decode[T any](ev emitter.Event) (v T, err error) {
	err = ev.Decode(&v)
	return v, err
}
