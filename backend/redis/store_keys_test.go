package redis_test

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot-go/earshot/backend/redis"
	"github.com/earshot-go/earshot/queue"
	"github.com/stretchr/testify/require"
)

// own is a store of a test's own, and what its keys begin with.
func own(t testing.TB, s *server) (st *redis.Store, key string) {
	name := s.newNamespace(t)
	return openStore(t, s.storeURL("namespace="+name, "")), "earshot:queue:{" + name + "}:"
}

func add(t testing.TB, st *redis.Store, items ...queue.Item) {
	t.Helper()
	require.NoError(t, second(st.Enqueue(t.Context(), items)))
}

func lease(t testing.TB, st *redis.Store, n int, queues ...string) []queue.Leased {
	t.Helper()
	got, err := st.Lease(t.Context(), queue.LeaseRequest{Queues: queues, Max: n, TTL: time.Minute})
	require.NoError(t, err)
	return got
}

func settle(t testing.TB, st *redis.Store, list ...queue.Settlement) {
	t.Helper()
	errs, err := st.Settle(t.Context(), list)
	require.NoError(t, err)
	for _, err := range errs {
		require.NoError(t, err)
	}
}

func ids(list []queue.Leased) (ids []string) {
	for _, l := range list {
		ids = append(ids, l.ID)
	}
	return ids
}

// Whatever becomes of items, nothing is left of them in the server.
func TestStoreLeavesNothing(t *testing.T) {
	s := shared(t)
	st, key := own(t, s)
	ends := []func(l queue.Leased){
		func(l queue.Leased) { settle(t, st, l.Ack()) },
		func(l queue.Leased) { settle(t, st, l.Fail(0, "once")) },
		func(l queue.Leased) { settle(t, st, l.Release(0)) },
		func(l queue.Leased) { settle(t, st, l.Release(time.Hour)) },
		func(l queue.Leased) { settle(t, st, l.Bury("bad")) },
		func(l queue.Leased) {
			settle(t, st, l.Bury("bad"))
			require.NoError(t, second(st.Redrive(t.Context(), queue.Query{ID: l.ID})))
		},
	}
	items := work("q", 60)
	for i := range items {
		it := &items[i]
		it.TID = "user " + strconv.Itoa(i%7)
		it.Priority = int8(i % 3)
		if i%2 == 0 {
			it.Serial = "serial " + strconv.Itoa(i%5)
		}
		if i%3 == 0 {
			it.Key, it.Replace = "key "+strconv.Itoa(i%9), i%2 == 0
			it.Scope = queue.Scope(i % 2)
			it.Hold = time.Duration(i%4) * time.Millisecond
		}
	}
	add(t, st, items...)
	for i := 0; ; i++ {
		got := lease(t, st, 3, "q")
		if len(got) == 0 {
			break
		}
		for j, l := range got {
			ends[(i+j)%len(ends)](l)
		}
	}
	require.NoError(t, second(st.Remove(t.Context(), queue.Query{Queue: "q"})))
	require.Eventually(t, func() bool { // until the last Hold is over
		require.NoError(t, second(st.Reap(t.Context())))
		return fmt.Sprint(s.do(t, "KEYS "+key+"*")) == "["+key+"meta]"
	}, 5*time.Second, 5*time.Millisecond, "%v", s.do(t, "KEYS "+key+"*"))
	require.Len(t, s.do(t, "HKEYS "+key+"meta"), 2, "version and seq")
}

// A server that has lost what it had gives no receipt again.
func TestStoreReceiptsOfALostServer(t *testing.T) {
	s := shared(t)
	st, key := own(t, s)
	it := work("q", 1)
	add(t, st, it...)
	before := lease(t, st, 1, "q")[0]
	s.do(t, "DEL "+key+"meta "+key+"items "+key+"leases:q "+key+"all:q")
	add(t, st, it...)
	after := lease(t, st, 1, "q")[0]
	require.NotEqual(t, before.Receipt, after.Receipt)
	errs, err := st.Settle(t.Context(), []queue.Settlement{before.Ack(), after.Ack()})
	require.NoError(t, err)
	require.ErrorIs(t, errs[0], queue.ErrLeaseLost)
	require.NoError(t, errs[1])
	rev, err := st.Bind(t.Context(), []queue.Binding{{Queue: "q", Selector: queue.All()}}, nil)
	require.NoError(t, err)
	s.do(t, "DEL "+key+"meta "+key+"bindings")
	_, again, err := st.Bindings(t.Context(), rev)
	require.NoError(t, err)
	require.NotEqual(t, rev, again)
	require.ErrorIs(t, second(st.EnqueueAt(t.Context(), rev, it)), queue.ErrStaleBindings)
}

