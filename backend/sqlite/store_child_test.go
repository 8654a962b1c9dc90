package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/queue"
)

// storeChild works on a store and says what is certain: "+id" was accepted, "?id" will be done, "-id" is done.
func storeChild(ctx context.Context, role, path string, args []string) int {
	s, err := OpenStore("sqlite:"+path, nil)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	say := func(sign, id string) { os.Stdout.WriteString(sign + id + "\n") }
	switch role {
	case "acks": // enqueues some items one by one, and says so
		for n := range 20 {
			if _, err := s.Enqueue(ctx, []queue.Item{{ID: fmt.Sprint(n), Queue: "q", Name: "n"}}); err != nil {
				say("error ", err.Error())
				return 1
			}
			say("acknowledged ", fmt.Sprint(n))
		}
		return 0
	case "look": // what somebody gets who may not write
		_, err := s.Enqueue(ctx, []queue.Item{{ID: "1", Queue: "q", Name: "n"}})
		say("", fmt.Sprint(err))
		_, err = s.Lease(ctx, queue.LeaseRequest{Queues: []string{"q"}, Max: 1, TTL: time.Second})
		say("", fmt.Sprint(err))
		records, err := s.Find(ctx, queue.Query{})
		say("", fmt.Sprint(len(records), err))
		return 0
	}
	// "store": all of it, until it is killed: by itself at the nth time that it comes to a place.
	if len(args) > 1 {
		nth, _ := strconv.Atoi(args[2])
		failpoint = func(place string) {
			if place != args[1] {
				return
			}
			if nth--; nth == 0 {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
	}
	var all sync.WaitGroup
	for g := range 3 {
		all.Go(func() {
			for n := 0; ; n++ {
				items := make([]queue.Item, 1+n%3)
				for i := range items {
					items[i] = queue.Item{ID: fmt.Sprintf("%s-%d-%d-%d", args[0], g, n, i), Queue: "q", Name: "n"}
					switch (n + i) % 4 {
					case 1:
						items[i].Key = items[i].ID
					case 2:
						items[i].Serial = fmt.Sprint(n % 2)
					}
				}
				if _, err := s.Enqueue(ctx, items); err != nil {
					say("error ", err.Error())
					os.Exit(1)
				}
				for _, it := range items {
					say("+", it.ID)
				}
				l, err := s.Lease(ctx, queue.LeaseRequest{Queues: []string{"q"}, Max: 2, TTL: 30 * time.Millisecond, Worker: "child"})
				var done []queue.Settlement
				for i := range l {
					switch (n + i) % 5 {
					case 0:
						done = append(done, l[i].Fail(0, "failed"))
					case 1: // forgotten
					case 2:
						done = append(done, l[i].Release(0))
					default:
						say("?", l[i].ID)
						done = append(done, l[i].Ack())
					}
				}
				var errs []error
				if err == nil {
					errs, err = s.Settle(ctx, done)
				}
				if err != nil {
					say("error ", err.Error())
					os.Exit(1)
				}
				for i, d := range done {
					if d.Action == queue.Ack && errs[i] == nil {
						say("-", d.ID)
					}
				}
			}
		})
	}
	all.Wait()
	return 0
}

// A process that is killed at whatever place of a transaction leaves nothing lost, nothing done twice after it was
// acknowledged, and nothing stuck.
func TestKilledAtFailpoints(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "jobs.db")
	state := map[string]byte{}
	round, times := 0, []int{1, 4, 11}
	if testing.Short() {
		times = times[2:]
	}
	for _, place := range []string{"begin", "begun", "settled", "enqueued", "reaped", "leased", "commit", "committed", "answer"} {
		for _, nth := range times {
			round++
			c := startChild(t, "store", path, nil, fmt.Sprint(round), place, fmt.Sprint(nth))
			for _, line := range c.rest() {
				require.False(t, strings.HasPrefix(line, "error"), "%s %d: %s", place, nth, line)
				if state[line[1:]] != '-' {
					state[line[1:]] = line[0]
				}
			}
			err := c.cmd.Wait()
			require.ErrorContains(t, err, "killed", "%s %d", place, nth)
			sound(t, path)
			s := openStore(t, path, nil)
			records, err := s.Find(t.Context(), queue.Query{Limit: 100_000})
			require.NoError(t, err)
			have := map[string]bool{}
			for _, r := range records {
				have[r.ID] = true
				require.NotEqual(t, byte('-'), state[r.ID], "%s %d: %s was done and is there", place, nth, r.ID)
			}
			for id, is := range state {
				require.False(t, is == '+' && !have[id], "%s %d: %s was accepted and is not there", place, nth, id)
			}
			require.NoError(t, s.Close(t.Context()))
		}
	}
	drain(t, openStore(t, path, nil), len(state))
}

// drain leases and acknowledges all there is, and fails the test if something stays.
func drain(t testing.TB, s *Store, most int) {
	t.Helper()
	for n := 0; ; {
		records, err := s.Find(t.Context(), queue.Query{Limit: 1})
		require.NoError(t, err)
		if len(records) == 0 {
			break
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		require.NoError(t, s.Wait(ctx, []string{"q"}))
		cancel()
		l, err := s.Lease(t.Context(), queue.LeaseRequest{Queues: []string{"q"}, Max: 500, TTL: time.Minute})
		require.NoError(t, err)
		done := make([]queue.Settlement, len(l))
		for i := range l {
			done[i] = l[i].Ack()
		}
		errs, err := s.Settle(t.Context(), done)
		require.NoError(t, errors.Join(append(errs, err)...))
		n += len(l)
		require.LessOrEqual(t, n, most)
	}
	for _, table := range []string{"earshot_keys", "earshot_serials"} {
		f, err := s.reader(t.Context())
		require.NoError(t, err)
		var left int
		require.NoError(t, f.read.QueryRow("SELECT count(*) FROM "+table).Scan(&left))
		require.Zero(t, left, table)
	}
}

// After a kill -9 the first job of many is leased again soon.
func TestRecovery(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "jobs.db")
	pending := 20_000
	if testing.Short() {
		pending = 5000
	}
	s := openStore(t, path, nil)
	for n := 0; n < pending; n += 500 {
		items := make([]queue.Item, 500)
		for i := range items {
			items[i] = queue.Item{ID: fmt.Sprint("first-", n+i), Queue: "q", Name: "n", Payload: make([]byte, 100)}
		}
		_, err := s.Enqueue(t.Context(), items)
		require.NoError(t, err)
	}
	require.NoError(t, s.Close(t.Context()))
	c := startChild(t, "store", path, nil, "1", "commit", "50")
	c.rest()
	_ = c.cmd.Wait()
	start := time.Now()
	s = openStore(t, path, nil)
	l, err := s.Lease(t.Context(), queue.LeaseRequest{Queues: []string{"q"}, Max: 1, TTL: time.Second})
	took := time.Since(start)
	require.NoError(t, err)
	require.Len(t, l, 1)
	require.Less(t, took, 5*time.Second)
	t.Logf("%d pending, the first was leased %v after the kill", pending, took)
}
