package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

// ErrSpillFull: the events would make the spill larger than SpillOptions.MaxBytes. None of them was taken.
var ErrSpillFull = errors.New("the spill is full")

// ErrSpillInUse: another Spill, of this process or another one, has the file.
var ErrSpillInUse = errors.New("the spill is in use")

// SpillOptions are those of OpenSpill. The zero value works.
type SpillOptions struct {
	// MaxBytes is how many bytes of JSON the spill holds; the file is somewhat larger. Default 1 GiB.
	MaxBytes int64
}

// A Spill holds events on disk, first in, first out, for one process that cannot get rid of them now. They survive
// the end of the process and the loss of power. Its methods may be called from many goroutines; one of them works
// at a time, and they block on the disk, and on each other until their context ends. After Close they return
// bus.ErrClosed.
type Spill struct {
	path     string
	maxBytes int64
	file     *file
	insert   *inserter
	turn     chan struct{} // holds a token while nobody works
	closed   bool          // guarded by turn

	events  atomic.Int64 // what the table has: written within turn
	bytes   int64
	garbage atomic.Uint64
}

const spillTable = "earshot_spill"

// The sizes are kept in a row of their own, so that opening does not read a gigabyte.
func createSpill(ctx context.Context, c *sql.Conn) error {
	_, err := c.ExecContext(ctx, statement(`
		CREATE TABLE IF NOT EXISTS TABLE_NAME (
			seq    INTEGER PRIMARY KEY AUTOINCREMENT,
			at     INTEGER NOT NULL,
			id     TEXT NOT NULL,
			source TEXT NOT NULL,
			event  TEXT NOT NULL
		);
		CREATE TABLE IF NOT EXISTS earshot_spilled (one INTEGER PRIMARY KEY CHECK (one = 1), events INTEGER NOT NULL, bytes INTEGER NOT NULL);
		INSERT OR IGNORE INTO earshot_spilled VALUES (1, 0, 0);
		UPDATE earshot_spilled SET events = events`, spillTable)) // writes in any case, so that the file is locked from now on
	return err
}

