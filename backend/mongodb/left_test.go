package mongodb_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/earshot-go/earshot/queue"
)

// An item that was put aside, and that nobody lets out any more, is found.
func TestLaneWithoutLock(t *testing.T) {
	t.Parallel()
	u := newDatabase(t)
	s := open(t, u.String())
	add(t, s, one)
	_, err := database(t, u).Collection("earshot_items").UpdateOne(t.Context(), bson.M{"_id": one.ID},
		bson.M{"$set": bson.M{"st": "parked", "lane": "\nq\ns"}})
	require.NoError(t, err)
	require.Empty(t, lease(t, s, 1, time.Minute))
	_, err = s.Reap(t.Context())
	require.NoError(t, err)
	require.Len(t, lease(t, s, 1, time.Minute), 1)
}

// Keys and locks that nobody has are swept up, and those that somebody has are not.
func TestGarbageIsSwept(t *testing.T) {
	t.Parallel()
	u := newDatabase(t)
	s := open(t, u.String())
	held := queue.Item{ID: "held", Queue: "q", Name: "n", Key: "held", Serial: "held"}
	short := queue.Item{ID: "short", Queue: "q", Name: "n", Key: "short", Hold: time.Millisecond}
	long := queue.Item{ID: "long", Queue: "q", Name: "n", Key: "long", Hold: time.Hour}
	add(t, s, held)
	require.Len(t, lease(t, s, 1, time.Minute), 1)
	add(t, s, short, long)
	ack(t, s, lease(t, s, 2, time.Minute))
	db := database(t, u)
	_, err := db.Collection("earshot_keys").InsertOne(t.Context(), bson.M{"_id": "q\ngone", "id": "gone", "in": bson.NewObjectID(), "hu": int64(0)})
	require.NoError(t, err)
	_, err = db.Collection("earshot_serials").InsertOne(t.Context(), bson.M{"_id": "\nq\ngone", "id": "gone", "tk": bson.NewObjectID()})
	require.NoError(t, err)
	require.Eventually(t, func() bool { // until the Hold is over
		_, err = s.Reap(t.Context())
		require.NoError(t, err)
		return count(t, db.Collection("earshot_keys")) == 2
	}, 5*time.Second, 5*time.Millisecond)
	require.Equal(t, 1, count(t, db.Collection("earshot_serials")))
	got, err := s.Enqueue(t.Context(), []queue.Item{
		{ID: "a", Queue: "q", Name: "n", Key: "held"}, {ID: "b", Queue: "q", Name: "n", Key: "long"}, {ID: "c", Queue: "q", Name: "n", Key: "short"},
	})
	require.NoError(t, err)
	require.Equal(t, []queue.Enqueued{{ID: "held", Status: queue.Duplicate}, {ID: "long", Status: queue.Duplicate}, {ID: "c"}}, got)
}

// Who enqueues again what a crash has left half stored finishes it, without waiting for others.
func TestRetryFinishesHalfStored(t *testing.T) {
	t.Parallel()
	u := newDatabase(t).String()
	for steps := 1; steps < 3; steps++ {
		s := open(t, u)
		_, err := crashAfter(t, u, steps).Enqueue(t.Context(), []queue.Item{one})
		require.ErrorIs(t, err, errCrash)
		got, err := s.Enqueue(t.Context(), []queue.Item{one})
		require.NoError(t, err)
		require.Equal(t, []queue.Enqueued{{ID: one.ID, Status: queue.Duplicate}}, got)
		ls := lease(t, s, 10, time.Minute)
		require.Len(t, ls, 1, "after %d steps", steps)
		ack(t, s, ls)
	}
}

// An item that is done is gone, though who acknowledged it has crashed before it was taken away.
func TestHalfDoneIsGone(t *testing.T) {
	t.Parallel()
	u := newDatabase(t).String()
	s := open(t, u)
	add(t, s, one)
	_, err := crashAfter(t, u, 1).Settle(t.Context(), settlements(lease(t, s, 1, time.Minute), queue.Leased.Ack))
	require.ErrorIs(t, err, errCrash)
	list, err := s.Find(t.Context(), queue.Query{})
	require.NoError(t, err)
	require.Empty(t, list)
	add(t, s, one) // which is another one
	require.Len(t, lease(t, s, 1, time.Minute), 1)
}

// Who takes back what has expired does not take back what was prolonged between its looking and its change.
func TestExtendBetweenTheStepsOfReap(t *testing.T) {
	t.Parallel()
	u := newDatabase(t).String()
	s, reaper := open(t, u), open(t, u)
	require.NoError(t, warm(reaper))
	add(t, s, one)
	ls := lease(t, s, 1, time.Millisecond)
	require.Eventually(t, func() bool {
		now, err := s.Now(t.Context())
		return err == nil && now.After(ls[0].Until.Add(2*time.Millisecond))
	}, 5*time.Second, time.Millisecond)
	steps := 0
	reaper.SetFault(func(step int) error {
		if steps = step; step == 2 {
			errs, err := s.Settle(t.Context(), settlements(ls, func(l queue.Leased) queue.Settlement { return l.Extend(time.Minute) }))
			require.NoError(t, err)
			require.NoError(t, errs[0])
		}
		return nil
	})
	n, err := reaper.Reap(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
	require.Greater(t, steps, 2)
	ack(t, s, ls)
}

// A lease does not begin before the one before it has ended, by whatever clock.
func TestLeaseByALateClock(t *testing.T) {
	t.Parallel()
	u := newDatabase(t)
	s := open(t, u.String())
	add(t, s, three)
	_, err := database(t, u).Collection("earshot_items").UpdateOne(t.Context(), bson.M{"_id": three.ID},
		bson.M{"$set": bson.M{"un": time.Now().Add(time.Hour).UnixMicro()}}) // taken back by one whose clock is ahead
	require.NoError(t, err)
	require.Empty(t, lease(t, s, 1, time.Minute))
}
