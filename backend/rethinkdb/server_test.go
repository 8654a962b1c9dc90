package rethinkdb_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/earshot-go/earshot/backend/rethinkdb"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/bustest"
	"github.com/earshot-go/earshot/internal/need"
)

func TestMain(m *testing.M) {
	// A feed that goes on behind a cut reads the newest rows again, for which reqlite walks through the whole table: a
	// second a cut. A hundred are for EARSHOT_CUTS=100.
	if os.Getenv("EARSHOT_CUTS") == "" {
		os.Setenv("EARSHOT_CUTS", "10")
	}
	goleak.VerifyTestMain(m)
}

// base is the URL of the server to test with.
func base(t testing.TB) *url.URL {
	t.Helper()
	address := os.Getenv("EARSHOT_RETHINKDB_URL")
	if address == "" {
		need.Missing(t, "no RethinkDB: set EARSHOT_RETHINKDB_URL to one that tests may make tables on, as in rethinkdb://127.0.0.1:28015")
	}
	u, err := url.Parse(address)
	require.NoError(t, err)
	if u.Port() == "" {
		u.Host += ":28015"
	}
	return u
}

// A process is a server of a test's own.
type process struct {
	port string
	cmd  *exec.Cmd
}

// own starts a server for this test.
func own(t testing.TB) *process {
	t.Helper()
	if os.Getenv("EARSHOT_RETHINKDB_SERVER") == "" {
		need.Missing(t, "no command that starts a RethinkDB: set EARSHOT_RETHINKDB_SERVER to one that takes a port, as in \"exec node scripts/servers/rethinkdb.js\"")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	require.NoError(t, l.Close())
	p := &process{port: port}
	p.start(t)
	t.Cleanup(func() { p.kill(t) })
	return p
}

func (p *process) start(t testing.TB) {
	t.Helper()
	p.cmd = exec.Command("sh", "-c", os.Getenv("EARSHOT_RETHINKDB_SERVER")+" "+p.port)
	_, err := p.cmd.StdinPipe() // the server ends when this process does
	require.NoError(t, err)
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "ready")
}

func (p *process) kill(t testing.TB) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Kill())
	_ = p.cmd.Wait() // killed
}

func (p *process) url() *url.URL {
	return &url.URL{Scheme: "rethinkdb", Host: "127.0.0.1:" + p.port}
}

// A fixture makes streams on one server.
type fixture struct {
	at      *url.URL
	process *process // nil if it is not the test's own
	opts    rethinkdb.BusOptions
}

const testDB = "earshot_test"

// table opens a bus on a table, by way of an address if there is one.
func (x fixture) table(t testing.TB, table, via string) *rethinkdb.Bus {
	t.Helper()
	u := *x.at
	u.Path = "/" + testDB + "/" + table
	if via != "" {
		u.Host = via
	}
	b, err := rethinkdb.OpenBus(u.String(), &x.opts)
	require.NoError(t, err)
	return b
}

// stream is a bustest harness.
func (x fixture) stream(t testing.TB) bustest.Stream {
	name := strings.ToLower(rand.Text())
	hold := x.table(t, name, "")
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, hold.Drop(ctx))
		require.NoError(t, hold.Close(ctx))
	})
	s := bustest.Stream{
		Open:   func(t testing.TB, via string) bus.Bus { return x.table(t, name, via) },
		Server: x.at.Host,
		Recreate: func(t testing.TB) {
			require.NoError(t, hold.Drop(t.Context()))
			require.NoError(t, hold.Publish(t.Context()))
		},
		Trim: func(t testing.TB, keep int) { require.NoError(t, hold.Trim(t.Context(), keep)) },
	}
	// The server in memory takes every password. One that checks them stands in for it.
	s.Deny = func(t testing.TB) bus.Bus {
		f := (&fake{password: "right", rounds: 4096, version: "2.4.4"}).serve(t)
		b, err := rethinkdb.OpenBus("rethinkdb://admin:wr0ng-secret@"+f.address, &x.opts)
		require.NoError(t, err)
		return b
	}
	if x.process != nil {
		s.Restart = func(t testing.TB) {
			x.process.kill(t)
			x.process.start(t)
		}
	}
	return s
}

// bus returns a bus on a table of its own.
func (x fixture) bus(t testing.TB) *rethinkdb.Bus {
	t.Helper()
	b, ok := x.stream(t).Open(t, "").(*rethinkdb.Bus)
	require.True(t, ok)
	t.Cleanup(func() { require.NoError(t, b.Close(context.Background())) })
	return b
}

func TestBus(t *testing.T) {
	bustest.Run(t, fixture{at: base(t)}.stream)
}

func TestBusWithoutPersist(t *testing.T) {
	bustest.Run(t, fixture{at: base(t), opts: rethinkdb.BusOptions{NoPersist: true}}.stream)
}

// The same with a server that can be killed.
func TestBusFaults(t *testing.T) {
	p := own(t)
	bustest.Faults(t, fixture{at: p.url(), process: p}.stream)
}

func TestBusFaultsWithoutPersist(t *testing.T) {
	p := own(t)
	bustest.Faults(t, fixture{at: p.url(), process: p, opts: rethinkdb.BusOptions{NoPersist: true}}.stream)
}

func TestBusOnOwnServer(t *testing.T) {
	p := own(t)
	bustest.Run(t, fixture{at: p.url(), process: p}.stream)
}