// OpenSpill opens a spill, or makes it; its directory has to be there. Nil options are the defaults. What an earlier
// process has left in it is there. It is this process's until Close: a second OpenSpill on the file, here or in
// another process, returns ErrSpillInUse. It needs a file of its own, and not one of a bus.
func OpenSpill(path string, opts *SpillOptions) (*Spill, error) {
	s := &Spill{maxBytes: 1 << 30, turn: make(chan struct{}, 1)}
	if opts != nil && opts.MaxBytes != 0 {
		s.maxBytes = opts.MaxBytes
	}
	if s.maxBytes < 0 {
		return nil, fmt.Errorf("sqlite: spill %s: MaxBytes is %d, and has to be positive", path, s.maxBytes)
	}
	var err error
	if s.path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("sqlite: spill %s: %w", path, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.file, err = openFile(ctx, s.path, openMode{sync: SyncFull, exclusive: true, create: createSpill}); err != nil {
		if isBusy(err) {
			return nil, fmt.Errorf("sqlite: spill %s: %w: another process has it open; give each one a file of its own: %w", s.path, ErrSpillInUse, err)
		}
		return nil, busWords.explain(s.path, "open spill", err)
	}
	var events int64
	if s.insert, err = newAppender(s.file, spillTable); err == nil {
		err = s.file.conn.QueryRowContext(ctx, "SELECT events, bytes FROM earshot_spilled").Scan(&events, &s.bytes)
	}
	if err != nil {
		s.file.close(err)
		return nil, busWords.explain(s.path, "open spill", err)
	}
	s.events.Store(events)
	s.turn <- struct{}{}
	return s, nil
}

// Len returns how many events are in the spill. It does not block, and answers after Close too.
func (s *Spill) Len() int { return int(s.events.Load()) }

// Garbage returns how many rows Peek has removed because they were no events. It does not block.
func (s *Spill) Garbage() uint64 { return s.garbage.Load() }

// Push appends events: all of them, and they are on disk when it returns nil; or none. Errors: ErrSpillFull, an event
// that is not valid, one that is larger than 64 MiB (bus.ErrTooLarge), a full disk and the like.
func (s *Spill) Push(ctx context.Context, events ...event.Event) error {
	rows, err := encode(events, largest)
	if err != nil || len(rows) == 0 {
		return err
	}
	size := int64(0)
	for _, r := range rows {
		size += int64(len(r.event))
	}
	return s.do(ctx, "push", func() error {
		if s.bytes+size > s.maxBytes {
			return fmt.Errorf("%w: it has %d events of %d bytes, and %d more bytes are over the limit of %d", ErrSpillFull, s.Len(), s.bytes, size, s.maxBytes)
		}
		return s.change(int64(len(rows)), size, func() error {
			_, err := s.insert.rows(time.Now().UnixMicro(), rows, false)
			return err
		})
	})
}

// Peek returns the oldest events, max of them or fewer, and leaves them where they are. When there are none it returns
// none. At least one is returned otherwise, and then as many as are 8 MiB together.
func (s *Spill) Peek(ctx context.Context, max int) (events []event.Event, err error) {
	err = s.do(ctx, "peek", func() error {
		for {
			var bad []int64
			var badBytes int64
			if events, bad, badBytes, err = s.oldest(max); err != nil || len(bad) == 0 {
				return err
			}
			// Rows that are no events would stay at the front for ever, and Drop would take them for events.
			s.garbage.Add(uint64(len(bad)))
			err := s.change(-int64(len(bad)), -badBytes, func() error {
				for _, seq := range bad {
					if _, err := s.file.conn.ExecContext(context.Background(), "DELETE FROM earshot_spill WHERE seq = ?", seq); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	})
	return events, err
}

func (s *Spill) oldest(max int) (events []event.Event, bad []int64, badBytes int64, err error) {
	rows, err := s.file.conn.QueryContext(context.Background(),
		"SELECT seq, octet_length(event), CASE WHEN octet_length(event) <= ? THEN event END FROM earshot_spill ORDER BY seq LIMIT ?", largest, max)
	if err != nil {
		return nil, nil, 0, err
	}
	defer rows.Close()
	total := int64(0)
	for total < groupBytes && rows.Next() {
		var seq int64
		var size sql.NullInt64
		var text sql.RawBytes
		if err := rows.Scan(&seq, &size, &text); err != nil {
			return nil, nil, 0, err
		}
		total += int64(len(text))
		var ev event.Event
		if ev.UnmarshalJSON(text) != nil {
			bad, badBytes = append(bad, seq), badBytes+size.Int64
			continue
		}
		events = append(events, ev)
	}
	return events, bad, badBytes, rows.Err()
}

// Drop removes the n oldest events, or all if there are fewer, and returns when that is on disk. When the spill has
// become empty its file gets small again.
func (s *Spill) Drop(ctx context.Context, n int) error {
	if n <= 0 {
		return nil
	}
	return s.do(ctx, "drop", func() error {
		var count, size, last sql.NullInt64
		ctx := context.Background()
		err := s.file.conn.QueryRowContext(ctx, `SELECT count(*), sum(octet_length(event)), max(seq) FROM
			(SELECT seq, event FROM earshot_spill ORDER BY seq LIMIT ?)`, n).Scan(&count, &size, &last)
		if err != nil || count.Int64 == 0 {
			return err
		}
		err = s.change(-count.Int64, -size.Int64, func() error {
			_, err := s.file.conn.ExecContext(ctx, "DELETE FROM earshot_spill WHERE seq <= ?", last.Int64)
			return err
		})
		if err == nil && s.Len() == 0 && size.Int64 > 0 {
			s.shrink()
		}
		return err
	})
}

// shrink gives disk space back. It is worth a look only if there is much, and no misfortune if it fails.
func (s *Spill) shrink() {
	var free int64
	ctx, conn := context.Background(), s.file.conn
	if conn.QueryRowContext(ctx, "PRAGMA freelist_count").Scan(&free) == nil && free > 1000 {
		_, _ = conn.ExecContext(ctx, "VACUUM")
		_, _ = conn.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	}
}

// change is one transaction, which also keeps the sizes.
func (s *Spill) change(events, bytes int64, work func() error) error {
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	if err := s.file.begin(ctx); err != nil {
		return err
	}
	err := work()
	if err == nil {
		_, err = s.file.conn.ExecContext(context.Background(), "UPDATE earshot_spilled SET events = events + ?, bytes = bytes + ?", events, bytes)
	}
	if err = s.file.end(err); err != nil {
		return err
	}
	s.events.Add(events)
	s.bytes += bytes
	return nil
}

// do gives one caller after the other its turn.
func (s *Spill) do(ctx context.Context, doing string, work func() error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case <-s.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { s.turn <- struct{}{} }()
	if s.closed {
		return fmt.Errorf("sqlite: spill %s: %w", s.path, bus.ErrClosed)
	}
	if s.file.moved() {
		return fmt.Errorf("sqlite: spill %s: %w: what was in it is lost; close it and open it again", s.path, errReplaced)
	}
	err := work()
	if err == nil || errors.Is(err, ErrSpillFull) {
		return err
	}
	return busWords.explain(s.path, doing+" in spill", err)
}

// Close gives the file back, with what is in it. It waits for the call that has its turn, and is idempotent.
func (s *Spill) Close() error {
	<-s.turn
	defer func() { s.turn <- struct{}{} }()
	if !s.closed {
		s.closed = true
		s.file.close(bus.ErrClosed)
	}
	return nil
}
