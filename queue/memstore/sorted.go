package memstore

import "container/heap"

// A sorted has its first member at hand, and each member knows its place, so that it can be taken out of the middle.
// It is a heap: every change takes time that grows with the logarithm of its length.
type sorted[T any] struct {
	members []T
	less    func(a, b T) bool
	at      func(T) *int // where a member keeps its place
}

// first returns the first member, or the zero value if there is none.
func (s *sorted[T]) first() (member T) {
	if len(s.members) > 0 {
		member = s.members[0]
	}
	return member
}

func (s *sorted[T]) add(member T)    { heap.Push(s, member) }
func (s *sorted[T]) remove(member T) { heap.Remove(s, *s.at(member)) }
func (s *sorted[T]) moved(member T)  { heap.Fix(s, *s.at(member)) }

// What follows is for package heap.

func (s *sorted[T]) Len() int           { return len(s.members) }
func (s *sorted[T]) Less(i, j int) bool { return s.less(s.members[i], s.members[j]) }

func (s *sorted[T]) Swap(i, j int) {
	s.members[i], s.members[j] = s.members[j], s.members[i]
	*s.at(s.members[i]), *s.at(s.members[j]) = i, j
}

func (s *sorted[T]) Push(x any) {
	member := x.(T)
	*s.at(member) = len(s.members)
	s.members = append(s.members, member)
}

func (s *sorted[T]) Pop() any {
	last := len(s.members) - 1
	member := s.members[last]
	var none T
	s.members[last] = none // not to be kept alive by the array
	s.members = s.members[:last]
	*s.at(member) = -1
	return member
}
