package membus_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/event"
	"github.com/stretchr/testify/require"
)

var ctx = context.Background()

// newBus returns a bus that is closed when the test ends.
func newBus(t *testing.T, o membus.Options) *membus.Bus {
	t.Helper()
	b := membus.New(&o)
	t.Cleanup(func() { require.NoError(t, b.Close(ctx)) })
	return b
}

// numbered returns the events with these numbers.
func numbered(from, to int) (evs []event.Event) {
	for n := from; n <= to; n++ {
		evs = append(evs, event.Event{ID: fmt.Sprint(n), Source: "/test", Type: "tick"})
	}
	return evs
}

func open(t *testing.T, b *membus.Bus, tail bus.Tail) bus.Feed {
	t.Helper()
	f, err := b.Tail(ctx, tail)
	require.NoError(t, err)
	return f
}

// past returns the IDs of what is kept.
func past(t *testing.T, b *membus.Bus) string {
	t.Helper()
	f := open(t, b, bus.Tail{From: bus.Start, Past: true})
	var ids []string
	for {
		d, err := f.Next(ctx)
		if err != nil {
			require.Equal(t, io.EOF, err)
			return strings.Join(ids, " ")
		}
		ids = append(ids, d.Event.ID)
	}
}

func TestKeep(t *testing.T) {
	b := newBus(t, membus.Options{Keep: 3})
	require.NoError(t, b.Publish(ctx, numbered(1, 2)...))
	require.Equal(t, "1 2", past(t, b))
	f := open(t, b, bus.Tail{From: bus.Start})
	require.NoError(t, b.Publish(ctx, numbered(3, 10)...))
	require.Equal(t, "8 9 10", past(t, b))
	_, err := f.Next(ctx)
	var gap *bus.GapError
	require.ErrorAs(t, err, &gap)
	require.EqualValues(t, 7, gap.Missed)
	d, err := f.Next(ctx)
	require.NoError(t, err)
	require.Equal(t, "8", d.Event.ID)
}

func TestKeepBytes(t *testing.T) {
	one := numbered(1, 1)
	text, err := one[0].AppendJSON(nil)
	require.NoError(t, err)
	b := newBus(t, membus.Options{KeepBytes: 3*len(text) + 1})
	require.NoError(t, b.Publish(ctx, numbered(1, 9)...))
	require.Equal(t, "7 8 9", past(t, b))
	big := event.Event{ID: "big", Source: "/test", Type: "tick", Subject: strings.Repeat("x", 1000)}
	require.NoError(t, b.Publish(ctx, big), "the newest is kept, whatever its size")
	require.Equal(t, "big", past(t, b))
	require.NoError(t, b.Publish(ctx, numbered(1, 2)...))
	require.Equal(t, "1 2", past(t, b))
}

// Neither side can change what the other has.
func TestCopies(t *testing.T) {
	b := newBus(t, membus.Options{})
	ev := event.Event{ID: "1", Source: "/test", Type: "tick", Data: []byte(`"kept"`), Extensions: map[string]any{"tid": "kept"}}
	require.NoError(t, b.Publish(ctx, ev))
	copy(ev.Data, `"lost"`)
	ev.Extensions["tid"] = "lost"
	for range 2 {
		d, err := open(t, b, bus.Tail{From: bus.Start}).Next(ctx)
		require.NoError(t, err)
		require.Equal(t, `"kept"`, string(d.Event.Data))
		require.Equal(t, "kept", d.Event.Extension("tid"))
		copy(d.Event.Data, `"lost"`)
		d.Event.Extensions["tid"] = "lost"
	}
}

func TestDedupeForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t, membus.Options{Dedupe: true})
		require.NoError(t, b.Publish(ctx, numbered(1, 2)...))
		time.Sleep(59 * time.Second)
		require.NoError(t, b.Publish(ctx, numbered(2, 3)...))
		require.Equal(t, "1 2 3", past(t, b))
		other := numbered(1, 1)
		other[0].Source = "/other" // an ID is its source's
		require.NoError(t, b.Publish(ctx, other...))
		require.Equal(t, "1 2 3 1", past(t, b))
		time.Sleep(2 * time.Second)
		require.NoError(t, b.Publish(ctx, numbered(1, 3)...))
		require.Equal(t, "1 2 3 1 1 2", past(t, b), "3 came less than a minute ago")
	})
}

func TestAtAFutureTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t, membus.Options{})
		f := open(t, b, bus.Tail{From: bus.At(time.Now().Add(time.Minute))})
		require.NoError(t, b.Publish(ctx, numbered(1, 1)...))
		time.Sleep(time.Minute)
		require.NoError(t, b.Publish(ctx, numbered(2, 2)...))
		d, err := f.Next(ctx)
		require.NoError(t, err)
		require.Equal(t, "2", d.Event.ID)
	})
}

// A Next that waits is durably blocked, as synctest understands it, and wakes for what it waits for.
func TestNextInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t, membus.Options{})
		f := open(t, b, bus.Tail{})
		got := make(chan string, 1)
		go func() {
			d, err := f.Next(ctx)
			got <- fmt.Sprint(d.Event.ID, err)
		}()
		synctest.Wait()
		require.Empty(t, got)
		require.NoError(t, b.Publish(ctx, numbered(7, 7)...))
		synctest.Wait()
		require.Equal(t, "7<nil>", <-got)

		deadline, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		begun := time.Now()
		_, err := f.Next(deadline)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Hour, time.Since(begun))
	})
}

func TestNamesAreShared(t *testing.T) {
	a, err := bus.Open("mem:shared?keep=2")
	require.NoError(t, err)
	b := newBus(t, membus.Options{Name: "shared", Keep: 100})
	require.NoError(t, a.Publish(ctx, numbered(1, 3)...))
	require.Equal(t, "2 3", past(t, b), "the stream has the options of the first bus")
	require.NoError(t, a.Close(ctx))
	require.NoError(t, a.Close(ctx))
	require.Equal(t, "2 3", past(t, b), "a stream lives while a bus is open on it")

	lone, err := membus.OpenBus("mem:")
	require.NoError(t, err)
	other := newBus(t, membus.Options{})
	require.NoError(t, lone.Publish(ctx, numbered(1, 1)...))
	require.Empty(t, past(t, other), "streams without a name are apart")
	require.NoError(t, lone.Close(ctx))
}

func TestNamedStreamEndsWithItsLastBus(t *testing.T) {
	for range 2 {
		a, b := membus.New(&membus.Options{Name: "ends"}), membus.New(&membus.Options{Name: "ends"})
		require.Empty(t, past(t, a))
		require.NoError(t, a.Publish(ctx, numbered(1, 1)...))
		require.NoError(t, a.Close(ctx))
		require.Equal(t, "1", past(t, b))
		require.NoError(t, b.Close(ctx))
	}
}

func TestOpenBus(t *testing.T) {
	b, err := membus.OpenBus("mem:a%20b?keep=10&keepbytes=1000&maxbytes=300&replay=false&dedupe=true")
	require.NoError(t, err)
	require.Equal(t, "mem:a%20b", b.String())
	caps := b.Caps()
	require.Equal(t, 300, caps.MaxBytes)
	require.False(t, caps.Replay)
	require.True(t, caps.Dedupe)
	require.NoError(t, b.Close(ctx))

	for address, says := range map[string]string{
		"mem:?keeps=1":         `unknown option "keeps": there are keep, keepbytes, maxbytes, replay and dedupe`,
		"mem:x?keep=many":      "keep=many: a positive number is needed",
		"mem:x?keep=0":         "keep=0: a positive number is needed",
		"mem:x?replay=perhaps": "replay=perhaps",
		"mem://x":              "write mem: or mem:name",
		"mem:/x":               "write mem: or mem:name",
		"mem:%zz":              "escape",
		"mem:x?keep=%zz":       "escape",
		"other:x":              "write mem: or mem:name",
	} {
		_, err := membus.OpenBus(address)
		require.ErrorContains(t, err, says, address)
	}
}

// A token of this stream's epoch that it cannot have written is none of its own.
func TestTokenAhead(t *testing.T) {
	b := newBus(t, membus.Options{})
	require.NoError(t, b.Publish(ctx, numbered(1, 2)...))
	d, err := open(t, b, bus.Tail{From: bus.Start}).Next(ctx)
	require.NoError(t, err)
	epoch := strings.TrimSuffix(string(d.Token), ":1")
	open(t, b, bus.Tail{From: bus.After(bus.Token(epoch + ":2"))})
	for _, position := range []string{":3", ":99", ":-1", ":", ":x", ":1.0"} {
		_, err := b.Tail(ctx, bus.Tail{From: bus.After(bus.Token(epoch + position))})
		require.ErrorIs(t, err, bus.ErrForeignToken, position)
	}
}
