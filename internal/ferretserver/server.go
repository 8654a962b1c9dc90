// Package ferretserver runs servers that speak MongoDB's protocol, of a test's or a benchmark's own, which it may kill
// and start again. The program is internal/ferret: FerretDB, one message at a time.
//
//	s := ferretserver.ForTest(t)
//	client, err := mongo.Connect(options.Client().ApplyURI(s.URL()))
//
// The program is that of EARSHOT_FERRET_SERVER, which scripts/test sets. Without it the go command builds it, in a
// minute at first and in no time when nothing has changed, and leaves it in the user's cache folder.
package ferretserver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/earshot-go/earshot/internal/loopback"
	"github.com/earshot-go/earshot/internal/need"
)

// ErrMissing is the error of Start where there is no program and it cannot be built.
var ErrMissing = errors.New("no FerretDB: set EARSHOT_FERRET_SERVER to the program that \"GOWORK=off go build\" makes in internal/ferret")

// A Server is a server on the loopback interface that asks for no password. Its methods are for one goroutine at a
// time, but URL, which is for any.
type Server struct {
	program string
	dir     string
	addr    string
	cmd     *exec.Cmd      // nil while the server is down
	input   io.WriteCloser // the server ends when this is closed, so also when this process dies
}

// ForTest is Start for a test or benchmark, and Stop at its end. Without a server the test is skipped, or fails in CI.
func ForTest(t testing.TB) *Server {
	t.Helper()
	s, err := Start()
	if errors.Is(err, ErrMissing) {
		need.Missing(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Start starts a server without data. It returns when the server answers.
func Start() (*Server, error) {
	program, err := program()
	if err != nil {
		return nil, err
	}
	port, err := loopback.Port()
	if err != nil {
		return nil, err
	}
	s := &Server{program: program, addr: fmt.Sprintf("127.0.0.1:%d", port)}
	if s.dir, err = os.MkdirTemp("", "earshot-ferret"); err != nil {
		return nil, err
	}
	if err := s.Restart(); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// URL is the address of the server. It stays the same over Restart.
func (s *Server) URL() string { return "mongodb://" + s.addr + "/" }

// Restart is Kill, and starts the server on what it had written. It returns when the server answers.
func (s *Server) Restart() error {
	if err := s.Kill(); err != nil {
		return err
	}
	cmd := exec.Command(s.program, "-listen", s.addr, "-dir", s.dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		s.input, err = cmd.StdinPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("ferretserver: %w", err)
	}
	s.cmd = cmd
	if line, _ := bufio.NewReader(out).ReadString('\n'); !strings.HasPrefix(line, "ready ") {
		return errors.Join(fmt.Errorf("ferretserver: %s does not start, but says %q", s.program, line), s.Kill())
	}
	return nil
}

// Kill ends the server with SIGKILL, and returns when it has ended. Its clients find their connections closed, and can
// make no new one until Restart. A server that was killed can be killed again.
func (s *Server) Kill() error {
	if s.cmd == nil {
		return nil
	}
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ferretserver: kill: %w", err)
	}
	s.cmd.Wait() // closes the pipes too
	s.cmd = nil
	return nil
}

// Stop ends the server and removes its data. It is for a killed server too, and may be called twice.
func (s *Server) Stop() error {
	return errors.Join(s.Kill(), os.RemoveAll(s.dir))
}

// program returns the path of the program, which it builds if it has to: once per process, since the source does not
// change in between.
var program = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("EARSHOT_FERRET_SERVER"); path != "" {
		return path, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("ferretserver: %w: %w", ErrMissing, err)
	}
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/earshot-go/earshot").Output()
	if err != nil {
		return "", fmt.Errorf("ferretserver: %w: go list: %w", ErrMissing, err)
	}
	path := filepath.Join(cache, "earshot", "ferret")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", path, ".")
	build.Dir = filepath.Join(strings.TrimSpace(string(root)), "internal", "ferret")
	// Alone and without C: one build, whatever is tested and how. GOFLAGS may ask for -race.
	build.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("ferretserver: %w: go build in %s: %w: %s", ErrMissing, build.Dir, err, out)
	}
	return path, nil
})
