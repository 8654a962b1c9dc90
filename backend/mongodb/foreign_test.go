package mongodb_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/earshot-go/earshot/queue"
)

// What a newer version has made is left as it is.
func TestNewerSchema(t *testing.T) {
	t.Parallel()
	u := newDatabase(t)
	db := database(t, u)
	_, err := db.Collection("earshot_meta").InsertOne(t.Context(), bson.M{"_id": "schema", "version": 2})
	require.NoError(t, err)
	s := open(t, u.String())
	for range 2 {
		_, err = s.Enqueue(t.Context(), []queue.Item{one})
		require.ErrorIs(t, err, queue.ErrDamaged)
		require.ErrorContains(t, err, "update this program")
	}
	names, err := db.ListCollectionNames(t.Context(), bson.M{})
	require.NoError(t, err)
	require.Equal(t, []string{"earshot_meta"}, names)
}

// Documents of others among the items are in nobody's way.
func TestGarbage(t *testing.T) {
	t.Parallel()
	u := newDatabase(t)
	s := open(t, u.String())
	add(t, s, one, two, three)
	var junk []any
	for _, state := range []string{"pending", "leased", "taking", "dead", "prep", "done", "parked"} {
		junk = append(junk,
			bson.M{"q": "q", "st": state, "lane": "q", "pr": 99, "du": int64(1), "sq": int64(1), "at": int64(1)},
			bson.M{"_id": "junk " + state, "q": "q", "st": state, "lane": "q", "pr": "high", "du": int64(1), "sq": int64(1), "at": int64(1)},
			bson.M{"_id": "numbers " + state, "q": 7, "st": state, "lane": "q", "pr": 99, "in": 5, "du": int64(1), "at": "now"})
	}
	_, err := database(t, u).Collection("earshot_items").InsertMany(t.Context(), junk)
	require.NoError(t, err)
	ls := lease(t, s, 10, time.Minute)
	require.Len(t, ls, 2) // one of the two of a serial key
	list, err := s.Find(t.Context(), queue.Query{})
	require.NoError(t, err)
	require.Len(t, list, 3)
	_, err = s.Stats(t.Context())
	require.NoError(t, err)
	_, err = s.Reap(t.Context())
	require.NoError(t, err)
	ack(t, s, ls)
	ls = lease(t, s, 10, time.Minute)
	require.Len(t, ls, 1)
	n, err := s.Redrive(t.Context(), queue.Query{Queue: "q"})
	require.NoError(t, err)
	require.Zero(t, n)
	n, err = s.Remove(t.Context(), queue.Query{Queue: "q"})
	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, len(junk)+1, count(t, database(t, u).Collection("earshot_items")))
}

// Bindings that somebody has spoiled are an error, and stay as they are. Those that were dropped begin anew.
func TestBindingsSpoiledAndDropped(t *testing.T) {
	t.Parallel()
	u := newDatabase(t)
	s := open(t, u.String())
	first, err := s.Bind(t.Context(), []queue.Binding{{Queue: "q", Selector: queue.All()}}, nil)
	require.NoError(t, err)
	meta := database(t, u).Collection("earshot_meta")
	_, err = meta.UpdateOne(t.Context(), bson.M{"_id": "bindings"}, bson.M{"$set": bson.M{"list": "none"}})
	require.NoError(t, err)
	_, _, err = s.Bindings(t.Context(), 0)
	require.ErrorIs(t, err, queue.ErrDamaged)
	_, err = meta.DeleteMany(t.Context(), bson.M{})
	require.NoError(t, err)
	list, rev, err := s.Bindings(t.Context(), first)
	require.NoError(t, err)
	require.Empty(t, list)
	require.NotEqual(t, first, rev)
	_, err = s.Bind(t.Context(), []queue.Binding{{Queue: "q", Selector: queue.All()}}, nil)
	require.NoError(t, err)
}
