package emitter_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/emitter"
	"github.com/stretchr/testify/require"
)

func explode() { panic("boom") }

// Whatever a listener does becomes an error event, and the other listeners and events are as they were.
func TestListenerFailures(t *testing.T) {
	errListener := errors.New("no such user")
	for _, c := range []struct {
		name  string
		fn    func()
		err   error
		check func(t *testing.T, err error)
	}{
		{"error", nil, errListener, func(t *testing.T, err error) { require.ErrorIs(t, err, errListener) }},
		{"panic", explode, nil, func(t *testing.T, err error) {
			var p *earshot.PanicError
			require.ErrorAs(t, err, &p)
			require.Equal(t, "boom", p.Value)
			require.Contains(t, string(p.Stack), "emitter_test.explode")
			require.ErrorContains(t, err, "boom")
		}},
		{"panic with an error", func() { panic(errListener) }, nil, func(t *testing.T, err error) { require.ErrorIs(t, err, errListener) }},
		{"panic(nil)", func() { panic(nil) }, nil, func(t *testing.T, err error) {
			var p *earshot.PanicError
			require.ErrorAs(t, err, &p)
		}},
		{"goexit", runtime.Goexit, nil, func(t *testing.T, err error) { require.ErrorIs(t, err, earshot.ErrGoexit) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, e *emitter.Emitter) {
				var heard notes
				d := keepDiary(t, e)
				on(t, e, "a", heard.note("before"))
				place := nextLine()
				e.On("a", func(context.Context, emitter.Event) error {
					if c.fn != nil {
						c.fn()
					}
					return c.err
				})
				on(t, e, "a", heard.note("after"))
				_, err := e.OnAny("*", heard.note("any"))
				require.NoError(t, err)
				for range 3 {
					emit(t, e, "a", nil)
				}
				emit(t, e, "b", nil)
				time.Sleep(time.Second) // a goroutine that has ended is replaced some milliseconds later
				require.Equal(t, strings.Split(strings.Repeat("before after any ", 3)+"any", " "), heard.take())
				require.Len(t, d.of(emitter.Error), 3)
				for _, data := range d.of(emitter.Error) {
					failed, ok := data.(*emitter.ListenerError)
					require.True(t, ok, "%T", data)
					require.Equal(t, "a", failed.Event)
					require.Equal(t, place, failed.Listener)
					require.ErrorContains(t, failed, place)
					require.ErrorContains(t, failed, `"a"`)
					c.check(t, failed)
				}
				require.EqualValues(t, 3, e.Stats().Failures)
				require.EqualValues(t, 3, e.Stats().Errors)
			})
		})
	}
}

// Many that fail in one event, in every way and mixed.
func TestAllListenersFail(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var heard notes
		for i := range 60 {
			on(t, e, "a", func(context.Context, emitter.Event) error {
				heard.add("a")
				switch i % 3 {
				case 0:
					runtime.Goexit()
				case 1:
					panic(i)
				}
				return errors.New("oh")
			})
		}
		d := keepDiary(t, e)
		for range 20 {
			emit(t, e, "a", nil)
		}
		time.Sleep(time.Second)
		require.Len(t, heard.take(), 20*60)
		require.Len(t, d.of(emitter.Error), 20*60)
	})
}

// An error event about an error event would never end: it is logged, and the event called error is not repeated.
func TestErrorListenerThatFails(t *testing.T) {
	for name, fn := range map[string]func(){"error": func() {}, "panic": explode, "goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				logger, text := logged()
				e := newEmitter(t, emitter.Options{Logger: logger})
				var heard notes
				on(t, e, emitter.Error, func(context.Context, emitter.Event) error {
					heard.add("error")
					fn()
					return errors.New("bad listener of errors")
				})
				on(t, e, emitter.Error, heard.note("the next one"))
				on(t, e, "a", func(context.Context, emitter.Event) error { return errors.New("oh") })
				emit(t, e, "a", nil)
				time.Sleep(time.Second)
				require.Len(t, heard.take(), 2)
				require.Equal(t, 1, strings.Count(text(), "\n"), "%s", text())
				require.EqualValues(t, 2, e.Stats().Failures)
				require.EqualValues(t, 1, e.Stats().Errors)
			})
		})
	}
}

// What nobody listens to is logged, at most once a second, with the number of those that were not.
func TestErrorsThatNobodyListensTo(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		logger, text := logged()
		e := newEmitter(t, emitter.Options{Logger: logger, Name: "shop"})
		e.On("a", func(context.Context, emitter.Event) error { return errors.New("oh dear") })
		for range 10 {
			emit(t, e, "a", nil)
			time.Sleep(10 * time.Millisecond)
		}
		require.Equal(t, 1, strings.Count(text(), "oh dear"), "%s", text())
		require.Contains(t, text(), "emitter=shop")
		require.Contains(t, text(), "failure_test.go")
		time.Sleep(time.Second)
		emit(t, e, "a", nil)
		time.Sleep(time.Millisecond)
		require.Equal(t, 2, strings.Count(text(), "oh dear"), "%s", text())
		require.Contains(t, text(), "unlogged=9")
		on(t, e, emitter.Error, nothing)
		time.Sleep(time.Second)
		emit(t, e, "a", nil)
		time.Sleep(time.Millisecond)
		require.Equal(t, 2, strings.Count(text(), "oh dear"), "somebody listens now: %s", text())
	})
}

// A Once that fails was called once all the same.
func TestOnceThatPanics(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var heard notes
		_, err := e.Once("a", func(context.Context, emitter.Event) error { heard.add("once"); panic("boom") })
		require.NoError(t, err)
		require.Error(t, e.EmitWait(t.Context(), "a", nil))
		require.NoError(t, e.EmitWait(t.Context(), "a", nil))
		require.Equal(t, []string{"once"}, heard.take())
	})
}

// The context of listeners is the emitter's own: the caller's end means nothing to them.
func TestListenersContext(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		ctx, cancel := context.WithCancel(t.Context())
		stop := make(chan struct{})
		var during, after notes
		on(t, e, "a", func(own context.Context, _ emitter.Event) error {
			<-stop
			during.add(fmt.Sprint(own.Err()))
			<-own.Done()
			after.add(fmt.Sprint(own.Err()))
			return nil
		})
		require.NoError(t, e.Emit(ctx, "a", nil))
		cancel()
		close(stop)
		time.Sleep(time.Second)
		require.Equal(t, []string{"<nil>"}, during.take())
		require.Error(t, e.Close(ended()))
		time.Sleep(time.Second)
		require.Equal(t, []string{"context canceled"}, after.take())
	})
}
