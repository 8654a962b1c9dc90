package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// A child is a server that runs as long as this process does, on a loopback port, with a folder of its own.
type child struct {
	addr string
	dir  string
	cmd  *exec.Cmd
	life io.Closer // the child ends when its standard input does, so it ends with us however we end
	said *bufio.Reader
}

// newChild finds a port and makes a folder. The command is made by the caller, who needs both.
func newChild(command func(port, dir string) *exec.Cmd) (*child, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l.Close()
	c := &child{addr: l.Addr().String()}
	if c.dir, err = os.MkdirTemp("", "earshot-bench"); err != nil {
		return nil, err
	}
	c.cmd = command(strconv.Itoa(l.Addr().(*net.TCPAddr).Port), c.dir)
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err == nil {
		c.said = bufio.NewReader(out)
		c.life, err = c.cmd.StdinPipe()
	}
	if err == nil {
		err = c.cmd.Start()
	}
	if err == nil {
		err = c.await()
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// await waits until the child says that it is ready, and then for nothing it says.
func (c *child) await() error {
	for {
		line, err := c.said.ReadString('\n')
		if err != nil {
			return fmt.Errorf("%s has ended before it was ready", strings.Join(c.cmd.Args, " "))
		}
		if strings.Contains(strings.ToLower(line), "ready") {
			go io.Copy(io.Discard, c.said) // until the child ends
			return nil
		}
	}
}

func (c *child) close() error {
	if c.life != nil {
		c.life.Close()
	}
	if c.cmd.Process != nil {
		// It ends by itself; what it would still write is not needed.
		stop := time.AfterFunc(5*time.Second, func() { c.cmd.Process.Kill() })
		c.cmd.Wait()
		stop.Stop()
	}
	return os.RemoveAll(c.dir)
}

// serverOf finds the server of the variable EARSHOT_<name>_URL, or starts the one of EARSHOT_<name>_SERVER, a command
// that takes a port and a folder, and says "ready". The child is nil unless there is one.
func serverOf(name, scheme string) (address string, c *child, err error) {
	at, how := "EARSHOT_"+name+"_URL", "EARSHOT_"+name+"_SERVER"
	if address = os.Getenv(at); address != "" {
		return strings.TrimRight(address, "/"), nil, nil
	}
	command := os.Getenv(how)
	if command == "" {
		return "", nil, missingError{"set " + at + ", or " + how + " to a command"}
	}
	c, err = newChild(func(port, dir string) *exec.Cmd { return exec.Command("sh", "-c", command+" "+port+" "+dir) })
	if err != nil {
		return "", nil, err
	}
	return scheme + "://" + c.addr, c, nil
}

// syncs returns the nanoseconds of one write of 4 KiB that is on the disk when it returns, in a file that has its
// size already.
func syncs(n int) (float64, error) {
	f, err := os.CreateTemp("", "earshot-fsync")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	page := make([]byte, 4096)
	for range n {
		if _, err := f.Write(page); err != nil {
			return 0, err
		}
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	begin := time.Now()
	for i := range n {
		if _, err := f.WriteAt(page, int64(i)*4096); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
	}
	return float64(time.Since(begin)) / float64(n), nil
}
