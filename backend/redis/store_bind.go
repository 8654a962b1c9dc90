package redis

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/earshot-go/earshot/queue"
)

// Bind adds and then removes bindings, together. It blocks until the server has answered, for 5 s at most, or ctx ends.
func (s *Store) Bind(ctx context.Context, add, remove []queue.Binding) (queue.Rev, error) {
	for i := range add {
		if err := add[i].Validate(); err != nil {
			return 0, fmt.Errorf("redis: bind in %s: %w", s, err)
		}
	}
	args := []any{"-", len(add)}
	for _, b := range slices.Concat(add, remove) {
		args = append(args, b.Queue+"\n"+string(b.Selector.Kind)+"\n"+b.Selector.Text)
	}
	_, rev, err := s.bindings(ctx, "bind in", args)
	return rev, err
}

// Bindings returns all bindings, in the order of queues and selectors, or none if since is the present revision. It
// blocks until the server has answered, for 5 s at most, or ctx ends.
func (s *Store) Bindings(ctx context.Context, since queue.Rev) ([]queue.Binding, queue.Rev, error) {
	return s.bindings(ctx, "bindings of", []any{strconv.FormatInt(int64(since), 10), 0})
}

func (s *Store) bindings(ctx context.Context, what string, args []any) ([]queue.Binding, queue.Rev, error) {
	v, err := s.call(ctx, what, bindScript, args...)
	if err != nil {
		return nil, 0, err
	}
	rev, err := v.int(0)
	if err != nil {
		return nil, 0, s.failed(ctx, what, err)
	}
	var list []queue.Binding
	for i := 1; i < len(v.list); i++ {
		if part := strings.Split(string(v.at(i)), "\n"); len(part) == 3 { // others were not written by a store
			list = append(list, queue.Binding{Queue: part[0], Selector: queue.Selector{Kind: queue.Kind(part[1]), Text: part[2]}})
		}
	}
	slices.SortFunc(list, func(a, b queue.Binding) int {
		return cmp.Or(cmp.Compare(a.Queue, b.Queue), cmp.Compare(a.Selector.Kind, b.Selector.Kind), cmp.Compare(a.Selector.Text, b.Selector.Text))
	})
	return list, queue.Rev(rev), nil
}
