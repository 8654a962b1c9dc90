package emitter_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/stretchr/testify/require"
)

func TestClosed(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var heard notes
		ref := on(t, e, "a", heard.note("a"))
		_, err := e.OnAny("*", heard.note("any"))
		require.NoError(t, err)
		require.NoError(t, e.EmitWait(t.Context(), "a", nil))
		heard.take()
		require.NoError(t, e.Close(t.Context()))
		require.NoError(t, e.Close(t.Context()), "again")
		for _, name := range []string{"a", "nobody hears this"} {
			require.ErrorIs(t, e.Emit(t.Context(), name, nil), emitter.ErrClosed)
			require.ErrorIs(t, emitter.Emit(t.Context(), e, name, 1), emitter.ErrClosed)
			require.ErrorIs(t, e.EmitWait(t.Context(), name, nil), emitter.ErrClosed)
		}
		require.ErrorIs(t, e.Emit(t.Context(), "error", nil), emitter.ErrReserved)
		for _, register := range []func(string, func(context.Context, emitter.Event) error) (emitter.Ref, error){e.On, e.Once, e.Prepend, e.OnAny} {
			_, err := register("a", nothing)
			require.ErrorIs(t, err, emitter.ErrClosed)
		}
		_, err = emitter.On(e, "a", func(context.Context, int) error { return nil })
		require.ErrorIs(t, err, emitter.ErrClosed)
		require.False(t, e.Off(ref))
		require.Zero(t, e.RemoveAll(""))
		require.Zero(t, e.ListenerCount("a"))
		require.Empty(t, e.EventNames())
		require.Zero(t, e.Discard())
		require.Zero(t, e.Stats().Listeners)
		require.Empty(t, heard.take())
	})
}

func TestCloseOfAnUnusedEmitter(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		require.NoError(t, e.Close(t.Context()))
	})
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		require.NoError(t, e.Close(ended()))
	})
}

// What was queued is heard before Close returns, also what listeners emit meanwhile is refused and hurts nobody.
func TestCloseDrainsTheQueue(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var heard notes
		stop := make(chan struct{})
		var inside atomic.Value
		on(t, e, "a", func(ctx context.Context, ev emitter.Event) error {
			<-stop
			if ctx.Err() != nil {
				heard.add("its context has ended")
			}
			heard.add(text(ev))
			inside.Store(e.Emit(ctx, "a", 100))
			return nil
		})
		for i := range 5 {
			emit(t, e, "a", i)
		}
		synctest.Wait()
		done := inBackground(func() error { return e.Close(context.Background()) })
		require.False(t, finished(done))
		require.ErrorIs(t, e.Emit(t.Context(), "a", nil), emitter.ErrClosed)
		close(stop)
		require.NoError(t, answer(t, done, 0))
		require.Equal(t, []string{"0", "1", "2", "3", "4"}, heard.take())
		require.ErrorIs(t, inside.Load().(error), emitter.ErrClosed)
	})
}

// A listener that does not return is named; the context that it has ends, and it is not waited for.
func TestCloseNamesTheListenerThatBlocks(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var cause error
		place := nextLine()
		e.On("a", func(ctx context.Context, _ emitter.Event) error { <-ctx.Done(); cause = ctx.Err(); return nil })
		for range 3 {
			emit(t, e, "a", nil)
		}
		synctest.Wait()
		begin := time.Now()
		err := e.Close(within(t, 3*time.Second))
		require.Equal(t, 3*time.Second, time.Since(begin))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "3 events")
		require.ErrorContains(t, err, place)
		require.ErrorContains(t, err, `"a"`)
		synctest.Wait()
		require.Equal(t, context.Canceled, cause)
		require.Equal(t, err, e.Close(t.Context()), "the second call")
	})
}

// Nothing waits and nobody is at work: there is nothing to complain about, whatever the context.
func TestCloseOfAnIdleEmitterAtOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		on(t, e, "a", nothing)
		require.NoError(t, e.EmitWait(t.Context(), "a", nil))
		synctest.Wait()
		require.NoError(t, e.Close(ended()))
	})
}

// Whoever waits for listeners that are not called any more is told so.
func TestCloseAnswersEmitWaits(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		on(t, e, "a", func(ctx context.Context, _ emitter.Event) error { <-ctx.Done(); return nil })
		var heard notes
		on(t, e, "b", heard.note("b"))
		hand := inBackground(func() error { return e.EmitWait(context.Background(), "a", nil) })
		synctest.Wait()
		queued := inBackground(func() error { return e.EmitWait(context.Background(), "b", nil) })
		synctest.Wait()
		require.Error(t, e.Close(ended()))
		require.ErrorIs(t, answer(t, queued, time.Second), emitter.ErrClosed)
		answer(t, hand, time.Second) // its listener has returned, as the context ended
		require.Empty(t, heard.take())
	})
}

