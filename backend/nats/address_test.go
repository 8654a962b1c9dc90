package nats_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/backend/nats"
)

// A password in which a character is not escaped is in no error.
func TestUnescapedPassword(t *testing.T) {
	for _, url := range []string{
		"nats://user:/s3cret@host:4222", "nats://user:12/s3cret@host", "nats://user:2024?s3cret@host",
		"nats://user:2024#s3cret@host", "nats:///s3cret@host", "tls://user:s3cret%zz@host",
		"nats://s3cret@host?x=s3cret%zz", "nats:user:s3cret@host",
	} {
		_, err := nats.OpenBus(url, nil)
		require.ErrorContains(t, err, "%40 for @", url)
		require.NotContains(t, err.Error(), "s3cret")
	}
	_, err := nats.OpenBus("nats://user:12/s3cret", nil)
	require.ErrorContains(t, err, "no URL of the form")
	require.NotContains(t, err.Error(), "s3cret")
}
