package rethinkdb_test

import (
	"context"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	r "gopkg.in/rethinkdb/rethinkdb-go.v6"

	"github.com/earshot-go/earshot/backend/rethinkdb"
	"github.com/earshot-go/earshot/bus"
)

func open(t testing.TB, url string) *rethinkdb.Bus {
	t.Helper()
	b, err := rethinkdb.OpenBus(url, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close(context.Background())) })
	return b
}

// The stream of a fake: whatever is asked, it has an epoch.
func epoch(string) []byte { return []byte(`{"t":1,"r":[{"epoch":"FAKE","skipped":0}]}`) }

// The log-in is the same as that of the client that real servers know.
func TestLogin(t *testing.T) {
	f := (&fake{password: "wr0ng-secret, right=here", version: "2.4.4", rounds: 64, answer: epoch}).serve(t)
	b := open(t, "rethinkdb://admin:wr0ng-secret,%20right=here@"+f.address)
	require.False(t, b.Caps().Durable, "nobody has asked the server yet")
	require.NoError(t, b.Publish(t.Context()))
	require.True(t, b.Caps().Durable, "a server that says its version keeps what it has")

	client, err := r.NewConnection(f.address, &r.ConnectOpts{Password: f.password, Timeout: 2 * time.Second})
	require.NoError(t, err, "the client, with the same password")
	require.NoError(t, client.Close())
	_, err = r.NewConnection(f.address, &r.ConnectOpts{Password: "other", Timeout: 2 * time.Second})
	require.ErrorContains(t, err, "Wrong password")
}

func TestDenied(t *testing.T) {
	f := (&fake{password: "right", rounds: 64}).serve(t)
	b := open(t, "rethinkdb://admin:wr0ng-secret@"+f.address)
	for _, err := range []error{b.Publish(t.Context()), tailError(t, b)} {
		require.ErrorIs(t, err, bus.ErrDenied)
		require.NotContains(t, err.Error(), "wr0ng-secret")
	}
	require.NotContains(t, b.String(), "wr0ng-secret")
}

// What a server forbids later is as good as refused.
func TestPermission(t *testing.T) {
	f := (&fake{rounds: 64, answer: func(string) []byte {
		return []byte(`{"t":18,"e":6000000,"r":["User ` + "`bob`" + ` does not have the required ` + "`read`" + ` permission"],"b":[]}`)
	}}).serve(t)
	require.ErrorIs(t, open(t, "rethinkdb://bob@"+f.address).Publish(t.Context()), bus.ErrDenied)
}

func tailError(t testing.TB, b *rethinkdb.Bus) error {
	f, err := b.Tail(t.Context(), bus.Tail{})
	if err == nil {
		f.Close()
	}
	return err
}

// A server that is none, or a bad one, is an error soon, and costs little.
func TestStrangeServers(t *testing.T) {
	for what, f := range map[string]*fake{
		"does not know the password": {password: "x", rounds: 64, forged: true},
		"rounds":                     {rounds: 1 << 30},
		"count of rounds":            {rounds: -1},
	} {
		f.serve(t)
		err := open(t, "rethinkdb://"+f.address).Publish(t.Context())
		require.ErrorIs(t, err, bus.ErrDisconnected, what)
		require.ErrorContains(t, err, what)
	}
	for what, greeting := range map[string]string{
		`begins with "HTTP/1.1 400`: "HTTP/1.1 400 Bad Request\r\n\r\n\x00",
		"without an end":            strings.Repeat("x", 1<<20),
		"the server answers":        "{\"success\":false,\"error\":\"too many clients\"}\x00",
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		var wg sync.WaitGroup
		wg.Go(func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = c.Write([]byte(greeting))
			_, _ = c.Read(make([]byte, 1))
		})
		err = open(t, "rethinkdb://"+l.Addr().String()).Publish(t.Context())
		require.ErrorContains(t, err, what)
		l.Close()
		wg.Wait()
	}
}

// Answers that make no sense end a call with an error, at once, and take no memory.
func TestStrangeAnswers(t *testing.T) {
	for _, answer := range []string{
		"lie", "huge", "", "null", "[]", "7", "{", `{"t":"x"}`, `{"t":1}`, `{"t":1,"r":[]}`, `{"t":99,"r":[1]}`, `{"t":18}`,
		`{"t":18,"r":[{"a":1}]}`, `{"t":3,"r":"x"}`, `{"t":1,"r":[[[[1]]]]}`, `{"t":4}`, "\xff\xfe", `{"t":1,"r":[{"epoch":7}]}`,
	} {
		f := (&fake{rounds: 64, version: "2.4.4", answer: func(string) []byte { return []byte(answer) }}).serve(t)
		b := open(t, "rethinkdb://"+f.address)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		begun := time.Now()
		require.Error(t, b.Publish(t.Context()), "%.40q", answer)
		require.Error(t, tailError(t, b), "%.40q", answer)
		require.Less(t, time.Since(begun), 3*time.Second, "%.40q", answer)
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8<<20), "%.40q", answer)
	}
}
