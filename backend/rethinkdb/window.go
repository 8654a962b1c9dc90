package rethinkdb

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
)

const (
	parts  = 10 // buckets in the overlap
	listed = 96 // documents that a token has one by one
)

// A window is what a feed knows about what it has delivered, and what its tokens say: the last place, and which
// documents of the overlap before it. Documents become visible after their ts is taken, so one may show up later
// at a place before the last; what a window does not have is delivered on a resume.
//
// The last documents are in a list, so that one that is late by little, as among publishers that write at the same
// time, is found alone. Those before them are in sums of their hashes, in buckets: where the table's sum is another
// one, the bucket is delivered again. In this way a token stays short.
type window struct {
	hi    pos
	width int64             // of a bucket, in microseconds
	list  []pos             // the documents behind bound
	bound pos               // up to here documents are in sums
	sums  [parts + 1]uint64 // sums[0] is of the bucket of hi, sums[1] of the one before
}

// low is the first microsecond of the window.
func (w *window) low() int64 { return max(w.hi.us/w.width-parts, 0) * w.width }

// bucket is the index in sums of a time, and whether it lies in the window.
func (w *window) bucket(us int64) (i int64, ok bool) {
	i = w.hi.us/w.width - us/w.width
	return i, i >= 0 && i <= parts
}

// advance makes p the last place, if it is later.
func (w *window) advance(p pos) {
	if p.compare(w.hi) <= 0 {
		return
	}
	if by := p.us/w.width - w.hi.us/w.width; by > parts {
		w.sums = [parts + 1]uint64{}
	} else if by > 0 {
		copy(w.sums[by:], w.sums[:])
		clear(w.sums[:by])
	}
	w.hi = p
}

// add notes that the document at p was delivered.
func (w *window) add(p pos) {
	w.advance(p)
	if p.us < w.low() {
		return
	}
	if p.compare(w.bound) <= 0 {
		w.sum(p)
		return
	}
	w.list = append(w.list, p)
	if len(w.list) <= listed {
		return
	}
	first := 0
	for i := range w.list {
		if w.list[i].compare(w.list[first]) < 0 {
			first = i
		}
	}
	w.bound = w.list[first]
	w.sum(w.bound)
	w.list = slices.Delete(w.list, first, first+1)
}

func (w *window) sum(p pos) {
	if i, ok := w.bucket(p.us); ok {
		w.sums[i] += p.hash
	}
}

// take notes documents in any order.
func (w *window) take(places []pos) {
	for _, p := range places {
		w.add(p)
	}
}

// short is the part of a hash that a list in a token has.
func short(hash uint64) uint64 { return hash & (1<<48 - 1) }

// compare looks for what a window has among the documents that the table has there. It forgets those of the list
// that the table does not have any more, and the sums that do not agree: they are counted anew. It returns which
// documents the window has, and the first ts of those that it lacks; the last place's if there are none.
func (w *window) compare(at []pos) (has func(pos) bool, lacks int64) {
	hi, bound, width := w.hi, w.bound, w.width
	had := make(map[uint64]bool, len(w.list))
	for _, p := range w.list {
		had[short(p.hash)] = true
	}
	w.list = nil
	lacks = hi.us
	var sums [parts + 1]uint64
	for _, p := range at {
		i, ok := w.bucket(p.us)
		switch {
		case !ok || p.compare(hi) > 0:
		case p.compare(bound) <= 0:
			sums[i] += p.hash
		case had[short(p.hash)]:
			w.list = append(w.list, p)
		default:
			lacks = min(lacks, p.us)
		}
	}
	var agree [parts + 1]bool
	for i := range sums {
		if agree[i] = sums[i] == w.sums[i]; !agree[i] {
			w.sums[i] = 0
			lacks = min(lacks, max(hi.us/width-int64(i), 0)*width)
		}
	}
	return func(p pos) bool {
		i := hi.us/width - p.us/width
		switch {
		case p.compare(hi) > 0 || i < 0 || i > parts:
			return false
		case p.compare(bound) <= 0:
			return agree[i]
		}
		return had[short(p.hash)]
	}, lacks
}

// appendTo appends the text of a window, which never has a colon: last place, width and list, and if there are
// some, bound and sums.
func (w *window) appendTo(b []byte) []byte {
	b = append(w.hi.appendTo(b), '/')
	b = append(strconv.AppendInt(b, w.width, 16), '/')
	low := w.low()
	raw := make([]byte, 0, 6*listed)
	for _, p := range w.list {
		if h := p.hash; p.us >= low {
			raw = append(raw, byte(h), byte(h>>8), byte(h>>16), byte(h>>24), byte(h>>32), byte(h>>40))
		}
	}
	b = base64.RawURLEncoding.AppendEncode(b, raw)
	if w.bound.us < low || w.bound == (pos{}) {
		return b
	}
	b = w.bound.appendTo(append(b, '/'))
	used := len(w.sums)
	for used > 0 && w.sums[used-1] == 0 {
		used--
	}
	for _, s := range w.sums[:used] {
		b = append(b, '/')
		b = strconv.AppendUint(b, s, 16)
	}
	return b
}

func parseWindow(text string) (w window, ok bool) {
	fields := strings.Split(text, "/")
	if len(fields) < 3 || len(fields) > 4+len(w.sums) {
		return w, false
	}
	if w.hi, ok = parsePos(fields[0]); !ok {
		return w, false
	}
	var err error
	if w.width, err = strconv.ParseInt(fields[1], 16, 64); err != nil || w.width < 1 {
		return w, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(fields[2])
	if err != nil || len(raw)%6 != 0 || len(raw) > 6*listed {
		return w, false
	}
	for c := range slices.Chunk(raw, 6) {
		h := uint64(c[0]) | uint64(c[1])<<8 | uint64(c[2])<<16 | uint64(c[3])<<24 | uint64(c[4])<<32 | uint64(c[5])<<40
		w.list = append(w.list, pos{us: w.hi.us, hash: h}) // where it is, says the table
	}
	if len(fields) == 3 {
		return w, true
	}
	if w.bound, ok = parsePos(fields[3]); !ok {
		return w, false
	}
	for i, f := range fields[4:] {
		if w.sums[i], err = strconv.ParseUint(f, 16, 64); err != nil {
			return w, false
		}
	}
	return w, true
}
