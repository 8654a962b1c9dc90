package main

import (
	"crypto/rand"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/internal/ferretserver"
	"github.com/earshot-go/earshot/internal/pgserver"
	"github.com/earshot-go/earshot/internal/program"
	"github.com/earshot-go/earshot/internal/redisserver"
)

const bound = program.Bound

// A place is one new, empty store for one test.
type place struct {
	name   string
	url    string
	server engine // that of the test alone; nil if there is none, or if it is somebody else's
}

// An engine can be killed, and started again on what it had written.
type engine interface {
	Kill() error
	Restart() error
}

// Each function starts, or finds, a server and returns a store on it, which other processes can reach.
var places = map[string]func(t *testing.T) place{
	"sqlite":   onSQLite,
	"postgres": onPostgres,
	"redis":    onRedis,
	"mongodb":  onMongoDB,
}

// onEvery runs a test on every store that there is a server for; the others say what is missing.
func onEvery(t *testing.T, test func(t *testing.T, url string)) {
	t.Run("mem", func(t *testing.T) { test(t, "mem:") })
	onShared(t, func(t *testing.T, at place) { test(t, at.url) })
}

// onShared runs a test on every store that processes can share.
func onShared(t *testing.T, test func(t *testing.T, at place)) {
	for name, open := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := open(t)
			at.name = name
			test(t, at)
		})
	}
}

func onSQLite(t *testing.T) place {
	return place{url: "sqlite:" + filepath.Join(t.TempDir(), "jobs.db")}
}

func onPostgres(t *testing.T) place {
	if address := os.Getenv("EARSHOT_POSTGRES_URL"); address != "" {
		return place{url: with(t, address, "schema")}
	}
	s := pgserver.ForTest(t, pgserver.Options{})
	return place{url: s.URL(), server: s}
}

func onRedis(t *testing.T) place {
	s := redisserver.ForTest(t, "--appendonly", "yes", "--appendfsync", "always")
	return place{url: s.URL() + "?durable=true", server: s}
}

func onMongoDB(t *testing.T) place {
	if address := os.Getenv("EARSHOT_MONGODB_URL"); address != "" {
		return place{url: with(t, address, "prefix")}
	}
	s := ferretserver.ForTest(t)
	return place{url: s.URL(), server: s}
}

// with returns a URL whose query names a store that no other test has. What the test leaves there stays.
func with(t *testing.T, address, key string) string {
	u, err := url.Parse(address)
	require.NoError(t, err)
	q := u.Query()
	q.Set(key, "onboarding_"+strings.ToLower(rand.Text()[:10]))
	u.RawQuery = q.Encode()
	return u.String()
}
