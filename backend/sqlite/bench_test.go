package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

// What these measure depends on the disk before all else, so each prints how often in a second this one can write
// 4 KiB and sync, and compares with a bare client of database/sql on the same disk in the same run. The bare client
// has the same durability and the same table, with the index that finds duplicates.

// disk measures the machine once, with a file that has its size already.
var disk = sync.OnceValue(func() float64 {
	f, err := os.CreateTemp("", "earshot-fsync")
	if err != nil {
		return 0
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.Write(make([]byte, 1000*4096)); err != nil || f.Sync() != nil {
		return 0
	}
	page, n, start := make([]byte, 4096), 0, time.Now()
	for ; time.Since(start) < time.Second; n++ {
		if _, err := f.WriteAt(page, int64(n%1000)*4096); err != nil || f.Sync() != nil {
			return 0
		}
	}
	return float64(n) / time.Since(start).Seconds()
})

var ids atomic.Int64

func benchEvent() event.Event {
	return event.Event{
		ID: fmt.Sprintf("k3v9d0a1x7f2m5qz%010d", ids.Add(1)), Source: "/mailer/4f1c", Type: "user.added",
		Time: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC),
		Data: []byte(`{"user":"ada","plan":"pro","amount":1234,"note":"012345678901234567890123456789012345678901234567890123456789"}`),
	}
}

// warm is how many transactions of 1,000 events come before the measuring: until the WAL has reached its size, each
// commit makes it longer, which takes the file system several times as long as to write over it.
const warm = 15

