package mongodb_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/earshot-go/earshot/backend/mongodb"
	"github.com/earshot-go/earshot/queue"
)

// Who acknowledges is not told that the lease is lost because somebody enqueues the same ID before the answer.
func TestEnqueueBetweenTheStepsOfAck(t *testing.T) {
	t.Parallel()
	u := newDatabase(t).String()
	a, b := open(t, u), open(t, u)
	require.NoError(t, warm(a))
	plain := queue.Item{ID: "plain", Queue: "q", Name: "n"}
	lost := queue.Item{ID: "lost", Queue: "q", Name: "n"}
	add(t, b, plain, lost)
	ls := lease(t, b, 2, time.Minute)
	require.Len(t, ls, 2)
	for _, l := range ls {
		if l.ID == "lost" {
			ack(t, b, []queue.Leased{l})
		}
	}
	enqueued := make(chan error, 1)
	a.SetFault(func(step int) error {
		if step != 2 {
			return nil
		}
		// It is done now, and who has done that has not looked yet which of the two it was. The other one finds it
		// so in its second step.
		reached := make(chan struct{})
		b.SetFault(func(step int) error {
			if step == 3 {
				close(reached)
			}
			return nil
		})
		go func() { // ends with the call
			got, err := b.Enqueue(context.Background(), []queue.Item{plain})
			if err == nil && got[0].Status != queue.Inserted {
				err = fmt.Errorf("it is %v", got[0].Status)
			}
			enqueued <- err
		}()
		<-reached
		select {
		case err := <-enqueued: // too early
			enqueued <- err
		case <-time.After(50 * time.Millisecond):
		}
		return nil
	})
	errs, err := a.Settle(t.Context(), settlements(ls, queue.Leased.Ack))
	require.NoError(t, err)
	for i, l := range ls {
		if l.ID == "lost" {
			require.ErrorIs(t, errs[i], queue.ErrLeaseLost)
		} else {
			require.NoError(t, errs[i])
		}
	}
	require.NoError(t, <-enqueued)
}

// Times that are centuries away are neither now nor never.
func TestFarTimes(t *testing.T) {
	t.Parallel()
	s := open(t, newDatabase(t).String())
	wrapped := time.Now().Add(math.MaxInt64).Add(math.MaxInt64).Add(300 * time.Millisecond) // as nanoseconds from now, that is soon
	for i, due := range []time.Time{wrapped, time.Date(2400, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)} {
		add(t, s, queue.Item{ID: fmt.Sprint("far", i), Queue: "q", Name: "n", Due: due})
	}
	require.Empty(t, lease(t, s, 1, time.Minute))
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, s.Wait(ctx, []string{"q"}), context.DeadlineExceeded)
	for i, year := range []int{1600, 1730, 1} {
		require.Empty(t, lease(t, s, 1, time.Minute))
		waited := make(chan error, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		go func() { waited <- s.Wait(ctx, []string{"q"}) }()
		add(t, s, queue.Item{ID: fmt.Sprint("past", i), Queue: "q", Name: "n", Due: time.Date(year, 2, 1, 0, 0, 0, 0, time.UTC)})
		require.NoError(t, <-waited, year)
		cancel()
		ls := lease(t, s, 1, time.Minute)
		require.Len(t, ls, 1)
		ack(t, s, ls)
	}
}

// A call with nothing to do does nothing, and tells that the store is closed, or the context has ended.
func TestNothing(t *testing.T) {
	t.Parallel()
	s, err := mongodb.OpenStore("mongodb://127.0.0.1:1/", nil)
	require.NoError(t, err)
	cause := errors.New("enough")
	ended, end := context.WithCancelCause(t.Context())
	end(cause)
	for _, call := range []func(context.Context) error{
		func(ctx context.Context) error { _, err := s.Enqueue(ctx, nil); return err },
		func(ctx context.Context) error { _, err := s.Settle(ctx, nil); return err },
	} {
		require.NoError(t, call(t.Context()))
		require.ErrorIs(t, call(ended), cause)
	}
	require.NoError(t, s.Close(t.Context()))
	_, err = s.Enqueue(t.Context(), nil)
	require.ErrorIs(t, err, queue.ErrClosed)
	_, err = s.Settle(t.Context(), nil)
	require.ErrorIs(t, err, queue.ErrClosed)
}

// What is added and removed is not there, and that is no change if it was not there before. Any binding can be removed.
func TestBindAddsThenRemoves(t *testing.T) {
	t.Parallel()
	s := open(t, newDatabase(t).String())
	bind := func(add, remove []queue.Binding) queue.Rev {
		rev, err := s.Bind(t.Context(), add, remove)
		require.NoError(t, err)
		return rev
	}
	b := []queue.Binding{{Queue: "q", Selector: queue.All()}}
	first := bind(nil, nil)
	require.Equal(t, first, bind(b, b))
	invalid := []queue.Binding{{Queue: "q", Selector: queue.Selector{Kind: "of another version"}}}
	require.Equal(t, first, bind(nil, invalid))
	_, err := s.Bind(t.Context(), invalid, nil)
	require.ErrorIs(t, err, queue.ErrInvalid)
	there := bind(b, nil)
	require.NotEqual(t, there, bind(b, b))
	list, _, err := s.Bindings(t.Context(), 0)
	require.NoError(t, err)
	require.Empty(t, list)
}

// What a server answers is told by its code, whatever names and values it mentions.
func TestAnswersWithWords(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"shop.connections: not a number", "dup key: { _id: \"server selection\" }", "value \"auth error\""} {
		for _, err := range []error{
			mongo.CommandError{Code: 2, Message: text},
			mongo.WriteException{WriteErrors: mongo.WriteErrors{{Code: 2, Message: text}}},
		} {
			require.False(t, mongodb.Unreachable(err), err)
			require.Equal(t, err, mongodb.Meaning(err))
		}
	}
	require.True(t, mongodb.Unreachable(errors.New("server selection error: timeout")))
	require.True(t, mongodb.Unreachable(mongo.CommandError{Message: "lost", Labels: []string{"NetworkError"}}))
	for _, code := range []int32{10334, 17419, 17420} {
		require.True(t, mongodb.TooLarge(mongo.CommandError{Code: code}))
	}
	require.True(t, mongodb.TooLarge(mongo.BulkWriteException{WriteErrors: []mongo.BulkWriteError{{WriteError: mongo.WriteError{Code: 17419}}}}))
	require.False(t, mongodb.TooLarge(mongo.CommandError{Code: 2}))
}
