package redis_test

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/earshot-go/earshot/backend/redis"
	"github.com/earshot-go/earshot/queue"
	"github.com/stretchr/testify/require"
)

func TestOpenStore(t *testing.T) {
	for url, want := range map[string]string{
		"redis://127.0.0.1": "redis://127.0.0.1:6379/0?namespace=earshot",
		"redis://ann:s3cret@db:1/3?namespace=shop&maxbytes=9": "redis://ann@db:1/3?namespace=shop",
		"rediss://db?durable=true":                            "rediss://db:6379/0?namespace=earshot",
		"redis+unix:///run/r.sock?db=2&namespace=shop":        "redis+unix:///run/r.sock?db=2&namespace=shop",
	} {
		s, err := queue.Open(url)
		require.NoError(t, err, url)
		require.Equal(t, want, s.(*redis.Store).String())
		require.NoError(t, s.Close(t.Context()))
	}
	for url, want := range map[string]string{
		"redis://:s3cret@h/?stream=x":            `unknown key "stream" in the query: there are durable, maxbytes, namespace`,
		"redis://:s3cret@h/?namespace=a%7Bb":     "braces",
		"redis://:s3cret@h/?maxbytes=-1":         "256 MiB",
		"redis://:s3cret@h/?maxbytes=1000000000": "256 MiB",
		"redis://:s3cret@h/?durable=perhaps":     "durable=",
		"redis://:s3cret@h:x/":                   "not a URL",
	} {
		s, err := queue.Open(url)
		require.ErrorContains(t, err, want, url)
		require.NotContains(t, err.Error(), "s3cret")
		require.Nil(t, s)
	}
}

// A store that promises to lose nothing works with no server that may, and says what to set.
func TestStoreDurable(t *testing.T) {
	s := start(t, "--appendonly", "no")
	st := func() *redis.Store { return s.store(t, "durable=true") }
	add := func(st *redis.Store) error { return second(st.Enqueue(t.Context(), work("q", 1))) }
	require.True(t, st().Caps().Durable)
	for _, c := range []struct{ set, says string }{
		{"appendonly no", "appendonly yes"},
		{"appendonly yes", ""}, // with --appendfsync everysec, the default
		{"appendfsync everysec", "set appendfsync always"},
		{"maxmemory 1gb", "set appendfsync always"},
		{"appendfsync always", ""},
		{"maxmemory-policy allkeys-lru", "set noeviction"},
		{"maxmemory-policy volatile-lru", ""},
	} {
		s.do(t, "CONFIG SET "+c.set)
		if c.set == "appendonly yes" {
			continue
		}
		st := st()
		err := add(st)
		durable, note := st.Server()
		if c.says == "" {
			require.NoError(t, err, c.set)
			require.True(t, durable)
			continue
		}
		require.ErrorIs(t, err, queue.ErrDenied, c.set)
		require.ErrorContains(t, err, c.says)
		require.Contains(t, note, c.says)
		require.False(t, durable)
		careless := s.store(t, "")
		require.NoError(t, add(careless), "without durable every server will do")
		require.False(t, careless.Caps().Durable)
	}
}

