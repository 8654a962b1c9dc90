package mongodb_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/earshot-go/earshot/backend/mongodb"
	"github.com/earshot-go/earshot/queue"
)

var errCrash = errors.New("the process has crashed")

// crashAfter returns a store that does a number of steps and then no more, as if its process had ended.
func crashAfter(t *testing.T, url string, steps int) *mongodb.Store {
	s := open(t, url)
	require.NoError(t, warm(s))
	s.Impatient() // what it leaves half done need not be waited for
	s.SetFault(func(step int) error {
		if step > steps {
			return errCrash
		}
		return nil
	})
	return s
}

// warm has the store connect, so that a test counts the steps of its own call only.
func warm(s *mongodb.Store) error {
	_, _, err := s.Bindings(context.Background(), 0)
	return err
}

// A call is cut after each of its steps. Whatever it has left, others go on: no item is lost or there twice, and no key
// or serial key is held by nobody.
func TestCutAtEachStep(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		before func(t *testing.T, s *mongodb.Store) []queue.Leased
		call   func(s *mongodb.Store, leased []queue.Leased) error
	}{
		{"enqueue", nil, func(s *mongodb.Store, _ []queue.Leased) error {
			_, err := s.Enqueue(context.Background(), []queue.Item{one, two, three})
			return err
		}},
		{"enqueue over keys that were left", func(t *testing.T, s *mongodb.Store) []queue.Leased {
			add(t, s, older)
			ack(t, s, lease(t, s, 1, time.Minute))
			return nil
		}, func(s *mongodb.Store, _ []queue.Leased) error {
			_, err := s.Enqueue(context.Background(), []queue.Item{one, two, three})
			return err
		}},
		{"lease", func(t *testing.T, s *mongodb.Store) []queue.Leased {
			add(t, s, one, two) // with a third, that one would be leased first, and an error after that not told
			return nil
		}, func(s *mongodb.Store, _ []queue.Leased) error {
			_, err := s.Lease(context.Background(), queue.LeaseRequest{Queues: []string{"q"}, Max: 10, TTL: 50 * time.Millisecond})
			return err
		}},
		{"ack", func(t *testing.T, s *mongodb.Store) []queue.Leased {
			add(t, s, one, two, three)
			return lease(t, s, 2, 50*time.Millisecond)
		}, func(s *mongodb.Store, leased []queue.Leased) error {
			_, err := s.Settle(context.Background(), settlements(leased, queue.Leased.Ack))
			return err
		}},
		{"release", func(t *testing.T, s *mongodb.Store) []queue.Leased {
			add(t, s, one, two, three)
			return lease(t, s, 2, 50*time.Millisecond)
		}, func(s *mongodb.Store, leased []queue.Leased) error {
			_, err := s.Settle(context.Background(), settlements(leased, func(l queue.Leased) queue.Settlement { return l.Release(0) }))
			return err
		}},
		{"bury", func(t *testing.T, s *mongodb.Store) []queue.Leased {
			add(t, s, one, two, three)
			return lease(t, s, 2, 50*time.Millisecond)
		}, func(s *mongodb.Store, leased []queue.Leased) error {
			_, err := s.Settle(context.Background(), settlements(leased, func(l queue.Leased) queue.Settlement { return l.Bury("enough") }))
			return err
		}},
		{"reap", func(t *testing.T, s *mongodb.Store) []queue.Leased {
			add(t, s, one, two, three)
			lease(t, s, 10, time.Millisecond)
			return nil
		}, func(s *mongodb.Store, _ []queue.Leased) error {
			_, err := s.Reap(context.Background())
			return err
		}},
		{"remove", func(t *testing.T, s *mongodb.Store) []queue.Leased {
			add(t, s, one, two, three)
			return lease(t, s, 1, 50*time.Millisecond)
		}, func(s *mongodb.Store, _ []queue.Leased) error {
			_, err := s.Remove(context.Background(), queue.Query{Queue: "q"})
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := newDatabase(t).String()
			for steps := 0; ; steps++ {
				address := fmt.Sprintf("%s?prefix=cut%d", u, steps)
				s := open(t, address)
				var leased []queue.Leased
				if c.before != nil {
					leased = c.before(t, s)
				}
				err := c.call(crashAfter(t, address, steps), leased)
				if err != nil {
					require.ErrorIs(t, err, errCrash)
				}
				healed(t, s, steps)
				require.NoError(t, s.Close(t.Context()))
				if err == nil && steps > 0 {
					t.Logf("%d steps", steps)
					return
				}
				require.Less(t, steps, 60, "the call does not end")
			}
		})
	}
}

