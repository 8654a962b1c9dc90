package memstore

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/earshot-go/earshot/queue"
)

// Bind adds bindings, and removes bindings then.
func (s *Store) Bind(ctx context.Context, add, remove []queue.Binding) (queue.Rev, error) {
	for i := range add {
		if err := add[i].Validate(); err != nil {
			return 0, err
		}
	}
	if err := s.lock(ctx, "bind"); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	before := maps.Clone(s.bindings)
	for _, b := range add {
		s.bindings[b] = struct{}{}
	}
	for _, b := range remove {
		delete(s.bindings, b)
	}
	if !maps.Equal(before, s.bindings) {
		s.rev++
	}
	return answer(s.rev, s.late)
}

// Bindings returns all bindings, in the order of their queues, and their revision.
func (s *Store) Bindings(ctx context.Context, since queue.Rev) ([]queue.Binding, queue.Rev, error) {
	if err := s.lock(ctx, "bindings"); err != nil {
		return nil, 0, err
	}
	defer s.mu.Unlock()
	rev, err := answer(s.rev, s.late)
	if err != nil || rev == since {
		return nil, rev, err
	}
	return slices.SortedFunc(maps.Keys(s.bindings), func(a, b queue.Binding) int {
		return cmp.Or(cmp.Compare(a.Queue, b.Queue), cmp.Compare(a.Selector.Kind, b.Selector.Kind), cmp.Compare(a.Selector.Text, b.Selector.Text))
	}), rev, nil
}
