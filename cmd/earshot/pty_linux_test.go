package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/earshot-go/earshot/internal/need"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// ptyPair opens both ends of a new terminal.
func ptyPair(t testing.TB) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		need.Missing(t, "this machine has no terminals: "+err.Error())
	}
	// A file that the runtime polls can be closed while it is being read.
	fd := int(master.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	require.NoError(t, unix.SetNonblock(fd, true))
	again, err := unix.Dup(fd)
	require.NoError(t, err)
	require.NoError(t, master.Close())
	master = os.NewFile(uintptr(again), "/dev/ptmx")
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	return master, slave
}

func resizePty(t testing.TB, master *os.File, columns, rows int) {
	t.Helper()
	raw, err := master.SyscallConn()
	require.NoError(t, err)
	var failed error
	require.NoError(t, raw.Control(func(fd uintptr) {
		failed = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(rows), Col: uint16(columns)})
	}))
	require.NoError(t, failed)
}
