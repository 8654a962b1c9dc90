package earshot

import (
	"hash/maphash"
	"math/bits"
	"reflect"
	"sync/atomic"

	"github.com/puzpuzpuz/xsync/v3"
)

// A topic is a name and what is known about it. It exists while the name is declared or live.
type topic struct {
	live atomic.Pointer[log] // nil: nobody listens. The one word that a send on a quiet channel reads

	// Guarded by Server.mu, or immutable once declared.
	name      any
	srv       *Server
	doc       string
	elem      reflect.Type // of a declared channel
	mayBlock  bool
	replay    uint64
	declared  bool
	internal  bool // the server's own: nothing about it is announced
	handle    any  // the *Channel[elem]
	producers []*producer
	interval  uint64 // counts the times somebody began to listen
}

// registry finds topics by name. Reads take no lock; Server.mu serialises writes.
type registry struct {
	// cells is a counting filter in front of the map: how many live names fall into each cell. A
	// zero, one load, is all that a send to a name nobody listens to looks at. A pattern could match
	// any string and counts in all of their cells.
	cells   [filterCells]atomic.Int32 // the first field: no offset to add
	strings *xsync.MapOf[string, *topic]
	terms   *xsync.MapOf[any, *topic]
}

// Integers have cells of their own, and all other names but strings have cell 0: looking one of them up
// boxes it, which a send that nobody hears must not do because of somebody who listens to a string.
const (
	integerCells = 256
	stringCells  = 1024
	filterCells  = integerCells + stringCells
)

func (r *registry) init() {
	r.strings = xsync.NewMapOf[string, *topic]()
	// Not the default hasher: for an interface that holds a pointer it hashes what that points to.
	seed := maphash.MakeSeed()
	r.terms = xsync.NewMapOfWithHasher[any, *topic](func(name any, _ uint64) uint64 { return maphash.Comparable(seed, name) })
}

// cellOf returns the filter cell of a name: strings by their length and their first and last eight
// bytes, integers by value, everything else together in cell 0.
func cellOf(name any) uint32 {
	switch n := name.(type) {
	case string:
		return stringCell(n)
	case int:
		return integerCell(uint64(n))
	case uint64:
		return integerCell(n)
	case int64:
		return integerCell(uint64(n))
	case uint32:
		return integerCell(uint64(n))
	case int32:
		return integerCell(uint64(n))
	}
	return 0
}

func integerCell(n uint64) uint32 { return 1 + mix(n)%(integerCells-1) }

func mix(h uint64) uint32 { return uint32(h*0x9E3779B97F4A7C15>>54) % stringCells }

func stringCell(s string) uint32 {
	n := len(s)
	var a, b uint64
	switch {
	case n >= 8:
		a, b = le64(s), le64(s[n-8:])
	case n >= 4:
		a, b = le32(s), le32(s[n-4:])
	case n > 0:
		a, b = uint64(s[0])<<8|uint64(s[n/2]), uint64(s[n-1])
	}
	return integerCells + mix(a^bits.RotateLeft64(b, 29)^uint64(n)<<56)
}

func le64(s string) uint64 { return le32(s) | le32(s[4:])<<32 }

func le32(s string) uint64 {
	_ = s[3]
	return uint64(uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24)
}

// quiet reports that nobody listens to name on server s, or on Default if s is nil.
func quiet[K comparable](s *Server, name K) bool {
	// Asking for the pointer's type keeps the name from being copied for the question.
	p, ok := any(&name).(*string)
	if !ok || s == nil || len(*p) < 4 {
		return quietTerm(s, any(name))
	}
	// This is stringCell by hand: the call would cost a quarter of the whole.
	text := *p
	n := len(text)
	a, b := uint64(0), uint64(0)
	if n >= 8 {
		a, b = le64(text), le64(text[n-8:])
	} else {
		a, b = le32(text), le32(text[n-4:])
	}
	return s.names.cells[integerCells+mix(a^bits.RotateLeft64(b, 29)^uint64(n)<<56)].Load() == 0
}

func quietTerm(s *Server, name any) bool {
	if s == nil {
		s = Default()
	}
	return s.names.cells[cellOf(name)].Load() == 0
}

// find returns the topic of a name, or nil.
func find[K comparable](r *registry, name K) *topic {
	var t *topic
	if s, ok := any(name).(string); ok {
		t, _ = r.strings.Load(s)
	} else if usable(any(name)) {
		t, _ = r.terms.Load(any(name))
	}
	return t
}

func (r *registry) store(t *topic) {
	if s, ok := t.name.(string); ok {
		r.strings.Store(s, t)
	} else {
		r.terms.Store(t.name, t)
	}
}

func (r *registry) remove(t *topic) {
	if s, ok := t.name.(string); ok {
		r.strings.Delete(s)
	} else {
		r.terms.Delete(t.name)
	}
}

func (r *registry) all(yield func(*topic) bool) {
	more := true
	r.strings.Range(func(_ string, t *topic) bool { more = yield(t); return more })
	if more {
		r.terms.Range(func(_ any, t *topic) bool { return yield(t) })
	}
}

// count adds n to the filter cell of a name that became live (1) or quiet (-1).
func (r *registry) count(name any, n int32) { r.cells[cellOf(name)].Add(n) }

// countAll does so for every string, for a pattern.
func (r *registry) countAll(n int32) {
	for i := range r.cells[integerCells:] {
		r.cells[integerCells+i].Add(n)
	}
}

// countEverything does so for every name, for a tap.
func (r *registry) countEverything(n int32) {
	for i := range r.cells {
		r.cells[i].Add(n)
	}
}

// usable reports whether a name can be found again: an interface, or a struct that holds one, may
// panic when it is hashed, and NaN is not equal to itself.
func usable(name any) (ok bool) {
	switch name.(type) {
	case nil:
		return false
	case string, int, int32, int64, uint32, uint64:
		return true
	}
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	same := name
	return name == same
}