// All priorities are kept in order, and those that a queue does not have any more are forgotten.
func TestStorePriorities(t *testing.T) {
	s := shared(t)
	st, key := own(t, s)
	items := work("q", 256)
	for i := range items {
		items[i].Priority = int8(i)
	}
	add(t, st, items...)
	last := 128
	for range 26 {
		for _, l := range lease(t, st, 10, "q") {
			require.Less(t, int(l.Priority), last)
			last = int(l.Priority)
			settle(t, st, l.Ack())
		}
	}
	require.Equal(t, -128, last)
	require.Empty(t, lease(t, st, 1, "q"))
	list := s.do(t, "HGET "+key+"meta q:q").(string)
	require.LessOrEqual(t, strings.Count(list, ","), 8, list)
	items = work("q", 1)
	items[0].Priority = -7
	add(t, st, items...)
	require.Equal(t, items[0].ID, lease(t, st, 1, "q")[0].ID)
}

// What somebody else writes into the keys of a store does no harm to what is next to it.
func TestStoreGarbage(t *testing.T) {
	s := shared(t)
	st, key := own(t, s)
	items := work("q", 3)
	items[1].Due = time.Unix(1, 0)
	add(t, st, items...)
	c := s.client()
	defer c.Close()
	do := func(args ...any) { require.NoError(t, c.Do(t.Context(), args...).Err(), args) }
	do("ZADD", key+"due:0:q", 0, "0000000000000001nobody", 0, "short", 0, "")
	do("HSET", key+"items", "s"+items[0].ID, "garbage", "b"+items[1].ID, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "sother", "")
	do("ZADD", key+"all:q", 1, "nobody", 2, "other", "-inf", "x")
	do("ZADD", key+"leases:q", 1, "nobody")
	do("ZADD", key+"dead:q", 1, "nobody")
	do("HSET", key+"bindings", "q", "", "a\nb\nc\nd", "")
	do("HSET", key+"keys", "q\nk", "garbage")
	do("PUBLISH", key+"wake", "a\r\nb c")
	require.Equal(t, []string{items[2].ID}, ids(lease(t, st, 10, "q")))
	found, err := st.Find(t.Context(), queue.Query{})
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.NoError(t, second(st.Stats(t.Context())))
	require.NoError(t, second(st.Reap(t.Context())))
	require.NoError(t, second(st.Redrive(t.Context(), queue.Query{State: queue.StateDead})))
	bindings, _, err := st.Bindings(t.Context(), 0)
	require.NoError(t, err)
	require.Empty(t, bindings)
	keyed := work("q", 1)
	keyed[0].Key = "k"
	add(t, st, keyed...)
	require.Equal(t, ids(lease(t, st, 10, "q")), []string{keyed[0].ID})
}

// An answer has bounds, whatever is asked for, and what is left comes with the next ones.
func TestStoreLeaseInParts(t *testing.T) {
	s := shared(t)
	st, _ := own(t, s)
	items := work("large", 40)
	for i := range items {
		items[i].Payload = make([]byte, 1<<20)
	}
	add(t, st, items[:20]...)
	add(t, st, items[20:]...)
	var got []string
	for range 3 {
		part := ids(lease(t, st, 1<<30, "large"))
		require.LessOrEqual(t, len(part), 16)
		got = append(got, part...)
	}
	require.Len(t, got, 40)
	page, err := st.Find(t.Context(), queue.Query{Queue: "large"})
	require.NoError(t, err)
	require.Len(t, page, 40)
	add(t, st, work("many", 2500)...)
	for _, n := range []int{1000, 1000, 500, 0} {
		require.Len(t, lease(t, st, 1<<30, "many"), n)
	}
}

