package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/bus"
)

func TestURLs(t *testing.T) {
	t.Parallel()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for address, want := range map[string]BusOptions{
		"sqlite:events.db":              {Stream: "earshot", MaxBytes: 1 << 20, Sync: SyncFull},
		"sqlite:a/b%3Fc.db?stream=shop": {Stream: "shop", MaxBytes: 1 << 20, Sync: SyncFull},
		"sqlite:///var/x.db?keep=10&keepfor=72h&maxbytes=65536&sync=normal": {
			Stream: "earshot", Keep: 10, KeepFor: 72 * time.Hour, MaxBytes: 65536, Sync: SyncNormal},
	} {
		_, o, err := parseURL(address, nil)
		require.NoError(t, err, address)
		require.Equal(t, want, o, address)
	}
	b := openBus(t, "a b%3Fc.db?stream=shop", &BusOptions{Stream: "other", Keep: 7})
	require.Equal(t, BusOptions{Stream: "shop", Keep: 7, MaxBytes: 1 << 20, Sync: SyncFull}, b.opts, "the URL counts, where it says something")
	require.Equal(t, filepath.Join(dir, "a b?c.db"), b.path)
	require.Equal(t, "sqlite://"+dir+"/a%20b%3Fc.db?stream=shop", b.String())
	again, err := OpenBus(b.String(), nil)
	require.NoError(t, err)
	require.Equal(t, b.path, again.path)
	require.NoError(t, again.Close(t.Context()))
	require.NoFileExists(t, b.path, "OpenBus touches nothing")

	for address, says := range map[string]string{
		"sqlite:":                      "names no file",
		"sqlite:///":                   "names no file",
		"sqlite::memory:":              "membus",
		"sqlite://host/events.db":      "three slashes",
		"sqlite:events.db#x":           "more than a path",
		"sqlite:a%00b":                 "NUL",
		"sqlite:a%zz":                  "sqlite",
		"redis://x":                    "not of this engine",
		"sqlite:x.db?colour=red":       "keep, keepfor, maxbytes, stream, sync",
		"sqlite:x.db?keep=many":        `keep="many"`,
		"sqlite:x.db?keep=-1":          "number of events",
		"sqlite:x.db?keepfor=-1s":      "duration",
		"sqlite:x.db?keepfor=tomorrow": `keepfor="tomorrow"`,
		"sqlite:x.db?maxbytes=-5":      "between",
		"sqlite:x.db?maxbytes=1e9":     `maxbytes="1e9"`,
		"sqlite:x.db?sync=off":         "full or normal",
		"sqlite:x.db?stream=Shop":      "small letters",
		`sqlite:x.db?stream=a"b`:       "small letters",
	} {
		_, err := OpenBus(address, nil)
		require.ErrorContains(t, err, says, address)
	}
}

// Streams of one file have nothing to do with each other.
func TestStreamsOfOneFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "what is 100% # odd?.db")
	a, err := OpenBus("sqlite:"+filepath.Dir(path)+"/what is 100%25 %23 odd%3F.db?stream=a.b-c_1", nil)
	require.NoError(t, err)
	defer a.Close(context.Background())
	b, err := OpenBus(a.String()[:len(a.String())-len("a.b-c_1")]+"sqlite_sequence", nil)
	require.NoError(t, err)
	defer b.Close(context.Background())
	fa, fb := openTail(t, a, bus.Tail{}), openTail(t, b, bus.Tail{})
	require.NoError(t, a.Publish(t.Context(), newEvent("1"), newEvent("2")))
	require.NoError(t, b.Publish(t.Context(), newEvent("2"), newEvent("1")))
	want(t, fa, "1", "2")
	want(t, fb, "2", "1")
	require.FileExists(t, path)
	_, err = b.Tail(t.Context(), bus.Tail{From: bus.After(fa.(bus.Positioned).Token())})
	require.ErrorIs(t, err, bus.ErrForeignToken)
}

