package emitter_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/stretchr/testify/require"
)

func TestTypedListeners(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var heard notes
		_, err := emitter.On(e, "a", func(_ context.Context, u user) error { heard.add("value " + u.Name); return nil })
		require.NoError(t, err)
		_, err = emitter.On(e, "a", func(_ context.Context, u *user) error { heard.add("pointer " + u.Name); return nil })
		require.NoError(t, err)
		_, err = emitter.On(e, "a", func(_ context.Context, p person) error { heard.add("person " + p.Name); return nil })
		require.NoError(t, err)
		_, err = emitter.Once(e, "a", func(_ context.Context, u user) error { heard.add("once " + u.Name); return nil })
		require.NoError(t, err)
		require.NoError(t, emitter.Emit(t.Context(), e, "a", user{1, "ann"}))
		require.Equal(t, []string{"value ann", "pointer ann", "person ann", "once ann"}, heard.take())
		require.NoError(t, emitter.Emit(t.Context(), e, "a", &user{2, "bob"}))
		require.Equal(t, []string{"value bob", "pointer bob", "person bob"}, heard.take())
		require.NoError(t, e.EmitWait(t.Context(), "a", map[string]string{"Name": "cay"}))
		require.Equal(t, []string{"value cay", "pointer cay", "person cay"}, heard.take())
		require.NoError(t, e.EmitWait(t.Context(), "a", json.RawMessage(`{"Name":"dan"}`)))
		require.Equal(t, []string{"value dan", "pointer dan", "person dan"}, heard.take())
	})
}

// Data that does not fit is an error event, and the listener is not called; the next event is heard again.
func TestTypedMisfit(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		d := keepDiary(t, e)
		var heard notes
		place := nextLine()
		_, err := emitter.On(e, "a", func(_ context.Context, n int) error { heard.add("int"); return nil })
		require.NoError(t, err)
		_, err = emitter.Once(e, "a", func(_ context.Context, n int) error { heard.add("once"); return nil })
		require.NoError(t, err)
		on(t, e, "a", func(context.Context, emitter.Event) error { heard.add("plain"); return nil })
		err = e.EmitWait(t.Context(), "a", "no number")
		require.ErrorIs(t, err, emitter.ErrData)
		require.ErrorContains(t, err, "into int")
		require.Equal(t, []string{"plain"}, heard.take())
		failures := d.of(emitter.Error)
		require.Len(t, failures, 2)
		var failed *emitter.ListenerError
		require.ErrorAs(t, failures[0].(error), &failed)
		require.Equal(t, place, failed.Listener)
		require.ErrorIs(t, failed, emitter.ErrData)
		require.NoError(t, e.EmitWait(t.Context(), "a", 7))
		require.Equal(t, []string{"int", "plain"}, heard.take())
	})
}

// Garbage that others publish is an error event for those who want a type.
func TestTypedGarbage(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(nil)
		e := newEmitter(t, emitter.Options{Bus: b})
		d := keepDiary(t, e)
		var heard notes
		emitter.On(e, "a", func(_ context.Context, u user) error { heard.add(u.Name); return nil })
		ready(t, e)
		for _, data := range []string{`[1,2]`, `"x"`, `{"ID":"seven"}`, `1e999`, `{"Name":"ann"}`} {
			foreign(t, b, "a", data)
		}
		require.Equal(t, []string{"ann"}, heard.take())
		require.Len(t, d.of(emitter.Error), 4)
	})
}

// Interfaces: what the emitter says about itself, and anything.
func TestTypedInterfaces(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		var heard notes
		_, err := emitter.On(e, emitter.Error, func(_ context.Context, err error) error { heard.add("error " + err.Error()[:8]); return nil })
		require.NoError(t, err)
		_, err = emitter.On(e, emitter.Error, func(_ context.Context, err *emitter.ListenerError) error { heard.add("of " + err.Event); return nil })
		require.NoError(t, err)
		_, err = emitter.On(e, "a", func(_ context.Context, v any) error { heard.add("any"); return errors.New("oh") })
		require.NoError(t, err)
		require.Error(t, e.EmitWait(t.Context(), "a", 1))
		require.Error(t, e.EmitWait(t.Context(), "a", nil))
		require.Equal(t, []string{"any", "error emitter:", "of a", "any", "error emitter:", "of a"}, heard.take())
	})
	inBubble(t, func(t *testing.T) {
		e := newEmitter(t, emitter.Options{Bus: membus.New(nil)})
		var got any
		emitter.On(e, "a", func(_ context.Context, v any) error { got = v; return nil })
		require.NoError(t, e.EmitWait(t.Context(), "a", user{1, "ann"}))
		require.Equal(t, map[string]any{"ID": 1.0, "Name": "ann"}, got, "not the text of it")
	})
}
