package redis_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/earshot-go/earshot/backend/redis"
	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/storetest"
	"github.com/stretchr/testify/require"
)

func TestStore(t *testing.T) {
	s := durable(t)
	storetest.Run(t, func(t testing.TB) storetest.Engine { return s.engine(t, "durable=true&") })
}

func TestStoreFaults(t *testing.T) {
	s := durable(t)
	storetest.Faults(t, func(t testing.TB) storetest.Engine { return s.engine(t, "durable=true&") })
}

// A server that keeps nothing is not durable, and nobody is led astray by that.
func TestStoreWithoutPersistence(t *testing.T) {
	s := start(t, "--appendonly", "no", "--requirepass", "s3cret")
	storetest.Run(t, func(t testing.TB) storetest.Engine { return s.engine(t, "") })
}

// durable is a server of which a store may claim that it is.
func durable(t testing.TB) *server {
	return start(t, "--appendonly", "yes", "--appendfsync", "always", "--requirepass", "s3cret")
}

var namespaces atomic.Int64

// newNamespace returns one that no other test has, and removes its keys when the test ends.
func (s *server) newNamespace(t testing.TB) string {
	name := fmt.Sprintf("test-%d-%d", os.Getpid(), namespaces.Add(1))
	t.Cleanup(func() {
		c := s.client()
		defer c.Close()
		if keys, err := c.Keys(context.Background(), "earshot:queue:{"+name+"}:*").Result(); err == nil && len(keys) > 0 {
			c.Unlink(context.Background(), keys...)
		}
	})
	return name
}

// storeURL returns that of a namespace, by way of another address if via is not empty.
func (s *server) storeURL(query, via string) string {
	addr := s.addr
	if via != "" {
		addr = via
	}
	return fmt.Sprintf("redis://:%s@%s/0?%s", s.password, addr, query)
}

// engine is an engine of the suite.
func (s *server) engine(t testing.TB, query string) storetest.Engine {
	query += "namespace=" + s.newNamespace(t)
	open := func(t testing.TB, url string) queue.Store {
		st, err := redis.OpenStore(url, nil)
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	return storetest.Engine{
		Open:    func(t testing.TB, via string) queue.Store { return open(t, s.storeURL(query, via)) },
		Server:  s.addr,
		URL:     s.storeURL(query, ""),
		Restart: s.restart,
		Break: func(t testing.TB) func() {
			s.do(t, "CONFIG SET maxmemory-policy noeviction", "CONFIG SET maxmemory 1")
			return func() { s.do(t, "CONFIG SET maxmemory 0") }
		},
		Deny: func(t testing.TB) queue.Store {
			return open(t, strings.Replace(s.storeURL(query, ""), s.password, "wr0ng-secret", 1))
		},
	}
}

// store is a store of a test's own on a server.
func (s *server) store(t testing.TB, query string) *redis.Store {
	return openStore(t, s.storeURL(query+"&namespace="+s.newNamespace(t), ""))
}

func openStore(t testing.TB, url string) *redis.Store {
	t.Helper()
	st, err := redis.OpenStore(url, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close(context.Background())) })
	return st
}
