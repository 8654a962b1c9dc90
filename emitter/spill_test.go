package emitter_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/earshot-go/earshot/event"
	"github.com/stretchr/testify/require"
)

// A cellar is a Spill in memory whose disk may fail.
type cellar struct {
	mu                           sync.Mutex
	list                         []event.Event
	pushes, peeks, drops         int
	failPush, failPeek, failDrop error
	afterFailures                int // failures after which all is well, so that a hot loop ends
}

var _ emitter.Spill = (*cellar)(nil)

// fail changes what fails.
func (c *cellar) fail(push, peek, drop error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failPush, c.failPeek, c.failDrop, c.afterFailures = push, peek, drop, 0
}

func (c *cellar) troubleLocked(err error) error {
	if err == nil {
		return nil
	}
	if c.afterFailures++; c.afterFailures > often {
		return nil
	}
	return err
}

func (c *cellar) Push(_ context.Context, events ...event.Event) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pushes++
	if err := c.troubleLocked(c.failPush); err != nil {
		return err
	}
	c.list = append(c.list, events...)
	return nil
}

func (c *cellar) Peek(_ context.Context, max int) ([]event.Event, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peeks++
	if err := c.troubleLocked(c.failPeek); err != nil {
		return nil, err
	}
	return append([]event.Event(nil), c.list[:min(max, len(c.list))]...), nil
}

func (c *cellar) Drop(_ context.Context, n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	if err := c.troubleLocked(c.failDrop); err != nil {
		return err
	}
	c.list = c.list[n:]
	return nil
}

func (c *cellar) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.list)
}

func (c *cellar) calls() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pushes + c.peeks + c.drops
}

// What does not fit goes to the spill, whatever the policy, and comes out in order: what was spilled first.
func TestSpill(t *testing.T) {
	for _, policy := range []emitter.Overflow{emitter.Block, emitter.DropOldest, emitter.DropNewest} {
		for name, start := range map[string]bool{"before the first connection": true, "after an outage": false} {
			for _, listening := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v %s listening=%v", policy, name, listening), func(t *testing.T) {
					inBubble(t, func(t *testing.T) {
						b := membus.New(nil)
						if start {
							b.Fail(bus.ErrDisconnected)
						}
						c := &cellar{}
						e := newEmitter(t, emitter.Options{Bus: b, Buffer: 100, Overflow: policy, Spill: c})
						var heard notes
						if listening {
							on(t, e, "a", heard.note("a"))
						}
						if !start {
							ready(t, e)
							b.Fail(bus.ErrDisconnected)
						}
						for i := range 1000 {
							require.NoError(t, e.Emit(within(t, time.Minute), "a", i))
						}
						time.Sleep(5 * time.Second)
						s := e.Stats().Bus
						require.Equal(t, 1000, s.Buffered+s.Spilled)
						require.LessOrEqual(t, s.Buffered, 100)
						require.Equal(t, c.Len(), s.Spilled)
						b.Fail(nil)
						require.NoError(t, e.Flush(within(t, 2*time.Second)))
						require.Equal(t, upTo(1000), numbers(t, e))
						require.Zero(t, c.Len())
						require.Zero(t, e.Stats().Bus.Dropped)
						if listening {
							ready(t, e)
							require.Len(t, heard.take(), 1000)
						}
						for i := range 200 { // and goes on as if nothing had been
							require.NoError(t, e.Emit(within(t, time.Minute), "a", 1000+i))
						}
						require.NoError(t, e.Flush(within(t, 2*time.Second)))
						require.Equal(t, upTo(1200), numbers(t, e))
					})
				})
			}
		}
	}
}

// A small buffer of bytes spills as well.
func TestSpillOfBytes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := &cellar{}
		b, e := away(t, emitter.Options{BufferBytes: 10_000, Spill: c})
		for range 20 {
			require.NoError(t, e.Emit(within(t, time.Minute), "a", strings.Repeat("x", 3000)))
		}
		require.Greater(t, c.Len(), 10)
		b.Fail(nil)
		require.NoError(t, e.Flush(within(t, 2*time.Second)))
		require.Len(t, kept(t, b), 20)
	})
}

// What an emitter left behind is what the next one sends first; Close says how many there are.
func TestSpillOutlivesTheEmitter(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := &cellar{}
		b, e := away(t, emitter.Options{Buffer: 10, Spill: c})
		for i := range 100 {
			require.NoError(t, e.Emit(within(t, time.Minute), "a", i))
		}
		synctest.Wait()
		var unsent *emitter.UnsentError
		require.ErrorAs(t, e.Close(within(t, time.Second)), &unsent)
		require.Equal(t, 100, unsent.Count+unsent.Spilled)
		require.GreaterOrEqual(t, unsent.Spilled, 90)
		require.Equal(t, c.Len(), unsent.Spilled)
		require.ErrorContains(t, unsent, fmt.Sprintf("%d kept in the spill", unsent.Spilled))
		spilled := unsent.Spilled
		b.Fail(nil)
		next := newEmitter(t, emitter.Options{Bus: b, Spill: c})
		emit(t, next, "a", spilled)
		require.NoError(t, next.Flush(within(t, 2*time.Second)))
		require.Equal(t, upTo(spilled+1), numbers(t, next))
	})
}

