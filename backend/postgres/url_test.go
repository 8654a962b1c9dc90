package postgres_test

import (
	"strings"
	"testing"

	"github.com/earshot-go/earshot/backend/postgres"
	"github.com/earshot-go/earshot/queue"
	"github.com/stretchr/testify/require"
)

func TestURLs(t *testing.T) {
	s, err := postgres.OpenStore("postgres://me:pa%20ss@db.example:5433/shop?schema=jobs&notify=off&conns=3&maxbytes=1000&sslmode=disable", nil)
	require.NoError(t, err)
	require.Equal(t, "postgres://me@db.example:5433/shop?schema=jobs", s.String())
	require.Equal(t, 1000, s.Caps().MaxBytes)
	require.NoError(t, s.Close(t.Context()))
	for url, want := range map[string]string{
		"postgres://me:secret@h/db?scheme=x":       "unknown key",
		"postgres://me:secret@h/db?schema=Jobs":    "the schema",
		"postgres://me:secret@h/db?schema=pg_x":    "the schema",
		"postgres://me:secret@h/db?notify=maybe":   "on or off",
		"postgres://me:secret@h/db?conns=-1":       "conns",
		"postgres://me:secret@h/db?maxbytes=-1":    "maxbytes",
		"postgres://me:secret@h/db?sslmode=always": "sslmode",
		"postgres://me:secret@h:port/db":           "",
		"mysql://me:secret@h/db":                   "scheme",
	} {
		s, err := postgres.OpenStore(url, nil)
		require.ErrorContains(t, err, want, url)
		require.NotContains(t, err.Error(), "secret")
		require.Nil(t, s)
	}
	store, err := queue.Open("postgres://h/db?conns=-1")
	require.Error(t, err)
	require.True(t, store == nil, "not a nil *Store in an interface")
}

// A role without rights, a database that is not there: somebody has to mend that.
func TestDenied(t *testing.T) {
	h := newHome(t)
	if shared.server == nil {
		h.exec(t, "SELECT 1")
		return // the roles of somebody's server are not ours
	}
	_, err := h.open(t).Now(t.Context())
	require.NoError(t, err)
	h.exec(t, "DO $$ BEGIN CREATE ROLE weak LOGIN; EXCEPTION WHEN duplicate_object THEN END $$")
	weak := strings.Replace(h.url(""), "app@", "weak:wr0ng-secret@", 1)
	for _, url := range []string{weak, strings.Replace(weak, h.schema, "another", 1), strings.Replace(h.url(""), "/postgres?", "/absent?", 1)} {
		s, err := postgres.OpenStore(url, nil)
		require.NoError(t, err)
		_, err = s.Enqueue(t.Context(), []queue.Item{item("a")})
		require.ErrorIs(t, err, queue.ErrDenied)
		require.NotContains(t, err.Error(), "wr0ng-secret")
		require.NoError(t, s.Close(t.Context()))
	}
}

// The server's settings decide how safe a commit is, and the store says so.
func TestDurability(t *testing.T) {
	h := newHome(t)
	text, err := h.open(t).Durability(t.Context())
	require.NoError(t, err)
	require.Contains(t, []bool{text == "on", strings.HasPrefix(text, "fsync = off")}, true)
}
