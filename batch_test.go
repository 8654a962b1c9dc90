package earshot_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// What waits comes at once, in order, and no more than the capacity allows.
func TestHandleBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := earshot.NewChannel[int](s, "x", nil)
		var got []int
		var sizes []int
		hold := make(chan struct{})
		_, err := c.HandleBatch(t.Context(), func(_ context.Context, b earshot.Batch[int]) error {
			require.Equal(t, uint64(b.Events[0]), b.Seq)
			require.Zero(t, b.Missed)
			got = append(got, b.Events...)
			sizes = append(sizes, len(b.Events))
			<-hold
			return nil
		}, &earshot.SpawnOptions{Capacity: 64})
		require.NoError(t, err)
		c.Send(1)
		synctest.Wait()
		for i := range 10 {
			c.Send(2 + i)
		}
		close(hold)
		settle(t, s)
		require.Equal(t, upTo(1, 11), got)
		require.Equal(t, 4, slices.Max(sizes), "a sixteenth of the capacity at a time: %v", sizes)
	})
}

// A restart goes on after the batch that failed, and the last failure ends it.
func TestHandleBatchFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := earshot.NewChannel[int](s, "x", nil)
		var got []int
		failure := errors.New("no")
		ref, err := c.HandleBatch(t.Context(), func(_ context.Context, b earshot.Batch[int]) error {
			got = append(got, b.Events...)
			return failure
		}, &earshot.SpawnOptions{Restart: earshot.Restart{Max: 1}})
		require.NoError(t, err)
		c.Send(1)
		settle(t, s)
		require.NoError(t, s.Sync(t.Context()))
		c.Send(2)
		down := <-s.Monitor(ref)
		require.ErrorIs(t, down.Reason, earshot.ErrGaveUp)
		require.ErrorIs(t, down.Reason, failure)
		require.Equal(t, []int{1, 2}, got)

		_, err = c.HandleBatch(t.Context(), nil, nil)
		require.ErrorIs(t, err, earshot.ErrNilFunc)
		require.ErrorContains(t, err, "batch_test.go")
	})
}

// Events that were lost are told with the batch that follows them.
func TestHandleBatchMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := earshot.NewChannel[int](s, "x", nil)
		var seen, missed uint64
		hold := make(chan struct{})
		_, err := c.HandleBatch(t.Context(), func(_ context.Context, b earshot.Batch[int]) error {
			<-hold
			seen += uint64(len(b.Events))
			missed += b.Missed
			return nil
		}, &earshot.SpawnOptions{Capacity: 16})
		require.NoError(t, err)
		for i := range 100 {
			c.Send(i)
		}
		close(hold)
		settle(t, s)
		require.Equal(t, uint64(100), seen+missed)
		require.NotZero(t, missed)
	})
}
