package redis_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot-go/earshot/internal/need"
	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/storetest"
	client "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	storetest.Main(queue.Open) // the children that the suite kills end here
	goleak.VerifyTestMain(m)
}

// A server is a redis-server of a test's own, on a free port of the loopback interface.
type server struct {
	addr     string
	password string
	args     []string
	dir      string
	cmd      *exec.Cmd
	outside  bool // EARSHOT_REDIS_URL: somebody else's
}

// start starts a server, which ends with the test.
func start(t testing.TB, args ...string) *server {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		need.Missing(t, "redis-server is not in PATH: install it, or set EARSHOT_REDIS_URL to a server for the tests that disturb none")
	}
	s := &server{addr: freePort(t), dir: t.TempDir()}
	_, port, _ := net.SplitHostPort(s.addr)
	s.args = append([]string{path, "--port", port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--logfile", filepath.Join(s.dir, "log"), "--loglevel", "warning"}, args...)
	for i, arg := range args {
		if arg == "--requirepass" {
			s.password = args[i+1]
		}
	}
	s.launch(t)
	t.Cleanup(s.kill)
	return s
}

// shared returns the server of EARSHOT_REDIS_URL, or starts one.
func shared(t testing.TB, args ...string) *server {
	t.Helper()
	url := os.Getenv("EARSHOT_REDIS_URL")
	if url == "" {
		return start(t, args...)
	}
	o, err := client.ParseURL(url)
	if err != nil {
		t.Fatalf("EARSHOT_REDIS_URL: %v", err)
	}
	return &server{addr: o.Addr, password: o.Password, outside: true}
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (s *server) launch(t testing.TB) {
	t.Helper()
	s.cmd = exec.Command(s.args[0], s.args[1:]...)
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("redis-server: %v", err)
	}
	c := s.client()
	defer c.Close()
	for end := time.Now().Add(20 * time.Second); ; <-time.After(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", s.addr) // first: the client logs what it cannot dial
		if err == nil {
			conn.Close()
			err = c.Ping(context.Background()).Err()
		}
		if err == nil {
			return
		}
		if time.Now().After(end) {
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			t.Fatalf("redis-server does not answer: %v\n%s", err, log)
		}
	}
}

func (s *server) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// restart is a crash and a start with what is on disk.
func (s *server) restart(t testing.TB) {
	t.Helper()
	s.kill()
	s.launch(t)
}

// client returns a client that goes around the bus.
func (s *server) client() *client.Client {
	return client.NewClient(&client.Options{
		Addr: s.addr, Password: s.password, Protocol: 2, DisableIdentity: true, PoolSize: 1000,
		DialerRetries: 1, MaxRetries: -1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// do runs commands, which have to succeed: words, a line each.
func (s *server) do(t testing.TB, lines ...string) (last any) {
	t.Helper()
	c := s.client()
	defer c.Close()
	for _, line := range lines {
		var args []any
		for _, word := range strings.Split(line, " ") {
			args = append(args, word)
		}
		var err error
		if last, err = c.Do(context.Background(), args...).Result(); err != nil && err != client.Nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	return last
}

// url returns that of a stream, by way of another address if via is not empty.
func (s *server) url(stream, via string) string {
	addr := s.addr
	if via != "" {
		addr = via
	}
	return fmt.Sprintf("redis://:%s@%s/0?stream=%s", s.password, addr, stream)
}

var streams atomic.Int64

// newStream returns a key that no other test has, and removes it when the test ends.
func (s *server) newStream(t testing.TB) string {
	key := fmt.Sprintf("earshot-test-%d-%d", os.Getpid(), streams.Add(1))
	t.Cleanup(func() {
		c := s.client()
		defer c.Close()
		c.Del(context.Background(), key)
	})
	return key
}
