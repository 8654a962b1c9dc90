// Package scheme finds the engine of a URL by its scheme, for the packages that have engines.
package scheme

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// A Table knows what opens the URLs of a scheme. The zero value is empty, and its methods may be called from many
// goroutines.
type Table[T any] struct {
	mu sync.Mutex
	by map[string]func(url string) (T, error)
}

// Add makes a scheme known, and reports whether it was new.
func (t *Table[T]) Add(scheme string, open func(url string) (T, error)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil {
		t.by = map[string]func(string) (T, error){}
	}
	if t.by[scheme] != nil {
		return false
	}
	t.by[scheme] = open
	return true
}

// Get returns what opens the URLs of a scheme, or nil, and the schemes there are: "nats, redis".
func (t *Table[T]) Get(scheme string) (open func(url string) (T, error), known string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.by[scheme], strings.Join(slices.Sorted(maps.Keys(t.by)), ", ")
}
