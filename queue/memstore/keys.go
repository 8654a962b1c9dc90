package memstore

import (
	"time"

	"github.com/earshot-go/earshot/queue"
)

// keyName is a key: they are by queue.
type keyName struct{ queue, key string }

// A key is held while its item is in the scope, and in any case until its hold has passed.
type key struct {
	name    keyName
	item    *entry // who took it; it may be gone
	inScope bool
	until   time.Time // end of the hold
	at      int       // its place in holds, -1 if it is not there
}

func sortedHolds() sorted[*key] {
	return sorted[*key]{
		less: func(a, b *key) bool { return a.until.Before(b.until) },
		at:   func(k *key) *int { return &k.at },
	}
}

// held returns who holds the key of an item, or nil if it has none or its key is free.
func (s *Store) held(it *queue.Item, now time.Time) *key {
	k := s.keys[keyName{it.Queue, it.Key}]
	if k == nil || !k.inScope && !k.until.After(now) {
		return nil
	}
	return k
}

// hold gives the key of a new item to it. The key is free.
func (s *Store) hold(e *entry, now time.Time) {
	if e.Key == "" {
		return
	}
	k := &key{name: keyName{e.Queue, e.Key}, item: e, inScope: true, until: now.Add(e.Hold), at: -1}
	s.keys[k.name] = k
	if e.Hold > 0 {
		s.holds.add(k)
	}
}

// keyOf returns the key that an item has taken and not lost to another since, or nil.
func (s *Store) keyOf(e *entry) *key {
	if k := s.keys[keyName{e.Queue, e.Key}]; k != nil && k.item == e {
		return k
	}
	return nil
}

// outOfScope frees the key of an item, or leaves it to its hold.
func (s *Store) outOfScope(e *entry, now time.Time) {
	if k := s.keyOf(e); k != nil {
		k.inScope = false
		if !k.until.After(now) {
			s.free(k)
		}
	}
}

// free frees a key, whatever holds it.
func (s *Store) free(k *key) {
	delete(s.keys, k.name)
	if k.at >= 0 {
		s.holds.remove(k)
	}
}

// forgetKeys forgets what is free since its hold has passed. Each costs once what it cost to add it.
func (s *Store) forgetKeys(now time.Time) {
	for k := s.holds.first(); k != nil && !k.until.After(now); k = s.holds.first() {
		s.holds.remove(k)
		if !k.inScope {
			delete(s.keys, k.name)
		}
	}
}