// Calls at the same time are requests to few runs of a script.
func TestStoreCallsShareRuns(t *testing.T) {
	s := start(t, "--appendonly", "yes", "--appendfsync", "always")
	st, _ := own(t, s)
	add(t, st, work("q", 1)...)
	s.do(t, "CONFIG RESETSTAT")
	var jobs sync.WaitGroup
	failed := make(chan error, 64)
	for range 64 {
		jobs.Go(func() {
			for range 10 {
				if _, err := st.Enqueue(context.Background(), work("q", 1)); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	jobs.Wait()
	require.Empty(t, failed)
	_, calls, _ := strings.Cut(s.do(t, "INFO commandstats").(string), "cmdstat_evalsha:calls=")
	n, err := strconv.Atoi(calls[:strings.IndexByte(calls, ',')])
	require.NoError(t, err)
	require.Less(t, n, 320)
	require.Len(t, lease(t, st, 1000, "q"), 641)
}

// Others are told of what comes first in a queue, and of nothing else.
func TestStoreTellsOthers(t *testing.T) {
	s := shared(t)
	st, key := own(t, s)
	c := s.client()
	defer c.Close()
	sub := c.Subscribe(t.Context(), key+"wake")
	defer sub.Close()
	require.NoError(t, second(sub.Receive(t.Context())))
	enqueue := func(queueName string, delay time.Duration) {
		it := work(queueName, 1)
		it[0].Delay = delay
		add(t, st, it...)
	}
	enqueue("q", time.Hour)
	enqueue("q", 2*time.Hour) // later than the first
	enqueue("q", 0)
	enqueue("q", 0) // there is one that they were told of
	enqueue("other one", time.Minute)
	var told []string
	for range 3 {
		m, err := sub.ReceiveMessage(t.Context())
		require.NoError(t, err)
		_, what, _ := strings.Cut(m.Payload, " ")
		told = append(told, what)
	}
	require.Equal(t, []string{"3600000000 q", "0 q", "60000000 other one"}, told)
}

// However many wait, an idle server is asked once in a while, a second, for all of them.
func TestStoreIdle(t *testing.T) {
	const patrol = 50 * time.Millisecond
	s := start(t, "--appendonly", "no")
	st, _ := own(t, s)
	st.PatrolEvery(patrol)
	add(t, st, work("q", 1)...)
	settle(t, st, lease(t, st, 1, "q")[0].Ack())
	ctx, cancel := context.WithCancel(t.Context())
	var jobs sync.WaitGroup
	for i := range 20 {
		jobs.Go(func() {
			for ctx.Err() == nil {
				name := "q" + strconv.Itoa(i%4)
				st.Lease(ctx, queue.LeaseRequest{Queues: []string{name}, Max: 1, TTL: time.Minute})
				st.Wait(ctx, []string{name})
			}
		})
	}
	asked := func() int {
		_, calls, _ := strings.Cut(s.do(t, "INFO commandstats").(string), "cmdstat_evalsha:calls=")
		n, _, _ := strings.Cut(calls, ",")
		i, _ := strconv.Atoi(n)
		return i
	}
	// At first they lease. From the time on that all of them wait six questions take five times as long as one.
	begun, before := time.Now(), asked()
	require.Eventually(t, func() bool {
		n := asked()
		if n < before+6 {
			return false
		}
		quiet := time.Since(begun) > 4*patrol && n <= before+7
		begun, before = time.Now(), n
		return quiet
	}, 20*time.Second, patrol/10)
	cancel()
	jobs.Wait()
}

// When the item that is next of its serial goes away, or has to wait longer, the one after it comes.
func TestStoreNextOfSerial(t *testing.T) {
	s := shared(t)
	for name, away := range map[string]func(st *redis.Store, next queue.Item){
		"removed": func(st *redis.Store, next queue.Item) {
			n, err := st.Remove(t.Context(), queue.Query{ID: next.ID})
			require.NoError(t, err)
			require.Equal(t, 1, n)
		},
		"replaced": func(st *redis.Store, next queue.Item) {
			next.ID, next.Replace, next.Delay = next.ID+"-again", true, time.Hour
			got, err := st.Enqueue(t.Context(), []queue.Item{next})
			require.NoError(t, err)
			require.Equal(t, queue.Replaced, got[0].Status)
		},
	} {
		st, _ := own(t, s)
		items := work("q", 3)
		for i := range items {
			items[i].Serial = "s"
		}
		items[1].Key = "k"
		add(t, st, items...)
		got := lease(t, st, 3, "q")
		require.Equal(t, []string{items[0].ID}, ids(got), name)
		settle(t, st, got[0].Ack())
		away(st, items[1])
		require.Equal(t, []string{items[2].ID}, ids(lease(t, st, 3, "q")), name)
	}
}

// What is handed out is all that the server reads of payloads, for leases that it answers together as well.
func TestStoreLeaseReadsWhatItHandsOut(t *testing.T) {
	const megabytes, each = 64, 1 << 20
	s := start(t, "--appendonly", "no")
	st, key := own(t, s)
	for range megabytes {
		it := work("q", 1)
		it[0].Payload = make([]byte, each)
		add(t, st, it...)
	}
	peak := func() int {
		_, text, _ := strings.Cut(s.do(t, "INFO memory").(string), "used_memory_peak:")
		n, err := strconv.Atoi(strings.TrimSpace(text[:strings.IndexByte(text, '\n')]))
		require.NoError(t, err)
		return n
	}
	before := peak()
	require.Len(t, lease(t, st, 100, "q"), 15) // of 16 MiB with what else they have
	require.Less(t, peak()-before, 40<<20)

	c := s.client()
	defer c.Close()
	request := []any{6, "w", 10, 60_000_000, 16 << 20, "q", "other"}
	args := []any{"EVAL", redis.LeaseScript(), 1, key + "meta", "sender"}
	for range 3 {
		args = append(args, request...)
	}
	replies, err := c.Do(t.Context(), args...).Slice()
	require.NoError(t, err)
	var got []int
	for _, r := range replies {
		list := r.([]any)
		got = append(got, (len(list)-3)/3)
		require.Equal(t, "0", list[2], "there is more, at once")
	}
	require.Equal(t, []int{10, 5, 0}, got)
}

// Times that are centuries away are neither now nor never.
func TestStoreFarTimes(t *testing.T) {
	st, _ := own(t, shared(t))
	st.PatrolEvery(20 * time.Millisecond)
	waits := func() error {
		require.Empty(t, lease(t, st, 1, "far"))
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
		defer cancel()
		return st.Wait(ctx, []string{"far"})
	}
	require.Eventually(t, func() bool { return waits() != nil }, 10*time.Second, time.Millisecond) // it begins to listen
	wrapped := time.Now().Add(math.MaxInt64).Add(math.MaxInt64).Add(100 * time.Millisecond)        // as nanoseconds from now, that is soon
	for _, due := range []time.Time{wrapped, time.Date(2400, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)} {
		far := work("far", 1)
		far[0].Due = due
		add(t, st, far...)
		require.ErrorIs(t, waits(), context.DeadlineExceeded, due)
		require.NoError(t, second(st.Remove(t.Context(), queue.Query{Queue: "far"})))
	}
	require.Empty(t, lease(t, st, 1, "past"))
	waited := make(chan error, 1)
	go func() { waited <- st.Wait(t.Context(), []string{"past"}) }()
	past := work("past", 1)
	past[0].Due = time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC)
	add(t, st, past...)
	require.NoError(t, <-waited)
	got := lease(t, st, 1, "past")
	require.Equal(t, ids(got), []string{past[0].ID})
	errs, err := st.Settle(t.Context(), []queue.Settlement{{Queue: "past", ID: got[0].ID, Receipt: got[0].Receipt, Action: queue.Fail, At: wrapped}})
	require.NoError(t, err)
	require.NoError(t, errs[0])
	require.Empty(t, lease(t, st, 1, "past"))
}

// What is added and removed is not there, and that is no change if it was not there before.
func TestStoreBindAddsThenRemoves(t *testing.T) {
	st, _ := own(t, shared(t))
	bind := func(add, remove []queue.Binding) queue.Rev {
		rev, err := st.Bind(t.Context(), add, remove)
		require.NoError(t, err)
		return rev
	}
	b := []queue.Binding{{Queue: "q", Selector: queue.All()}}
	first := bind(nil, nil)
	require.Equal(t, first, bind(b, b))
	invalid := queue.Binding{Queue: "q", Selector: queue.Selector{Kind: "of another version"}}
	require.Equal(t, first, bind(nil, []queue.Binding{invalid}))
	require.ErrorIs(t, second(st.Bind(t.Context(), []queue.Binding{invalid}, nil)), queue.ErrInvalid)
	there := bind(b, nil)
	require.NotEqual(t, first, there)
	require.NotEqual(t, there, bind(b, b))
	list, _, err := st.Bindings(t.Context(), 0)
	require.NoError(t, err)
	require.Empty(t, list)
}

// An item comes back without what was for the call that stored it.
func TestStoreReturnsNoHoldAndReplace(t *testing.T) {
	st, _ := own(t, shared(t))
	it := work("q", 1)
	it[0].Key, it[0].Hold, it[0].Replace = "k", time.Hour, true
	add(t, st, it...)
	found, err := st.Find(t.Context(), queue.Query{Queue: "q"})
	require.NoError(t, err)
	for _, got := range []queue.Item{found[0].Item, lease(t, st, 1, "q")[0].Item} {
		require.Equal(t, "k", got.Key)
		require.Zero(t, got.Hold)
		require.False(t, got.Replace)
	}
}

// A caller who goes away takes one connection with it, and not those that are idle.
func TestStoreCancelledCallKeepsIdleConnections(t *testing.T) {
	s := start(t, "--appendonly", "no")
	st, _ := own(t, s)
	require.NoError(t, second(st.Now(t.Context())))
	s.do(t, "CLIENT PAUSE 100 ALL")
	var jobs sync.WaitGroup
	for range 2 {
		jobs.Go(func() { st.Now(t.Context()) })
	}
	jobs.Wait()
	require.Eventually(t, func() bool { return st.Idle() == 2 }, 5*time.Second, time.Millisecond)
	s.do(t, "CLIENT PAUSE 100 ALL")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, second(st.Now(ctx)), context.DeadlineExceeded)
	require.Equal(t, 1, st.Idle())
}
