package emitter_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/earshot-go/earshot/event"
	"github.com/stretchr/testify/require"
)

// A listener was removed while it was at work, so long ago that its lane is gone too. It is still at work: Close waits
// for it, no longer than its context, and names it.
func TestCloseNamesAListenerThatWasRemoved(t *testing.T) {
	for name, since := range map[string]func(t *testing.T, e *emitter.Emitter){
		"nothing else": func(*testing.T, *emitter.Emitter) {},
		"another listener": func(t *testing.T, e *emitter.Emitter) {
			on(t, e, "b", nothing)
		},
		"another one that is gone too": func(t *testing.T, e *emitter.Emitter) {
			e.Off(on(t, e, "b", nothing))
			time.Sleep(5 * time.Second)
		},
		"several that are gone": func(t *testing.T, e *emitter.Emitter) {
			for range 3 {
				e.Off(on(t, e, "b", nothing))
				time.Sleep(5 * time.Second)
			}
		},
	} {
		for when, limit := range map[string]func(t *testing.T) (ctx context.Context, about time.Duration){
			"at once":         func(*testing.T) (context.Context, time.Duration) { return ended(), 0 },
			"with a deadline": func(t *testing.T) (context.Context, time.Duration) { return within(t, 3*time.Second), 3 * time.Second },
		} {
			t.Run(name+" "+when, func(t *testing.T) {
				everywhere(t, func(t *testing.T, e *emitter.Emitter) {
					stop := make(chan struct{})
					defer close(stop)
					place := nextLine()
					ref, err := e.On("a", func(context.Context, emitter.Event) error { <-stop; return nil })
					require.NoError(t, err)
					emit(t, e, "a", nil)
					synctest.Wait()
					e.Off(ref)
					time.Sleep(5 * time.Second)
					since(t, e)
					ctx, about := limit(t)
					begin := time.Now()
					err = answer(t, inBackground(func() error { return e.Close(ctx) }), time.Minute)
					require.ErrorIs(t, err, ctx.Err())
					require.ErrorContains(t, err, place)
					require.InDelta(t, float64(about), float64(time.Since(begin)), float64(time.Second))
				})
			})
		}
	}
}

// The same without a deadline: Close comes back when that listener has.
func TestCloseWaitsForAListenerThatWasRemoved(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		stop := make(chan struct{})
		var heard notes
		ref := on(t, e, "a", func(context.Context, emitter.Event) error { <-stop; heard.add("returned"); return nil })
		emit(t, e, "a", nil)
		synctest.Wait()
		e.Off(ref)
		time.Sleep(5 * time.Second)
		done := inBackground(func() error { return e.Close(context.Background()) })
		time.Sleep(time.Hour)
		require.False(t, finished(done))
		close(stop)
		require.NoError(t, answer(t, done, 0))
		require.Equal(t, []string{"returned"}, heard.take())
	})
}

// Emits wait for room when Close begins. Each of them was heard, or says that it was not.
func TestEmitsThatWaitAtCloseAreNotLost(t *testing.T) {
	for name, emitIt := range map[string]func(e *emitter.Emitter) error{
		"emit":      func(e *emitter.Emitter) error { return e.Emit(context.Background(), "a", nil) },
		"typed":     func(e *emitter.Emitter) error { return emitter.Emit(context.Background(), e, "a", 1) },
		"emit wait": func(e *emitter.Emitter) error { return e.EmitWait(context.Background(), "a", nil) },
	} {
		for _, late := range []bool{false, true} { // is the listener still at work when Close does not wait any more?
			for _, patterns := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s late=%v patterns=%v", name, late, patterns), func(t *testing.T) {
					inBubble(t, func(t *testing.T) {
						e := newEmitter(t, emitter.Options{Queue: 1})
						stop := make(chan struct{})
						var calls atomic.Int64
						on(t, e, "a", func(context.Context, emitter.Event) error { <-stop; calls.Add(1); return nil })
						if patterns {
							_, err := e.OnAny("nobody.*", nothing)
							require.NoError(t, err)
						}
						var all []<-chan error
						var before int64 // Close: what waits for the listener then is told by Close
						for range 7 {
							done := inBackground(func() error { return emitIt(e) })
							all = append(all, done)
							synctest.Wait()
							before += int64(len(done))
						}
						done := inBackground(func() error { return e.Close(within(t, time.Minute)) })
						synctest.Wait()
						if late {
							require.Error(t, answer(t, done, time.Hour))
						}
						close(stop)
						if !late {
							require.NoError(t, answer(t, done, time.Second))
						}
						var taken int64
						for _, done := range all {
							if err := answer(t, done, time.Minute); err == nil {
								taken++
							} else {
								require.ErrorIs(t, err, emitter.ErrClosed)
							}
						}
						synctest.Wait()
						if late {
							require.LessOrEqual(t, taken, max(before, calls.Load()), "nil, and nobody was called")
						} else {
							require.LessOrEqual(t, taken, calls.Load(), "nil, and nobody was called")
							require.GreaterOrEqual(t, calls.Load(), int64(2), "what was queued before Close is heard")
						}
					})
				})
			}
		}
	}
}

