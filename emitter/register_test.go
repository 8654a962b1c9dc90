package emitter_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/earshot-go/earshot/emitter"
	"github.com/stretchr/testify/require"
)

func TestOff(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var heard notes
		ref := on(t, e, "a", heard.note("off"))
		on(t, e, "a", heard.note("stays"))
		any, err := e.OnAny("*", heard.note("any"))
		require.NoError(t, err)
		require.True(t, e.Off(ref))
		require.False(t, e.Off(ref), "a second time")
		require.True(t, e.Off(any))
		require.False(t, e.Off(any), "a second time")
		require.False(t, e.Off(emitter.Ref{}), "no listener")
		emit(t, e, "a", nil)
		require.Equal(t, []string{"stays"}, heard.take())
	})
}

// Also events that are in the queue already are not for a listener that is gone.
func TestOffWhileEventsAreQueued(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var heard notes
		stop := make(chan struct{})
		on(t, e, "a", func(context.Context, emitter.Event) error { <-stop; return nil })
		gone := on(t, e, "a", heard.note("gone"))
		any, err := e.OnAny("*", heard.note("gone too"))
		require.NoError(t, err)
		once, err := e.Once("b", heard.note("once"))
		require.NoError(t, err)
		on(t, e, "b", heard.note("b"))
		for range 3 {
			emit(t, e, "a", nil)
			emit(t, e, "b", nil)
		}
		synctest.Wait()
		require.True(t, e.Off(gone))
		require.True(t, e.Off(any))
		require.True(t, e.Off(once))
		close(stop)
		require.Equal(t, []string{"b", "b", "b"}, heard.take())
	})
}

func TestOffFromListener(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var heard notes
		var self, next emitter.Ref
		self = on(t, e, "a", func(context.Context, emitter.Event) error {
			heard.add("self")
			e.Off(self)
			e.Off(next)
			return nil
		})
		next = on(t, e, "a", heard.note("next"))
		on(t, e, "a", heard.note("last"))
		emit(t, e, "a", nil)
		emit(t, e, "a", nil)
		require.Equal(t, []string{"self", "last", "last"}, heard.take())
	})
}

func TestOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var heard notes
		ref, err := e.Once("a", func(context.Context, emitter.Event) error {
			heard.add("once")
			if n := e.ListenerCount("a"); n != 1 {
				heard.add("it was still registered when it was called")
			}
			return nil
		})
		require.NoError(t, err)
		on(t, e, "a", heard.note("on"))
		for range 3 {
			emit(t, e, "a", nil)
		}
		require.Equal(t, []string{"once", "on", "on", "on"}, heard.take())
		require.False(t, e.Off(ref), "it is gone already")
	})
}

// A Once that registers the next one hears one event after the other.
func TestOnceAgainAndAgain(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var heard notes
		var next func(context.Context, emitter.Event) error
		next = func(_ context.Context, ev emitter.Event) error {
			heard.add(text(ev))
			_, err := e.Once("a", next)
			return err
		}
		_, err := e.Once("a", next)
		require.NoError(t, err)
		for i := range 3 {
			require.NoError(t, e.EmitWait(t.Context(), "a", i))
		}
		require.Equal(t, []string{"0", "1", "2"}, heard.take())
		require.Equal(t, 1, e.ListenerCount("a"))
	})
}

func TestRemoveAll(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var heard notes
		for _, name := range []string{"a", "a", "b", "c", emitter.Error} {
			on(t, e, name, heard.note(name))
		}
		for _, p := range []string{"*", "a", "**"} { // "a" is a pattern too
			_, err := e.OnAny(p, heard.note("any "+p))
			require.NoError(t, err)
		}
		require.Zero(t, e.RemoveAll("d"))
		require.Equal(t, 3, e.RemoveAll("a"))
		require.Equal(t, 1, e.RemoveAll("*"))
		emit(t, e, "a", nil)
		emit(t, e, "b", nil)
		require.Equal(t, []string{"any **", "b", "any **"}, heard.take())
		require.Equal(t, 4, e.RemoveAll(""))
		require.Zero(t, e.RemoveAll(""))
		emit(t, e, "b", nil)
		require.Empty(t, heard.take())
		require.Empty(t, e.EventNames())
		require.Zero(t, e.Stats().Listeners)
	})
}

func TestNamesAndCounts(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		require.Empty(t, e.EventNames())
		require.Zero(t, e.ListenerCount("a"))
		b := on(t, e, "b", nothing)
		on(t, e, "a.b", nothing)
		on(t, e, "a.b", nothing)
		_, err := e.Once(emitter.Error, nothing)
		require.NoError(t, err)
		p, err := e.OnAny("a.*", nothing)
		require.NoError(t, err)
		require.Equal(t, []string{"a.*", "a.b", "b", "error"}, e.EventNames())
		require.Equal(t, 3, e.ListenerCount("a.b"))
		require.Equal(t, 1, e.ListenerCount("a.c"))
		require.Equal(t, 1, e.ListenerCount("b"))
		require.Equal(t, 1, e.ListenerCount("error"))
		require.Zero(t, e.ListenerCount("a"))
		require.Equal(t, 5, e.Stats().Listeners)
		e.Off(p)
		e.Off(b)
		require.Equal(t, []string{"a.b", "error"}, e.EventNames())
		require.Equal(t, 2, e.ListenerCount("a.b"))
		require.Zero(t, e.ListenerCount("a.c"))
		require.Zero(t, e.ListenerCount("b"))
	})
}

func TestRefSaysWhereTheListenerWasRegistered(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		e := newEmitter(t, emitter.Options{})
		place := nextLine()
		ref, _ := e.On("a", nothing)
		require.Equal(t, place+" of a", ref.String())
		place = nextLine()
		ref, _ = emitter.On(e, "b", func(context.Context, int) error { return nil })
		require.Equal(t, place+" of b", ref.String())
		place = nextLine()
		ref, _ = emitter.Once(e, "b", func(context.Context, int) error { return nil })
		require.Equal(t, place+" of b", ref.String())
		for _, register := range []func(string, func(context.Context, emitter.Event) error) (emitter.Ref, error){e.Once, e.Prepend, e.OnAny} {
			place = nextLine()
			ref, _ = register("c", nothing)
			require.Equal(t, place+" of c", ref.String())
		}
		require.Equal(t, "no listener", emitter.Ref{}.String())
	})
}
