package redis_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/backend/redis"
)

// A password in which a character is not escaped is in no error.
func TestUnescapedPassword(t *testing.T) {
	for _, url := range []string{
		"redis://user:/s3cret@host:6379/0", "redis://user:12/s3cret@host", "redis://user:2024?s3cret@host",
		"redis://user:2024#s3cret@host", "redis:///user:s3cret@host", "redis://user:s3cret%zz@host",
		"redis://user:pw@host?x=s3cret%zz", "redis+unix:///s3cret@host", "rediss:user:s3cret@host",
	} {
		_, err := redis.OpenBus(url, nil)
		require.ErrorContains(t, err, "%40 for @", url)
		require.NotContains(t, err.Error(), "s3cret")
	}
}
