package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/earshot-go/earshot/backend/postgres"
	"github.com/earshot-go/earshot/internal/need"
	"github.com/earshot-go/earshot/internal/pgserver"
	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/storetest"
	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	storetest.Main(queue.Open)
	code := m.Run()
	if shared.server != nil {
		if err := shared.server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// shared is the server of all tests, each of which has a schema of its own: one of EARSHOT_POSTGRES_URL, or a private
// one, where the stores come with a role that is no superuser.
var shared struct {
	once   sync.Once
	err    error
	admin  string // its URL
	user   string // the URL for stores
	server *pgserver.Server
}

func start(t testing.TB) {
	t.Helper()
	shared.once.Do(func() {
		if shared.admin = os.Getenv("EARSHOT_POSTGRES_URL"); shared.admin != "" {
			shared.user = shared.admin
			return
		}
		if shared.server, shared.err = pgserver.Start(pgserver.Options{Settings: []string{"max_connections = 400"}}); shared.err != nil {
			shared.server = nil
			return
		}
		shared.admin = shared.server.URL()
		shared.user = strings.Replace(shared.admin, "postgres@", "app@", 1)
		c, err := pgx.Connect(context.Background(), shared.admin)
		if err == nil {
			_, err = c.Exec(context.Background(), "CREATE ROLE app LOGIN; GRANT CREATE ON DATABASE postgres TO app")
			c.Close(context.Background())
		}
		shared.err = err
	})
	if errors.Is(shared.err, pgserver.ErrMissing) {
		need.Missing(t, shared.err.Error()+", or set EARSHOT_POSTGRES_URL to a server, on which some tests are left out")
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
}

var schemas atomic.Int64

// A home is a schema of a test.
type home struct{ schema string }

func newHome(t testing.TB) home {
	t.Helper()
	start(t)
	h := home{fmt.Sprintf("earshot_test_%d_%d", os.Getpid(), schemas.Add(1))}
	t.Cleanup(func() { h.exec(t, "DROP SCHEMA IF EXISTS {s} CASCADE") })
	return h
}

// url returns the address of the store, by way of another one if via is not empty, with more in the query.
func (h home) url(via string, more ...string) string {
	u, err := url.Parse(shared.user)
	if err != nil {
		panic(err)
	}
	if via != "" {
		u.Host = via
	}
	q := u.Query()
	q.Set("schema", h.schema)
	for _, m := range more {
		key, value, _ := strings.Cut(m, "=")
		q.Set(key, value)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// open returns a store that the test closes.
func (h home) open(t testing.TB, more ...string) *postgres.Store {
	t.Helper()
	s := h.unclosed(t, "", more...)
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func (h home) unclosed(t testing.TB, via string, more ...string) *postgres.Store {
	t.Helper()
	s, err := postgres.OpenStore(h.url(via, more...), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// exec runs statements as the administrator. {s} is the schema.
func (h home) exec(t testing.TB, text string, args ...any) {
	t.Helper()
	c := h.connect(t)
	defer c.Close(context.Background())
	if _, err := c.Exec(context.Background(), strings.ReplaceAll(text, "{s}", h.schema), args...); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func (h home) connect(t testing.TB) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(context.Background(), shared.admin)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// engine is a new, empty store for the suite.
func engine(t testing.TB) storetest.Engine {
	h := newHome(t)
	u, _ := url.Parse(shared.user)
	e := storetest.Engine{
		Open:   func(t testing.TB, via string) queue.Store { return h.unclosed(t, via) },
		Server: u.Host,
		URL:    h.url(""),
		Deny: func(t testing.TB) queue.Store {
			wrong := *u
			wrong.User = url.UserPassword("nobody_"+h.schema, "wr0ng-secret")
			s, err := postgres.OpenStore(wrong.String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		Begin: func(t testing.TB, s queue.Store) storetest.Tx {
			c, err := pgx.Connect(context.Background(), shared.user)
			if err != nil {
				t.Fatal(err)
			}
			tx, err := c.Begin(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			end := func(f func(context.Context) error) func() error {
				return func() error {
					defer c.Close(context.Background())
					return f(context.Background())
				}
			}
			return storetest.Tx{
				Enqueue: func(ctx context.Context, items []queue.Item) ([]queue.Enqueued, error) {
					return s.(queue.TxEnqueuer[pgx.Tx]).EnqueueTx(ctx, tx, items)
				},
				Commit: end(tx.Commit), Rollback: end(tx.Rollback),
			}
		},
		Skew: func(t testing.TB) queue.Store {
			s, err := postgres.OpenStore(newHome(t).url(""), postgres.StoreOptions{}.Skew("3 hours"))
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	}
	if shared.server == nil {
		return e
	}
	e.Restart = func(t testing.TB) {
		if err := shared.server.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	e.Break = func(t testing.TB) func() {
		h.exec(t, "REVOKE ALL ON ALL TABLES IN SCHEMA {s} FROM app")
		return func() { h.exec(t, "GRANT ALL ON ALL TABLES IN SCHEMA {s} TO app") }
	}
	return e
}
