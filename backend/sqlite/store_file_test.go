package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/internal/need"
	"github.com/earshot-go/earshot/queue"
)

// goldenItems are in testdata/store-1.db, which the first version of the tables wrote. The file stays as it is.
func goldenItems() []queue.Item {
	return []queue.Item{
		{ID: "plain", Queue: "crm", Name: "user.added", TID: "user 17", Payload: []byte(`{"user":"ada"}`)},
		{ID: "full", Queue: "mail", Name: "user.added", TID: "user 18", Parent: "plain", Payload: bytes.Repeat([]byte{0, 0xff}, 3000), Headers: map[string]string{"a": "1", "ü": "<&>"},
			Priority: -3, MaxFails: -1, Due: time.Date(2026, 11, 20, 10, 0, 0, 1000, time.UTC), Key: "k", Hold: time.Hour, Serial: "s"},
		{ID: "late", Queue: "crm", Name: "user.gone", Due: time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)},
		{ID: "dead", Queue: "crm", Name: "user.added", Priority: 5},
		{ID: "leased", Queue: "crm", Name: "user.added", Priority: 4, Key: "once", Scope: queue.UntilLeased},
	}
}

// fillGolden makes what is in testdata/store-1.db. EARSHOT_GOLDEN=path writes such a file, for a new version.
func fillGolden(t *testing.T, path string) {
	s := openStore(t, path, nil)
	_, err := s.Enqueue(t.Context(), goldenItems())
	require.NoError(t, err)
	l, err := s.Lease(t.Context(), queue.LeaseRequest{Queues: []string{"crm"}, Max: 2, TTL: time.Millisecond, Worker: "golden"})
	require.NoError(t, err)
	_, err = s.Settle(t.Context(), []queue.Settlement{l[0].Bury("a reason")})
	require.NoError(t, err)
	_, err = s.Bind(t.Context(), []queue.Binding{{Queue: "crm", Selector: queue.Pattern("user.*")}}, nil)
	require.NoError(t, err)
	require.NoError(t, s.Close(t.Context()))
}

// A file of the first version opens, with all that is in it.
func TestGoldenStore(t *testing.T) {
	t.Parallel()
	if path := os.Getenv("EARSHOT_GOLDEN"); path != "" {
		fillGolden(t, path)
	}
	text, err := os.ReadFile("testdata/store-1.db")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "jobs.db")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	s := openStore(t, path, nil)
	records, err := s.Find(t.Context(), queue.Query{})
	require.NoError(t, err)
	require.Len(t, records, 5)
	for i, want := range goldenItems() {
		got := records[i].Item
		if want.Due.IsZero() {
			want.Due = got.Due
		}
		want.Hold = 0 // is not told
		require.Equal(t, want, got)
	}
	require.Equal(t, queue.StateDead, records[3].State)
	require.Equal(t, "a reason", records[3].Reason)
	require.Equal(t, "golden", records[4].Worker)
	bindings, rev, err := s.Bindings(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, []queue.Binding{{Queue: "crm", Selector: queue.Pattern("user.*")}}, bindings)
	require.Positive(t, rev)
	// The lease has expired long ago.
	l, err := s.Lease(t.Context(), queue.LeaseRequest{Queues: []string{"crm", "mail"}, Max: 10, TTL: time.Minute})
	require.NoError(t, err)
	require.Equal(t, 3, len(l))
	require.Equal(t, []string{"leased", "plain", "full"}, []string{l[0].ID, l[1].ID, l[2].ID})
	require.Equal(t, 2, l[0].Deliveries)
	require.Equal(t, 1, l[0].Fails)
	errs, err := s.Settle(t.Context(), []queue.Settlement{l[0].Ack(), l[1].Ack(), l[2].Ack()})
	require.NoError(t, errors.Join(append(errs, err)...))
	sound(t, path)
}

