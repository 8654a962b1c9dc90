package emitter

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/puzpuzpuz/xsync/v3"
)

// A book says who listens to what. Looking something up takes no lock.
type book struct {
	// cells is all that is looked at to emit something that nobody hears: nil says that no name with listeners
	// falls into the cell. One with a single name has its audience at hand, other cells are crowded.
	cells [256]atomic.Pointer[only]
	names *xsync.MapOf[string, *audience] // they are replaced, not changed

	// With patterns, the listeners of a name are put together once, and kept here until somebody comes or goes.
	patterns atomic.Pointer[patterns]

	mu     sync.Mutex // guards changes, and the fields below
	count  int        // listeners
	wanted int        // those of names that are not reserved
	loud   bool       // all cells are crowded
	falls  [256]int   // how many names fall into each cell
	last   int64      // the largest place given, and the smallest
	first  int64
}

// only is the one name that falls into a cell, and who hears it.
type only struct {
	name string
	to   *audience
}

// crowded is in cells of which the map has to be asked. Its name is empty, as no event's is.
var crowded = &only{}

type patterns struct {
	list  []*listener
	known *xsync.MapOf[string, *audience]
}

// An audience is who hears an event, in the order of calls.
type audience struct {
	list []*listener
	wait *waiter // of this one event, or nil
}

const manyKnown = 4096 // names; beyond it they are put together each time

func (b *book) init() {
	b.names = xsync.NewMapOf[string, *audience]()
	for _, name := range []string{"", Connect, Disconnect, Reconnect, Error, Gap, Drop} {
		// Two names that nobody can emit: Emit has to come and say so.
		b.falls[cell(name)] += 2
		b.cells[cell(name)].Store(crowded)
	}
}

// setCellLocked follows a change of a name's audience; by is the change in the number of names.
func (b *book) setCellLocked(name string, to *audience, by int) {
	i := cell(name)
	b.falls[i] += by
	switch {
	case b.loud || b.patterns.Load() != nil || b.falls[i] > 1 || to == nil && b.falls[i] == 1:
		b.cells[i].Store(crowded) // with one name left, that is looked for in the map from now on
	case to != nil:
		b.cells[i].Store(&only{name, to})
	default:
		b.cells[i].Store(nil)
	}
}

// setCellsLocked follows a change of the patterns.
func (b *book) setCellsLocked() {
	for i := range b.cells {
		if b.loud || b.patterns.Load() != nil || b.falls[i] > 0 {
			b.cells[i].Store(crowded)
		} else {
			b.cells[i].Store(nil)
		}
	}
	if b.loud || b.patterns.Load() != nil {
		return
	}
	b.names.Range(func(name string, to *audience) bool {
		if i := cell(name); b.falls[i] == 1 {
			b.cells[i].Store(&only{name, to})
		}
		return true
	})
}

// cell tells names apart by their length and their first and last bytes.
func cell(name string) uint8 {
	n := len(name)
	if n == 0 {
		return 0
	}
	h := uint32(n)*0x9E3779B1 ^ uint32(name[0])<<7 ^ uint32(name[n-1])<<13 ^ uint32(name[n/2])<<3
	return uint8(h * 0x85EBCA6B >> 24)
}

// heardBy returns the audience of a name, or nil.
func (b *book) heardBy(name string) *audience {
	if one := b.cells[cell(name)].Load(); one == nil {
		return nil
	} else if one.name == name && one.to != nil {
		return one.to
	}
	return b.lookUp(name)
}

func (b *book) lookUp(name string) *audience {
	ps := b.patterns.Load()
	if ps == nil {
		to, _ := b.names.Load(name)
		return to
	}
	if to, ok := ps.known.Load(name); ok {
		return to
	}
	to, _ := b.names.Load(name)
	var merged []*listener
	for _, p := range ps.list {
		if !reserved(name) && p.pattern.Match(name) {
			merged = append(merged, p)
		}
	}
	if len(merged) > 0 {
		if to != nil {
			merged = append(merged, to.list...)
		}
		slices.SortFunc(merged, func(a, b *listener) int { return cmp.Compare(a.place, b.place) })
		to = &audience{list: merged}
	}
	if ps.known.Size() < manyKnown {
		// Whoever changes the book after the look at names puts new patterns in place afterwards: what is
		// stored here into the old ones is not read any more.
		ps.known.Store(strings.Clone(name), to)
	}
	return to
}

// shout makes every name loud: Emit always takes the long way.
func (b *book) shout() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.loud = true
	b.setCellsLocked()
}

// addLocked registers a listener behind all others, or before them.
func (b *book) addLocked(l *listener, before bool) {
	if before {
		b.first--
		l.place = b.first
	} else {
		b.last++
		l.place = b.last
	}
	if l.pattern != nil {
		b.setPatternsLocked(func(list []*listener) []*listener { return append(list, l) })
		b.setCellsLocked()
	} else {
		var list []*listener
		old, had := b.names.Load(l.name)
		if had {
			list = old.list
		}
		if before {
			list = slices.Insert(slices.Clone(list), 0, l)
		} else {
			list = append(list[:len(list):len(list)], l)
		}
		to := &audience{list: list}
		b.names.Store(l.name, to)
		by := 1
		if had {
			by = 0
		}
		b.setCellLocked(l.name, to, by)
		b.forgetLocked()
	}
	b.count++
	if l.pattern != nil || !reserved(l.name) {
		b.wanted++
	}
}

// removeLocked is the one place where a registration ends. It reports false if it had ended before.
func (b *book) removeLocked(l *listener) bool {
	if l.pattern != nil {
		ps := b.patterns.Load()
		if ps == nil || !slices.Contains(ps.list, l) {
			return false
		}
		b.setPatternsLocked(func(list []*listener) []*listener { return without(list, l) })
		b.setCellsLocked()
	} else {
		old, _ := b.names.Load(l.name)
		if old == nil || !slices.Contains(old.list, l) {
			return false
		}
		if list := without(old.list, l); len(list) > 0 {
			to := &audience{list: list}
			b.names.Store(l.name, to)
			b.setCellLocked(l.name, to, 0)
		} else {
			b.names.Delete(l.name)
			b.setCellLocked(l.name, nil, -1)
		}
		b.forgetLocked()
	}
	l.gone.Store(true)
	b.count--
	if l.pattern != nil || !reserved(l.name) {
		b.wanted--
	}
	return true
}

func without(list []*listener, gone *listener) []*listener {
	return slices.DeleteFunc(slices.Clone(list), func(l *listener) bool { return l == gone })
}

func (b *book) setPatternsLocked(change func([]*listener) []*listener) {
	var list []*listener
	if ps := b.patterns.Load(); ps != nil {
		list = slices.Clone(ps.list)
	}
	if list = change(list); len(list) == 0 {
		b.patterns.Store(nil)
	} else {
		b.patterns.Store(&patterns{list, xsync.NewMapOf[string, *audience]()})
	}
}

// forgetLocked drops what was put together before a change of the names.
func (b *book) forgetLocked() {
	if b.patterns.Load() != nil {
		b.setPatternsLocked(func(list []*listener) []*listener { return list })
	}
}

// allLocked returns the listeners of a name, or every one if name is empty.
func (b *book) allLocked(name string) (all []*listener) {
	b.names.Range(func(n string, to *audience) bool {
		if name == "" || n == name {
			all = append(all, to.list...)
		}
		return true
	})
	if ps := b.patterns.Load(); ps != nil {
		for _, l := range ps.list {
			if name == "" || l.name == name {
				all = append(all, l)
			}
		}
	}
	return all
}
