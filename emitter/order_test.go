package emitter_test

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/earshot-go/earshot/emitter"
	"github.com/stretchr/testify/require"
)

func TestListenersAreCalledInTheOrderOfTheirRegistration(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var heard notes
		for _, step := range []struct {
			register func(string, func(context.Context, emitter.Event) error) (emitter.Ref, error)
			name     string
			word     string
		}{
			{e.On, "user.added", "1"},
			{e.OnAny, "user.*", "2"},
			{e.Once, "user.added", "3"},
			{e.Prepend, "user.added", "0"},
			{e.OnAny, "**", "4"},
			{e.On, "user.added", "5"},
			{e.Prepend, "user.added", "-1"},
			{e.Once, "user.added", "6"},
			{e.On, "user.gone", "none of this"},
			{e.OnAny, "*", "nor this"},
		} {
			_, err := step.register(step.name, heard.note(step.word))
			require.NoError(t, err)
		}
		require.Equal(t, 8, e.ListenerCount("user.added"))
		emit(t, e, "user.added", nil)
		require.Equal(t, []string{"-1", "0", "1", "2", "3", "4", "5", "6"}, heard.take())
		require.Equal(t, 6, e.ListenerCount("user.added"))
		emit(t, e, "user.added", nil)
		require.Equal(t, []string{"-1", "0", "1", "2", "4", "5"}, heard.take())
	})
}

func TestEventsKeepTheOrderOfTheirEmitter(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var heard notes
		on(t, e, "a", heard.note("a"))
		on(t, e, "b", heard.note("b"))
		var want []string
		for i := range 500 {
			name := []string{"a", "b"}[i*i%3%2]
			emit(t, e, name, i)
			want = append(want, name+":"+strconv.Itoa(i))
		}
		require.Equal(t, want, heard.take())
	})
}

// What a listener emits is heard after what is being heard, and after what waits already.
func TestEmitFromListener(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var heard notes
		started, proceed := make(chan struct{}), make(chan struct{})
		on(t, e, "first", func(ctx context.Context, _ emitter.Event) error {
			close(started)
			<-proceed
			for i := range 3 {
				if err := e.Emit(ctx, "inside", i); err != nil {
					return err
				}
			}
			heard.add("first")
			return nil
		})
		on(t, e, "first", heard.note("first again"))
		on(t, e, "inside", heard.note("inside"))
		on(t, e, "waiting", heard.note("waiting"))
		emit(t, e, "first", nil)
		<-started
		emit(t, e, "waiting", nil)
		synctest.Wait()
		close(proceed)
		require.Equal(t, []string{"first", "first again", "waiting", "inside:0", "inside:1", "inside:2"}, heard.take())
	})
}

func TestSameFunctionTwice(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var heard notes
		fn := heard.note("x")
		first, second := on(t, e, "a", fn), on(t, e, "a", fn)
		require.NotEqual(t, first, second)
		emit(t, e, "a", nil)
		require.Len(t, heard.take(), 2)
		require.True(t, e.Off(first))
		emit(t, e, "a", nil)
		require.Len(t, heard.take(), 1)
		require.True(t, e.Off(second))
		emit(t, e, "a", nil)
		require.Empty(t, heard.take())
	})
}

// A listener that is added by a listener hears the next event, not this one.
func TestRegisterFromListener(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var heard notes
		added := false
		on(t, e, "a", func(context.Context, emitter.Event) error {
			heard.add("outer")
			if !added {
				added = true
				_, err := e.Prepend("a", heard.note("inner"))
				return err
			}
			return nil
		})
		require.NoError(t, e.EmitWait(t.Context(), "a", nil))
		require.Equal(t, []string{"outer"}, heard.take())
		require.NoError(t, e.EmitWait(t.Context(), "a", nil))
		require.Equal(t, []string{"inner", "outer"}, heard.take())
	})
}

func TestNoListenerHearsWhatWasBefore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		e := newEmitter(t, emitter.Options{})
		var heard notes
		stop := make(chan struct{})
		on(t, e, "a", func(context.Context, emitter.Event) error { <-stop; return nil })
		emit(t, e, "a", 1)
		emit(t, e, "a", 2)
		on(t, e, "a", heard.note("late"))
		_, err := e.OnAny("*", heard.note("any"))
		require.NoError(t, err)
		emit(t, e, "a", 3)
		close(stop)
		require.Equal(t, []string{"late:3", "any:3"}, heard.take())
	})
}