// A spill that cannot be written leaves the buffer with its policy, and is complained about once.
func TestSpillThatCannotBeWritten(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := &cellar{}
		c.fail(errDisk, nil, nil)
		b, e := away(t, emitter.Options{Buffer: 10, Overflow: emitter.DropNewest, Spill: c})
		d := keepDiary(t, e)
		full := 0
		for i := range 30 {
			if err := e.Emit(within(t, time.Minute), "a", i); err != nil {
				require.ErrorIs(t, err, emitter.ErrFull)
				full++
			}
			time.Sleep(100 * time.Millisecond)
		}
		require.Equal(t, 20, full)
		time.Sleep(time.Minute)
		require.Less(t, c.calls(), 200)
		failures := d.of(emitter.Error)
		require.Len(t, failures, 1)
		require.ErrorIs(t, failures[0].(error), errDisk)
		require.ErrorContains(t, failures[0].(error), "spill")
		c.fail(nil, nil, nil)
		time.Sleep(2 * time.Second)
		for i := range 30 {
			require.NoError(t, e.Emit(within(t, time.Minute), "a", 10+i), "it works again")
			time.Sleep(10 * time.Millisecond)
		}
		b.Fail(nil)
		require.NoError(t, e.Flush(within(t, 2*time.Second)))
		require.Equal(t, upTo(40), numbers(t, e))
	})
}

// A spill that cannot be read keeps what comes after it waiting, and is tried again now and then.
func TestSpillThatCannotBeRead(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := &cellar{}
		b, e := away(t, emitter.Options{Buffer: 10, Spill: c})
		d := keepDiary(t, e)
		for i := range 30 {
			require.NoError(t, e.Emit(within(t, time.Minute), "a", i))
		}
		time.Sleep(time.Second)
		c.fail(nil, errDisk, nil)
		b.Fail(nil)
		before := c.calls()
		time.Sleep(time.Minute)
		require.Less(t, c.calls()-before, 150, "a hot loop")
		require.Empty(t, kept(t, b))
		require.Len(t, d.of(emitter.Error), 1)
		c.fail(nil, nil, nil)
		require.NoError(t, e.Flush(within(t, 2*time.Second)))
		require.Equal(t, upTo(30), numbers(t, e))
	})
}

// A spill of which nothing can be removed has its events sent again, slowly, with the same IDs: they are heard once.
func TestSpillThatCannotBeEmptied(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := &cellar{}
		b, e := away(t, emitter.Options{Buffer: 10, Spill: c})
		var heard notes
		on(t, e, "a", heard.note("a"))
		d := keepDiary(t, e)
		for i := range 30 {
			require.NoError(t, e.Emit(within(t, time.Minute), "a", i))
		}
		time.Sleep(time.Second)
		c.fail(nil, nil, errDisk)
		b.Fail(nil)
		before := c.calls()
		time.Sleep(time.Minute)
		require.Less(t, c.calls()-before, 300, "a hot loop")
		require.Len(t, d.of(emitter.Error), 1)
		c.fail(nil, nil, nil)
		require.NoError(t, e.Flush(within(t, 2*time.Second)))
		require.Len(t, heard.take(), 30)
		require.Equal(t, upTo(30), numbers(t, e))
	})
}

// One event of the spill that the engine refuses does not keep the others.
func TestSpilledEventIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := &cellar{}
		w := newWire(nil)
		w.Fail(bus.ErrDisconnected)
		e := newEmitter(t, emitter.Options{Bus: w, Buffer: 10, Spill: c})
		d := keepDiary(t, e)
		for i := range 30 {
			require.NoError(t, e.Emit(within(t, time.Minute), []string{"a", "bad"}[i%10/9], i))
		}
		w.onPublish(func(ctx context.Context, events []event.Event) error {
			for _, ev := range events {
				if ev.Type == "bad" {
					return bus.ErrTooLarge
				}
			}
			return w.Bus.Publish(ctx, events...)
		})
		w.Fail(nil)
		require.NoError(t, e.Flush(within(t, 10*time.Second)))
		require.Len(t, numbers(t, e), 27)
		time.Sleep(time.Second)
		count := 0
		for _, data := range d.of(emitter.Drop) {
			count += data.(*emitter.Dropped).Count
			require.True(t, errors.Is(data.(error), bus.ErrTooLarge))
		}
		require.Equal(t, 3, count)
	})
}
