package emitter_test

import (
	"strings"
	"testing"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/stretchr/testify/require"
)

func TestReservedNamesAreRefused(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		for _, name := range own {
			for range 2 { // with listeners, the second time
				require.ErrorIs(t, e.Emit(t.Context(), name, nil), emitter.ErrReserved, name)
				require.ErrorContains(t, e.Emit(t.Context(), name, nil), name)
				require.ErrorIs(t, emitter.Emit(t.Context(), e, name, 1), emitter.ErrReserved, name)
				require.ErrorIs(t, e.EmitWait(t.Context(), name, nil), emitter.ErrReserved, name)
				on(t, e, name, nothing)
			}
			require.Equal(t, 2, e.RemoveAll(name))
			require.ErrorIs(t, e.Emit(t.Context(), name, nil), emitter.ErrReserved, name)
		}
		require.NoError(t, e.Emit(t.Context(), "connected", nil))
		require.NoError(t, e.Emit(t.Context(), "Error", nil))
	})
}

var badNames = []string{"", strings.Repeat("x", 256), "a\x00", "line\nbreak", "\u0085", "\xff", "\ufffe"}

func TestUnusableNames(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		for _, name := range badNames {
			_, err := e.On(name, nothing)
			require.ErrorIs(t, err, emitter.ErrName, "%q", name)
			_, err = e.Once(name, nothing)
			require.ErrorIs(t, err, emitter.ErrName, "%q", name)
			_, err = e.Prepend(name, nothing)
			require.ErrorIs(t, err, emitter.ErrName, "%q", name)
			require.Less(t, len(err.Error()), 200, "%v", err)
			require.ErrorIs(t, e.EmitWait(t.Context(), name, nil), emitter.ErrName, "%q", name)
		}
		require.ErrorIs(t, e.Emit(t.Context(), "", nil), emitter.ErrName)
		require.ErrorIs(t, emitter.Emit(t.Context(), e, "", 1), emitter.ErrName)
		_, err := e.OnAny("**", nothing) // somebody would hear them
		require.NoError(t, err)
		for _, name := range badNames {
			require.ErrorIs(t, e.Emit(t.Context(), name, nil), emitter.ErrName, "%q", name)
			require.ErrorIs(t, emitter.Emit(t.Context(), e, name, 1), emitter.ErrName, "%q", name)
		}
	})
}

func TestUnusualNames(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		for _, name := range []string{" ", ".", "..", "a b", "ü.Ω.日本", "user.*", "**", strings.Repeat("x", 255), `"`, "<a>", "\u200d", "�"} {
			var heard notes
			ref := on(t, e, name, heard.note("x"))
			require.NoError(t, e.EmitWait(t.Context(), name, 1), "%q", name)
			require.Equal(t, []string{"x:1"}, heard.take(), "%q", name)
			e.Off(ref)
		}
	})
}

func TestNilListeners(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		for _, register := range []func() (emitter.Ref, error){
			func() (emitter.Ref, error) { return e.On("a", nil) },
			func() (emitter.Ref, error) { return e.Once("a", nil) },
			func() (emitter.Ref, error) { return e.Prepend("a", nil) },
			func() (emitter.Ref, error) { return e.OnAny("a", nil) },
			func() (emitter.Ref, error) { return emitter.On[int](e, "a", nil) },
			func() (emitter.Ref, error) { return emitter.Once[int](e, "a", nil) },
		} {
			ref, err := register()
			require.ErrorIs(t, err, emitter.ErrNilFunc)
			require.Zero(t, ref)
		}
		require.Zero(t, e.Stats().Listeners)
	})
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern string
		yes, no []string
	}{
		{"user.added", []string{"user.added"}, []string{"user", "user.added.now", "user.gone"}},
		{"user.*", []string{"user.added", "user.gone"}, []string{"user", "user.mail.sent"}},
		{"user.**", []string{"user.mail", "user.mail.sent"}, []string{"user", "users.mail"}},
		{"*.added", []string{"user.added"}, []string{"added", "a.user.added"}},
		{"*", []string{"user", "Error"}, []string{"user.added", "error", "connect"}},
		{"**", []string{"user", "user.added", "a.b.c.d"}, own},
		{"error", nil, own},
	} {
		everywhere(t, func(t *testing.T, e *emitter.Emitter) {
			var heard notes
			_, err := e.OnAny(c.pattern, heard.note("x"))
			require.NoError(t, err)
			for _, name := range c.yes {
				require.Equal(t, 1, e.ListenerCount(name), "%s %s", c.pattern, name)
				require.NoError(t, e.EmitWait(t.Context(), name, nil))
				require.Len(t, heard.take(), 1, "%s %s", c.pattern, name)
			}
			for _, name := range c.no {
				require.Zero(t, e.ListenerCount(name), "%s %s", c.pattern, name)
				e.Emit(t.Context(), name, nil)
				require.Empty(t, heard.take(), "%s %s", c.pattern, name)
			}
		})
	}
}

func TestPatternsThatDoNotParse(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		for _, p := range []string{"", "**.a", "a*", "a.**.b", "***"} {
			_, err := e.OnAny(p, nothing)
			require.ErrorIs(t, err, emitter.ErrPattern, "%q", p)
		}
		require.Zero(t, e.Stats().Listeners)
	})
}

// With a hint the engine sends nothing else, and to listen to something else would be in vain.
func TestHint(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire(nil)
		e := newEmitter(t, emitter.Options{Bus: w, Hint: []string{"user.*", "order.**"}})
		var heard notes
		on(t, e, "user.added", heard.note("user"))
		on(t, e, emitter.Connect, nothing)
		_, err := e.OnAny("**", heard.note("any"))
		require.NoError(t, err)
		_, err = e.On("mail.sent", nothing)
		require.ErrorIs(t, err, bus.ErrUnsupported)
		require.ErrorContains(t, err, "user.*")
		ready(t, e)
		require.Equal(t, []string{"user.*", "order.**"}, w.feeds()[0].Hint)
		for _, name := range []string{"user.added", "mail.sent", "order.a.b"} {
			emit(t, e, name, nil)
		}
		require.Equal(t, []string{"user", "any", "any"}, heard.take())
		require.Equal(t, []string{"user.added", "mail.sent", "order.a.b"}, kept(t, w.Bus))
	})
}

// What other programs publish under reserved or unusable names reaches nobody, and is counted.
func TestForeignNames(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(nil)
		e := newEmitter(t, emitter.Options{Bus: b})
		d := keepDiary(t, e)
		var heard notes
		_, err := e.OnAny("**", heard.note("any"))
		require.NoError(t, err)
		ready(t, e)
		require.Equal(t, []string{"connect"}, d.take())
		for _, name := range append([]string{strings.Repeat("x", 256)}, own...) {
			foreign(t, b, name, `"fake"`)
		}
		require.Empty(t, heard.take())
		require.Empty(t, d.take())
		require.EqualValues(t, 7, e.Stats().Bus.Foreign)
		n := 0
		for ev, err := range e.Timeline(t.Context(), bus.Start) {
			require.NoError(t, err)
			require.Failf(t, "not for listeners", "%.20q", ev.Name)
			n++
		}
		require.Zero(t, n)
	})
}
