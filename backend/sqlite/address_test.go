package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// What looks like a password is in no error, and an "@" in the name of a file is escaped.
func TestUnescapedPassword(t *testing.T) {
	for _, url := range []string{
		"sqlite://user:/s3cret@host/x.db", "sqlite:user:s3cret@host", "sqlite:x.db?password=s3cret%zz",
		"sqlite:x.db?user:s3cret@host", "sqlite://user:s3cret%zz@host",
	} {
		_, err := OpenBus(url, nil)
		require.ErrorContains(t, err, "%40 for @", url)
		require.NotContains(t, err.Error(), "s3cret")
	}
	for _, url := range []string{"sqlite://user:s3cret@host/x.db", "sqlite:?password=s3cret", "sqlite:x.db?password=s3cret&keep=-1"} {
		_, err := OpenBus(url, nil)
		require.Error(t, err, url)
		require.NotContains(t, err.Error(), "s3cret")
	}
	path, _, err := parseURL("sqlite:///srv/me%40home/events.db", nil)
	require.NoError(t, err)
	require.Equal(t, filepath.FromSlash("/srv/me@home/events.db"), path)
}
