package loopback

import (
	"fmt"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPort(t *testing.T) {
	for range 50 {
		port, err := Port()
		require.NoError(t, err)
		require.Less(t, port, 32768, "the system takes ports from there on for outgoing connections")
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		require.NoError(t, err)
		defer l.Close()
	}
}
