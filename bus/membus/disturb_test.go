package membus_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/stretchr/testify/require"
)

// What one bus goes through is nothing to another one on the stream.
func TestFail(t *testing.T) {
	a, b := newBus(t, membus.Options{Name: "fail"}), newBus(t, membus.Options{Name: "fail"})
	old, other := open(t, a, bus.Tail{}), open(t, b, bus.Tail{})
	a.Fail(bus.ErrDisconnected)
	require.ErrorIs(t, a.Publish(ctx), bus.ErrDisconnected)
	require.ErrorIs(t, a.Publish(ctx, numbered(1, 1)...), bus.ErrDisconnected)
	_, err := a.Tail(ctx, bus.Tail{})
	require.ErrorIs(t, err, bus.ErrDisconnected)
	require.NoError(t, b.Publish(ctx, numbered(2, 2)...))
	a.Fail(nil)
	require.NoError(t, a.Publish(ctx, numbered(3, 3)...))
	_, err = old.Next(ctx)
	require.ErrorIs(t, err, bus.ErrDisconnected, "a feed that has lost its wire has lost it for good")
	d, err := other.Next(ctx)
	require.NoError(t, err)
	require.Equal(t, "2", d.Event.ID)
	require.Equal(t, "2 3", past(t, a))
}

func TestFailAnswers(t *testing.T) {
	b := newBus(t, membus.Options{})
	b.FailAnswers(bus.ErrDisconnected)
	require.ErrorIs(t, b.Publish(ctx, numbered(1, 1)...), bus.ErrDisconnected)
	b.FailAnswers(nil)
	require.NoError(t, b.Publish(ctx, numbered(1, 1)...))
	require.Equal(t, "1 1", past(t, b), "accepted before the answer was lost, and again")
}

func TestFreeze(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t, membus.Options{})
		f := open(t, b, bus.Tail{})
		require.NoError(t, b.Publish(ctx, numbered(1, 1)...))
		gone := errors.New("the caller has gone")
		for how, end := range map[string]struct {
			free func()
			want error
		}{
			"Thaw": {b.Thaw, nil},
			"Fail": {func() { b.Fail(bus.ErrDisconnected) }, bus.ErrDisconnected},
		} {
			b.Fail(nil)
			f = open(t, b, bus.Tail{From: bus.Start})
			b.Freeze()
			b.Freeze()
			short, cancel := context.WithTimeoutCause(ctx, time.Second, gone)
			require.ErrorIs(t, b.Publish(short, numbered(9, 9)...), gone)
			cancel()
			done := make(chan error, 3)
			go func() { done <- b.Publish(ctx, numbered(2, 2)...) }()
			go func() { _, err := b.Tail(ctx, bus.Tail{}); done <- err }()
			go func() { _, err := f.Next(ctx); done <- err }()
			synctest.Wait()
			require.Empty(t, done, how)
			end.free()
			for range 3 {
				require.ErrorIs(t, <-done, end.want, how)
			}
			b.Thaw()
		}
	})
}

func TestCloseEndsWhatIsFrozen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := membus.New(nil)
		b.Freeze()
		done := make(chan error, 1)
		go func() { done <- b.Publish(ctx) }()
		synctest.Wait()
		require.NoError(t, b.Close(ctx))
		require.ErrorIs(t, <-done, bus.ErrClosed)
	})
}

func TestResetAndTrim(t *testing.T) {
	b := newBus(t, membus.Options{})
	require.NoError(t, b.Publish(ctx, numbered(1, 5)...))
	b.Trim(9)
	require.Equal(t, "1 2 3 4 5", past(t, b))
	b.Trim(2)
	require.Equal(t, "4 5", past(t, b))
	f := open(t, b, bus.Tail{})
	b.Trim(0)
	require.Empty(t, past(t, b))
	require.NoError(t, b.Publish(ctx, numbered(6, 6)...))
	d, err := f.Next(ctx)
	require.NoError(t, err, "nothing that this feed has to have is gone")
	require.Equal(t, "6", d.Event.ID)

	b.Reset()
	require.Empty(t, past(t, b))
	_, err = f.Next(ctx)
	require.ErrorIs(t, err, bus.ErrForeignToken)
	_, err = b.Tail(ctx, bus.Tail{From: bus.After(d.Token)})
	require.ErrorIs(t, err, bus.ErrForeignToken)
}
