package storetest_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/memstore"
	"github.com/earshot-go/earshot/queue/storetest"
)

// What another process tells is as good as what was watched here, and what it was killed in is not known.
func TestHistoryOfAnotherProcess(t *testing.T) {
	ctx := t.Context()
	s := memstore.New(nil)
	defer s.Close(context.Background())
	var told bytes.Buffer
	other := storetest.Tell(&told, s)
	_, err := other.Enqueue(ctx, []queue.Item{{ID: "a", Queue: "q", Name: "n"}, {ID: "b", Queue: "q", Name: "n"}})
	require.NoError(t, err)
	ls, err := other.Lease(ctx, queue.LeaseRequest{Queues: []string{"q"}, Max: 1, TTL: time.Minute})
	require.NoError(t, err)
	_, err = other.Settle(ctx, []queue.Settlement{ls[0].Ack()})
	require.NoError(t, err)

	check := func(lines string, left ...queue.Record) []string {
		h := storetest.NewHistory()
		require.NoError(t, h.Read(strings.NewReader(lines)))
		h.Left(left)
		return h.Check(s.Caps())
	}
	b := queue.Record{Item: queue.Item{ID: "b", Queue: "q", Name: "n"}, State: queue.StatePending}
	require.Empty(t, check(told.String(), b))
	require.Equal(t, []string{"b was enqueued, is not done, and is lost: 1 calls to enqueue it"}, check(told.String()))
	require.Equal(t, []string{"c is left in the store, and nobody has enqueued it"}, check(told.String(), b, queue.Record{Item: queue.Item{ID: "c"}}))
	a := queue.Record{Item: queue.Item{ID: "a", Queue: "q", Name: "n"}, State: queue.StateLeased}
	require.Equal(t, []string{"a was done, and is left in the store: 1 calls to enqueue it; lease 1 with 0 fails, Ack"},
		[]string{strings.Replace(check(told.String(), a, b)[0], ", ack", ", Ack", 1)})

	// Killed when Enqueue was begun: all of it is there, or none.
	begun, _, _ := strings.Cut(told.String(), "\n")
	require.Empty(t, check(begun+"\n"+`{"By":"torn`))
	require.Empty(t, check(begun+"\n", a, b))
	require.Equal(t, []string{"of one call of Enqueue without an answer b is stored and a is not"}, check(begun+"\n", b))
}
