// Package redisserver runs redis-server for a test, which may kill it and start it again.
//
//	s := redisserver.ForTest(t, "--appendonly", "yes", "--appendfsync", "always")
//	bus, err := bus.Open(s.URL())
package redisserver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/earshot-go/earshot/internal/loopback"
	"github.com/earshot-go/earshot/internal/need"
)

// A Server is a server on the loopback interface that asks for no password. Its methods are for one goroutine at a
// time, but URL and Addr, which are for any.
type Server struct {
	args  []string
	addr  string
	cmd   *exec.Cmd
	input io.Closer // the server ends when this is closed, so also when this process dies
}

// A shell waits for the end of its input, and kills the server then. The output is the server's alone, and ends with it.
const watch = `redis-server "$@" 2>&1 & server=$!; exec >/dev/null; cat; kill -9 $server; wait`

// ForTest starts a server without data, with arguments of redis-server besides, and stops it at the end of the test.
// Without redis-server the test is skipped, or fails in CI.
func ForTest(t testing.TB, args ...string) *Server {
	t.Helper()
	need.Program(t, "redis-server")
	port, err := loopback.Port()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{addr: fmt.Sprintf("127.0.0.1:%d", port)}
	s.args = append([]string{"-c", watch, "sh", "--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", ""}, args...)
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Kill(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// URL is the address of the server's database 0. It stays the same over Restart.
func (s *Server) URL() string { return "redis://" + s.addr + "/0" }

// Addr is the host and the port in URL.
func (s *Server) Addr() string { return s.addr }

// Restart is Kill, and starts the server on what it had written. It returns when the server answers.
func (s *Server) Restart() error {
	if err := s.Kill(); err != nil {
		return err
	}
	cmd := exec.Command("sh", s.args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("redisserver: %w", err)
	}
	input, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("redisserver: %w", err)
	}
	s.cmd, s.input = cmd, input
	var said []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		said = append(said, lines.Text())
		if strings.Contains(lines.Text(), "Ready to accept connections") {
			go io.Copy(io.Discard, out) // ends with the server
			return nil
		}
	}
	return errors.Join(fmt.Errorf("redisserver: redis-server does not start: %s", strings.Join(said, "\n")), s.Kill())
}

// Kill ends the server with SIGKILL, and returns when it has ended. A server that was killed can be killed again.
func (s *Server) Kill() error {
	if s.cmd == nil {
		return nil
	}
	s.input.Close()
	s.cmd.Wait() // the status of a shell whose job was killed says nothing
	s.cmd = nil
	return nil
}
