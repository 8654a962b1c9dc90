package main

import (
	"bufio"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("EARSHOT_FERRET_CHILD"); dir != "" { // the test binary plays the program
		os.Args = []string{"ferret", "-dir", dir}
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

func TestEndsWithItsInput(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "EARSHOT_FERRET_CHILD="+t.TempDir())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Regexp(t, `^ready mongodb://127\.0\.0\.1:[0-9]+/\n$`, line)
	require.NoError(t, in.Close())
	require.NoError(t, cmd.Wait())
}
