package emitter_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/stretchr/testify/require"
)

func TestConnectDisconnectReconnect(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(nil)
		e := newEmitter(t, emitter.Options{Bus: b})
		d := keepDiary(t, e)
		on(t, e, "a", nothing)
		ready(t, e)
		require.Equal(t, []string{"connect"}, d.take())
		require.Equal(t, []any{nil}, d.of("connect"))
		require.True(t, e.Stats().Bus.Up)
		require.True(t, e.Stats().Bus.Listening)

		b.Fail(bus.ErrDisconnected)
		time.Sleep(3 * time.Second)
		require.Equal(t, []string{"disconnect"}, d.take())
		require.ErrorIs(t, d.of("disconnect")[0].(error), bus.ErrDisconnected)
		s := e.Stats().Bus
		require.False(t, s.Up)
		require.False(t, s.Listening)
		require.Contains(t, s.Reason, bus.ErrDisconnected.Error())

		back := time.Now()
		b.Fail(nil)
		ready(t, e)
		require.Less(t, time.Since(back), 2*time.Second)
		require.Equal(t, []string{"reconnect"}, d.take())
		away := d.of("reconnect")[0].(time.Duration)
		require.InDelta(t, float64(time.Since(back)+3*time.Second), float64(away), float64(100*time.Millisecond))
		s = e.Stats().Bus
		require.Equal(t, []int{2, 1, 0}, []int{s.Connects, s.Disconnects, s.Gaps})
		require.Empty(t, s.Reason)
	})
}

// Whoever asks late is told as well, once.
func TestConnectIsToldToLateListeners(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(nil)
		e := newEmitter(t, emitter.Options{Bus: b})
		ready(t, e)
		var heard notes
		on(t, e, emitter.Connect, heard.note("on"))
		require.Equal(t, []string{"on"}, heard.take())
		_, err := e.Once(emitter.Connect, heard.note("once"))
		require.NoError(t, err)
		require.Equal(t, []string{"once"}, heard.take())
		_, err = e.Prepend(emitter.Connect, heard.note("prepend"))
		require.NoError(t, err)
		require.Equal(t, []string{"prepend"}, heard.take())
		require.Equal(t, 2, e.ListenerCount(emitter.Connect))
		_, err = e.OnAny("*", heard.note("any"))
		require.NoError(t, err)
		require.Empty(t, heard.take())

		b.Fail(bus.ErrDisconnected)
		time.Sleep(15 * time.Second)
		on(t, e, emitter.Connect, heard.note("while it is away"))
		require.Empty(t, heard.take())
		b.Fail(nil)
		ready(t, e)
		require.Empty(t, heard.take(), "now it is reconnect")
	})
}

// In memory the engine is always there: who waits for connect is called, and nothing else happens.
func TestConnectInMemory(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		e := newEmitter(t, emitter.Options{})
		d := keepDiary(t, e)
		require.NoError(t, e.Ready(t.Context()))
		require.NoError(t, e.Flush(t.Context()))
		require.Zero(t, e.Discard())
		time.Sleep(time.Minute)
		require.Equal(t, []string{"connect"}, d.take())
		require.Nil(t, e.Stats().Bus)
	})
}

// A server that comes a minute late finds everything that was emitted meanwhile.
func TestAbsentAtStart(t *testing.T) {
	for _, listening := range []bool{false, true} {
		inBubble(t, func(t *testing.T) {
			w := newWire(nil)
			w.Fail(bus.ErrDisconnected)
			logger, text := logged()
			e := newEmitter(t, emitter.Options{Bus: w, Logger: logger})
			var heard notes
			if listening {
				on(t, e, "a", heard.note("a"))
				on(t, e, emitter.Connect, heard.note("connect"))
				on(t, e, emitter.Reconnect, heard.note("reconnect"))
			}
			for i := range 3 {
				emit(t, e, "a", i)
			}
			time.Sleep(time.Minute)
			require.Less(t, w.publishes.Load()+w.tails.Load(), int64(150), "attempts in a minute")
			require.Equal(t, 1, strings.Count(text(), "no connection"), "it is said once: %s", text())
			s := e.Stats().Bus
			require.False(t, s.Up)
			require.Equal(t, 3, s.Buffered)
			require.Contains(t, s.Reason, "no connection")
			require.ErrorContains(t, e.Ready(within(t, time.Second)), "no connection")
			w.Fail(nil)
			require.NoError(t, e.Flush(within(t, 2*time.Second)))
			require.Equal(t, []string{"a", "a", "a"}, kept(t, w.Bus))
			if listening {
				require.Equal(t, []string{"connect", "a:0", "a:1", "a:2"}, heard.take())
			}
		})
	}
}