// An ID is stored once, in whatever way it comes again; numbers have no holes, which would look like a gap.
func TestDedupe(t *testing.T) {
	t.Parallel()
	b := openBus(t, filepath.Join(t.TempDir(), "events.db"), nil)
	f := openTail(t, b, bus.Tail{})
	require.NoError(t, b.Publish(t.Context(), newEvent("1"), newEvent("2"), newEvent("1")))
	require.NoError(t, b.Publish(t.Context(), newEvent("2"), newEvent("3")))
	require.NoError(t, b.Publish(t.Context(), many("x", 100)...))
	require.NoError(t, b.Publish(t.Context(), many("x", 150)...))
	other := newEvent("1")
	other.Source = "/elsewhere"
	require.NoError(t, b.Publish(t.Context(), other), "an ID is one of its source")
	want(t, f, "1", "2", "3")
	for i := range 150 {
		d, err := next(t, f)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("x-%d", i), d.Event.ID)
		require.Equal(t, bus.MakeToken("sqlite", f.(*feed).epoch, strconv.Itoa(i+4)), d.Token)
	}
	want(t, f, "1")
}

func TestKeep(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	b := openBus(t, path, &BusOptions{Keep: 100})
	f := openTail(t, b, bus.Tail{})
	token := f.(bus.Positioned).Token()
	for i := range 400 {
		require.NoError(t, b.Publish(t.Context(), newEvent(strconv.Itoa(i))))
		if i < 150 || i%10 != 0 {
			continue
		}
		n := tableSize(t, path)
		require.GreaterOrEqual(t, n, 100)
		require.LessOrEqual(t, n, 106)
	}
	_, err := next(t, f)
	var gap *bus.GapError
	require.ErrorAs(t, err, &gap)
	require.Equal(t, token, gap.After)
	require.Equal(t, 400-tableSize(t, path), int(gap.Missed))
	require.Equal(t, "the stream keeps 100 events", gap.Reason)
	want(t, f, strconv.Itoa(int(gap.Missed)))

	// A file that has many more is brought down bit by bit, and none of the transactions is long.
	wide := openBus(t, path, nil)
	require.NoError(t, wide.Publish(t.Context(), many("wide", 5000)...))
	for i := range 20 { // some are needed until it looks
		before := tableSize(t, path)
		require.NoError(t, b.Publish(t.Context(), newEvent(fmt.Sprintf("late-%d", i))))
		require.LessOrEqual(t, before-tableSize(t, path), 1024)
	}
	require.LessOrEqual(t, tableSize(t, path), 106)
}

func tableSize(t testing.TB, path string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", dsn(path, "busy_timeout(5000)"))
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.QueryRow(`SELECT count(*) FROM "earshot:earshot"`).Scan(&n))
	return n
}

func TestKeepFor(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	b := openBus(t, path, &BusOptions{KeepFor: time.Hour})
	require.NoError(t, b.Publish(t.Context(), many("old", 10)...))
	require.NoError(t, b.Publish(t.Context(), newEvent("young")))
	change(t, path, `UPDATE "earshot:earshot" SET at = at - 3601000000 WHERE id LIKE 'old%'`)
	b = openBus(t, path, &BusOptions{KeepFor: time.Hour})
	f := openTail(t, b, bus.Tail{From: bus.Start})
	require.NoError(t, b.Publish(t.Context(), newEvent("new")))
	_, err := next(t, f)
	var gap *bus.GapError
	require.ErrorAs(t, err, &gap)
	require.EqualValues(t, 10, gap.Missed)
	want(t, f, "young", "new")
	require.Equal(t, 2, tableSize(t, path))
}

// All events are forgotten: that is a gap as well, and the numbers do not begin again.
func TestEverythingPruned(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	b := openBus(t, path, nil)
	f := openTail(t, b, bus.Tail{})
	require.NoError(t, b.Publish(t.Context(), many("x", 5)...))
	change(t, path, `DELETE FROM "earshot:earshot"`)
	_, err := next(t, f)
	var gap *bus.GapError
	require.ErrorAs(t, err, &gap)
	require.EqualValues(t, 5, gap.Missed)
	require.NoError(t, b.Publish(t.Context(), newEvent("y")))
	want(t, f, "y")
	past := openTail(t, b, bus.Tail{From: bus.Start, Past: true})
	want(t, past, "y")
	_, err = next(t, past)
	require.Equal(t, io.EOF, err)
}

