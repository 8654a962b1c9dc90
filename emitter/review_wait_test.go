package emitter_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/earshot-go/earshot/event"
	"github.com/stretchr/testify/require"
)

// A pattern that matches more than the hint: what the engine does not send back is not waited for.
func TestEmitWaitBesideTheHint(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(nil)
		e := newEmitter(t, emitter.Options{Bus: b, Hint: []string{"user.*"}})
		var heard notes
		_, err := e.OnAny("**", func(_ context.Context, ev emitter.Event) error { heard.add(ev.Name); return nil })
		require.NoError(t, err)
		ready(t, e)
		for _, name := range []string{"order.made", "user.added", "user.added.twice"} {
			done := inBackground(func() error { return e.EmitWait(within(t, time.Hour), name, nil) })
			require.NoError(t, answer(t, done, time.Second), name)
		}
		require.Equal(t, []string{"user.added"}, heard.take())
		require.Equal(t, []string{"order.made", "user.added", "user.added.twice"}, kept(t, b), "the engine has them all")
	})
}

// The engine keeps nothing. The feed breaks while an event is on its way, and a new feed is open before the engine's
// answer comes: that feed began behind the event.
func TestEmitWaitAnsweredAfterALoss(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire(&membus.Options{NoReplay: true})
		e := newEmitter(t, emitter.Options{Bus: w})
		d := keepDiary(t, e)
		var heard notes
		on(t, e, "a", heard.note("a"))
		ready(t, e)
		taken, proceed := make(chan struct{}), make(chan struct{})
		w.onTail(func(context.Context, bus.Tail) (bus.Feed, error) { return nil, bus.ErrDisconnected })
		w.onPublish(func(ctx context.Context, events []event.Event) error {
			w.Fail(bus.ErrDisconnected) // the feed's wire, and not this one's
			synctest.Wait()
			w.Fail(nil)
			err := w.Bus.Publish(ctx, events...)
			close(taken)
			<-proceed
			return err
		})
		done := inBackground(func() error { return e.EmitWait(within(t, time.Hour), "a", nil) })
		<-taken
		w.onPublish(nil)
		w.onTail(nil)
		time.Sleep(5 * time.Second)
		require.True(t, e.Stats().Bus.Listening)
		require.Len(t, d.of(emitter.Gap), 1)
		require.False(t, finished(done))
		close(proceed)
		require.ErrorIs(t, answer(t, done, time.Second), emitter.ErrDropped)
		require.Empty(t, heard.take())
		require.NoError(t, e.EmitWait(within(t, time.Minute), "a", nil), "and all goes on")
		require.Equal(t, []string{"a"}, heard.take())
	})
}

// A gap is about what was sent before it: those who wait for what is sent afterwards hear of their listeners.
func TestEmitWaitAfterAGap(t *testing.T) {
	for name, opts := range map[string]*membus.Options{"replay": nil, "no replay": {NoReplay: true}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWire(opts)
				e := newEmitter(t, emitter.Options{Bus: w})
				d := keepDiary(t, e)
				var heard notes
				on(t, e, "a", heard.note("a"))
				for range 3 {
					ready(t, e)
					w.Reset()
					time.Sleep(5 * time.Second)
					ready(t, e)
					require.NoError(t, e.EmitWait(within(t, time.Minute), "a", nil))
					require.Equal(t, []string{"a"}, heard.take())
				}
				require.Len(t, d.of(emitter.Gap), 3)
			})
		})
	}
}