func TestCloseFromListener(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var heard notes
		var first, second error
		on(t, e, "a", func(ctx context.Context, _ emitter.Event) error {
			first = e.Close(ctx)
			second = e.Close(ctx)
			heard.add("closed")
			return nil
		})
		on(t, e, "a", heard.note("not called any more"))
		emit(t, e, "a", nil)
		emit(t, e, "a", nil)
		require.Equal(t, []string{"closed"}, heard.take())
		require.NoError(t, first)
		require.NoError(t, second)
		require.ErrorIs(t, e.Emit(t.Context(), "a", nil), emitter.ErrClosed)
	})
}

// A listener closes the emitter that somebody else is closing, who waits for that listener.
func TestCloseFromListenerWhileClosing(t *testing.T) {
	e := newEmitter(t, emitter.Options{})
	started, proceed := make(chan struct{}), make(chan struct{})
	on(t, e, "a", func(ctx context.Context, _ emitter.Event) error {
		close(started)
		<-proceed
		return e.Close(ctx)
	})
	emit(t, e, "a", nil)
	<-started
	done := inBackground(func() error { return e.Close(context.Background()) })
	require.Eventually(t, func() bool { return e.Emit(context.Background(), "b", nil) != nil }, patience, time.Millisecond)
	close(proceed)
	require.NoError(t, answer(t, done, 3*time.Second))
}

// The second call waits for the first one, and no longer than its own context.
func TestSecondCloseWaits(t *testing.T) {
	e := newEmitter(t, emitter.Options{})
	started, proceed := make(chan struct{}), make(chan struct{})
	on(t, e, "a", func(context.Context, emitter.Event) error { close(started); <-proceed; return nil })
	emit(t, e, "a", nil)
	<-started
	first := inBackground(func() error { return e.Close(context.Background()) })
	require.Eventually(t, func() bool { return e.Emit(context.Background(), "b", nil) != nil }, patience, time.Millisecond)
	second := inBackground(func() error { return e.Close(context.Background()) })
	hasty := inBackground(func() error { return e.Close(ended()) })
	require.ErrorIs(t, answer(t, hasty, 3*time.Second), context.Canceled)
	require.Empty(t, second)
	close(proceed)
	require.NoError(t, answer(t, first, patience))
	require.NoError(t, answer(t, second, patience))
}

// Emits that wait for room do not outlive Close.
func TestCloseFreesEmitsThatWait(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		e := newEmitter(t, emitter.Options{Queue: 1})
		on(t, e, "a", func(ctx context.Context, _ emitter.Event) error { <-ctx.Done(); return nil })
		var all []<-chan error
		for range 5 {
			all = append(all, inBackground(func() error { return e.Emit(context.Background(), "a", nil) }))
		}
		synctest.Wait()
		require.Error(t, e.Close(within(t, time.Second)))
		for _, done := range all {
			answer(t, done, time.Second)
		}
	})
}

// A name is free again after Close, and an emitter that was closed does not disturb the next one.
func TestNameAfterClose(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newServer(t)
		one := newEmitter(t, emitter.Options{Server: s, Name: "shop"})
		two := newEmitter(t, emitter.Options{Server: s, Name: "shop"})
		require.Equal(t, []string{"shop", "shop-2"}, []string{one.Name(), two.Name()})
		require.NoError(t, one.Close(t.Context()))
		three := newEmitter(t, emitter.Options{Server: s, Name: "shop"})
		require.Equal(t, "shop", three.Name())
		var heard notes
		on(t, two, "a", heard.note("two"))
		on(t, three, "a", heard.note("three"))
		require.ErrorIs(t, one.Emit(t.Context(), "a", nil), emitter.ErrClosed)
		require.NoError(t, two.Emit(t.Context(), "a", nil))
		require.NoError(t, three.EmitWait(t.Context(), "a", nil))
		require.ElementsMatch(t, []string{"two", "three"}, heard.take())
		require.Equal(t, "emitter", newEmitter(t, emitter.Options{Server: s}).Name())
	})
}

// The server is gone: nothing blocks for ever, and the emitter says what is wrong.
func TestServerIsGone(t *testing.T) {
	for name, stop := range map[string]func(e *emitter.Emitter) error{
		"emit wait": func(e *emitter.Emitter) error { e.EmitWait(context.Background(), "a", nil); return nil },
		"close":     func(e *emitter.Emitter) error { e.Close(context.Background()); return nil },
		"emit":      func(e *emitter.Emitter) error { e.Emit(context.Background(), "a", nil); return nil },
		"on": func(e *emitter.Emitter) error {
			if _, err := e.On("a", nothing); err == nil {
				return errors.New("a listener that will never be called")
			}
			return nil
		},
	} {
		for _, engine := range []bool{false, true} {
			for _, listening := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s engine=%v listening=%v", name, engine, listening), func(t *testing.T) {
					inBubble(t, func(t *testing.T) {
						s := newServer(t)
						o := emitter.Options{Server: s}
						if engine {
							o.Bus = membus.New(nil)
						}
						e := newEmitter(t, o)
						if listening {
							on(t, e, "a", nothing)
							require.NoError(t, e.EmitWait(t.Context(), "a", nil))
						}
						require.NoError(t, s.Shutdown(t.Context()))
						require.NoError(t, answer(t, inBackground(func() error { return stop(e) }), time.Minute))
					})
				})
			}
		}
	}
}
