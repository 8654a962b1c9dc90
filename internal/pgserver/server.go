// Package pgserver runs PostgreSQL servers of a test's or a benchmark's own, which it may kill and start again.
//
//	s := pgserver.ForTest(t, pgserver.Options{})
//	db, err := pgx.Connect(ctx, s.URL())
//
// It needs Linux and the programs of a PostgreSQL installation, and no server that runs: each Start makes a new data
// directory, which takes half a second. Root cannot run PostgreSQL, so root needs the user postgres too, which the
// package postgresql of Debian brings.
package pgserver

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot/internal/loopback"
	"github.com/earshot-go/earshot/internal/need"
)

// ErrMissing is the error of Start where there is no PostgreSQL that it could start.
var ErrMissing = errors.New("no PostgreSQL")

// Options are the options of Start. The zero value is a server for tests.
type Options struct {
	// Fsync has the server wait for the disk, as one in production does. Without it nothing is lost by Kill, only
	// by the end of the machine, and a commit takes a fraction of the time.
	Fsync bool

	// Settings are lines for postgresql.conf, like "max_connections = 300". The default of that one is 100.
	Settings []string
}

// A Server is a PostgreSQL server on the loopback interface, with the superuser postgres, who needs no password.
// Its methods are for one goroutine at a time, but URL and Port, which are for any.
type Server struct {
	port  int
	dir   string // of the server's user; the data is in dir/data
	cmd   *exec.Cmd
	input io.WriteCloser // the server and its folder go when this is closed, so also when this process dies
	said  *bufio.Scanner
}

// watch.sh is a shell that lives as long as the Server does, and starts PostgreSQL for each line it reads.
//
//go:embed watch.sh
var watch string

// ForTest is Start for a test or benchmark, and Stop at its end. Without PostgreSQL the test is skipped, or fails in
// CI.
func ForTest(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := Start(o)
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

// Start makes a data directory and starts a server on it. It returns when the server answers.
func Start(o Options) (*Server, error) {
	if runtime.GOOS != "linux" {
		return nil, fmt.Errorf("pgserver: %w is started here: it takes /proc, which Linux has, to find what to kill", ErrMissing)
	}
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	port, err := loopback.Port()
	if err != nil {
		return nil, err
	}
	settings := []string{
		fmt.Sprintf("port = %d", port),
		"listen_addresses = '127.0.0.1'",
		"unix_socket_directories = ''",
		// In the data directory and not in /dev/shm, where a killed server would leave it.
		"dynamic_shared_memory_type = mmap",
		fmt.Sprintf("fsync = %t", o.Fsync),
	}
	args := append([]string{"-c", watch, "sh", bin}, append(settings, o.Settings...)...)
	s := &Server{port: port, cmd: exec.Command("sh", args...)}
	if os.Getuid() == 0 {
		// Not runuser, which would stay in between.
		s.cmd = exec.Command("setpriv", append([]string{"--reuid=postgres", "--regid=postgres", "--init-groups", "--", "sh"}, args...)...)
	}
	s.cmd.Dir = "/" // the user postgres may not enter the folder of a test
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		s.said = bufio.NewScanner(out)
		s.input, err = s.cmd.StdinPipe()
	}
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("pgserver: %w", err)
	}
	if s.dir, err = s.await("dir "); err == nil {
		err = s.Restart()
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// URL is the address of the server's database postgres. It stays the same over Restart.
func (s *Server) URL() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", s.port)
}

// Port is the port in URL.
func (s *Server) Port() int { return s.port }

// Restart is Kill, and starts the server on what it had written. It returns when the server answers.
func (s *Server) Restart() error {
	if err := s.Kill(); err != nil {
		return err
	}
	if _, err := io.WriteString(s.input, "start\n"); err != nil {
		return fmt.Errorf("pgserver: start: %w", err)
	}
	_, err := s.await("ready")
	return err
}

// Kill ends all processes of the server with SIGKILL, and returns when there is none any more. Its clients find
// their connections closed, and can make no new one until Restart. A server that was killed can be killed again.
func (s *Server) Kill() error {
	lock := filepath.Join(s.dir, "data", "postmaster.pid")
	text, err := os.ReadFile(lock)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("pgserver: kill: %w", err)
	}
	// Lines: 1 is the process id of the postmaster, 7 the key and the id of the shared memory.
	lines := strings.Split(string(text), "\n")
	pid, err := strconv.Atoi(lines[0])
	if err != nil {
		return fmt.Errorf("pgserver: kill: %s begins with %q", lock, lines[0])
	}
	for end := time.Now().Add(10 * time.Second); ; <-time.After(time.Millisecond) {
		// The postmaster first: it would start new ones.
		left := s.processes()
		if len(left) == 0 {
			break
		}
		if i := slices.Index(left, pid); i > 0 {
			left[0], left[i] = left[i], left[0]
		}
		if time.Now().After(end) {
			return fmt.Errorf("pgserver: kill: processes %v of %s do not end", left, s.dir)
		}
		for _, p := range left {
			if process, err := os.FindProcess(p); err == nil {
				process.Kill()
			}
		}
	}
	// As when the machine fails, no shared memory is left. A new server would remove it, but there may be none.
	if len(lines) > 6 {
		if id := strings.Fields(lines[6]); len(id) == 2 {
			exec.Command("ipcrm", "-m", id[1]).Run()
		}
	}
	// The number may be another process's by now, or that of a zombie where nobody reaps, and a new server would
	// not start.
	if err := os.Remove(lock); err != nil {
		return fmt.Errorf("pgserver: kill: %w", err)
	}
	return nil
}

// processes returns the processes that work in the data directory, which all of a server's do. A process that has
// ended works nowhere, even when nobody has waited for it.
func (s *Server) processes() (ids []int) {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		if dir, err := os.Readlink(link); err == nil && dir == filepath.Join(s.dir, "data") {
			id, _ := strconv.Atoi(strings.Split(link, "/")[2])
			ids = append(ids, id)
		}
	}
	return ids
}

// Stop ends the server and removes its data. It is for a killed server too, and may be called twice.
func (s *Server) Stop() error {
	s.input.Close()
	var rest []string
	for s.said.Scan() {
		rest = append(rest, s.said.Text())
	}
	if s.cmd.ProcessState != nil {
		return nil
	}
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("pgserver: stop: %w: %s", err, strings.Join(rest, "\n"))
	}
	return nil
}

// await reads what watch.sh says up to a line with this prefix, and returns the rest of that.
func (s *Server) await(prefix string) (string, error) {
	var said []string
	for s.said.Scan() {
		if rest, found := strings.CutPrefix(s.said.Text(), prefix); found {
			return rest, nil
		}
		said = append(said, s.said.Text())
		if s.said.Text() == "failed" {
			break
		}
	}
	return "", fmt.Errorf("pgserver: the server does not start: %s", strings.Join(said, "\n"))
}

// programs returns the folder of initdb and pg_ctl: what is in PATH, or the newest that Debian has installed.
func programs() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		// A link may stand alone in its folder.
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return "", fmt.Errorf("pgserver: %w is installed: apt-get install postgresql, or put initdb and pg_ctl into PATH", ErrMissing)
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4])
		return n
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
}