// everyCall returns what each call on a store answers.
func everyCall(ctx context.Context, s *Store) map[string]error {
	errs := map[string]error{}
	_, errs["enqueue"] = s.Enqueue(ctx, []queue.Item{{ID: "new", Queue: "q", Name: "n"}})
	_, errs["lease"] = s.Lease(ctx, queue.LeaseRequest{Queues: []string{"q"}, Max: 10, TTL: time.Minute})
	_, errs["settle"] = s.Settle(ctx, []queue.Settlement{{Queue: "q", ID: "1", Receipt: "1.1.1", Action: queue.Ack}})
	_, errs["find"] = s.Find(ctx, queue.Query{})
	_, errs["remove"] = s.Remove(ctx, queue.Query{Queue: "nothing"})
	_, errs["redrive"] = s.Redrive(ctx, queue.Query{Queue: "nothing"})
	_, errs["stats"] = s.Stats(ctx)
	_, errs["bind"] = s.Bind(ctx, []queue.Binding{{Queue: "q", Selector: queue.All()}}, nil)
	_, _, errs["bindings"] = s.Bindings(ctx, 0)
	_, errs["reap"] = s.Reap(ctx)
	return errs
}

// What is no good file is ErrDamaged, with the path, and is left as it is.
func TestBadStoresAreLeftAlone(t *testing.T) {
	t.Parallel()
	whole := filepath.Join(t.TempDir(), "whole.db")
	s := openStore(t, whole, nil)
	items := make([]queue.Item, 200)
	for i := range items {
		items[i] = queue.Item{ID: fmt.Sprint(i), Queue: "q", Name: "n", Payload: make([]byte, 200)}
	}
	_, err := s.Enqueue(t.Context(), items)
	require.NoError(t, err)
	require.NoError(t, s.Close(t.Context()))
	text, err := os.ReadFile(whole)
	require.NoError(t, err)
	newer := filepath.Join(t.TempDir(), "newer.db")
	require.NoError(t, os.WriteFile(newer, text, 0o600))
	change(t, newer, "UPDATE earshot_queue SET version = 2; PRAGMA wal_checkpoint(TRUNCATE)")
	newText, err := os.ReadFile(newer)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		text []byte
		says string
	}{
		"text":      {[]byte(strings.Repeat("dear diary\n", 1000)), "no SQLite database"},
		"truncated": {text[:len(text)*2/3], "damaged"},
		"cut":       {text[:3000], ""},
		"scribbled": {append(append(bytes.Clone(text[:100]), bytes.Repeat([]byte{0xa5}, 4000)...), text[4100:]...), "damaged"},
		"newer":     {newText, "newer version"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "jobs.db")
			require.NoError(t, os.WriteFile(path, c.text, 0o600))
			s := openStore(t, path, nil)
			for range 2 {
				for what, err := range everyCall(t.Context(), s) {
					require.ErrorIs(t, err, queue.ErrDamaged, what)
					require.NotErrorIs(t, err, queue.ErrDisconnected, what)
					require.ErrorContains(t, err, c.says, what)
					require.ErrorContains(t, err, path, what)
				}
			}
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.True(t, bytes.Equal(c.text, after), "the file was changed")
			require.NoError(t, s.Close(t.Context()))
			released(t, path)
		})
	}
}