// The same while one goroutine emits as fast as it can: Close waits for everything that was taken.
func TestEmitsThatRaceWithCloseAreNotLost(t *testing.T) {
	for name, emitIt := range map[string]func(e *emitter.Emitter) error{
		"emit":      func(e *emitter.Emitter) error { return e.Emit(context.Background(), "a", nil) },
		"emit wait": func(e *emitter.Emitter) error { return e.EmitWait(context.Background(), "a", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			for range 300 {
				e := newEmitter(t, emitter.Options{Queue: 64})
				var calls atomic.Int64
				on(t, e, "a", func(context.Context, emitter.Event) error { calls.Add(1); return nil })
				taken := make(chan int64, 1)
				go func() {
					n := int64(0)
					for emitIt(e) == nil {
						n++
					}
					taken <- n
				}()
				for calls.Load() < 5 {
					runtime.Gosched()
				}
				require.NoError(t, e.Close(context.Background()))
				require.LessOrEqual(t, <-taken, calls.Load(), "nil, and nobody was called")
			}
		})
	}
}

// There is a spill: what is in memory at Close goes there, in order, and the next emitter sends it.
func TestCloseKeepsTheBufferInTheSpill(t *testing.T) {
	for name, limit := range map[string]func(t *testing.T) context.Context{
		"at once":         func(*testing.T) context.Context { return ended() },
		"with a deadline": func(t *testing.T) context.Context { return within(t, time.Second) },
	} {
		for _, n := range []int{3, 70} { // all of them fit the buffer, or most do not
			t.Run(fmt.Sprintf("%s %d events", name, n), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					c := &cellar{}
					b, e := away(t, emitter.Options{Buffer: 20, Spill: c})
					for i := range n {
						require.NoError(t, e.Emit(within(t, time.Minute), "a", i))
					}
					synctest.Wait()
					var unsent *emitter.UnsentError
					require.ErrorAs(t, e.Close(limit(t)), &unsent)
					require.Zero(t, unsent.Count, "nothing is lost")
					require.Equal(t, n, unsent.Spilled)
					require.Equal(t, n, c.Len())
					b.Fail(nil)
					next := newEmitter(t, emitter.Options{Bus: b, Spill: c})
					require.NoError(t, next.Flush(within(t, 5*time.Second)))
					require.Equal(t, upTo(n), numbers(t, next))
				})
			})
		}
	}
}

// A spill that cannot be written at Close: what was in memory is counted as lost, and the rest as kept.
func TestCloseWhenTheSpillFails(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := &cellar{}
		_, e := away(t, emitter.Options{Buffer: 20, Spill: c})
		for i := range 70 {
			require.NoError(t, e.Emit(within(t, time.Minute), "a", i))
		}
		synctest.Wait()
		c.fail(errDisk, nil, nil)
		for i := range 3 {
			require.NoError(t, e.Emit(within(t, time.Minute), "a", 70+i))
		}
		var unsent *emitter.UnsentError
		require.ErrorAs(t, e.Close(within(t, time.Second)), &unsent)
		require.NotZero(t, unsent.Count)
		require.NotZero(t, unsent.Spilled)
		require.Equal(t, 73, unsent.Count+unsent.Spilled)
		require.Equal(t, c.Len(), unsent.Spilled)
		require.Equal(t, "a", unsent.Oldest)
	})
}

// Somebody else's mailbox on the emitter's channel is full and nobody reads it: that is none of Close's business.
func TestCloseBesideAMailboxThatIsFull(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newServer(t)
		e := newEmitter(t, emitter.Options{Server: s})
		on(t, e, "a", nothing)
		m := earshot.NewMailbox[emitter.Event](context.Background(), s, &earshot.MailboxOptions{Capacity: 2, Overflow: earshot.Block})
		c := earshot.NewChannel[emitter.Event](s, e.Name(), &earshot.ChannelOptions{Doc: "events that listeners of the emitter hear", MayBlock: true})
		_, err := c.Subscribe(m)
		require.NoError(t, err)
		for range 2 {
			emit(t, e, "a", nil)
		}
		require.ErrorIs(t, e.Emit(within(t, time.Second), "a", nil), context.DeadlineExceeded, "it is full")
		done := inBackground(func() error { return e.Close(context.Background()) })
		require.NoError(t, answer(t, done, time.Second))
	})
}