// Rows that others insert are events if they are, and no harm otherwise.
func TestForeignRows(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	b := openBus(t, path, nil)
	f := openTail(t, b, bus.Tail{})
	const insert = `INSERT OR IGNORE INTO "earshot:earshot" (id, source, event) VALUES `
	change(t, path, insert+`('g1', 's', 'no JSON'), ('g2', 's', x'00ff'), ('g3', 's', 7), ('g4', 's', '{}'), ('g5', 's', zeroblob(70000000)), ('g6', x'80', '')`)
	change(t, path, insert+`('sql', '/db', '{"specversion":"1.0","id":"sql","source":"/db","type":"t"}')`)
	change(t, path, insert+`('sql', '/db', ''), ('sql', '/db', '')`) // leaves holes in the numbers
	want(t, f, "sql")
	require.NoError(t, b.Publish(t.Context(), newEvent("1")))
	wantGap(t, f, 2)
	want(t, f, "1")
	require.EqualValues(t, 6, b.Garbage())
	change(t, path, `UPDATE "earshot:earshot" SET at = 'noon' WHERE id = '1'`)
	require.Error(t, b.Publish(t.Context(), newEvent("2")), "an error, and no panic")
	change(t, path, `UPDATE "earshot:earshot" SET at = 0 WHERE id = '1'`)
	require.NoError(t, b.Publish(t.Context(), many("many", 600)...))
	change(t, path, `UPDATE "earshot:earshot" SET event = 'garbage' WHERE id LIKE 'many%' AND id <> 'many-599'`)
	want(t, openTail(t, b, bus.Tail{From: bus.After(f.(bus.Positioned).Token())}), "many-599")
}

// At is exact to the microsecond, for every event of a stream.
func TestAt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	b := openBus(t, path, nil)
	require.NoError(t, b.Publish(t.Context(), many("x", 50)...))
	change(t, path, `UPDATE "earshot:earshot" SET at = 1000000 * (seq / 3)`)
	change(t, path, `DELETE FROM "earshot:earshot" WHERE seq < 5 OR seq = 20`)
	for micros := int64(0); micros < 18_000_000; micros += 500_000 {
		first := 50
		for seq := int64(50); seq >= 5; seq-- {
			if seq/3*1_000_000 >= micros && seq != 20 {
				first = int(seq) - 1
			}
		}
		f := openTail(t, b, bus.Tail{From: bus.At(time.UnixMicro(micros)), Past: true})
		d, err := next(t, f)
		if first == 50 {
			require.Equal(t, io.EOF, err, "at %d", micros)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("x-%d", first), d.Event.ID, "at %d", micros)
		require.NoError(t, f.Close())
	}
}

// A time to come waits for its events; and the time of events does not go back with the clock.
func TestAtLater(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	b := openBus(t, path, nil)
	require.NoError(t, b.Publish(t.Context(), newEvent("1")))
	later := time.Now().Add(time.Hour)
	f := openTail(t, b, bus.Tail{From: bus.At(later)})
	require.NoError(t, b.Publish(t.Context(), newEvent("2")))
	change(t, path, `UPDATE "earshot:earshot" SET at = ? WHERE id = '2'`, later.Add(-time.Second).UnixMicro())
	require.NoError(t, b.Publish(t.Context(), newEvent("3")))
	change(t, path, `UPDATE "earshot:earshot" SET at = ? WHERE id = '3'`, later.UnixMicro())
	require.NoError(t, b.Publish(t.Context(), newEvent("4"))) // by the clock an hour before 3
	want(t, openTail(t, b, bus.Tail{From: bus.At(later)}), "3", "4")
	d, err := next(t, f)
	require.NoError(t, err)
	require.Contains(t, []string{"3", "4"}, d.Event.ID, "3 may have been looked at before its time was set")
}

