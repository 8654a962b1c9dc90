package emitter_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/stretchr/testify/require"
)

// taken returns the names of the events that a tap has heard.
func taken(t testing.TB, tap *earshot.Tap) (names []string) {
	t.Helper()
	synctest.Wait()
	var buf [256]earshot.Heard
	for {
		n, missed := tap.Take(buf[:])
		require.Zero(t, missed)
		if n == 0 {
			return names
		}
		for _, h := range buf[:n] {
			names = append(names, h.Event().(emitter.Event).Name)
		}
	}
}

// A tap on the emitter's channel hears everything, also what no listener hears.
func TestTap(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newServer(t)
		e := newEmitter(t, emitter.Options{Server: s, Name: "shop"})
		tap := s.Tap(t.Context(), &earshot.TapOptions{Match: func(name string) bool { return name == "shop" }})
		defer tap.Close()
		emit(t, e, "before any listener", 1)
		require.NoError(t, emitter.Emit(t.Context(), e, "typed", 1))
		var heard notes
		ref := on(t, e, "a", heard.note("a"))
		emit(t, e, "a", 1)
		emit(t, e, "unheard", 2)
		require.NoError(t, e.EmitWait(t.Context(), "unheard and waited for", 2))
		require.NoError(t, e.EmitWait(t.Context(), "a", 2))
		require.Equal(t, []string{"before any listener", "typed", "a", "unheard", "unheard and waited for", "a"}, taken(t, tap))
		require.Len(t, heard.take(), 2)
		e.Off(ref)
		time.Sleep(time.Minute)
		emit(t, e, "after the last listener", nil)
		require.Equal(t, []string{"after the last listener"}, taken(t, tap))
	})
}

// The same over a bus: once, whether it comes back from the engine or not.
func TestTapOverABus(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newServer(t)
		b := membus.New(nil)
		e := newEmitter(t, emitter.Options{Server: s, Bus: b, Name: "shop"})
		tap := s.Tap(t.Context(), &earshot.TapOptions{Match: func(name string) bool { return name == "shop" }})
		defer tap.Close()
		ready(t, e)
		emit(t, e, "unheard", 1)
		require.NoError(t, e.Flush(t.Context()))
		require.Equal(t, []string{"unheard"}, skip(taken(t, tap), emitter.Connect))
		var heard notes
		on(t, e, "a", heard.note("a"))
		ready(t, e)
		emit(t, e, "a", 1)
		emit(t, e, "other", 1)
		synctest.Wait()
		foreign(t, b, "foreign", "")
		require.Equal(t, []string{"a", "other", "foreign"}, taken(t, tap))
		require.Equal(t, []string{"a:1"}, heard.take())
	})
}

func skip(list []string, word string) (rest []string) {
	for _, s := range list {
		if s != word {
			rest = append(rest, s)
		}
	}
	return rest
}

// Two emitters of the same name share nothing.
func TestTwoEmittersOfOneName(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newServer(t)
		one, two := newEmitter(t, emitter.Options{Server: s, Name: "shop"}), newEmitter(t, emitter.Options{Server: s, Name: "shop"})
		require.Equal(t, "shop", one.Name())
		require.Equal(t, "shop-2", two.Name())
		tap := s.Tap(t.Context(), &earshot.TapOptions{Match: func(name string) bool { return name == two.Name() }})
		defer tap.Close()
		var heard notes
		on(t, one, "a", heard.note("one"))
		on(t, two, "a", heard.note("two"))
		emit(t, one, "a", nil)
		require.Equal(t, []string{"one"}, heard.take())
		emit(t, two, "a", nil)
		require.Equal(t, []string{"two"}, heard.take())
		require.Equal(t, []string{"a"}, taken(t, tap))
	})
}
