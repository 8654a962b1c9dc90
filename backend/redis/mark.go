package redis

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/earshot-go/earshot/bus"
)

const engine = "redis"

// An id is that of an entry: milliseconds and a number within them.
type id struct{ ms, seq uint64 }

func (i id) String() string {
	return strconv.FormatUint(i.ms, 10) + "-" + strconv.FormatUint(i.seq, 10)
}

func (i id) less(j id) bool { return i.ms < j.ms || i.ms == j.ms && i.seq < j.seq }

// before is the greatest id that is less.
func (i id) before() id {
	switch {
	case i.seq > 0:
		return id{i.ms, i.seq - 1}
	case i.ms > 0:
		return id{i.ms - 1, math.MaxUint64}
	}
	return i
}

func parseID[T string | []byte](text T) (i id, ok bool) {
	ms, seq, ok := strings.Cut(string(text), "-")
	if !ok {
		return i, false
	}
	var err1, err2 error
	i.ms, err1 = strconv.ParseUint(ms, 10, 64)
	i.seq, err2 = strconv.ParseUint(seq, 10, 64)
	return i, err1 == nil && err2 == nil
}

// A mark is a position: after the entry with this id, of which it was the nth that the stream ever had. The count
// is what tells a gap: ids say nothing about how many were between.
type mark struct {
	id id
	n  int64 // unknown: the feed began at a time and has not met the end of the stream yet
	// next is the entry that follows, if n is unknown: it is what tells a gap then. Zero: not known either.
	next id
	// from is not 0 if the feed waits for a time that has not come, by the server's clock, in milliseconds.
	from uint64
}

const unknown = -1

// token writes a mark: "1795233195489-0/17", "1795233195489-0+1795233195490-0", "@1795233195489".
func (m mark) token(epoch string) bus.Token {
	switch {
	case m.from != 0:
		return bus.MakeToken(engine, epoch, "@"+strconv.FormatUint(m.from, 10))
	case m.n == unknown && m.next == id{}:
		return bus.MakeToken(engine, epoch, m.id.String())
	case m.n == unknown:
		return bus.MakeToken(engine, epoch, m.id.String()+"+"+m.next.String())
	}
	var b [64]byte
	p := strconv.AppendUint(b[:0], m.id.ms, 10)
	p = strconv.AppendUint(append(p, '-'), m.id.seq, 10)
	p = strconv.AppendInt(append(p, '/'), m.n, 10)
	return bus.MakeToken(engine, epoch, string(p))
}

// parseMark reads what token wrote.
func parseMark(t bus.Token, epoch string) (m mark, err error) {
	text, err := t.Position(engine, epoch)
	if err != nil {
		return m, err
	}
	bad := fmt.Errorf("%w: %.40q is no position in a Redis stream", bus.ErrForeignToken, text)
	if ms, ok := strings.CutPrefix(text, "@"); ok {
		if m.from, err = strconv.ParseUint(ms, 10, 63); err != nil || m.from == 0 {
			return m, bad
		}
		return m, nil
	}
	m.n = unknown
	text, n, counted := strings.Cut(text, "/")
	if counted {
		u, err := strconv.ParseUint(n, 10, 63)
		if err != nil {
			return m, bad
		}
		m.n = int64(u)
	}
	var ok bool
	if before, next, more := strings.Cut(text, "+"); more && !counted {
		if m.next, ok = parseID(next); !ok {
			return m, bad
		}
		text = before
	}
	if m.id, ok = parseID(text); !ok {
		return m, bad
	}
	return m, nil
}

// A gap is a stretch of missing entries, n of them if that can be told.
type gap struct {
	here bool
	n    int64
}

func missing(n int64) gap {
	if n <= 0 {
		return gap{}
	}
	return gap{true, n}
}

// start is the mark before the oldest entry that is kept.
func (s state) start() mark {
	if !s.whole() {
		return mark{n: unknown}
	}
	return mark{n: s.removed()}
}

// end is the mark after the last entry.
func (s state) end() mark { return mark{id: s.last, n: s.added} }

// resume says where a feed that stood at m goes on, and what it has missed.
func (s state) resume(m mark) (mark, gap) {
	switch {
	case !m.id.less(s.last):
		// A position after the end: the server has lost its newest entries, which this feed had. What comes now
		// has to be read from there.
		return s.end(), gap{}
	case s.length > 0 && !m.id.less(s.first):
		if !s.whole() && m.id.less(s.deleted) {
			return mark{id: m.id, n: unknown}, gap{here: true}
		}
		return m, gap{}
	case m.n != unknown && s.whole():
		g := missing(s.removed() - m.n)
		return mark{id: m.id, n: max(m.n, s.removed())}, g
	case m.n == unknown && m.id == id{}:
		return m, gap{}
	case s.whole() && m.next != id{}:
		// All up to m are removed, and no more if the next one is the oldest.
		return mark{id: m.id, n: s.removed()}, gap{here: s.length == 0 || m.next != s.first}
	}
	// Entries after m may have been removed. Which, cannot be told.
	return mark{id: m.id, n: unknown}, gap{here: true}
}

// account says where a feed that stood at m, with a count, stands after it has read these entries, of a stream that had the state
// s a little later, and what is missing before and after them.
func (s state) account(m mark, entries []id) (to mark, before, after gap) {
	k := int64(len(entries))
	to = mark{id: m.id, n: m.n + k}
	if k > 0 {
		to.id = entries[k-1]
	}
	switch {
	case to.id == s.last:
		// At the end of the stream the count is known, whatever was removed.
		before = missing(s.added - to.n)
		to.n = s.added
		return to, before, gap{}
	case k == 0 && s.length == 0 && to.id.less(s.last):
		// What came after m came and went.
		return s.end(), missing(s.added - m.n), gap{}
	case k == 0 || !s.whole():
		return to, gap{}, gap{}
	}
	if s.length == 0 || to.id.less(s.first) {
		// All that was read is removed by now, and so is more.
		after = missing(s.removed() - to.n)
		to.n = max(to.n, s.removed())
		return to, gap{}, after
	}
	for j, e := range entries {
		if e == s.first { // it is the entry number removed()+1
			n := s.removed() + k - int64(j)
			before = missing(n - to.n)
			to.n = n
			break
		}
	}
	return to, before, gap{}
}

// follow is account for a mark without a count. The state is that of the moment in which the entries were read, and
// next is the one after them, zero if they go to the end of the stream.
func (s state) follow(m mark, entries []id, next id) (to mark, before gap) {
	k := int64(len(entries))
	before.here = m.next != id{} && (k == 0 || entries[0] != m.next)
	if k == 0 {
		switch {
		case m.from == 0:
			return s.end(), before // all that came after m is gone
		case m.id.less(s.last):
			return s.end(), gap{here: true} // the time has come, and what came with it is gone
		}
		return m, gap{}
	}
	to = mark{id: entries[k-1], n: unknown, next: next}
	if to.id == s.last {
		return s.end(), before
	}
	if !s.whole() {
		return to, before
	}
	for j, e := range entries {
		if e == s.first { // it is the entry number removed()+1
			return mark{id: to.id, n: s.removed() + k - int64(j)}, before
		}
	}
	return to, before
}
