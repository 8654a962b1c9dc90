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

// However many listeners there are, whenever they come and whatever happens to the wire, there is one feed.
func TestOneFeedForAllListeners(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire(nil)
		e := newEmitter(t, emitter.Options{Bus: w})
		var heard notes
		for i := range 50 {
			on(t, e, fmt.Sprint("name", i%10), heard.note("x"))
			_, err := e.OnAny("*", nothing)
			require.NoError(t, err)
		}
		ready(t, e)
		require.EqualValues(t, 1, w.tails.Load())
		emit(t, e, "name3", nil)
		require.Len(t, heard.take(), 5)
		for range 10 {
			w.Fail(bus.ErrDisconnected)
			time.Sleep(5 * time.Second)
			w.Fail(nil)
			ready(t, e)
			require.EqualValues(t, 1, w.open.Load())
			emit(t, e, "name3", nil)
			require.Len(t, heard.take(), 5, "each hears it once")
		}
		require.EqualValues(t, 1, w.most.Load(), "feeds that were open at the same time")
		e.RemoveAll("")
		time.Sleep(2 * time.Second)
		require.Zero(t, w.open.Load())
		for range 5 {
			on(t, e, "name3", heard.note("x"))
			time.Sleep(2 * time.Second)
			e.RemoveAll("")
			time.Sleep(2 * time.Second)
		}
		require.Zero(t, w.open.Load())
		require.EqualValues(t, 1, w.most.Load(), "feeds that were open at the same time")
	})
}

// A feed that takes its time to end is waited for: two at a time would bring each event twice.
func TestNextFeedWaitsForTheLast(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire(nil)
		w.onNext(func(ctx context.Context, in bus.Feed) (bus.Delivery, error) {
			d, err := in.Next(ctx)
			if ctx.Err() != nil {
				time.Sleep(10 * time.Second)
			}
			return d, err
		})
		e := newEmitter(t, emitter.Options{Bus: w})
		on(t, e, "a", nothing)
		ready(t, e)
		e.RemoveAll("")
		time.Sleep(3 * time.Second)
		var heard notes
		on(t, e, "a", heard.note("a"))
		emit(t, e, "a", 1)
		time.Sleep(3 * time.Second)
		require.EqualValues(t, 1, w.open.Load())
		time.Sleep(10 * time.Second)
		require.EqualValues(t, 1, w.most.Load())
		require.EqualValues(t, 2, w.tails.Load())
		require.Equal(t, []string{"a:1"}, heard.take(), "own events wait for the feed")
		e.Close(ended())
		time.Sleep(time.Minute)
	})
}

// What keeps the feed from being opened is said once, and again when it has worked in between.
func TestTroubleWithTheFeedIsSaidAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire(nil)
		e := newEmitter(t, emitter.Options{Bus: w})
		d := keepDiary(t, e)
		on(t, e, "a", nothing)
		ready(t, e)
		for i := range 3 {
			w.onTail(func(context.Context, bus.Tail) (bus.Feed, error) { return nil, errors.New("too many feeds") })
			w.Fail(bus.ErrDisconnected) // ends the one that is open
			w.Fail(nil)
			time.Sleep(10 * time.Second)
			require.Len(t, d.of(emitter.Error), i+1)
			require.ErrorContains(t, d.of(emitter.Error)[i].(error), "too many feeds")
			w.onTail(nil)
			time.Sleep(10 * time.Second)
			ready(t, e)
		}
	})
}

// What others publish during an outage is heard after it, also if nothing had come before.
func TestResume(t *testing.T) {
	for _, before := range []int{0, 3} {
		inBubble(t, func(t *testing.T) {
			b := membus.New(&membus.Options{Name: t.Name()})
			other := membus.New(&membus.Options{Name: t.Name()})
			defer other.Close(t.Context())
			defer b.Close(t.Context())
			foreign(t, other, "a", `"old"`)
			e := newEmitter(t, emitter.Options{Bus: b})
			d := keepDiary(t, e)
			var heard notes
			on(t, e, "a", heard.note("a"))
			ready(t, e)
			var want []string
			for i := range before {
				foreign(t, other, "a", fmt.Sprint(i))
				want = append(want, fmt.Sprint("a:", i))
			}
			synctest.Wait()
			for i := range 5 {
				b.Fail(bus.ErrDisconnected)
				foreign(t, other, "a", fmt.Sprint("1", i))
				want = append(want, fmt.Sprint("a:1", i))
				time.Sleep(2 * time.Second)
				b.Fail(nil)
				time.Sleep(2 * time.Second)
			}
			require.Equal(t, want, heard.take())
			require.NotContains(t, d.take(), "gap")
		})
	}
}

// The stream is made anew: there is a gap, and all of the new stream is heard.
func TestStreamMadeAnew(t *testing.T) {
	for name, during := range map[string]bool{"open feed": false, "during an outage": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := membus.New(&membus.Options{Name: t.Name()})
				other := membus.New(&membus.Options{Name: t.Name()})
				defer other.Close(t.Context())
				defer b.Close(t.Context())
				e := newEmitter(t, emitter.Options{Bus: b})
				d := keepDiary(t, e)
				var heard notes
				on(t, e, "a", heard.note("a"))
				ready(t, e)
				foreign(t, other, "a", "1")
				foreign(t, other, "a", "2")
				require.Equal(t, []string{"a:1", "a:2"}, heard.take())
				if during {
					b.Fail(bus.ErrDisconnected)
				}
				other.Reset()
				foreign(t, other, "a", "3")
				time.Sleep(time.Second)
				b.Fail(nil)
				time.Sleep(3 * time.Second)
				foreign(t, other, "a", "4")
				require.Equal(t, []string{"a:3", "a:4"}, heard.take())
				require.Len(t, d.of("gap"), 1)
				require.IsType(t, &bus.GapError{}, d.of("gap")[0])
				require.Contains(t, d.of("gap")[0].(*bus.GapError).Reason, "foreign token")
				require.Equal(t, 1, e.Stats().Bus.Gaps)
				emit(t, e, "a", 5)
				require.Equal(t, []string{"a:5"}, heard.take())
			})
		})
	}
}