// Calls that come at the same time share commits.
func TestCommitsAreShared(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	b := openBus(t, path, nil)
	f := openTail(t, b, bus.Tail{})
	holder, err := openFile(t.Context(), path, openMode{sync: SyncFull, create: createStreams})
	require.NoError(t, err)
	defer holder.close(nil)
	require.NoError(t, holder.begin(t.Context()))
	var wg sync.WaitGroup
	errs := make(chan error, 200)
	for i := range 200 {
		wg.Go(func() { errs <- b.Publish(context.Background(), newEvent(strconv.Itoa(i))) })
	}
	require.Eventually(t, func() bool { return b.inFlight.Load() == 200 }, patience, time.Millisecond)
	require.Error(t, holder.end(io.EOF))
	wg.Wait()
	for range 200 {
		require.NoError(t, <-errs)
	}
	for range 200 {
		_, err := next(t, f)
		require.NoError(t, err)
	}
	db, err := sql.Open("sqlite", dsn(path))
	require.NoError(t, err)
	defer db.Close()
	var commits int
	require.NoError(t, db.QueryRow(`SELECT count(DISTINCT at) FROM "earshot:earshot"`).Scan(&commits))
	require.Less(t, commits, 10)
}

// An event that a trigger refuses does not take those of others along.
func TestRefusedAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	b := openBus(t, path, nil)
	require.NoError(t, b.Publish(t.Context()))
	change(t, path, `CREATE TRIGGER no BEFORE INSERT ON "earshot:earshot" WHEN new.id LIKE 'bad%' BEGIN SELECT RAISE(ABORT, 'not this one'); END`)
	w := newWriter[*task](path, &busWords)
	w.worker = &publisher{bus: b, keeper: keeper{opts: &b.opts}}
	good1, bad, good2 := newRequest(&task{}), newRequest(&task{}), newRequest(&task{})
	for r, id := range map[*request[*task]]string{good1: "1", bad: "bad", good2: "2"} {
		rows, err := encode(many(id, 3), 1<<20)
		require.NoError(t, err)
		r.work.rows = rows
		w.group = append(w.group, r)
	}
	w.serve()
	defer func() { w.file.close(nil) }()
	require.NoError(t, <-good1.done)
	require.NoError(t, <-good2.done)
	require.ErrorContains(t, <-bad.done, "not this one")
	require.Equal(t, 6, count(t, b))
}

// When Publish returns the feeds of this process are awake, those of another Bus too, and without any look at the file.
func TestCommitWakes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	a, b := openBus(t, path, nil), openBus(t, path, nil)
	require.NoError(t, b.start()) // no feed is open, so nobody looks
	bell := b.bell.next()
	require.NoError(t, a.Publish(t.Context(), newEvent("1")))
	select {
	case <-bell:
	default:
		t.Fatal("the bell was not rung")
	}
}

// Two processes hear each other, soon.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	a, b := startChild(t, "talk", path, nil), startChild(t, "talk", path, nil)
	require.Equal(t, "ready", a.line(t))
	require.Equal(t, "ready", b.line(t))
	for i := range 50 {
		from := a
		if i%2 == 1 {
			from = b
		}
		_, err := fmt.Fprintf(from.in, "word-%d\n", i)
		require.NoError(t, err)
		for _, c := range []*child{a, b} {
			require.Equal(t, fmt.Sprintf("word-%d", i), c.line(t))
		}
	}
}

// Processes that publish without pause all get their turn, and nothing is lost.
func TestProcessesShareTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	require.NoError(t, openBus(t, path, nil).Publish(t.Context()))
	var children []*child
	for i := range 3 {
		children = append(children, startChild(t, "pour", path, nil, strconv.Itoa(i), "2s"))
	}
	total := 0
	for _, c := range children {
		require.Equal(t, "ready", c.line(t))
	}
	for i, c := range children {
		line := c.line(t)
		n, err := strconv.Atoi(line)
		require.NoError(t, err, line)
		require.Positive(t, n)
		t.Logf("process %d: %d events", i, n)
		total += n
	}
	require.Equal(t, total, count(t, openBus(t, path, nil)))
}
