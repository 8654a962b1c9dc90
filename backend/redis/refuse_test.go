package redis_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot-go/earshot/backend/redis"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/bustest"
	"github.com/stretchr/testify/require"
)

// What a server refuses is told, and is not taken for the wire. The probe sees it as an event would.
func TestRefusals(t *testing.T) {
	s := start(t, "--appendonly", "yes")
	for _, c := range []struct{ name, spoil, mend, says string }{
		{"OOM", "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "maxmemory"},
		{"READONLY", "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "connect to the primary"},
		{"NOREPLICAS", "CONFIG SET min-replicas-to-write 3", "CONFIG SET min-replicas-to-write 0", "replicas"},
		{"WRONGTYPE", "SET $ x", "DEL $", "no stream"},
	} {
		t.Run(c.name, func(t *testing.T) { // one by one: it is one server
			key := s.newStream(t)
			b := at(t, s.url(key, ""), nil)
			require.NoError(t, b.Publish(t.Context()))
			s.do(t, strings.ReplaceAll(c.spoil, "$", key))
			for _, n := range []int{0, 1, 3} {
				err := b.Publish(t.Context(), events(n)...)
				require.ErrorContains(t, err, c.says, "%d events", n)
				require.False(t, errors.Is(err, bus.ErrDisconnected) || errors.Is(err, bus.ErrDenied), err)
			}
			s.do(t, strings.ReplaceAll(c.mend, "$", key))
			require.NoError(t, b.Publish(t.Context()))
			require.NoError(t, b.Publish(t.Context(), events(3)...))
			says(t, tail(t, b, bus.Start), "e1 e2 e3")
		})
	}
}

// A chunk is accepted as a whole: nobody sees a part of it.
func TestChunksAreWhole(t *testing.T) {
	s := shared(t)
	key := s.newStream(t)
	b := at(t, s.url(key, ""), &redis.BusOptions{Keep: -1})
	done := make(chan error, 1)
	go func() {
		for range 30 {
			if err := b.Publish(context.Background(), events(500)...); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	c := s.client()
	defer c.Close()
	for n := int64(0); n < 30*500; {
		n = c.XLen(t.Context(), key).Val()
		require.Zero(t, n%500)
	}
	require.NoError(t, <-done)
}

// A probe leaves nothing behind, not even a key.
func TestProbeWritesNothing(t *testing.T) {
	s := shared(t)
	key := s.newStream(t)
	b := at(t, s.url(key, ""), nil)
	require.NoError(t, b.Publish(t.Context()))
	require.Zero(t, s.do(t, "EXISTS "+key))
	f := tail(t, b, bus.Now)
	require.NoError(t, b.Publish(t.Context()))
	require.Zero(t, s.do(t, "XLEN "+key))
	says(t, f, "")
}

// A user may publish and read without being allowed to ask what the server keeps; that one does without +xadd is
// told apart from a wrong password only by the text.
func TestUsers(t *testing.T) {
	s := start(t, "--appendonly", "yes")
	commands := "+xadd +xread +xinfo +xgroup +xlen +xtrim +multi +exec"
	s.do(t, "ACL SETUSER plain on >s3cret ~shop "+commands,
		"ACL SETUSER full on >s3cret ~shop "+commands+" +info +config|get +time",
		"ACL SETUSER reader on >s3cret ~shop +xread +xinfo +xgroup")
	url := func(user, password string) string {
		return "redis://" + user + ":" + password + "@" + s.addr + "/0?stream=shop"
	}
	plain, full, reader := at(t, url("plain", "s3cret"), nil), at(t, url("full", "s3cret"), nil), at(t, url("reader", "s3cret"), nil)
	f, g := tail(t, plain, bus.Now), tail(t, reader, bus.Start)
	require.NoError(t, plain.Publish(t.Context(), events(2)...))
	says(t, f, "e1 e2")
	says(t, g, "e1 e2")
	require.False(t, plain.Caps().Durable)
	require.Contains(t, plain.Caps().Note, "+info")
	require.NoError(t, full.Publish(t.Context()))
	require.Contains(t, full.Caps().Note, "every second")
	require.ErrorIs(t, reader.Publish(t.Context(), events(2)...), bus.ErrDenied)
	require.ErrorIs(t, reader.Publish(t.Context(), events(1)...), bus.ErrDenied)
	require.ErrorIs(t, reader.Publish(t.Context()), bus.ErrDenied)
	wrong := at(t, url("plain", "wr0ng"), nil)
	_, err := wrong.Tail(t.Context(), bus.Tail{})
	require.ErrorIs(t, err, bus.ErrDenied)
	// A user who is removed while a feed is open.
	s.do(t, "ACL DELUSER plain")
	_, err = next(t, f, 1)
	require.True(t, errors.Is(err, bus.ErrDisconnected) || errors.Is(err, bus.ErrDenied), err)
	require.ErrorIs(t, second(plain.Tail(t.Context(), bus.Tail{})), bus.ErrDenied)
}

func second[T any](_ T, err error) error { return err }

// No password at all, and one too many.
func TestPasswords(t *testing.T) {
	locked := start(t, "--requirepass", "s3cret")
	b := at(t, "redis://"+locked.addr, nil)
	require.ErrorIs(t, b.Publish(t.Context()), bus.ErrDenied)
	require.ErrorIs(t, second(b.Tail(t.Context(), bus.Tail{})), bus.ErrDenied)
	db := at(t, "redis://:s3cret@"+locked.addr+"/99", nil)
	err := db.Publish(t.Context(), events(1)...)
	require.ErrorContains(t, err, "DB index is out of range")
	require.NotErrorIs(t, err, bus.ErrDisconnected)
}

// Caps tell what the server is set to, at every connection anew.
func TestCapsOfServer(t *testing.T) {
	s := start(t, "--appendonly", "no")
	b := at(t, s.url("shop", ""), nil)
	require.False(t, b.Caps().Durable)
	require.NoError(t, b.Publish(t.Context()))
	require.False(t, b.Caps().Durable)
	require.Contains(t, b.Caps().Note, "appendonly yes")
	for _, policy := range []string{"everysec", "always", "no"} {
		s.do(t, "CONFIG SET appendonly yes", "CONFIG SET appendfsync "+policy, "CONFIG SET maxmemory 1gb", "CONFIG SET maxmemory-policy allkeys-lru")
		b := at(t, s.url("shop", ""), nil)
		require.NoError(t, b.Publish(t.Context()))
		require.Equal(t, policy != "everysec", b.Caps().Durable, "with everysec the server may answer before it has written")
		require.Contains(t, b.Caps().Note, map[string]string{"everysec": "every second", "always": "before it answers", "no": "half a minute"}[policy])
		require.Contains(t, b.Caps().Note, "noeviction")
	}
}

// A server that has lost its newest events is resumed at what it has: nothing that comes then is skipped.
func TestServerLostItsNewest(t *testing.T) {
	s := start(t, "--appendonly", "no")
	b := at(t, s.url("shop", ""), nil)
	f := tail(t, b, bus.Now)
	require.NoError(t, b.Publish(t.Context(), events(2)...))
	says(t, f, "e1 e2")
	s.do(t, "SAVE")
	// Its clock was ahead: what comes after the loss has lesser ids.
	s.do(t, `XADD shop 9999999999999-0 e {"specversion":"1.0","id":"e3","source":"/x","type":"x"}`)
	says(t, f, "e3")
	ahead := token(f)
	s.restart(t)
	_, err := next(t, f, 1)
	require.ErrorIs(t, err, bus.ErrDisconnected)
	f = tail(t, b, bus.After(ahead))
	require.Eventually(t, func() bool { return b.Publish(t.Context(), events(1)...) == nil }, 10*time.Second, 10*time.Millisecond)
	says(t, f, "e1")
}

// A cluster tells where the stream is; the next call goes there.
func TestClusterRedirects(t *testing.T) {
	one, two := start(t, "--cluster-enabled", "yes"), start(t, "--cluster-enabled", "yes")
	b := at(t, two.url("shop", ""), nil)
	require.ErrorIs(t, b.Publish(t.Context()), bus.ErrDisconnected) // CLUSTERDOWN
	one.do(t, "CLUSTER ADDSLOTSRANGE 0 16383")
	_, port, _ := net.SplitHostPort(one.addr)
	two.do(t, "CLUSTER MEET 127.0.0.1 "+port)
	var last error
	require.Eventually(t, func() bool {
		last = b.Publish(t.Context(), events(3)...)
		return last == nil
	}, 30*time.Second, 50*time.Millisecond, "%v", last)
	says(t, tail(t, b, bus.Start), "e1 e2 e3")
	require.EqualValues(t, 3, one.do(t, "XLEN shop"))
}

// No more than one call fails after the server was away, however many connections there were.
func TestOneFailureAfterRestart(t *testing.T) {
	s := start(t, "--appendonly", "yes")
	b := at(t, s.url("shop", ""), nil)
	busy := make(chan error, 8)
	for range cap(busy) { // so that some connections lie idle
		go func() { busy <- b.Publish(context.Background(), events(500)...) }()
	}
	for range cap(busy) {
		require.NoError(t, <-busy)
	}
	s.restart(t)
	if err := b.Publish(t.Context(), events(1)...); err != nil {
		require.ErrorIs(t, err, bus.ErrDisconnected)
	}
	for range 5 {
		require.NoError(t, b.Publish(t.Context(), events(1)...))
	}
}

// A wire that is silent ends everything in time, and so does one that brings garbage.
func TestBadWire(t *testing.T) {
	s := start(t, "--appendonly", "yes")
	for _, c := range []struct {
		name  string
		spoil func(p *bustest.Proxy)
		mend  func(p *bustest.Proxy)
	}{
		{"Frozen", (*bustest.Proxy).Freeze, func(p *bustest.Proxy) { p.Drop(); p.Thaw() }},
		{"HalfClosed", (*bustest.Proxy).HalfClose, func(*bustest.Proxy) {}},
		{"Cut", (*bustest.Proxy).Cut, (*bustest.Proxy).Mend},
		{"Garbage", func(p *bustest.Proxy) { p.Garbage(true) }, func(p *bustest.Proxy) { p.Garbage(false) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := bustest.NewProxy(t, s.addr)
			b := at(t, s.url(s.newStream(t), p.Addr()), nil)
			f := tail(t, b, bus.Now)
			require.NoError(t, b.Publish(t.Context(), events(1)...))
			says(t, f, "e1")
			c.spoil(p)
			begun := time.Now()
			_, err := next(t, f, 1)
			require.ErrorIs(t, err, bus.ErrDisconnected)
			require.Less(t, time.Since(begun), 5*time.Second)
			if c.name != "HalfClosed" { // where a new connection is as good as any
				begun = time.Now()
				require.ErrorIs(t, b.Publish(t.Context(), events(1)...), bus.ErrDisconnected)
				require.Less(t, time.Since(begun), 6*time.Second)
				require.ErrorIs(t, second(b.Tail(t.Context(), bus.Tail{})), bus.ErrDisconnected)
			}
			c.mend(p)
			if err := b.Publish(t.Context(), events(1)...); err != nil {
				require.ErrorIs(t, err, bus.ErrDisconnected)
			}
			require.NoError(t, b.Publish(t.Context(), events(1)...))
			says(t, tail(t, b, bus.After(token(f))), "e1")
		})
	}
}

// A call that waits for a silent server ends with its context, and with Close.
func TestCallsEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	require.NoError(t, err)
	defer l.Close()
	b := at(t, "redis://"+l.Addr().String(), nil)
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 4)
	accepted := func(n int) { // and kept open
		for range n {
			c, err := l.Accept()
			require.NoError(t, err)
			t.Cleanup(func() { c.Close() })
		}
	}
	go func() { done <- b.Publish(ctx, events(1)...) }()
	go func() { done <- second(b.Tail(ctx, bus.Tail{})) }()
	accepted(2)
	begun := time.Now()
	cancel(cause)
	for range 2 {
		require.ErrorIs(t, <-done, cause)
	}
	require.Less(t, time.Since(begun), time.Second)
	begun = time.Now()
	go func() { done <- b.Publish(context.Background(), events(1)...) }()
	go func() { done <- second(b.Tail(context.Background(), bus.Tail{})) }()
	accepted(2)
	require.NoError(t, b.Close(t.Context()))
	for range 2 {
		require.ErrorIs(t, <-done, bus.ErrClosed)
	}
	require.Less(t, time.Since(begun), time.Second)
}

// So does one over a connection that was good a moment ago.
func TestContextEndsOnFrozenWire(t *testing.T) {
	s := shared(t)
	p := bustest.NewProxy(t, s.addr)
	b := at(t, s.url(s.newStream(t), p.Addr()), nil)
	require.NoError(t, b.Publish(t.Context()))
	p.Freeze()
	cause := errors.New("enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, cause)
	defer cancel()
	begun := time.Now()
	require.ErrorIs(t, b.Publish(ctx, events(1)...), cause)
	require.Less(t, time.Since(begun), 2*time.Second)
	p.Drop()
	p.Thaw()
	require.NoError(t, b.Publish(t.Context(), events(1)...))
}

// A socket in place of a port.
func TestSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "r") // a path of a socket has 100 bytes at most
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	s := start(t, "--unixsocket", dir+"/s")
	b := at(t, "redis+unix://"+dir+"/s?stream="+s.newStream(t), nil)
	require.NoError(t, b.Publish(t.Context(), events(1)...))
	says(t, tail(t, b, bus.Start), "e1")
}

// TLS before the server, with a certificate that the options trust, and with one that nobody does.
func TestTLS(t *testing.T) {
	s := shared(t)
	known := httptest.NewTLSServer(nil) // for its certificate
	defer known.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: known.TLS.Certificates})
	require.NoError(t, err)
	var jobs sync.WaitGroup
	defer jobs.Wait()
	defer l.Close()
	pass := func(to, from net.Conn) {
		io.Copy(to, from)
		to.Close()
		from.Close()
	}
	jobs.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", s.addr)
			if err != nil {
				c.Close()
				continue
			}
			jobs.Go(func() { pass(c, server) })
			jobs.Go(func() { pass(server, c) })
		}
	})
	url := strings.Replace(s.url(s.newStream(t), l.Addr().String()), "redis:", "rediss:", 1)
	roots := known.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	b, err := redis.OpenBus(url, &redis.BusOptions{TLS: &tls.Config{RootCAs: roots}})
	require.NoError(t, err)
	f := tail(t, b, bus.Now)
	require.NoError(t, b.Publish(t.Context(), events(3)...))
	says(t, f, "e1 e2 e3")
	require.NoError(t, b.Close(t.Context()))
	wary := at(t, url, nil)
	require.ErrorContains(t, wary.Publish(t.Context()), "certificate")
}