// The items of these tests: two of them have the same serial key, and two have keys.
var (
	one   = queue.Item{ID: "1", Queue: "q", Name: "n", Serial: "s", Key: "k1", MaxFails: -1}
	two   = queue.Item{ID: "2", Queue: "q", Name: "n", Serial: "s", Key: "k2", MaxFails: -1}
	three = queue.Item{ID: "3", Queue: "q", Name: "n", MaxFails: -1}
	older = queue.Item{ID: "0", Queue: "q", Name: "n", Key: "k1"}
)

// healed fails if what a cut has left does not come in order by itself: everything can be enqueued again, under the
// same IDs and keys, and all of it can be done, each item once.
func healed(t *testing.T, s *mongodb.Store, steps int) {
	t.Helper()
	s.Impatient()
	_, err := s.Redrive(t.Context(), queue.Query{State: queue.StateDead})
	require.NoError(t, err)
	require.Eventually(t, func() bool { // until the leases that were cut have ended
		_, err := s.Reap(t.Context())
		require.NoError(t, err)
		list, err := s.Find(t.Context(), queue.Query{State: queue.StateLeased})
		require.NoError(t, err)
		return len(list) == 0
	}, 10*time.Second, 10*time.Millisecond)
	_, err = s.Enqueue(t.Context(), []queue.Item{one, two, three})
	require.NoError(t, err)
	list, err := s.Find(t.Context(), queue.Query{})
	require.NoError(t, err)
	require.Len(t, list, 3, "after %d steps", steps)
	done := map[string]bool{}
	for range 3 {
		for _, l := range lease(t, s, 10, time.Minute) {
			require.False(t, done[l.ID], "after %d steps %s came twice", steps, l.ID)
			done[l.ID] = true
			ack(t, s, []queue.Leased{l})
		}
	}
	require.Len(t, done, 3, "after %d steps", steps)
	// The keys are free, and the serial key is.
	add(t, s, queue.Item{ID: "4", Queue: "q", Name: "n", Serial: "s", Key: "k1"}, queue.Item{ID: "5", Queue: "q", Name: "n", Key: "k2"})
	ls := lease(t, s, 10, time.Minute)
	require.Len(t, ls, 2, "after %d steps", steps)
	ack(t, s, ls)
	// And nothing is left behind for ever.
	_, err = s.Reap(t.Context())
	require.NoError(t, err)
	for _, name := range []string{"items", "keys", "serials"} {
		require.Zero(t, s.Count(t.Context(), name), "after %d steps: documents in %s", steps, name)
	}
}

func add(t *testing.T, s *mongodb.Store, items ...queue.Item) {
	t.Helper()
	got, err := s.Enqueue(t.Context(), items)
	require.NoError(t, err)
	for i, g := range got {
		require.Equal(t, queue.Enqueued{ID: items[i].ID}, g)
	}
}

func lease(t *testing.T, s *mongodb.Store, most int, ttl time.Duration) []queue.Leased {
	t.Helper()
	ls, err := s.Lease(t.Context(), queue.LeaseRequest{Queues: []string{"q"}, Max: most, TTL: ttl, Worker: "w"})
	require.NoError(t, err)
	return ls
}