// Stats tell how it was at the end: nothing is up any more, whatever was before, and nothing is told of it.
func TestStatsAfterClose(t *testing.T) {
	for name, opts := range map[string]*membus.Options{"replay": nil, "no replay": {NoReplay: true}} {
		for _, listening := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s listening=%v", name, listening), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					b := membus.New(opts)
					e := newEmitter(t, emitter.Options{Bus: b})
					d := keepDiary(t, e)
					if listening {
						on(t, e, "a", nothing)
					}
					ready(t, e)
					require.NoError(t, e.EmitWait(t.Context(), "a", 1))
					require.NoError(t, e.Close(t.Context()))
					for range 2 {
						s := e.Stats()
						require.False(t, s.Bus.Up)
						require.False(t, s.Bus.Listening)
						require.Contains(t, s.Bus.Reason, emitter.ErrClosed.Error())
						require.EqualValues(t, 1, s.Bus.Published)
						require.Equal(t, []int{1, 0}, []int{s.Bus.Connects, s.Bus.Disconnects})
						require.Zero(t, s.Queued)
						time.Sleep(time.Minute)
					}
					require.Equal(t, []string{"connect"}, d.take())
					require.ErrorIs(t, e.Flush(t.Context()), nil, "nothing waits")
					require.ErrorIs(t, e.Ready(t.Context()), emitter.ErrClosed)
					if opts == nil {
						require.Equal(t, []int{1}, numbers(t, e), "as long as the bus is open")
					}
				})
			})
		}
	}
}

// The server is gone: On says so, and not where in this package it was noticed.
func TestOnAfterTheServer(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newServer(t)
		e := newEmitter(t, emitter.Options{Server: s})
		require.NoError(t, s.Close())
		_, err := e.On("a", nothing)
		require.ErrorIs(t, err, earshot.ErrServerClosed)
		require.ErrorContains(t, err, `emitter: on "a"`)
		require.NotContains(t, err.Error(), ".go:")
	})
}

// An engine that ignores the end of contexts comes back after Close: nothing is told, and nothing is up.
func TestDeafEngineComesBackAfterClose(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWire(nil)
		stop := make(chan struct{})
		e := newEmitter(t, emitter.Options{Bus: w})
		ready(t, e)
		d := keepDiary(t, e)
		require.Equal(t, []string{"connect"}, d.take())
		w.onPublish(func(context.Context, []event.Event) error { <-stop; return nil })
		w.onTail(func(context.Context, bus.Tail) (bus.Feed, error) { <-stop; return nil, errors.New("late") })
		on(t, e, "a", nothing)
		synctest.Wait()
		e.Close(within(t, time.Second))
		close(stop)
		time.Sleep(time.Minute)
		require.False(t, e.Stats().Bus.Up)
		require.Empty(t, d.take())
	})
}

// Others go on while Close waits for the engine: what they send is heard until then, and no trouble is told.
func TestEventsOfOthersDuringClose(t *testing.T) {
	for name, opts := range map[string]*membus.Options{"replay": nil, "no replay": {NoReplay: true}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWire(opts)
				e := newEmitter(t, emitter.Options{Bus: w})
				d := keepDiary(t, e)
				var heard notes
				on(t, e, "a", heard.note("a"))
				ready(t, e)
				proceed := make(chan struct{})
				w.onPublish(func(ctx context.Context, events []event.Event) error {
					<-proceed
					return w.Bus.Publish(ctx, events...)
				})
				emit(t, e, "own", nil)
				done := inBackground(func() error { return e.Close(context.Background()) })
				synctest.Wait()
				for i := range 5 {
					foreign(t, w.Bus, "a", fmt.Sprint(i))
					time.Sleep(5 * time.Second)
				}
				require.False(t, finished(done))
				require.Equal(t, []string{"a:0", "a:1", "a:2", "a:3", "a:4"}, heard.take())
				close(proceed)
				require.NoError(t, answer(t, done, time.Minute))
				require.Equal(t, []string{"connect"}, d.take())
			})
		})
	}
}
