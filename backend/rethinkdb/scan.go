package rethinkdb

import (
	"context"
	"slices"

	r "gopkg.in/rethinkdb/rethinkdb-go.v6"
)

// One page of the past has up to this many documents, or about as many bytes.
const (
	pageRows  = 512
	pageBytes = 8 << 20
)

// A scan reads the table in the order of pos, page by page, from a window on: first what the window lacks, then
// what is behind it.
type scan struct {
	b     *Bus
	c     *conn
	next  int64 // the ts at which the next page begins
	end   *pos  // the last place of interest; nil for no end
	limit int   // rows of a page
	bytes int
	read  pos            // the last place read
	hi    pos            // of the window
	low   int64          // of the window
	ahead func() int64   // no document has a later ts that the server has given it
	has   func(pos) bool // whether the window has a document
}

// beginScan compares what a window has with the table, and returns what both have.
func (b *Bus) beginScan(ctx context.Context, c *conn, w *window, end *pos, ahead func() int64) (*scan, []pos, error) {
	s := &scan{b: b, c: c, end: end, ahead: ahead, limit: pageRows, bytes: pageBytes, read: w.hi, hi: w.hi, low: w.low()}
	if w.hi == (pos{}) {
		return s, nil, nil
	}
	at, err := b.places(ctx, c, s.low, w.hi.us)
	if err != nil {
		return nil, nil, err
	}
	s.has, s.next = w.compare(at)
	return s, slices.DeleteFunc(at, func(p pos) bool { return !s.has(p) }), nil
}

// skips reports whether a document is behind the scan, or of no interest to it.
func (s *scan) skips(p pos) bool {
	return s.end != nil && p.compare(*s.end) > 0 ||
		p.compare(s.hi) <= 0 && (p.us < s.low || s.has != nil && s.has(p))
}

// page reads on. done says that there was no more.
func (s *scan) page(ctx context.Context) (rows []row, done bool, err error) {
	high := s.ahead()
	if s.end != nil {
		high = min(high, s.end.us)
	}
	if high < s.next {
		return nil, true, nil
	}
	term := s.b.between(s.next, high).OrderBy(r.OrderByOpts{Index: "ts"}).Limit(s.limit)
	texts, more, err := s.c.all(ctx, term, s.bytes)
	if err != nil {
		return nil, false, err
	}
	done = !more && len(texts) < s.limit
	for _, text := range texts {
		if w := readRow(text); w.at.us >= s.next {
			rows = append(rows, w)
		}
	}
	if !done && len(rows) > 0 {
		// The documents of the last ts may go on in the next page. Their order is known when all are there.
		end := rows[len(rows)-1].at.us
		cut := slices.IndexFunc(rows, func(w row) bool { return w.at.us == end })
		if cut == 0 {
			s.limit, s.bytes = 2*s.limit, 2*s.bytes
			return nil, false, nil
		}
		rows, s.next, s.limit, s.bytes = rows[:cut], end, pageRows, pageBytes
	}
	slices.SortFunc(rows, func(v, w row) int { return v.at.compare(w.at) })
	rows = slices.DeleteFunc(rows, func(w row) bool { return s.skips(w.at) })
	if n := len(rows); n > 0 && rows[n-1].at.compare(s.read) > 0 {
		s.read = rows[n-1].at
	}
	return rows, done, nil
}

// between is the part of the table with a ts from low to high, both included. Times are doubles on the wire, so it
// has a microsecond more on each side.
func (b *Bus) between(low, high int64) r.Term {
	return b.table.Between(instantTerm(low-1), instantTerm(high+1), r.BetweenOpts{Index: "ts"})
}

func instantTerm(us int64) r.Term { return r.EpochTime(float64(max(us, 0)) / 1e6) }

// places returns where the documents of a part stand.
func (b *Bus) places(ctx context.Context, c *conn, low, high int64) ([]pos, error) {
	if high < low {
		return nil, nil
	}
	rows, _, err := c.all(ctx, b.between(low, high).Pluck("id", "ts", "n"), 0)
	if err != nil {
		return nil, err
	}
	at := make([]pos, 0, len(rows))
	for _, text := range rows {
		if p := readRow(text).at; p.us >= low && p.us <= high {
			at = append(at, p)
		}
	}
	return at, nil
}

// serverTime asks for the clock by which ts is set, in microseconds.
func serverTime(ctx context.Context, c *conn) (int64, error) {
	var now instant
	err := c.one(ctx, r.Now(), &now)
	return int64(now), err
}

// newest is the last place up to a ts; the zero pos if there is none.
func (b *Bus) newest(ctx context.Context, c *conn, high int64) (pos, error) {
	rows, _, err := c.all(ctx, b.between(0, high).OrderBy(r.OrderByOpts{Index: r.Desc("ts")}).Limit(1).Pluck("id", "ts", "n"), 0)
	if err != nil || len(rows) == 0 {
		return pos{}, err
	}
	us := readRow(rows[0]).at.us
	at, err := b.places(ctx, c, us, us)
	if err != nil || len(at) == 0 {
		return pos{}, err
	}
	return slices.MaxFunc(at, pos.compare), nil
}
