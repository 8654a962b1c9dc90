package nats_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/backend/nats"
	"github.com/earshot-go/earshot/bus"
)

const (
	childVar = "EARSHOT_NATS_CHILD"
	urlVar   = "EARSHOT_NATS_URL"

	password = "r1ght-secret"
	wrong    = "wr0ng-secret"
)

// A childConfig is what a server that can be killed is started with.
type childConfig struct {
	Dir  string
	Port int
}

// serve runs a server until its standard input ends, which it does with the parent.
func serve(config string) {
	var c childConfig
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	s, err := server.NewServer(withUsers(options(c.Dir, c.Port)))
	if err == nil {
		s.Start()
		if !s.ReadyForConnections(10 * time.Second) {
			err = fmt.Errorf("not ready")
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	fmt.Println(s.Addr().(*net.TCPAddr).Port)
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func options(dir string, port int) *server.Options {
	return &server.Options{
		Host: "127.0.0.1", Port: port, JetStream: dir != "", StoreDir: dir, NoLog: true, NoSigs: true,
		PingInterval: time.Minute,
	}
}

// withUsers adds one user who may do everything, one who may only listen, and one who may do nothing.
func withUsers(o *server.Options) *server.Options {
	o.Users = []*server.User{
		{Username: "app", Password: password},
		{Username: "reader", Password: password, Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"fenced.>"}},
		}},
		{Username: "nobody", Password: password, Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Deny: []string{">"}},
			Subscribe: &server.SubjectPermission{Deny: []string{"fenced.>"}},
		}},
	}
	return o
}

// A child is a server in a process of its own.
type child struct {
	dir  string
	port int
	cmd  *exec.Cmd
	in   io.Closer
}

func startChild(t testing.TB) *child {
	c := &child{dir: t.TempDir(), port: server.RANDOM_PORT}
	c.start(t)
	t.Cleanup(c.kill)
	return c
}

func (c *child) start(t testing.TB) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(childConfig{c.dir, c.port})
	if err != nil {
		t.Fatal(err)
	}
	c.cmd = exec.Command(exe)
	c.cmd.Env = append(os.Environ(), childVar+"="+string(config), "GOTRACEBACK=single")
	c.cmd.Stderr = os.Stderr
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.in = in
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil {
		_, err = fmt.Sscan(line, &c.port)
	}
	if err != nil {
		t.Fatalf("the server did not come up: %v, %q", err, line)
	}
}

// kill ends the server as kill -9 does.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
	c.in.Close()
}

func (c *child) address() string { return fmt.Sprintf("127.0.0.1:%d", c.port) }

func (c *child) url(user, password, stream string) string {
	return fmt.Sprintf("nats://%s:%s@%s?stream=%s", user, password, c.address(), stream)
}

// startServer runs a server in this process.
func startServer(t testing.TB, o *server.Options) *server.Server {
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server did not come up")
	}
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s
}

var shared struct {
	mu sync.Mutex
	n  int
}

func streamName() string {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	shared.n++
	return fmt.Sprintf("test-%d-%d", os.Getpid(), shared.n)
}

// open returns a bus that the test closes.
func open(t testing.TB, address string, o *nats.BusOptions) *nats.Bus {
	b, err := nats.OpenBus(address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return b
}

// An admin does to a stream what its owner may do, with a plain client.
type admin struct {
	t    testing.TB
	url  string
	name string
}

func (a admin) with(f func(ctx context.Context, js jetstream.JetStream) error) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	nc, err := natsgo.Connect(a.url)
	if err != nil {
		a.t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err == nil {
		err = f(ctx, js)
	}
	if err != nil {
		a.t.Fatal(err)
	}
}

// stream gives f the stream, which it makes like nats.Bus if nobody has used it yet.
func (a admin) stream(f func(ctx context.Context, js jetstream.JetStream, s jetstream.Stream) error) {
	a.t.Helper()
	a.with(func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, a.name)
		if err == jetstream.ErrStreamNotFound {
			b := open(a.t, a.url+"?stream="+a.name, nil)
			if err := b.Publish(ctx); err != nil {
				return err
			}
			s, err = js.Stream(ctx, a.name)
		}
		if err != nil {
			return err
		}
		return f(ctx, js, s)
	})
}

func (a admin) recreate() {
	a.stream(func(ctx context.Context, js jetstream.JetStream, s jetstream.Stream) error {
		if err := js.DeleteStream(ctx, a.name); err != nil {
			return err
		}
		for {
			_, err := js.CreateStream(ctx, s.CachedInfo().Config)
			var api *jetstream.APIError
			if !errors.As(err, &api) || api.Code != 500 {
				return err
			} // else the server is still removing directories of the old one
		}
	})
}

func (a admin) remove() {
	a.with(func(ctx context.Context, js jetstream.JetStream) error {
		if err := js.DeleteStream(ctx, a.name); err != nil && err != jetstream.ErrStreamNotFound {
			return err
		}
		return nil
	})
}

func (a admin) trim(keep int) {
	a.stream(func(ctx context.Context, _ jetstream.JetStream, s jetstream.Stream) error {
		if keep == 0 {
			return s.Purge(ctx)
		}
		return s.Purge(ctx, jetstream.WithPurgeKeep(uint64(keep)))
	})
}

// update changes the stream's configuration and returns what it was.
func (a admin) update(change func(*jetstream.StreamConfig)) (before jetstream.StreamConfig) {
	a.stream(func(ctx context.Context, js jetstream.JetStream, s jetstream.Stream) error {
		before = s.CachedInfo().Config
		c := before
		change(&c)
		_, err := js.UpdateStream(ctx, c)
		return err
	})
	return before
}

func (a admin) fill() (mend func()) {
	before := a.update(func(c *jetstream.StreamConfig) { c.MaxBytes, c.Discard = 1, jetstream.DiscardNew })
	return func() { a.update(func(c *jetstream.StreamConfig) { *c = before }) }
}

// via returns the URL with another host.
func via(t testing.TB, address, host string) string {
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		u.Host = host
	}
	return u.String()
}

// next returns what a feed has within some seconds.
func next(t testing.TB, f bus.Feed) (bus.Delivery, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	return f.Next(ctx)
}

func wantNext(t testing.TB, f bus.Feed, id string) bus.Delivery {
	d, err := next(t, f)
	require.NoError(t, err)
	require.Equal(t, id, d.Event.ID)
	return d
}

func noPassword(t testing.TB, err error) {
	require.False(t, strings.Contains(err.Error(), password) || strings.Contains(err.Error(), wrong), "the password is in %q", err)
}
