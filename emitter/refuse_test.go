package emitter_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/earshot-go/earshot/event"
	"github.com/stretchr/testify/require"
)

var errDisk = errors.New("no space left on device")

// The engine hears well and takes nothing: that is said once, tried again now and then, and goes on where it stopped.
func TestDiskFull(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire(nil)
		e := newEmitter(t, emitter.Options{Bus: w})
		d := keepDiary(t, e)
		var heard notes
		on(t, e, "a", heard.note("a"))
		ready(t, e)
		count := w.refuse(errDisk)
		for i := range 5 {
			emit(t, e, "a", i)
		}
		time.Sleep(time.Minute)
		require.Less(t, count(), int64(often), "a hot loop")
		require.Less(t, count(), int64(100), "in a minute")
		require.Greater(t, count(), int64(30), "in a minute")
		require.Equal(t, []string{"connect", "error"}, d.take())
		require.ErrorIs(t, d.of("error")[0].(error), errDisk)
		require.Empty(t, heard.take())
		w.onPublish(nil)
		require.NoError(t, e.Flush(within(t, 2*time.Second)))
		require.Equal(t, []string{"a:0", "a:1", "a:2", "a:3", "a:4"}, heard.take())
		require.Empty(t, d.take(), "nothing has happened to the connection")
		w.refuse(errDisk)
		emit(t, e, "a", 5)
		time.Sleep(3 * time.Second)
		require.Equal(t, []string{"error"}, d.take(), "it happens again, and is said again")
		w.onPublish(nil)
	})
}

// The same trouble with nobody listening.
func TestDiskFullUnheard(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire(nil)
		logger, text := logged()
		e := newEmitter(t, emitter.Options{Bus: w, Logger: logger})
		ready(t, e)
		count := w.refuse(errDisk)
		emit(t, e, "a", nil)
		time.Sleep(time.Minute)
		require.Less(t, count(), int64(100), "in a minute")
		require.Equal(t, 1, strings.Count(text(), "no space left"), "%s", text())
		w.onPublish(nil)
		require.NoError(t, e.Flush(within(t, 2*time.Second)))
		require.Equal(t, []string{"a"}, kept(t, w.Bus))
	})
}

// After trouble that was not the events' own they go in batches again.
func TestBatchesAgainAfterTrouble(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire(nil)
		e := newEmitter(t, emitter.Options{Bus: w})
		ready(t, e)
		w.refuse(errDisk)
		for range 100 {
			emit(t, e, "a", nil)
		}
		time.Sleep(5 * time.Second)
		w.onPublish(nil)
		require.NoError(t, e.Flush(within(t, 2*time.Second)))
		w.sent()
		for range 1000 {
			emit(t, e, "b", nil)
		}
		require.NoError(t, e.Flush(within(t, 2*time.Second)))
		require.Less(t, len(w.sent()), 300, "times Publish for 1000 events")
	})
}

// The answers of Publish get lost and the feed lives: the events are sent again and again, slowly, and heard once.
func TestLostAnswers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire(nil)
		e := newEmitter(t, emitter.Options{Bus: w})
		d := keepDiary(t, e)
		var heard notes
		on(t, e, "a", heard.note("a"))
		ready(t, e)
		var n atomic.Int64
		w.onPublish(func(ctx context.Context, events []event.Event) error {
			w.Bus.Publish(ctx, events...)
			if n.Add(1) > often {
				return nil
			}
			return fmt.Errorf("cut: %w", bus.ErrDisconnected)
		})
		emit(t, e, "a", 1)
		emit(t, e, "a", 2)
		time.Sleep(10 * time.Second)
		require.Less(t, n.Load(), int64(often), "a hot loop")
		require.Less(t, n.Load(), int64(30), "in ten seconds")
		w.onPublish(nil)
		require.NoError(t, e.Flush(within(t, 2*time.Second)))
		require.Equal(t, []string{"a:1", "a:2"}, heard.take())
		require.Equal(t, []string{"connect", "disconnect", "reconnect"}, d.take())
		require.NotZero(t, e.Stats().Bus.Repeated)
	})
}

// One event that the engine refuses does not keep the others, wherever it stands, and is told of by a drop event.
func TestOneIsRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
	}{
		{"too large", bus.ErrTooLarge}, {"unsupported", bus.ErrUnsupported}, {"invalid", event.ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWire(nil)
				e := newEmitter(t, emitter.Options{Bus: w})
				d := keepDiary(t, e)
				var heard notes
				for _, name := range []string{"a", "bad", "c"} {
					on(t, e, name, heard.note(name))
				}
				ready(t, e)
				w.onPublish(func(ctx context.Context, events []event.Event) error {
					for _, ev := range events {
						if ev.Type == "bad" {
							return fmt.Errorf("engine: %w", c.err)
						}
					}
					return w.Bus.Publish(ctx, events...)
				})
				w.Bus.Freeze()
				emit(t, e, "c", 0) // the others wait behind it, to be a batch
				synctest.Wait()
				for i, name := range []string{"bad", "a", "bad", "a", "c", "bad"} {
					emit(t, e, name, i)
				}
				waits := inBackground(func() error { return e.EmitWait(context.Background(), "bad", "waits") })
				synctest.Wait()
				w.Bus.Thaw()
				require.ErrorIs(t, answer(t, waits, time.Second), c.err)
				require.NoError(t, e.Flush(within(t, 10*time.Second)))
				require.Equal(t, []string{"c:0", "a:1", "a:3", "c:4"}, heard.take())
				time.Sleep(time.Second)
				count := 0
				for _, data := range d.of("drop") {
					require.Equal(t, "bad", data.(*emitter.Dropped).Oldest)
					require.ErrorIs(t, data.(error), c.err)
					count += data.(*emitter.Dropped).Count
				}
				require.Equal(t, 4, count)
				require.EqualValues(t, 4, e.Stats().Bus.Dropped)
				require.NotContains(t, d.take(), "disconnect")
			})
		})
	}
}

