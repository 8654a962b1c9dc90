package emitter_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/stretchr/testify/require"
)

// read returns what a timeline has.
func read(ctx context.Context, e *emitter.Emitter, from bus.Position) (list []string, tokens []bus.Token, last error) {
	for ev, err := range e.Timeline(ctx, from) {
		var gap *bus.GapError
		if errors.As(err, &gap) {
			list = append(list, fmt.Sprint("gap ", gap.Missed))
		} else if err != nil {
			last = err
		} else {
			list = append(list, ev.Name+":"+text(ev))
			tokens = append(tokens, ev.Received.Token)
		}
	}
	return list, tokens, last
}

func TestTimeline(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(nil)
		e := newEmitter(t, emitter.Options{Bus: b})
		list, _, err := read(t.Context(), e, bus.Start)
		require.NoError(t, err)
		require.Empty(t, list)
		var noon time.Time
		for i := range 5 {
			if i == 2 {
				time.Sleep(time.Hour)
				noon = time.Now()
			}
			require.NoError(t, e.EmitWait(t.Context(), "a", i))
		}
		list, tokens, err := read(t.Context(), e, bus.Start)
		require.NoError(t, err)
		require.Equal(t, []string{"a:0", "a:1", "a:2", "a:3", "a:4"}, list)
		list, _, _ = read(t.Context(), e, bus.After(tokens[2]))
		require.Equal(t, []string{"a:3", "a:4"}, list)
		list, _, _ = read(t.Context(), e, bus.At(noon))
		require.Equal(t, []string{"a:2", "a:3", "a:4"}, list)
		list, _, _ = read(t.Context(), e, bus.Now)
		require.Empty(t, list)
		for range e.Timeline(t.Context(), bus.Start) {
			break
		}
		n := 0
		for ev, err := range e.Timeline(t.Context(), bus.Start) { // what comes during the loop is none of it
			require.NoError(t, err)
			require.Equal(t, "a", ev.Name)
			if n++; n < 3 {
				emit(t, e, "b", nil)
				synctest.Wait()
			}
		}
		require.Equal(t, 5, n)
		b.Trim(2)
		list, _, err = read(t.Context(), e, bus.After(tokens[0]))
		require.NoError(t, err)
		require.Equal(t, []string{"gap 4", "b:<nil>", "b:<nil>"}, list)
		for _, err := range e.Timeline(t.Context(), bus.After(tokens[0])) {
			require.Error(t, err)
			break
		}
		b.Reset()
		_, _, err = read(t.Context(), e, bus.After(tokens[0]))
		require.ErrorIs(t, err, bus.ErrForeignToken)
		require.ErrorContains(t, err, "timeline")
	})
}

// Copies of an event that the engine has twice are told once.
func TestTimelineWithoutRepetitions(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(nil)
		e := newEmitter(t, emitter.Options{Bus: b})
		ready(t, e)
		b.FailAnswers(bus.ErrDisconnected)
		emit(t, e, "a", 1)
		time.Sleep(time.Second)
		b.FailAnswers(nil)
		require.NoError(t, e.Flush(within(t, 2*time.Second)))
		require.Greater(t, len(kept(t, b)), 1)
		list, _, _ := read(t.Context(), e, bus.Start)
		require.Equal(t, []string{"a:1"}, list)
	})
}

func TestTimelineErrors(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, _, err := read(t.Context(), newEmitter(t, emitter.Options{}), bus.Start)
		require.ErrorIs(t, err, emitter.ErrNoBus)
		b := membus.New(&membus.Options{NoReplay: true})
		_, _, err = read(t.Context(), newEmitter(t, emitter.Options{Bus: b}), bus.Start)
		require.ErrorIs(t, err, bus.ErrUnsupported)
		w := newWire(nil)
		e := newEmitter(t, emitter.Options{Bus: w})
		_, _, err = read(ended(), e, bus.Start)
		require.ErrorIs(t, err, context.Canceled)
		w.Freeze()
		begin := time.Now()
		_, _, err = read(within(t, time.Second), e, bus.Start)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(begin))
		w.Thaw()
		w.onNext(func(context.Context, bus.Feed) (bus.Delivery, error) { return bus.Delivery{}, bus.ErrDisconnected })
		_, _, err = read(t.Context(), e, bus.Start)
		require.ErrorIs(t, err, bus.ErrDisconnected)
		require.Zero(t, w.open.Load(), "feeds that are left open")
	})
}

// Where listening begins, the first time.
func TestFrom(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(nil)
		for i := range 4 {
			if i == 2 {
				time.Sleep(time.Hour)
			}
			foreign(t, b, "a", fmt.Sprint(i))
		}
		now := time.Now()
		_, tokens, err := read(t.Context(), newEmitter(t, emitter.Options{Bus: b}), bus.Start)
		require.NoError(t, err)
		other := membus.New(nil)
		foreign(t, other, "a", "1")
		_, strange, err := read(t.Context(), newEmitter(t, emitter.Options{Bus: other}), bus.Start)
		require.NoError(t, err)
		for _, c := range []struct {
			from bus.Position
			want []string
		}{
			{bus.Now, nil},
			{bus.Start, []string{"a:0", "a:1", "a:2", "a:3"}},
			{bus.At(now), []string{"a:2", "a:3"}},
			{bus.After(tokens[0]), []string{"a:1", "a:2", "a:3"}},
			{bus.After(strange[0]), []string{"gap", "a:0", "a:1", "a:2", "a:3"}},
		} {
			e := newEmitter(t, emitter.Options{Bus: b, From: c.from})
			var heard notes
			on(t, e, emitter.Gap, func(context.Context, emitter.Event) error { heard.add("gap"); return nil })
			ref := on(t, e, "a", heard.note("a"))
			ready(t, e)
			require.Equal(t, c.want, heard.take(), "%v", c.from)
			e.Off(ref)
			time.Sleep(time.Minute)
			on(t, e, "a", heard.note("a"))
			ready(t, e)
			require.Empty(t, heard.take(), "%v: the second time it is now", c.from)
		}
	})
}

// Reserved names alone need no feed, and take nothing from Options.From.
func TestFromIsForTheFirstThatWantsEvents(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire(nil)
		foreign(t, w.Bus, "a", "0")
		e := newEmitter(t, emitter.Options{Bus: w, From: bus.Start})
		d := keepDiary(t, e)
		ready(t, e)
		require.Equal(t, []string{"connect"}, d.take())
		time.Sleep(time.Minute)
		var heard notes
		on(t, e, "a", heard.note("a"))
		ready(t, e)
		require.Equal(t, []string{"a:0"}, heard.take())
	})
}

// The feed does not run ahead of the listener that it was opened for.
func TestFirstListenerHearsThePast(t *testing.T) {
	b := membus.New(nil)
	for i := range 3 {
		foreign(t, b, "a", fmt.Sprint(i))
	}
	s := newServer(t)
	for range 300 {
		e := emitter.New(&emitter.Options{Server: s, Bus: b, From: bus.Start})
		heard := make(chan string, 3)
		on(t, e, "a", func(_ context.Context, ev emitter.Event) error { heard <- text(ev); return nil })
		for i := range 3 {
			select {
			case got := <-heard:
				require.Equal(t, fmt.Sprint(i), got)
			case <-time.After(patience):
				require.Fail(t, "an event of the past is missing")
			}
		}
		require.NoError(t, e.Close(t.Context()))
	}
}