// What a server refuses is told, nothing of it is done, and what makes room goes on.
func TestStoreRefusals(t *testing.T) {
	s := start(t, "--appendonly", "yes")
	for _, c := range []struct {
		name, spoil, mend, says string
		is                      error
	}{
		{"OOM", "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "maxmemory", queue.ErrFull},
		{"READONLY", "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "connect to the primary", queue.ErrDenied},
		{"NOREPLICAS", "CONFIG SET min-replicas-to-write 3", "CONFIG SET min-replicas-to-write 0", "replicas", queue.ErrDenied},
	} {
		t.Run(c.name, func(t *testing.T) { // one by one: it is one server
			st := s.store(t, "")
			items := work("q", 5)
			require.NoError(t, second(st.Enqueue(t.Context(), items[:3])))
			got, err := st.Lease(t.Context(), queue.LeaseRequest{Queues: []string{"q"}, Max: 1, TTL: time.Minute})
			require.NoError(t, err)
			require.Len(t, got, 1)
			s.do(t, c.spoil)
			err = second(st.Enqueue(t.Context(), items[3:]))
			require.ErrorIs(t, err, c.is)
			require.ErrorContains(t, err, c.says)
			found, err := st.Find(t.Context(), queue.Query{Queue: "q"})
			require.NoError(t, err, "to look is always possible")
			require.Len(t, found, 3)
			require.NoError(t, second(st.Stats(t.Context())))
			errs, err := st.Settle(t.Context(), []queue.Settlement{got[0].Ack()})
			if c.is == queue.ErrFull {
				require.NoError(t, err)
				require.NoError(t, errs[0])
				got, err = st.Lease(t.Context(), queue.LeaseRequest{Queues: []string{"q"}, Max: 1, TTL: time.Minute})
				require.NoError(t, err)
				require.Len(t, got, 1)
				n, err := st.Remove(t.Context(), queue.Query{Queue: "q"})
				require.NoError(t, err)
				require.Equal(t, 1, n)
			} else {
				require.ErrorIs(t, err, c.is)
			}
			s.do(t, c.mend)
			require.NoError(t, second(st.Enqueue(t.Context(), items[3:])))
		})
	}
}

// A server that cannot write to its disk refuses everything that changes something.
func TestStoreBadDisk(t *testing.T) {
	s := start(t, "--save", "3600 1")
	st := s.store(t, "")
	require.NoError(t, second(st.Enqueue(t.Context(), work("q", 1))))
	require.NoError(t, os.RemoveAll(s.dir))
	s.do(t, "BGSAVE")
	var err error
	require.Eventually(t, func() bool {
		err = second(st.Enqueue(t.Context(), work("q", 1)))
		return err != nil
	}, 10*time.Second, 10*time.Millisecond)
	require.ErrorIs(t, err, queue.ErrDenied)
	require.ErrorContains(t, err, "cannot write to its disk")
	require.NoError(t, second(st.Find(t.Context(), queue.Query{})))
}

// What another version has made is left as it is, and so is what is somebody else's.
func TestStoreOfOthers(t *testing.T) {
	s := start(t, "--appendonly", "no")
	name := s.newNamespace(t)
	st := openStore(t, s.storeURL("namespace="+name, ""))
	key := "earshot:queue:{" + name + "}:"
	calls := map[string]func() error{
		"Enqueue": func() error { return second(st.Enqueue(t.Context(), work("q", 1))) },
		"Lease": func() error {
			return second(st.Lease(t.Context(), queue.LeaseRequest{Queues: []string{"q"}, Max: 1, TTL: time.Minute}))
		},
		"Bindings": func() error { _, _, err := st.Bindings(t.Context(), 0); return err },
		"Remove":   func() error { return second(st.Remove(t.Context(), queue.Query{Queue: "q"})) },
		"Find":     func() error { return second(st.Find(t.Context(), queue.Query{})) },
		"Stats":    func() error { return second(st.Stats(t.Context())) },
		"Now":      func() error { return second(st.Now(t.Context())) },
		"Reap":     func() error { return second(st.Reap(t.Context())) },
	}
	s.do(t, "HSET "+key+"meta version 2")
	for what, call := range calls {
		err := call()
		require.ErrorIs(t, err, queue.ErrDamaged, what)
		require.ErrorContains(t, err, "later version")
	}
	require.Len(t, s.do(t, "KEYS "+key+"*"), 1)
	require.Len(t, s.do(t, "HGETALL "+key+"meta"), 2)
	s.do(t, "DEL "+key+"meta", "SET "+key+"meta x")
	for what, call := range calls {
		require.ErrorIs(t, call(), queue.ErrDamaged, what)
	}
	s.do(t, "DEL "+key+"meta")
	for what, call := range calls {
		require.NoError(t, call(), what)
	}
}

// A user needs no more than the package says.
func TestStoreUsers(t *testing.T) {
	s := start(t, "--appendonly", "yes", "--appendfsync", "always")
	commands := "+@hash +@sortedset +@scripting +exists +hello +time +publish +subscribe +ping"
	s.do(t, "ACL SETUSER plain on >s3cret ~earshot:queue:{shop}:* &earshot:queue:{shop}:* "+commands,
		"ACL SETUSER full on >s3cret ~earshot:queue:{shop}:* &earshot:queue:{shop}:* "+commands+" +info +config|get",
		"ACL SETUSER other on >s3cret ~earshot:queue:{other}:* "+commands)
	open := func(user, query string) *redis.Store {
		return openStore(t, "redis://"+user+":s3cret@"+s.addr+"/0?namespace=shop&"+query)
	}
	plain := open("plain", "")
	require.NoError(t, second(plain.Enqueue(t.Context(), work("q", 1))))
	_, note := plain.Server()
	require.Contains(t, note, "+info")
	require.NoError(t, plain.Wait(t.Context(), []string{"q"}))
	require.ErrorIs(t, second(open("plain", "durable=1").Enqueue(t.Context(), work("q", 1))), queue.ErrDenied)
	require.NoError(t, second(open("full", "durable=1").Enqueue(t.Context(), work("q", 1))))
	require.ErrorIs(t, second(open("other", "").Enqueue(t.Context(), work("q", 1))), queue.ErrDenied)
}

// A cluster tells where the namespace is; the next call goes there.
func TestStoreInCluster(t *testing.T) {
	one, two := start(t, "--cluster-enabled", "yes"), start(t, "--cluster-enabled", "yes")
	st := openStore(t, two.storeURL("namespace=shop", ""))
	items := work("q", 50)
	for i := range items {
		items[i].Key, items[i].Serial, items[i].TID, items[i].Priority = items[i].ID, "s", "user 17", int8(i)
	}
	require.ErrorIs(t, second(st.Enqueue(t.Context(), items)), queue.ErrDisconnected) // CLUSTERDOWN
	one.do(t, "CLUSTER ADDSLOTSRANGE 0 16383")
	_, port, _ := net.SplitHostPort(one.addr)
	two.do(t, "CLUSTER MEET 127.0.0.1 "+port)
	var last error
	require.Eventually(t, func() bool {
		last = second(st.Enqueue(t.Context(), items))
		return last == nil
	}, 30*time.Second, 50*time.Millisecond, "%v", last)
	for range items {
		got, err := st.Lease(t.Context(), queue.LeaseRequest{Queues: []string{"q"}, Max: 10, TTL: time.Minute})
		require.NoError(t, err)
		require.Len(t, got, 1)
		require.NoError(t, second(st.Settle(t.Context(), []queue.Settlement{got[0].Ack()})))
	}
	require.NotZero(t, one.do(t, "DBSIZE"))
}

// No more than one call fails after the server was away, and its scripts are there again.
func TestStoreOneFailureAfterRestart(t *testing.T) {
	s := start(t, "--appendonly", "yes", "--appendfsync", "always")
	st := s.store(t, "durable=true")
	require.NoError(t, second(st.Enqueue(t.Context(), work("q", 1))))
	s.do(t, "SCRIPT FLUSH")
	require.NoError(t, second(st.Enqueue(t.Context(), work("q", 1))))
	s.restart(t)
	if err := second(st.Enqueue(t.Context(), work("q", 1))); err != nil {
		require.ErrorIs(t, err, queue.ErrDisconnected)
		require.False(t, errors.Is(err, queue.ErrDenied), err)
	}
	for range 3 {
		require.NoError(t, second(st.Enqueue(t.Context(), work("q", 1))))
	}
}
