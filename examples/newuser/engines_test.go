package main

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
	r "gopkg.in/rethinkdb/rethinkdb-go.v6"

	"github.com/earshot-go/earshot/bus/bustest"
	"github.com/earshot-go/earshot/internal/need"
	"github.com/earshot-go/earshot/internal/redisserver"
)

// An engine is one new, empty stream on a real server, for one test.
type engine struct {
	name string
	url  *url.URL
	wire *bustest.Proxy // nil for sqlite, which has none
	dir  string         // sqlite: that of the file
}

// overWire puts a proxy before the server, so that it can be absent for a while.
func (e *engine) overWire(t testing.TB) {
	e.wire = bustest.NewProxy(t, e.url.Host)
	e.url.Host = e.wire.Addr()
}

// leave makes the engine unreachable, and come back brings it back.
func (e *engine) leave(t testing.TB) {
	if e.wire != nil {
		e.wire.Cut()
	} else {
		require.NoError(t, os.Rename(e.dir, e.dir+".away"))
	}
}

func (e *engine) comeBack(t testing.TB) {
	if e.wire != nil {
		e.wire.Mend()
	} else {
		require.NoError(t, os.Rename(e.dir+".away", e.dir))
	}
}

// Each function starts, or finds, a server and returns a stream on it.
var engines = map[string]func(t testing.TB) *engine{
	"sqlite":    onSQLite,
	"nats":      onNATS,
	"redis":     onRedis,
	"couchdb":   onCouchDB,
	"rethinkdb": onRethinkDB,
}

// onEvery runs a test on every engine.
func onEvery(t *testing.T, test func(t *testing.T, on *engine)) {
	for name, open := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			on := open(t)
			on.name = name
			if name != "sqlite" {
				on.overWire(t)
			}
			test(t, on)
		})
	}
}

func onSQLite(t testing.TB) *engine {
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.Mkdir(dir, 0o755))
	return &engine{url: &url.URL{Scheme: "sqlite", Path: filepath.Join(dir, "events.db")}, dir: dir}
}

func onNATS(t testing.TB) *engine {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true,
		StoreDir: t.TempDir(), NoLog: true, NoSigs: true})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	require.True(t, s.ReadyForConnections(20*time.Second), "nats-server does not answer")
	return &engine{url: &url.URL{Scheme: "nats", Host: s.Addr().String()}}
}

func onRedis(t testing.TB) *engine { return redisWith(t, "--appendonly", "yes") }

func redisWith(t testing.TB, args ...string) *engine {
	s := redisserver.ForTest(t, args...)
	return &engine{url: &url.URL{Scheme: "redis", Host: s.Addr(), Path: "/0"}}
}

func freeAddress(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// fresh is a name that no other test has.
func fresh() string { return "newuser_" + strings.ToLower(rand.Text()[:10]) }

func onCouchDB(t testing.TB) *engine {
	u := named(t, "EARSHOT_COUCHDB_URL", "a CouchDB on which tests may make databases, as in couchdb://127.0.0.1:5984", "5984")
	u.Path = "/" + fresh()
	db := *u
	db.Scheme = "http"
	t.Cleanup(func() {
		for _, address := range []string{db.String(), db.String() + second} {
			req, err := http.NewRequest(http.MethodDelete, address, nil)
			if err != nil {
				continue
			}
			if resp, err := http.DefaultClient.Do(req); err == nil { // it may never have been made
				resp.Body.Close()
			}
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return &engine{url: u}
}

func onRethinkDB(t testing.TB) *engine {
	u := named(t, "EARSHOT_RETHINKDB_URL", "a RethinkDB on which tests may make tables, as in rethinkdb://127.0.0.1:28015", "28015")
	const db = "earshot_test"
	table := fresh()
	u.Path = "/" + db + "/" + table
	address := u.Host
	t.Cleanup(func() {
		s, err := r.Connect(r.ConnectOpts{Address: address})
		if err != nil {
			return
		}
		defer s.Close()
		for _, name := range []string{table, table + second} {
			_ = r.DB(db).TableDrop(name).Exec(s) // it may never have been made
		}
	})
	return &engine{url: u}
}

// named returns the server that a variable names.
func named(t testing.TB, variable, what, port string) *url.URL {
	text := os.Getenv(variable)
	if text == "" {
		need.Missing(t, fmt.Sprintf("set %s to %s", variable, what))
	}
	u, err := url.Parse(text)
	require.NoError(t, err)
	if u.Port() == "" {
		u.Host += ":" + port
	}
	return u
}

// second is behind the name of an engine's stream that has two.
const second = "_2"

// another is the URL of one more stream on the engine.
func (e *engine) another() string {
	u := *e.url
	switch u.Scheme {
	case "sqlite", "nats", "redis":
		u.RawQuery = "stream=" + fresh()
	default:
		u.Path += second
	}
	return u.String()
}
