package postgres_test

import (
	"testing"

	"github.com/earshot-go/earshot/queue"
	"github.com/stretchr/testify/require"
)

// A schema that a newer program has made, or somebody else, is left as it is.
func TestNewerSchema(t *testing.T) {
	h := newHome(t)
	_, err := h.open(t).Now(t.Context())
	require.NoError(t, err)
	h.exec(t, "UPDATE {s}.meta SET version = version + 1")
	s := h.open(t)
	for range 2 {
		_, err = s.Enqueue(t.Context(), []queue.Item{item("a")})
		require.ErrorIs(t, err, queue.ErrDamaged)
		require.ErrorContains(t, err, "newer version")
	}
	h.exec(t, "UPDATE {s}.meta SET version = version - 2")
	_, err = s.Enqueue(t.Context(), []queue.Item{item("a")})
	require.ErrorIs(t, err, queue.ErrDamaged)
	require.ErrorContains(t, err, "older version")
	h.exec(t, "UPDATE {s}.meta SET version = version + 1")
	_, err = s.Enqueue(t.Context(), []queue.Item{item("a")})
	require.NoError(t, err)

	other := newHome(t)
	other.exec(t, "CREATE SCHEMA {s}; CREATE TABLE {s}.meta (a int); GRANT ALL ON SCHEMA {s} TO PUBLIC; GRANT ALL ON {s}.meta TO PUBLIC")
	_, err = other.open(t).Stats(t.Context())
	require.ErrorIs(t, err, queue.ErrDamaged)
}

// Who drops the schema has an empty store again, with other revisions and receipts than before.
func TestSchemaDropped(t *testing.T) {
	h := newHome(t)
	s := h.open(t)
	_, err := s.Enqueue(t.Context(), []queue.Item{item("a")})
	require.NoError(t, err)
	old := lease(t, s, 1)[0]
	_, rev, err := s.Bindings(t.Context(), 0)
	require.NoError(t, err)
	h.exec(t, "DROP SCHEMA {s} CASCADE")
	_, err = s.Enqueue(t.Context(), []queue.Item{item("a")})
	require.ErrorIs(t, err, queue.ErrDamaged)
	_, err = s.Enqueue(t.Context(), []queue.Item{item("a")})
	require.NoError(t, err)
	require.Len(t, lease(t, s, 1), 1)
	errs, err := s.Settle(t.Context(), []queue.Settlement{old.Ack()})
	require.NoError(t, err)
	require.ErrorIs(t, errs[0], queue.ErrLeaseLost)
	_, again, err := s.Bindings(t.Context(), rev)
	require.NoError(t, err)
	require.NotEqual(t, rev, again)
}

// Rows that somebody else has written do not hold up the others.
func TestGarbageRows(t *testing.T) {
	h := newHome(t)
	s := h.open(t)
	_, err := s.Enqueue(t.Context(), []queue.Item{item("a"), item("b"), item("c")})
	require.NoError(t, err)
	h.exec(t, "UPDATE {s}.items SET headers = 'no JSON', scope = 77, maxfails = -2000000000 WHERE id = 'b'")
	ls := lease(t, s, 10)
	require.Len(t, ls, 2)
	require.Equal(t, "a", ls[0].ID)
	found, err := s.Find(t.Context(), queue.Query{ID: "b"})
	require.NoError(t, err)
	require.Len(t, found, 1)

	// One that is not returned is no sign that there are no more.
	_, err = s.Enqueue(t.Context(), []queue.Item{item("d"), item("e")})
	require.NoError(t, err)
	h.exec(t, "UPDATE {s}.items SET headers = 'no JSON' WHERE id = 'd'")
	ls = lease(t, s, 1)
	require.Len(t, ls, 1)
	require.Equal(t, "e", ls[0].ID)
}

// A binding that could not be added any more can be removed.
func TestUnbindInvalid(t *testing.T) {
	h := newHome(t)
	s := h.open(t)
	old, err := s.Bind(t.Context(), nil, nil)
	require.NoError(t, err)
	h.exec(t, "INSERT INTO {s}.bindings VALUES ('q', 'regexp', '(')")
	rev, err := s.Bind(t.Context(), nil, []queue.Binding{{Queue: "q\xff", Selector: queue.All()}, {Queue: "q", Selector: queue.Regexp("(")}})
	require.NoError(t, err)
	require.NotEqual(t, old, rev)
	all, _, err := s.Bindings(t.Context(), 0)
	require.NoError(t, err)
	require.Empty(t, all)
}
