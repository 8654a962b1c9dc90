package memstore

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/stretchr/testify/require"
)

// This test looks inside: what is left of items that are done cannot be seen from outside.

// Nothing is left of items that are done, but a place for each queue.
func TestNothingIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		s := New(nil)
		n, longest := 0, 0
		for range 100 {
			var items []queue.Item
			for range 10 {
				n++
				name := fmt.Sprint(n)
				items = append(items,
					queue.Item{ID: "plain" + name, Queue: "a", Name: "n", Priority: int8(n % 3)},
					queue.Item{ID: "serial" + name, Queue: "a", Name: "n", Serial: "s" + name, Payload: []byte(name)},
					queue.Item{ID: "key" + name, Queue: "b", Name: "n", Key: name, Hold: time.Duration(n%3) * time.Second},
					queue.Item{ID: "leased" + name, Queue: "b", Name: "n", Key: "l" + name, Scope: queue.UntilLeased, Hold: time.Minute},
					queue.Item{ID: "removed" + name, Queue: "b", Name: "n", TID: "away", Key: "r" + name, Hold: 2 * time.Hour, Serial: "r", Delay: time.Hour},
				)
			}
			_, err := s.Enqueue(ctx, items)
			require.NoError(t, err)
			longest = max(longest, len(s.order))
			for _, action := range []func(l queue.Leased) queue.Settlement{
				func(l queue.Leased) queue.Settlement { return l.Fail(0, "on purpose") },
				func(l queue.Leased) queue.Settlement { return l.Release(0) },
				queue.Leased.Ack,
			} {
				leased, err := s.Lease(ctx, queue.LeaseRequest{Queues: []string{"a", "b"}, Max: 1000, TTL: time.Minute})
				require.NoError(t, err)
				require.Len(t, leased, 40)
				var settlements []queue.Settlement
				for _, l := range leased {
					settlements = append(settlements, action(l))
				}
				_, err = s.Settle(ctx, settlements)
				require.NoError(t, err)
			}
			removed, err := s.Remove(ctx, queue.Query{TID: "away"})
			require.NoError(t, err)
			require.Equal(t, 10, removed)
			time.Sleep(time.Second)
		}
		require.Less(t, longest, 200, "what is gone is tidied up in time")
		time.Sleep(time.Hour)
		_, err := s.Enqueue(ctx, nil)
		require.NoError(t, err)
		require.Empty(t, s.byID)
		require.Empty(t, s.order)
		require.Empty(t, s.keys)
		require.Empty(t, s.holds.members)
		require.Len(t, s.piles, 2)
		for _, p := range s.piles {
			require.Empty(t, p.leased.members)
			for serial := range p.chains {
				require.Empty(t, serial)
			}
			for _, l := range p.lanes {
				require.Empty(t, l.strands.members)
			}
		}
	})
}
