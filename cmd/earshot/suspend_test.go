//go:build unix

package main

import (
	"bufio"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shell runs a command as a shell with job control does: in a process group of its own, in the
// foreground of the terminal. When it is stopped the shell says so on descriptor 3, and lets it go on
// when there is something to read on descriptor 4.
func shell(args []string) int {
	signal.Ignore(syscall.SIGTTOU)
	tell, told := os.NewFile(3, "tell"), os.NewFile(4, "told")
	c := exec.Command(os.Args[0], args...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.Env = append(os.Environ(), "EARSHOT_TEST_SHELL=")
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Foreground: true, Ctty: 0}
	if err := c.Start(); err != nil {
		println(err.Error())
		return 99
	}
	for {
		var ws syscall.WaitStatus
		if _, err := syscall.Wait4(c.Process.Pid, &ws, syscall.WUNTRACED, nil); err == syscall.EINTR {
			continue
		} else if err != nil || !ws.Stopped() {
			return ws.ExitStatus()
		}
		tell.WriteString("stopped\n")
		if _, err := told.Read(make([]byte, 1)); err != nil {
			return 98
		}
		syscall.Kill(-c.Process.Pid, syscall.SIGCONT)
	}
}

// Ctrl-Z gives the terminal back to the shell, and fg takes it again.
func TestTopSuspends(t *testing.T) {
	p := openPty(t, 80, 24)
	before := p.state(t)
	stopped, tell, err := os.Pipe()
	require.NoError(t, err)
	defer stopped.Close()
	told, goOn, err := os.Pipe()
	require.NoError(t, err)
	defer goOn.Close()
	cmd := child(t, serve(t, newFake()), "top", "--every", "1m")
	cmd.Env = append(cmd.Env, "EARSHOT_TEST_SHELL=1")
	cmd.ExtraFiles = []*os.File{tell, told}
	p.start(t, cmd)
	tell.Close()
	told.Close()

	p.awaitText(t, "orders.paid")
	raw := p.state(t)
	p.press(t, "\x1a")
	line, err := bufio.NewReader(stopped).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "stopped\n", line)
	assert.Equal(t, before, p.state(t), "the shell's terminal")
	p.mu.Lock()
	p.grid.eraseLine(0)
	p.mu.Unlock()
	_, err = goOn.WriteString("x")
	require.NoError(t, err)
	p.awaitText(t, "OK  All well.")
	assert.Equal(t, raw, p.state(t), "raw again")
	p.press(t, "q")
	assert.Equal(t, exitOK, status(t, cmd.Wait()))
	assertRestored(t, p, before)
}
