package mongodb_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/goleak"

	"github.com/earshot-go/earshot/backend/mongodb"
	"github.com/earshot-go/earshot/internal/ferretserver"
	"github.com/earshot-go/earshot/internal/need"
	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/storetest"
)

func TestMain(m *testing.M) {
	storetest.Main(queue.Open)
	code := m.Run()
	for _, s := range servers.free {
		if err := s.Stop(); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.Exit(code)
}

// A server is that of EARSHOT_MONGODB_URL, or FerretDB, which shows that the statements are right, and nothing of how
// MongoDB runs them at the same time.
type server struct {
	url *url.URL
	own *ferretserver.Server // nil: somebody else's
}

// servers are those that no test has at the moment: a test has one for itself, because FerretDB has one message at a
// time, and those that are slow would hold up the others.
var servers struct {
	mu   sync.Mutex
	free []*ferretserver.Server
}

func start(t testing.TB) server {
	t.Helper()
	if address := os.Getenv("EARSHOT_MONGODB_URL"); address != "" {
		u, err := url.Parse(address)
		require.NoError(t, err)
		return server{url: u}
	}
	own := take()
	if own == nil {
		var err error
		own, err = ferretserver.Start()
		if errors.Is(err, ferretserver.ErrMissing) {
			need.Missing(t, err.Error()+", or EARSHOT_MONGODB_URL to a MongoDB server, as mongodb://127.0.0.1:27017/")
		}
		require.NoError(t, err)
	}
	t.Cleanup(func() {
		servers.mu.Lock()
		defer servers.mu.Unlock()
		servers.free = append(servers.free, own)
	})
	u, err := url.Parse(own.URL())
	require.NoError(t, err)
	return server{u, own}
}

func take() *ferretserver.Server {
	servers.mu.Lock()
	defer servers.mu.Unlock()
	n := len(servers.free)
	if n == 0 {
		return nil
	}
	s := servers.free[n-1]
	servers.free = servers.free[:n-1]
	return s
}

var databases atomic.Int64

// newDatabase returns the URL of a database that no other test has, and drops it when the test ends.
func newDatabase(t testing.TB) *url.URL {
	t.Helper()
	return start(t).newDatabase(t)
}

func (s server) newDatabase(t testing.TB) *url.URL {
	t.Helper()
	u := *s.url
	u.Path = fmt.Sprintf("/earshot_test_%d_%d", os.Getpid(), databases.Add(1))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		database(t, &u).Drop(ctx)
	})
	return &u
}

// database goes around the store.
func database(t testing.TB, u *url.URL) *mongo.Database {
	t.Helper()
	plain := *u
	plain.Path = "/"
	c, err := mongo.Connect(options.Client().ApplyURI(plain.String()))
	require.NoError(t, err)
	t.Cleanup(func() { c.Disconnect(context.Background()) })
	return c.Database(u.Path[1:])
}

func via(u *url.URL, addr string) string {
	if addr == "" {
		return u.String()
	}
	other := *u
	other.Host = addr
	return other.String()
}

// open returns a store that is closed when the test ends.
func open(t testing.TB, url string) *mongodb.Store {
	t.Helper()
	s, err := mongodb.OpenStore(url, nil)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close(context.Background()) })
	return s
}

func count(t testing.TB, c *mongo.Collection) int {
	t.Helper()
	n, err := c.CountDocuments(t.Context(), bson.M{})
	require.NoError(t, err)
	return int(n)
}
