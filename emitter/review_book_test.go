package emitter

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// Patterns make Emit take the long way for every name. When the last of them has gone, names are found at once again.
func TestNamesAreFoundAtOnceAfterPatterns(t *testing.T) {
	e := New(&Options{Name: t.Name()})
	defer e.Close(context.Background())
	nothing := func(context.Context, Event) error { return nil }
	names := map[uint8]string{}
	for i := range 40 {
		name := fmt.Sprint("name", i)
		if c := cell(name); names[c] == "" && e.book.cells[c].Load() == nil {
			names[c] = name
			_, err := e.On(name, nothing)
			require.NoError(t, err)
		}
	}
	require.Greater(t, len(names), 10)
	atOnce := func() (n int) {
		for c, name := range names {
			if one := e.book.cells[c].Load(); one != nil && one.name == name && one.to != nil && len(one.to.list) == 1 {
				n++
			}
		}
		return n
	}
	require.Equal(t, len(names), atOnce())
	for range 3 {
		one, err := e.OnAny("x.*", nothing)
		require.NoError(t, err)
		two, err := e.OnAny("y.*", nothing)
		require.NoError(t, err)
		require.Zero(t, atOnce())
		require.True(t, e.Off(one))
		require.Zero(t, atOnce())
		require.True(t, e.Off(two))
		require.Equal(t, len(names), atOnce())
		_, err = e.OnAny("**", nothing)
		require.NoError(t, err)
		require.Equal(t, 1, e.RemoveAll("**"))
		require.Equal(t, len(names), atOnce())
	}
}