// Wrong credentials are said once, tried again seldom, and work when somebody has mended them.
func TestDenied(t *testing.T) {
	for _, listening := range []bool{false, true} {
		t.Run(fmt.Sprintf("listening=%v", listening), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWire(nil)
				denied := fmt.Errorf("AUTH bob@10.0.0.1: %w", bus.ErrDenied)
				w.refuse(denied)
				w.onTail(func(context.Context, bus.Tail) (bus.Feed, error) { return nil, denied })
				logger, text := logged()
				e := newEmitter(t, emitter.Options{Bus: w, Logger: logger})
				var heard notes
				if listening {
					on(t, e, "a", heard.note("a"))
				}
				emit(t, e, "a", 1)
				time.Sleep(10 * time.Minute)
				require.Less(t, w.publishes.Load()+w.tails.Load(), int64(130), "attempts in ten minutes")
				require.Greater(t, w.publishes.Load()+w.tails.Load(), int64(10), "attempts in ten minutes")
				require.Equal(t, 1, strings.Count(text(), bus.ErrDenied.Error()), "%s", text())
				require.ErrorIs(t, e.Flush(within(t, time.Second)), context.DeadlineExceeded)
				require.ErrorContains(t, e.Flush(within(t, time.Second)), bus.ErrDenied.Error())
				require.ErrorContains(t, e.Ready(within(t, time.Second)), bus.ErrDenied.Error())
				require.Contains(t, e.Stats().Bus.Reason, bus.ErrDenied.Error())
				w.onPublish(nil)
				w.onTail(nil)
				require.NoError(t, e.Flush(within(t, 6*time.Second)))
				if listening {
					require.Equal(t, []string{"a:1"}, heard.take())
				}
			})
		})
	}
}

// Credentials that become wrong while all is well.
func TestDeniedLater(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire(nil)
		e := newEmitter(t, emitter.Options{Bus: w})
		d := keepDiary(t, e)
		on(t, e, "a", nothing)
		ready(t, e)
		require.Equal(t, []string{"connect"}, d.take())
		w.Fail(fmt.Errorf("token expired: %w", bus.ErrDenied))
		emit(t, e, "a", 1)
		before := w.publishes.Load() + w.tails.Load()
		time.Sleep(time.Minute)
		require.Less(t, w.publishes.Load()+w.tails.Load()-before, int64(40), "attempts in a minute")
		events := d.take()
		require.Contains(t, events, "disconnect")
		require.ErrorIs(t, d.of("disconnect")[0].(error), bus.ErrDenied)
		require.LessOrEqual(t, len(events), 3, "it is said by each side at most once: %v", events)
		w.Fail(nil)
		ready(t, e)
		require.Equal(t, []string{"reconnect"}, d.take())
	})
}

func TestTooLargeIsRefusedAtOnce(t *testing.T) {
	for _, most := range []int{1000, 100_000} {
		inBubble(t, func(t *testing.T) {
			e := newEmitter(t, emitter.Options{Bus: membus.New(&membus.Options{MaxBytes: most})})
			var heard notes
			on(t, e, "a", func(_ context.Context, ev emitter.Event) error { heard.add("a"); return nil })
			err := e.Emit(t.Context(), "a", strings.Repeat("x", most))
			require.ErrorIs(t, err, bus.ErrTooLarge)
			require.ErrorContains(t, err, `"a"`)
			require.ErrorIs(t, e.Emit(t.Context(), "a", make([]byte, most*3/4)), bus.ErrTooLarge, "base64")
			require.ErrorIs(t, e.EmitWait(t.Context(), "a", strings.Repeat("x", most)), bus.ErrTooLarge)
			require.NoError(t, e.EmitWait(t.Context(), "a", strings.Repeat("x", most-400)))
			require.Equal(t, []string{"a"}, heard.take())
			require.Zero(t, e.Stats().Bus.Dropped)
		})
	}
}

func TestDataThatCannotBeEncoded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		e := newEmitter(t, emitter.Options{Bus: membus.New(nil)})
		for _, data := range []any{make(chan int), func() {}, struct{ X any }{func() {}}, 1i} {
			err := e.Emit(t.Context(), "a", data)
			require.ErrorIs(t, err, emitter.ErrData, "%T", data)
			require.ErrorContains(t, err, fmt.Sprintf("%T", data))
			require.ErrorContains(t, err, `"a"`)
			require.ErrorIs(t, e.EmitWait(t.Context(), "a", data), emitter.ErrData, "%T", data)
		}
		require.Zero(t, e.Stats().Bus.Buffered)
	})
}
