package sqlite

import (
	"context"
	"database/sql"
	"time"
)

// How often the commits of other processes are looked for. A look takes some microseconds, most of them to wake up
// for it: at the slowest, all of it was 0.6 % of one busy 2-core machine's processor (BenchmarkWatch).
const (
	watchFast  = 2 * time.Millisecond
	watchSlow  = 25 * time.Millisecond
	watchStays = 100                    // looks in a row that find nothing, before it grows slower
	watchPath  = 250 * time.Millisecond // between two looks whether the file is still the one at its path
)

// watch has somebody look after the file while there are feeds on it.
func (b *Bus) watch(f *file) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return b.closedError()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.feeds++; f.feeds == 1 {
		ctx, cancel := context.WithCancel(b.ctx)
		f.rest = cancel
		// It rings after an error as well: the feeds find out what it is. It ends with ctx: by unwatch or Close.
		b.running.Go(func() { f.look(ctx, func(error) { b.bell.ring() }) })
	}
	return nil
}

func (f *file) unwatch() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.feeds--; f.feeds == 0 {
		f.rest()
	}
}

// look calls changed when another connection has committed, or it cannot be found out. It returns when ctx ends or the
// file is given up, which it does itself when another is at its path.
func (f *file) look(ctx context.Context, changed func(error)) {
	var conn *sql.Conn // data_version compares with what this very connection saw last
	var query *sql.Stmt
	defer func() {
		if query != nil {
			query.Close() // see file.prepare
		}
		if conn != nil {
			conn.Close()
		}
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	wait, quiet, version, checked := watchFast, 0, int64(-1), time.Now()
	for {
		select {
		case <-timer.C:
		case <-f.gone:
			return
		case <-ctx.Done():
			return
		}
		now, err := version, error(nil)
		if query == nil {
			if conn == nil {
				conn, err = f.read.Conn(ctx)
			}
			if err == nil {
				query, err = conn.PrepareContext(ctx, "PRAGMA data_version")
			}
		}
		if err == nil {
			err = query.QueryRow().Scan(&now)
		}
		if err != nil || now != version {
			changed(err)
			version, wait, quiet = now, watchFast, 0
			if err != nil {
				wait = watchSlow
			}
		} else if quiet++; quiet > watchStays {
			wait = min(wait*5/4, watchSlow)
		}
		if t := time.Now(); t.Sub(checked) >= watchPath {
			if checked = t; f.moved() {
				f.close(errReplaced)
				return
			}
		}
		timer.Reset(wait)
	}
}