// Retention has taken events during the outage: the gap says how many, before what is left.
func TestGapAfterRetention(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(&membus.Options{Name: t.Name()})
		other := membus.New(&membus.Options{Name: t.Name()})
		defer other.Close(t.Context())
		defer b.Close(t.Context())
		e := newEmitter(t, emitter.Options{Bus: b})
		var heard notes
		on(t, e, "a", heard.note("a"))
		on(t, e, emitter.Gap, func(_ context.Context, ev emitter.Event) error {
			heard.add(fmt.Sprint("gap ", ev.Data.(*bus.GapError).Missed))
			return nil
		})
		ready(t, e)
		foreign(t, other, "a", "1")
		synctest.Wait()
		b.Fail(bus.ErrDisconnected)
		for i := range 10 {
			foreign(t, other, "a", fmt.Sprint("1", i))
		}
		other.Trim(3)
		time.Sleep(time.Second)
		b.Fail(nil)
		time.Sleep(3 * time.Second)
		require.Equal(t, []string{"a:1", "gap 7", "a:17", "a:18", "a:19"}, heard.take())
	})
}

// An engine that keeps nothing: every stretch without a feed is a gap, and is told once.
func TestGapForEveryPossibleLoss(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(&membus.Options{Name: t.Name(), NoReplay: true})
		other := membus.New(&membus.Options{Name: t.Name()})
		defer other.Close(t.Context())
		defer b.Close(t.Context())
		e := newEmitter(t, emitter.Options{Bus: b})
		d := keepDiary(t, e)
		var heard notes
		on(t, e, "a", heard.note("a"))
		ready(t, e)
		require.Empty(t, d.of("gap"))
		for i := range 5 {
			b.Fail(bus.ErrDisconnected)
			foreign(t, other, "a", `"lost"`)
			emit(t, e, "a", i)
			time.Sleep(time.Second)
			b.Fail(nil)
			ready(t, e)
			require.Len(t, d.of("gap"), i+1)
			require.NoError(t, e.Flush(within(t, time.Second)))
			require.Equal(t, []string{fmt.Sprint("a:", i)}, heard.take(), "own events wait for the feed")
		}
		other.Reset()
		time.Sleep(5 * time.Second)
		require.Len(t, d.of("gap"), 6)
	})
}

// A feed of which every second one is broken from the start is no reason to try without a pause.
func TestFeedThatBreaksAtOnce(t *testing.T) {
	for name, err := range map[string]error{"foreign": bus.ErrForeignToken, "garbage": errors.New("garbage"), "cut": bus.ErrDisconnected} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWire(nil)
				w.onNext(func(ctx context.Context, in bus.Feed) (bus.Delivery, error) {
					if w.tails.Load() > 20*often {
						return in.Next(ctx)
					}
					return bus.Delivery{}, err
				})
				logger, _ := logged()
				e := newEmitter(t, emitter.Options{Bus: w, Logger: logger})
				d := keepDiary(t, e)
				on(t, e, "a", nothing)
				time.Sleep(time.Minute)
				require.Less(t, w.tails.Load(), int64(150), "feeds in a minute")
				require.Less(t, len(d.of("error")), 5, "it is said once")
				w.onNext(nil)
				time.Sleep(2 * time.Second)
				require.True(t, e.Stats().Bus.Up)
			})
		})
	}
}

func TestOwnEventsAreHeardOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(nil)
		e := newEmitter(t, emitter.Options{Bus: b})
		var heard notes
		on(t, e, "a", heard.note("a"))
		for i := range 3 {
			emit(t, e, "a", i)
		}
		require.Equal(t, []string{"a:0", "a:1", "a:2"}, heard.take())
		b.FailAnswers(bus.ErrDisconnected)
		time.Sleep(time.Millisecond)
		b.FailAnswers(nil)
		for i := range 3 {
			emit(t, e, "a", i)
		}
		time.Sleep(5 * time.Second)
		require.Equal(t, []string{"a:0", "a:1", "a:2"}, heard.take())
	})
}

// Two emitters on one stream are one emitter.
func TestTwoEmittersOnOneStream(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var both [2]*emitter.Emitter
		var heard [2]notes
		for i := range both {
			e, err := emitter.Open("mem:two", &emitter.Options{Server: newServer(t)})
			require.NoError(t, err)
			both[i] = e
			on(t, e, "a", heard[i].note("a"))
			ready(t, e)
		}
		emit(t, both[0], "a", 0)
		synctest.Wait()
		emit(t, both[1], "a", 1)
		for i := range both {
			require.Equal(t, []string{"a:0", "a:1"}, heard[i].take())
			require.NoError(t, both[i].Close(t.Context()))
		}
	})
}