func settlements(ls []queue.Leased, what func(queue.Leased) queue.Settlement) (list []queue.Settlement) {
	for _, l := range ls {
		list = append(list, what(l))
	}
	return list
}

func ack(t *testing.T, s *mongodb.Store, ls []queue.Leased) {
	t.Helper()
	errs, err := s.Settle(t.Context(), settlements(ls, queue.Leased.Ack))
	require.NoError(t, err)
	for _, err := range errs {
		require.NoError(t, err)
	}
}

// An item that an Enqueue has left half stored, and whose key another item has got since, is not stored later.
func TestHalfStoredLosesItsKey(t *testing.T) {
	t.Parallel()
	u := newDatabase(t)
	_, err := crashAfter(t, u.String(), 1).Enqueue(t.Context(), []queue.Item{one})
	require.ErrorIs(t, err, errCrash)
	s := open(t, u.String())
	other := one
	other.ID = "other"
	add(t, s, other)
	s.Impatient()
	_, err = s.Reap(t.Context())
	require.NoError(t, err)
	list, err := s.Find(t.Context(), queue.Query{})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "other", list[0].ID)
	n, err := database(t, u).Collection("earshot_items").CountDocuments(t.Context(), bson.M{})
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
}

// Two lease items of one serial key at the same time: the one has done any number of steps when the other begins.
func TestTwoLeaseOneSerial(t *testing.T) {
	t.Parallel()
	u := newDatabase(t).String()
	for at, reached := 1, true; reached; at++ {
		reached = false
		address := fmt.Sprintf("%s?prefix=two%d", u, at)
		a, b := open(t, address), open(t, address)
		require.NoError(t, warm(a))
		add(t, b, one, two)
		var first []queue.Leased
		a.SetFault(func(step int) error {
			if step == at {
				reached = true
				first = lease(t, b, 2, time.Minute)
			}
			return nil
		})
		second := lease(t, a, 2, time.Minute)
		require.LessOrEqual(t, len(first)+len(second), 1, "both at step %d", at)
		a.SetFault(func(int) error { return nil })
		done := 0
		for range 4 { // the two, and what gave way to another
			ls := append(append(first, second...), lease(t, a, 2, time.Minute)...)
			require.LessOrEqual(t, len(ls), 1)
			ack(t, a, ls)
			done += len(ls)
			first, second = nil, nil
		}
		require.Equal(t, 2, done, "at step %d", at)
		require.NoError(t, a.Close(t.Context()))
		require.NoError(t, b.Close(t.Context()))
		require.Less(t, at, 60)
	}
}

// One finds the serial key of an item busy, and puts the item aside, while the key comes free, at any step.
func TestSerialComesFreeWhileParking(t *testing.T) {
	t.Parallel()
	u := newDatabase(t).String()
	for at, reached := 1, true; reached; at++ {
		reached = false
		address := fmt.Sprintf("%s?prefix=free%d", u, at)
		a, b := open(t, address), open(t, address)
		require.NoError(t, warm(a))
		add(t, b, one, two)
		held := lease(t, b, 1, time.Minute)
		lease(t, a, 1, time.Minute) // which sweeps up, as it does every ten seconds, and parks
		ack(t, b, held)
		held = lease(t, b, 1, time.Minute)
		require.Len(t, held, 1)
		add(t, b, queue.Item{ID: "late", Queue: "q", Name: "n", Serial: "s"})
		a.SetFault(func(step int) error {
			if step == at {
				reached = true
				ack(t, b, held)
			}
			return nil
		})
		ls := lease(t, a, 1, time.Minute)
		if !reached {
			ack(t, b, held)
		}
		a.SetFault(func(int) error { return nil })
		if len(ls) == 0 {
			ls = lease(t, a, 1, time.Minute)
		}
		require.Len(t, ls, 1, "at step %d", at)
		require.NoError(t, a.Close(t.Context()))
		require.NoError(t, b.Close(t.Context()))
		require.Less(t, at, 60)
	}
}
