package redisserver

import (
	"bufio"
	"fmt"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ask sends a command and returns the first line of the answer.
func ask(t *testing.T, s *Server, command string) string {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr())
	require.NoError(t, err)
	defer c.Close()
	_, err = fmt.Fprintf(c, "%s\r\n", command)
	require.NoError(t, err)
	line, err := bufio.NewReader(c).ReadString('\n')
	require.NoError(t, err)
	return line
}

// Kill closes what the server's shell reads, as the end of this process does.
func TestKillAndRestart(t *testing.T) {
	s := ForTest(t, "--appendonly", "yes", "--appendfsync", "always")
	require.Equal(t, "redis://"+s.Addr()+"/0", s.URL())
	for n := range 3 {
		require.Equal(t, fmt.Sprintf(":%d\r\n", n+1), ask(t, s, "INCR n"))
		require.NoError(t, s.Kill())
		_, err := net.Dial("tcp", s.Addr())
		require.Error(t, err)
		require.NoError(t, s.Kill(), "again")
		require.NoError(t, s.Restart())
	}
}

func TestWrongArgument(t *testing.T) {
	s := ForTest(t)
	s.args = append(s.args, "--no-such-setting", "1")
	require.ErrorContains(t, s.Restart(), "no-such-setting")
}
