package scheme_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/earshot-go/earshot/internal/scheme"
	"github.com/stretchr/testify/require"
)

func TestTable(t *testing.T) {
	var table scheme.Table[string]
	open, known := table.Get("sqlite")
	require.Nil(t, open)
	require.Empty(t, known)

	failed := errors.New("no such thing")
	require.True(t, table.Add("sqlite", func(url string) (string, error) { return "opened " + url, nil }))
	require.True(t, table.Add("nats", func(string) (string, error) { return "", failed }))
	require.False(t, table.Add("sqlite", func(string) (string, error) { return "another", nil }))

	open, known = table.Get("sqlite")
	require.Equal(t, "nats, sqlite", known)
	got, err := open("sqlite:jobs.db")
	require.NoError(t, err)
	require.Equal(t, "opened sqlite:jobs.db", got, "the first one stays")
	open, _ = table.Get("nats")
	_, err = open("nats:")
	require.ErrorIs(t, err, failed)
	open, known = table.Get("redis")
	require.Nil(t, open)
	require.Equal(t, "nats, sqlite", known)
}

func TestTableFromManyGoroutines(t *testing.T) {
	var table scheme.Table[int]
	var added atomic.Int32
	var done sync.WaitGroup
	for range 16 {
		done.Go(func() {
			if table.Add("x", func(string) (int, error) { return 0, nil }) {
				added.Add(1)
			}
			table.Get("x")
		})
	}
	done.Wait()
	require.EqualValues(t, 1, added.Load())
}
