package sqlite

import (
	"database/sql"
	"fmt"
	"strconv"

	"github.com/earshot-go/earshot/bus"
)

// position finds the seq after which the feed begins.
func (f *feed) position(from bus.Position) error {
	table := tableOf(f.bus.opts.Stream)
	var epoch sql.NullString
	var oldest, last int64
	err := f.file.read.QueryRow(statement(`SELECT (SELECT epoch FROM earshot_streams WHERE name = ?1), (SELECT min(seq) FROM TABLE_NAME),
		(SELECT max(seq) FROM sqlite_sequence WHERE name = ?2)`, table), f.bus.opts.Stream, table).Scan(&epoch, number(&oldest), number(&last))
	if err != nil {
		return err
	}
	if epoch.String != f.epoch {
		return f.foreign(errNoStream) // since the writer has answered
	}
	f.end = last
	if oldest == 0 { // no rows
		oldest = last + 1
	}
	begin := last
	if from.IsStart() {
		begin = oldest - 1
	}
	if t, ok := from.Time(); ok {
		f.since = t.UnixMicro()
		if begin, err = f.seek(oldest, last); err != nil {
			return err
		}
	}
	if token, ok := from.Token(); ok {
		if begin, err = f.after(token, last); err != nil {
			return err
		}
	}
	f.read = begin
	f.pos.Store(begin)
	return nil
}

// number scans NULL as 0.
func number(to *int64) sql.Scanner { return (*nullable)(to) }

type nullable int64

func (n *nullable) Scan(value any) error {
	var v sql.NullInt64
	err := v.Scan(value)
	*n = nullable(v.Int64)
	return err
}

func (f *feed) after(token bus.Token, last int64) (int64, error) {
	text, err := token.Position(engineName, f.epoch)
	if err != nil {
		return 0, f.foreign(err)
	}
	seq, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seq < 0 {
		return 0, f.foreign(fmt.Errorf("%.40q is no position", text))
	}
	if seq > last {
		return 0, f.foreign(fmt.Errorf("the stream ends at %d, before position %d: was it restored from a copy?", last, seq))
	}
	return seq, nil
}

// seek returns the seq before the first row that is not older than since. The times of rows only grow, so it is
// found by halving, without an index. If others have inserted rows with times of their own it may begin too early,
// and what is too old is left out by add.
func (f *feed) seek(oldest, last int64) (int64, error) {
	query, err := f.file.read.Prepare(statement("SELECT seq, at FROM TABLE_NAME WHERE seq >= ? ORDER BY seq LIMIT 1", tableOf(f.bus.opts.Stream)))
	if err != nil {
		return 0, err
	}
	defer query.Close()
	lo, hi := oldest, last+1 // the row is one of these, or hi
	found := last + 1
	for lo < hi {
		mid := lo + (hi-lo)/2
		var seq, at int64
		switch err := query.QueryRow(mid).Scan(&seq, &at); {
		case err == sql.ErrNoRows || err == nil && (at >= f.since || seq >= hi):
			if hi = mid; err == nil && at >= f.since {
				found = min(found, seq)
			}
		case err != nil:
			return 0, err
		default:
			lo = seq + 1
		}
	}
	return found - 1, nil // what was deleted before it may be older
}
