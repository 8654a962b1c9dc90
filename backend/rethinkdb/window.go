package rethinkdb

import (
	"slices"
	"strconv"
	"strings"
)

const (
	parts  = 10 // buckets in the overlap
	listed = 32 // documents that a token has one by one
)

// A window is what a feed knows about what it has delivered, and what its tokens say: the last place, and which
// documents of the overlap before it. Documents become visible after their ts is taken, so one may show up later
// at a place before the last; what a window does not have is delivered on a resume.
//
// While it has few documents it has the hash of each. A busy one has sums of the hashes, in buckets: where the
// table's sum is another one, the bucket is delivered again. In this way a token stays short.
type window struct {
	hi    pos
	width int64             // of a bucket, in microseconds
	sums  [parts + 1]uint64 // sums[0] is of the bucket of hi, sums[1] of the one before

	list     []pos // the latest documents
	unlisted int64 // the list lacks some with an earlier ts
}

// low is the first microsecond of the window.
func (w *window) low() int64 { return max(w.hi.us/w.width-parts, 0) * w.width }

// whole reports whether the list has all documents of the window.
func (w *window) whole() bool { return w.unlisted <= w.low() }

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
	i, ok := w.bucket(p.us)
	if !ok {
		return
	}
	w.sums[i] += p.hash
	w.list = append(w.list, p)
	if len(w.list) <= listed {
		return
	}
	first := 0
	for i := range w.list {
		if w.list[i].us < w.list[first].us {
			first = i
		}
	}
	w.unlisted = max(w.unlisted, w.list[first].us+1)
	w.list = slices.Delete(w.list, first, first+1)
}

// take notes documents in any order.
func (w *window) take(places []pos) {
	for _, p := range places {
		w.add(p)
	}
}

// compare looks for what a window has among the documents that the table has there. It forgets those that the
// table does not have any more, and returns which documents it has, and the first ts of those that it lacks;
// none is the last place's.
func (w *window) compare(at []pos) (has func(pos) bool, lacks int64) {
	hi, width, lacks := w.hi, w.width, w.hi.us
	if w.whole() {
		had := make(map[uint64]bool, len(w.list))
		for _, p := range w.list {
			had[p.hash] = true
		}
		w.sums, w.list = [parts + 1]uint64{}, w.list[:0]
		for _, p := range at {
			if p.compare(hi) > 0 {
				continue
			}
			if had[p.hash] {
				w.add(p)
			} else {
				lacks = min(lacks, p.us)
			}
		}
		return func(p pos) bool { return p.compare(hi) <= 0 && had[p.hash] }, lacks
	}
	var sums [parts + 1]uint64
	for _, p := range at {
		if i, ok := w.bucket(p.us); ok && p.compare(hi) <= 0 {
			sums[i] += p.hash
		}
	}
	var agree [parts + 1]bool
	for i := range sums {
		if agree[i] = sums[i] == w.sums[i]; !agree[i] {
			w.sums[i] = 0 // it is counted anew
			lacks = min(lacks, max(hi.us/width-int64(i), 0)*width)
		}
	}
	w.list, w.unlisted = nil, hi.us+1
	return func(p pos) bool {
		i := hi.us/width - p.us/width
		return p.compare(hi) <= 0 && i >= 0 && i <= parts && agree[i]
	}, lacks
}

// appendTo appends the text of a window, which never has a colon: last place, width, and sums or a list.
func (w *window) appendTo(b []byte) []byte {
	b = strconv.AppendInt(b, w.hi.us, 16)
	b = append(b, '.')
	b = strconv.AppendInt(b, w.hi.n, 16)
	b = append(b, '.')
	b = strconv.AppendUint(b, w.hi.hash, 16)
	b = append(b, '/')
	b = strconv.AppendInt(b, w.width, 16)
	if w.whole() {
		b = append(b, "/l"...)
		low := w.low()
		for _, p := range w.list {
			if p.us >= low {
				b = append(b, '/')
				b = strconv.AppendUint(b, p.hash, 16)
			}
		}
		return b
	}
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
	if len(fields) < 2 || len(fields) > 3+listed {
		return w, false
	}
	if w.hi, ok = parsePos(fields[0]); !ok {
		return w, false
	}
	var err error
	if w.width, err = strconv.ParseInt(fields[1], 16, 64); err != nil || w.width < 1 {
		return w, false
	}
	fields = fields[2:]
	list := len(fields) > 0 && fields[0] == "l"
	if list {
		fields = fields[1:]
	} else {
		w.unlisted = w.hi.us + 1
	}
	if !list && len(fields) > len(w.sums) {
		return w, false
	}
	for i, f := range fields {
		hash, err := strconv.ParseUint(f, 16, 64)
		if err != nil {
			return w, false
		}
		if list {
			w.list = append(w.list, pos{us: w.hi.us, hash: hash}) // where it is says the table
		} else {
			w.sums[i] = hash
		}
	}
	return w, true
}