// The engine is lost while nobody listens and nothing is sent: that is noticed too.
func TestIdleEmitterNoticesAnOutage(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire(nil)
		e := newEmitter(t, emitter.Options{Bus: w})
		ready(t, e)
		time.Sleep(time.Hour)
		require.LessOrEqual(t, w.publishes.Load(), int64(400), "attempts in an hour")
		require.Zero(t, w.tails.Load())
		w.Fail(bus.ErrDisconnected)
		time.Sleep(11 * time.Second)
		require.False(t, e.Stats().Bus.Up)
		w.Fail(nil)
		time.Sleep(2 * time.Second)
		require.True(t, e.Stats().Bus.Up)
		require.Equal(t, 1, e.Stats().Bus.Disconnects)
	})
}

// The first listener comes when the engine has just gone, and hears of it.
func TestFirstListenerDuringOutage(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(nil)
		e := newEmitter(t, emitter.Options{Bus: b})
		ready(t, e)
		b.Fail(bus.ErrDisconnected)
		d := keepDiary(t, e)
		var heard notes
		on(t, e, "a", heard.note("a"))
		emit(t, e, "a", 1)
		time.Sleep(3 * time.Second)
		require.False(t, e.Stats().Bus.Up)
		require.Contains(t, d.take(), "disconnect")
		b.Fail(nil)
		ready(t, e)
		require.Equal(t, []string{"reconnect"}, d.take())
		require.Equal(t, []string{"a:1"}, heard.take())
	})
}

// To begin to listen, and to stop, is no change of the connection.
func TestListeningIsNoReconnect(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		e := newEmitter(t, emitter.Options{Bus: membus.New(nil)})
		ready(t, e)
		for range 3 {
			ref := on(t, e, "a", nothing)
			time.Sleep(10 * time.Second)
			e.Off(ref)
			time.Sleep(10 * time.Second)
		}
		s := e.Stats().Bus
		require.Equal(t, []int{1, 0}, []int{s.Connects, s.Disconnects})
	})
}

// What disconnect says is an error, whatever broke the feed.
func TestDisconnectHasAReason(t *testing.T) {
	want := map[string]string{"made anew": bus.ErrForeignToken.Error(), "garbage": "garbage"}
	for name, breakIt := range map[string]func(w *wire){
		"made anew": func(w *wire) { w.Reset() },
		"garbage": func(w *wire) {
			w.onNext(func(context.Context, bus.Feed) (bus.Delivery, error) { return bus.Delivery{}, errors.New("garbage") })
			w.Fail(errors.New("garbage")) // wakes the feed
			w.Fail(nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWire(nil)
				e := newEmitter(t, emitter.Options{Bus: w})
				d := keepDiary(t, e)
				on(t, e, "a", nothing)
				ready(t, e)
				breakIt(w)
				synctest.Wait()
				w.onNext(nil)
				time.Sleep(5 * time.Second)
				data := d.of("disconnect")
				require.NotEmpty(t, data)
				require.ErrorContains(t, data[0].(error), want[name])
			})
		})
	}
}

// An outage that is over is none of what a later call reports.
func TestReasonIsForgotten(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire(nil)
		e := newEmitter(t, emitter.Options{Bus: w})
		on(t, e, "a", nothing)
		ready(t, e)
		w.Fail(bus.ErrDisconnected)
		time.Sleep(time.Second)
		w.Fail(nil)
		ready(t, e)
		w.refuse(errDisk)
		emit(t, e, "a", 1)
		err := e.Flush(ended())
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, bus.ErrDisconnected)
	})
}

// The reason is what the engine says now, not what it said when it went.
func TestReasonIsTheLatest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(nil)
		e := newEmitter(t, emitter.Options{Bus: b})
		ready(t, e)
		b.Fail(bus.ErrDisconnected)
		emit(t, e, "a", 1)
		time.Sleep(3 * time.Second)
		b.Fail(bus.ErrDenied)
		time.Sleep(3 * time.Second)
		require.Contains(t, e.Stats().Bus.Reason, bus.ErrDenied.Error())
	})
}

// An engine that does not answer at all is away too.
func TestFrozenEngine(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(nil)
		e := newEmitter(t, emitter.Options{Bus: b})
		d := keepDiary(t, e)
		var heard notes
		on(t, e, "a", heard.note("a"))
		ready(t, e)
		b.Freeze()
		for i := range 3 {
			emit(t, e, "a", i)
		}
		time.Sleep(2 * time.Minute)
		require.Contains(t, d.take(), "disconnect")
		b.Thaw()
		require.NoError(t, e.Flush(within(t, 35*time.Second)))
		require.Equal(t, []string{"a:0", "a:1", "a:2"}, heard.take())
		require.Equal(t, []string{"reconnect"}, d.take())
	})
}