// bare publishes as a careful program would without this package: a prepared INSERT, perTx of them in a transaction.
// It returns events in a second.
func bare(b *testing.B, perTx int, d time.Duration) float64 {
	db, err := sql.Open("sqlite", dsn(filepath.Join(b.TempDir(), "bare.db"), "journal_mode(wal)", "synchronous(full)", "busy_timeout(1000)"))
	require.NoError(b, err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	_, err = db.Exec(statement(streamTable, "events"))
	require.NoError(b, err)
	insert, err := db.Prepare("INSERT INTO events (at, id, source, event) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING")
	require.NoError(b, err)
	defer insert.Close()
	n, spent := 0, time.Duration(0)
	for round := 0; spent < d; round++ {
		rows := make([]row, perTx)
		if round < warm {
			rows = make([]row, 1000)
		}
		for i := range rows { // not counted: a program has its text already
			ev := benchEvent()
			text, err := ev.AppendJSON(nil)
			require.NoError(b, err)
			rows[i] = row{ev.ID, ev.Source, string(text)}
		}
		start := time.Now()
		tx, err := db.Begin()
		require.NoError(b, err)
		stmt := tx.Stmt(insert)
		for _, r := range rows {
			_, err = stmt.Exec(start.UnixMicro(), r.id, r.source, r.event)
			require.NoError(b, err)
		}
		require.NoError(b, tx.Commit())
		if round >= warm {
			spent += time.Since(start)
			n += perTx
		}
	}
	return float64(n) / spent.Seconds()
}

func BenchmarkPublish(b *testing.B) {
	for _, c := range []struct {
		sync              Sync
		publishers, batch int
	}{
		{SyncFull, 1, 1}, {SyncFull, 8, 1}, {SyncFull, 64, 1}, {SyncFull, 256, 1}, {SyncFull, 1, 100}, {SyncFull, 1, 1000}, {SyncFull, 4, 1000},
		{SyncNormal, 1, 1}, {SyncNormal, 64, 1}, {SyncNormal, 1, 1000},
	} {
		b.Run(fmt.Sprintf("sync=%s/publishers=%d/batch=%d", c.sync, c.publishers, c.batch), func(b *testing.B) {
			ctx := context.Background()
			single, thousand := bare(b, 1, 300*time.Millisecond), bare(b, 1000, 300*time.Millisecond)
			bus := openBus(b, filepath.Join(b.TempDir(), "events.db"), &BusOptions{Sync: c.sync})
			for range warm {
				evs := make([]event.Event, 1000)
				for i := range evs {
					evs[i] = benchEvent()
				}
				require.NoError(b, bus.Publish(ctx, evs...))
			}
			b.ReportAllocs()
			b.ResetTimer()
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			for range c.publishers {
				wg.Go(func() {
					evs := make([]event.Event, c.batch)
					for left.Add(-1) >= 0 {
						for i := range evs {
							evs[i] = benchEvent()
						}
						if err := bus.Publish(ctx, evs...); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			rate := float64(b.N*c.batch) / b.Elapsed().Seconds()
			b.ReportMetric(rate, "events/s")
			b.ReportMetric(rate/single, "x-bare-1/tx")
			b.ReportMetric(rate/thousand, "x-bare-1000/tx")
			b.ReportMetric(disk(), "fsyncs/s")
		})
	}
}

// BenchmarkFeed is what a feed reads of events that are there already.
func BenchmarkFeed(b *testing.B) {
	ctx := context.Background()
	a := openBus(b, filepath.Join(b.TempDir(), "events.db"), nil)
	for range 20 {
		evs := make([]event.Event, 1000)
		for i := range evs {
			evs[i] = benchEvent()
		}
		require.NoError(b, a.Publish(ctx, evs...))
	}
	b.ReportAllocs()
	var f bus.Feed
	for i := 0; b.Loop(); i++ {
		if i%20_000 == 0 {
			if f != nil {
				f.Close()
			}
			var err error
			f, err = a.Tail(ctx, bus.Tail{From: bus.Start})
			require.NoError(b, err)
		}
		if _, err := f.Next(ctx); err != nil {
			b.Fatal(err)
		}
	}
	f.Close()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkWake is the time from Publish, which has to wait for the disk, to the delivery in the same process.
func BenchmarkWake(b *testing.B) {
	ctx := context.Background()
	a := openBus(b, filepath.Join(b.TempDir(), "events.db"), nil)
	f := openTail(b, a, bus.Tail{})
	for b.Loop() {
		require.NoError(b, a.Publish(ctx, benchEvent()))
		_, err := f.Next(ctx)
		require.NoError(b, err)
	}
	b.ReportMetric(disk(), "fsyncs/s")
}

// BenchmarkOtherProcess is the time from Publish until another process has heard the event and said so: at once after
// the event before, and after a pause in which the looks have become slow.
func BenchmarkOtherProcess(b *testing.B) {
	for _, pause := range []time.Duration{0, 2 * time.Second} {
		b.Run(fmt.Sprintf("after=%v", pause), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "events.db")
			a := openBus(b, path, nil)
			c := startChild(b, "talk", path, nil)
			require.Equal(b, "ready", c.line(b))
			var took []time.Duration
			times := 20
			if testing.Short() {
				times = 2
			}
			for i := range times {
				select {
				case <-time.After(pause):
				case <-b.Context().Done():
				}
				start := time.Now()
				require.NoError(b, a.Publish(b.Context(), newEvent(strconv.Itoa(i))))
				require.Equal(b, strconv.Itoa(i), c.line(b))
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-median")
			b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "ms-max")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkWatch is the part of a processor that an idle feed takes.
func BenchmarkWatch(b *testing.B) {
	a := openBus(b, filepath.Join(b.TempDir(), "events.db"), nil)
	f := openTail(b, a, bus.Tail{})
	watched := 10 * time.Second
	if testing.Short() {
		watched = 3 * time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), watched)
	defer cancel()
	warm, stop := context.WithTimeout(ctx, 2*time.Second)
	_, _ = f.Next(warm)
	stop()
	var before, after syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &before))
	start := time.Now()
	_, _ = f.Next(ctx)
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &after))
	used := after.Utime.Nano() - before.Utime.Nano() + after.Stime.Nano() - before.Stime.Nano()
	b.ReportMetric(100*float64(used)/float64(time.Since(start)), "%cpu")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkSpill(b *testing.B) {
	for _, batch := range []int{1, 100} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			ctx := context.Background()
			s := openSpill(b, filepath.Join(b.TempDir(), "spill.db"), nil)
			evs := make([]event.Event, batch)
			for b.Loop() {
				for i := range evs {
					evs[i] = benchEvent()
				}
				require.NoError(b, s.Push(ctx, evs...))
				got, err := s.Peek(ctx, batch)
				require.NoError(b, err)
				require.NoError(b, s.Drop(ctx, len(got)))
			}
			b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(disk(), "fsyncs/s")
		})
	}
}
