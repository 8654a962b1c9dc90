package emitter

import (
	"hash/maphash"

	"github.com/earshot-go/earshot/event"
)

// seen remembers the newest events by source and ID, between window and twice that many: engines deliver at least
// once. It holds 16 bytes of hash for each, not the names.
type seen struct{ new, old map[[2]uint64]struct{} }

const window = 1 << 15

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

type identity struct{ source, id string }

// again reports whether the event has been here before, and remembers it.
func (s *seen) again(ev *event.Event) bool {
	who := identity{ev.Source, ev.ID}
	key := [2]uint64{maphash.Comparable(seeds[0], who), maphash.Comparable(seeds[1], who)}
	if _, ok := s.new[key]; ok {
		return true
	}
	_, ok := s.old[key]
	if s.new == nil || len(s.new) >= window {
		s.old, s.new = s.new, make(map[[2]uint64]struct{})
	}
	s.new[key] = struct{}{}
	return ok
}
