package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/earshot-go/earshot/bus"
)

// One statement has all that a feed must know, of one moment: whether the stream is still the same one, how far it
// goes, and the rows.
const fetchRows = `SELECT s.epoch, ifnull((SELECT max(seq) FROM sqlite_sequence WHERE name = ?2), 0),
	e.seq, e.at, CASE WHEN octet_length(e.event) <= ?4 THEN e.event END
	FROM earshot_streams s LEFT JOIN TABLE_NAME e ON e.seq > ?3 WHERE s.name = ?1 ORDER BY e.seq LIMIT ?5`

// fetch reads the next rows into the batch, or sets err.
func (f *feed) fetch() {
	if f.file.moved() {
		f.file.close(errReplaced)
		f.err = f.ended()
		return
	}
	if err := f.fetchBatch(); err != nil {
		f.err = f.readError(err)
	}
}

// readError makes an answer of what went wrong. It finds out whether the table is gone, of which SQLite says nothing
// but SQLITE_ERROR.
func (f *feed) readError(err error) error {
	if errors.Is(err, bus.ErrForeignToken) {
		return err
	}
	select {
	case <-f.file.gone: // while it was read
		return f.ended()
	default:
	}
	if kind(err) == codeError {
		var tables int
		look := f.file.read.QueryRow("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?", tableOf(f.bus.opts.Stream))
		if look.Scan(&tables) == nil && tables == 0 {
			return f.foreign(errNoStream)
		}
	}
	if spoils(err) {
		f.file.close(err)
	}
	return busWords.explain(f.bus.path, "read", err)
}

func (f *feed) fetchBatch() error {
	query, err := f.file.fetcher(f.bus.opts.Stream)
	if err != nil {
		return err
	}
	stream := f.bus.opts.Stream
	// Without a context: the driver would start a goroutine for each call. It is a short read of a local file.
	rows, err := query.Query(stream, tableOf(stream), f.read, largest, batchRows)
	if err != nil {
		return err
	}
	defer rows.Close()
	f.batch = f.batch[:0]
	before, size, there, rowsCame := f.read, 0, false, false
	var epoch, text sql.RawBytes
	var last int64
	var seq sql.NullInt64
	var at any
	for size < batchBytes && rows.Next() {
		if err := rows.Scan(&epoch, &last, &seq, &at, &text); err != nil {
			return err
		}
		if there = true; string(epoch) != f.epoch {
			return f.foreign(fmt.Errorf("the stream was made anew (epoch %s, now %.40s)", f.epoch, epoch))
		}
		if !seq.Valid {
			break // no rows: only what is known of the stream
		}
		if err := f.gap(seq.Int64, !rowsCame); err != nil {
			return err
		}
		rowsCame = true
		size += len(text)
		f.add(seq.Int64, at, text)
	}
	switch err := rows.Err(); {
	case err != nil:
		return err
	case !there:
		return f.foreign(errNoStream)
	case last < before:
		return f.foreign(fmt.Errorf("the stream ends at %d, before position %d: was it restored from a copy?", last, before))
	case !rowsCame:
		return f.gap(last+1, true)
	}
	return nil
}

// gap appends a gap to the batch if rows between the one that was read last and the next one are gone: pruned, or
// deleted by somebody. Publish leaves no number unused.
func (f *feed) gap(next int64, maybePruned bool) error {
	before, to := f.read, next-1
	if f.past {
		to = min(to, f.end)
	}
	if to <= before {
		return nil
	}
	reason := "they are not in the table any more"
	if maybePruned {
		var oldest int64
		err := f.file.read.QueryRow(statement("SELECT ifnull(min(seq), ?) FROM TABLE_NAME", tableOf(f.bus.opts.Stream)), next).Scan(&oldest)
		if err != nil {
			return err
		}
		if oldest >= next {
			reason = f.bus.kept()
		}
	}
	f.read = to
	f.batch = append(f.batch, entry{seq: to, gap: &bus.GapError{
		After: f.token(before), Missed: uint64(to - before), Reason: reason,
	}})
	return nil
}

// kept says what retention is, in words.
func (b *Bus) kept() string {
	var limits []string
	if b.opts.Keep > 0 {
		limits = append(limits, fmt.Sprintf("%d events", b.opts.Keep))
	}
	if b.opts.KeepFor > 0 {
		limits = append(limits, fmt.Sprintf("what is younger than %v", b.opts.KeepFor))
	}
	if limits == nil {
		return "older events were removed"
	}
	return "the stream keeps " + strings.Join(limits, " and ")
}

// add appends a row to the batch, if the feed wants it.
func (f *feed) add(seq int64, at any, text []byte) {
	f.read = seq
	if f.past && seq > f.end {
		return
	}
	e := entry{seq: seq}
	if err := e.ev.UnmarshalJSON(text); err != nil {
		f.bus.garbage.Add(1)
		return
	}
	if at, ok := at.(int64); ok && at < f.since {
		return
	}
	f.batch = append(f.batch, e)
}
