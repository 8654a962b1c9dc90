package main

import (
	"container/list"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot-go/earshot"
)

// What the store tells about itself: one type for each channel.
type (
	Get struct {
		Key  string
		Hit  bool
		Took time.Duration
	}
	Put struct {
		Key   string
		Bytes int
		Took  time.Duration
	}
	Scan struct {
		Prefix string
		Found  int
		Took   time.Duration
	}
	Evict struct {
		Key   string
		Bytes int
	}
	Stats struct {
		Keys, Bytes  int
		Hits, Misses uint64
	}
)

// A Store is a key-value store in memory that holds a limited number of keys and forgets the one that
// was not used for longest. What it does can be heard on the channels db.get, db.put, db.scan, db.evict
// and db.stats.
type Store struct {
	onGet   *earshot.Channel[Get]
	onPut   *earshot.Channel[Put]
	onScan  *earshot.Channel[Scan]
	onEvict *earshot.Channel[Evict]
	onStats *earshot.Channel[Stats]
	samples atomic.Int64 // how many of Stats were made

	limit int

	mu     sync.Mutex // guards the fields below
	items  map[string]*list.Element
	recent *list.List // of *item, the one used last in front
	stats  Stats
}

type item struct{ key, value string }

// Open returns an empty store for up to limit keys.
func Open(s *earshot.Server, limit int) *Store {
	doc := func(text string) *earshot.ChannelOptions { return &earshot.ChannelOptions{Doc: text} }
	st := &Store{
		onGet:   earshot.NewChannel[Get](s, "db.get", doc("a key was asked for")),
		onPut:   earshot.NewChannel[Put](s, "db.put", doc("a key was set")),
		onScan:  earshot.NewChannel[Scan](s, "db.scan", doc("keys were searched by their prefix")),
		onEvict: earshot.NewChannel[Evict](s, "db.evict", doc("a key was forgotten to make room")),
		onStats: earshot.NewChannel[Stats](s, "db.stats", doc("totals, ten times a second")),
		limit:   limit,
		items:   map[string]*list.Element{},
		recent:  list.New(),
	}
	st.onStats.OnDemand(st.sample)
	return st
}

// sample sends the totals now and every 100 ms. The server runs it while somebody listens to db.stats.
func (st *Store) sample(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		st.samples.Add(1)
		st.onStats.Send(st.Stats())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Get returns the value of a key. The clock is read only if somebody wants to know how long it took.
func (st *Store) Get(key string) (value string, ok bool) {
	if !st.onGet.Listening() {
		return st.get(key)
	}
	start := time.Now()
	value, ok = st.get(key)
	st.onGet.Send(Get{Key: key, Hit: ok, Took: time.Since(start)})
	return value, ok
}

// Put sets the value of a key.
func (st *Store) Put(key, value string) {
	if !st.onPut.Listening() {
		st.put(key, value)
		return
	}
	start := time.Now()
	st.put(key, value)
	st.onPut.Send(Put{Key: key, Bytes: len(value), Took: time.Since(start)})
}

// Scan returns the keys that begin with prefix, in no order. It looks at all keys.
func (st *Store) Scan(prefix string) []string {
	if !st.onScan.Listening() {
		return st.scan(prefix)
	}
	start := time.Now()
	keys := st.scan(prefix)
	st.onScan.Send(Scan{Prefix: prefix, Found: len(keys), Took: time.Since(start)})
	return keys
}

// Stats returns the totals.
func (st *Store) Stats() Stats {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.stats
}

func (st *Store) get(key string) (value string, ok bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	e, ok := st.items[key]
	if !ok {
		st.stats.Misses++
		return "", false
	}
	st.stats.Hits++
	st.recent.MoveToFront(e)
	return e.Value.(*item).value, true
}

func (st *Store) put(key, value string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.stats.Bytes += len(value)
	if e, ok := st.items[key]; ok {
		it := e.Value.(*item)
		st.stats.Bytes -= len(it.value)
		it.value = value
		st.recent.MoveToFront(e)
		return
	}
	st.items[key] = st.recent.PushFront(&item{key: key, value: value})
	if len(st.items) > st.limit {
		oldest := st.recent.Back()
		it := st.recent.Remove(oldest).(*item)
		delete(st.items, it.key)
		st.stats.Bytes -= len(it.value)
		// Sending while holding a lock is fine, even if a subscriber calls the store: it does so in
		// its own goroutine, and nobody waits for it.
		st.onEvict.Send(Evict{Key: it.key, Bytes: len(it.value)})
	}
	st.stats.Keys = len(st.items)
}

func (st *Store) scan(prefix string) (keys []string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for key := range st.items {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	return keys
}

func (g Get) String() string {
	what := "miss"
	if g.Hit {
		what = "hit"
	}
	return fmt.Sprintf("%-12s %-12s %8v", g.Key, what, g.Took)
}

func (p Put) String() string {
	return fmt.Sprintf("%-12s %-12s %8v", p.Key, fmt.Sprint(p.Bytes, " B"), p.Took)
}

func (s Scan) String() string {
	return fmt.Sprintf("%-12s %-12s %8v", s.Prefix+"*", fmt.Sprint(s.Found, " keys"), s.Took)
}

func (e Evict) String() string { return fmt.Sprintf("%-12s %d B", e.Key, e.Bytes) }

func (s Stats) String() string {
	return fmt.Sprintf("%d keys, %d B, %d hits, %d misses", s.Keys, s.Bytes, s.Hits, s.Misses)
}