// A bit that has turned over is an error or makes no difference: no payload, and no name, comes back changed.
func TestTurnedBits(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	whole := filepath.Join(t.TempDir(), "whole.db")
	s := openStore(t, whole, nil)
	want := map[string]queue.Item{}
	var items []queue.Item
	for i := range 60 {
		it := queue.Item{ID: fmt.Sprint("item-", i), Queue: "q", Name: "some.name", TID: fmt.Sprint("thing ", i), Payload: bytes.Repeat([]byte{byte(i + 1)}, 100+i*10)}
		if i%3 == 0 {
			it.Headers = map[string]string{"h": fmt.Sprint(i)}
		}
		items, want[it.ID] = append(items, it), it
	}
	_, err := s.Enqueue(t.Context(), items)
	require.NoError(t, err)
	require.NoError(t, s.Close(t.Context()))
	text, err := os.ReadFile(whole)
	require.NoError(t, err)
	same := func(it queue.Item) {
		w, ok := want[it.ID]
		require.True(t, ok, "an item %q was never there", it.ID)
		require.Equal(t, []any{w.Queue, w.Name, w.TID, w.Payload, w.Headers}, []any{it.Queue, it.Name, it.TID, it.Payload, it.Headers}, "seed %d", seed)
	}
	flips, damaged := 80, 0
	if testing.Short() {
		flips = 30
	}
	dir := t.TempDir()
	for n := range flips {
		path := filepath.Join(dir, fmt.Sprintf("%d.db", n))
		bad := bytes.Clone(text)
		for range 1 + n%3 {
			bad[r.IntN(len(bad))] ^= 1 << r.IntN(8)
		}
		require.NoError(t, os.WriteFile(path, bad, 0o600))
		s := openStore(t, path, nil)
		records, err := s.Find(t.Context(), queue.Query{})
		for _, rec := range records {
			same(rec.Item)
		}
		l, err2 := s.Lease(t.Context(), queue.LeaseRequest{Queues: []string{"q"}, Max: 100, TTL: time.Minute})
		done := make([]queue.Settlement, len(l))
		for i := range l {
			same(l[i].Item)
			done[i] = l[i].Ack()
		}
		_, err3 := s.Settle(t.Context(), done)
		_, err4 := s.Stats(t.Context())
		for _, err := range []error{err, err2, err3, err4} {
			if err == nil {
				continue
			}
			damaged++
			require.ErrorContains(t, err, path)
			require.False(t, errors.Is(err, queue.ErrDisconnected), "seed %d: waiting does not help: %v", seed, err)
		}
		require.NoError(t, s.Close(t.Context()))
		require.NoError(t, os.Remove(path))
	}
	t.Logf("%d files, %d errors", flips, damaged)
	require.Positive(t, damaged)
}

// An item whose row is not as it was written is nobody's work; the others are.
func TestDamagedRow(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "jobs.db")
	s := openStore(t, path, nil)
	_, err := s.Enqueue(t.Context(), []queue.Item{{ID: "1", Queue: "q", Name: "n", Payload: []byte("pay 10")}, {ID: "2", Queue: "q", Name: "n"}})
	require.NoError(t, err)
	change(t, path, "UPDATE earshot_items SET payload = CAST('pay 90' AS BLOB) WHERE id = '1'")
	_, err = s.Find(t.Context(), queue.Query{ID: "1"})
	require.ErrorIs(t, err, queue.ErrDamaged)
	l, err := s.Lease(t.Context(), queue.LeaseRequest{Queues: []string{"q"}, Max: 2, TTL: time.Minute})
	require.NoError(t, err)
	require.Len(t, l, 1)
	require.Equal(t, "2", l[0].ID)
	stats, err := s.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, stats.Queues[0].Dead)
}

// While another program holds the lock calls wait, and give up before their callers do; what reads goes on.
func TestLockedStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jobs.db")
	s := openStore(t, path, nil)
	_, err := s.Enqueue(t.Context(), []queue.Item{{ID: "1", Queue: "q", Name: "n"}})
	require.NoError(t, err)
	old := lockPatience
	lockPatience = 300 * time.Millisecond
	t.Cleanup(func() { lockPatience = old }) // before the store is closed, which does not use it
	other, err := openFile(t.Context(), path, openMode{sync: SyncFull, create: createStreams})
	require.NoError(t, err)
	defer other.close(nil)
	_, err = other.conn.ExecContext(t.Context(), "BEGIN EXCLUSIVE")
	require.NoError(t, err)
	for what, err := range everyCall(t.Context(), s) {
		if slices.Contains([]string{"find", "stats", "bindings"}, what) {
			require.NoError(t, err, what)
			continue
		}
		require.ErrorIs(t, err, queue.ErrDisconnected, what)
		require.ErrorContains(t, err, "locked", what)
	}
	_, err = other.conn.ExecContext(t.Context(), "ROLLBACK")
	require.NoError(t, err)
	lockPatience = old
	for what, err := range everyCall(t.Context(), s) {
		require.NoError(t, err, what)
	}
}

