package redis_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/earshot-go/earshot/backend/redis"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/bustest"
	"github.com/stretchr/testify/require"
)

func TestBus(t *testing.T) {
	s := shared(t, "--appendonly", "yes", "--appendfsync", "always", "--requirepass", "s3cret")
	bustest.Run(t, s.stream)
}

func TestBusFaults(t *testing.T) {
	s := shared(t, "--appendonly", "yes", "--appendfsync", "always", "--requirepass", "s3cret")
	bustest.Faults(t, s.stream)
}

// A server that keeps nothing is not durable, and nobody is led astray by that.
func TestBusWithoutPersistence(t *testing.T) {
	s := start(t, "--appendonly", "no", "--requirepass", "s3cret")
	bustest.Run(t, s.stream)
}

// stream is a stream of the suite.
func (s *server) stream(t testing.TB) bustest.Stream {
	key := s.newStream(t)
	open := func(t testing.TB, url string) bus.Bus {
		b, err := redis.OpenBus(url, nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	stream := bustest.Stream{
		Open:   func(t testing.TB, via string) bus.Bus { return open(t, s.url(key, via)) },
		Server: s.addr,
		Recreate: func(t testing.TB) {
			s.do(t, "DEL "+key, "XGROUP CREATE "+key+" x 0 MKSTREAM", "XGROUP DESTROY "+key+" x")
		},
		Trim: func(t testing.TB, keep int) { s.do(t, "XTRIM "+key+" MAXLEN = "+strconv.Itoa(keep)) },
	}
	if s.outside {
		return stream
	}
	stream.Restart = s.restart
	stream.Break = func(t testing.TB) func() {
		s.do(t, "CONFIG SET maxmemory-policy noeviction", "CONFIG SET maxmemory 1")
		return func() { s.do(t, "CONFIG SET maxmemory 0") }
	}
	stream.Deny = func(t testing.TB) bus.Bus {
		return open(t, strings.Replace(s.url(key, ""), s.password, "wr0ng-secret", 1))
	}
	return stream
}

func TestOpenBus(t *testing.T) {
	for url, want := range map[string]string{
		"redis://127.0.0.1": "redis://127.0.0.1:6379/0?stream=earshot",
		"redis://":          "redis://localhost:6379/0?stream=earshot",
		"redis://ann:s3cret@db:1/3?stream=shop&keep=9": "redis://ann@db:1/3?stream=shop",
		"redis://:s3cret@[::1]:1/?keepfor=24h":         "redis://[::1]:1/0?stream=earshot",
		"rediss://db":                                  "rediss://db:6379/0?stream=earshot",
		"redis+unix:///run/r.sock?db=2&stream=shop":    "redis+unix:///run/r.sock?db=2&stream=shop",
	} {
		b, err := bus.Open(url)
		require.NoError(t, err, url)
		require.Equal(t, want, b.(*redis.Bus).String())
		require.NoError(t, b.Close(t.Context()))
	}
	for url, want := range map[string]string{
		"redis://:s3cret@h/?steam=x":     `unknown key "steam" in the query: there are keep, keepfor, maxbytes, stream`,
		"redis://:s3cret@h/x":            "number of a database",
		"redis://:s3cret@h/?keep=many":   "keep=many",
		"redis://:s3cret@h/?keepfor=-1":  "keepfor=-1",
		"redis://:s3cret@h:x/":           "not a URL",
		"redis://:s3cret@h/?keepfor=1us": "a millisecond or more",
		"redis+unix://h/run/r.sock":      "three slashes",
		"redis://h/?db=1":                `unknown key "db"`,
	} {
		_, err := bus.Open(url)
		require.ErrorContains(t, err, want, url)
		require.NotContains(t, err.Error(), "s3cret")
	}
}