// When the file is removed or replaced the store goes on with the one that is at the path.
func TestReplacedStore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "jobs.db")
	s := openStore(t, path, nil)
	add := func(id string) {
		_, err := s.Enqueue(t.Context(), []queue.Item{{ID: id, Queue: "q", Name: "n"}})
		require.NoError(t, err)
	}
	add("old")
	l, err := s.Lease(t.Context(), queue.LeaseRequest{Queues: []string{"q"}, Max: 1, TTL: time.Minute})
	require.NoError(t, err)
	_, rev, err := s.Bindings(t.Context(), 0)
	require.NoError(t, err)
	remove(t, path)
	records, err := s.Find(t.Context(), queue.Query{})
	require.NoError(t, err)
	require.Empty(t, records)
	add("old") // the same ID and the same seq
	again, err := s.Lease(t.Context(), queue.LeaseRequest{Queues: []string{"q"}, Max: 1, TTL: time.Minute})
	require.NoError(t, err)
	require.Len(t, again, 1)
	errs, err := s.Settle(t.Context(), []queue.Settlement{l[0].Ack()})
	require.NoError(t, err)
	require.ErrorIs(t, errs[0], queue.ErrLeaseLost, "a receipt of the old file")
	_, newRev, err := s.Bindings(t.Context(), rev)
	require.NoError(t, err)
	require.NotEqual(t, rev, newRev)
	errs, err = s.Settle(t.Context(), []queue.Settlement{again[0].Ack()})
	require.NoError(t, errors.Join(append(errs, err)...))
}

// Whoever may not write finds what is there, and hears what to do.
func TestReadOnlyStore(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		need.Missing(t, "makes processes of another user as Linux does")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "jobs.db")
	s := openStore(t, path, nil)
	_, err := s.Enqueue(t.Context(), []queue.Item{{ID: "0", Queue: "q", Name: "n"}})
	require.NoError(t, err)
	for _, p := range []string{dir, filepath.Dir(dir)} {
		require.NoError(t, os.Chmod(p, 0o755))
	}
	var other func(*exec.Cmd)
	if os.Getuid() == 0 { // who may write everything
		other = func(cmd *exec.Cmd) {
			cmd.Dir = "/"
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		if _, err := exec.Command("setpriv", "--reuid=65534", "--clear-groups", "cat", path).Output(); err != nil {
			need.Missing(t, "another user cannot read "+path+": set TMPDIR to a directory that all users can enter")
		}
	} else {
		require.NoError(t, os.Chmod(path, 0o400))
		require.NoError(t, os.Chmod(dir, 0o500))
		t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	}
	lines := startChild(t, "look", path, other).rest()
	require.Len(t, lines, 3)
	for _, line := range lines[:2] {
		require.Contains(t, line, queue.ErrDenied.Error())
		require.Contains(t, line, "right to write")
	}
	require.Equal(t, "1<nil>", strings.ReplaceAll(lines[2], " ", ""))
}

// What was committed into a file that was removed meanwhile is not acknowledged.
func TestRemovedWhileCommitting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jobs.db")
	s := openStore(t, path, nil)
	items := []queue.Item{{ID: "1", Queue: "q", Name: "n"}}
	_, err := s.Reap(t.Context())
	require.NoError(t, err)
	failpoint = func(place string) {
		if place == "commit" {
			_ = os.Remove(path)
		}
	}
	_, err = s.Enqueue(t.Context(), items)
	failpoint = nil // the writer waits for the next request
	require.ErrorIs(t, err, queue.ErrDisconnected)
	got, err := s.Enqueue(t.Context(), items)
	require.NoError(t, err)
	require.Equal(t, queue.Inserted, got[0].Status)
}
