package membus

import (
	"crypto/rand"
	"strconv"
	"sync"
	"time"

	"sort"

	"github.com/earshot-go/earshot/bus"
)

// named are the streams that have a name and a bus that is open.
var named struct {
	mu sync.Mutex
	by map[string]*stream
}

// A stream is a row of events with numbers from 1 on, of which the newest are kept.
type stream struct {
	opts  Options
	buses int // that are open; guarded by named.mu

	mu      sync.Mutex // guards the fields below
	epoch   string
	first   uint64        // the number of kept[0]
	kept    []entry       // the oldest first
	bytes   int           // of the texts of kept
	arrival chan struct{} // closed when something has happened to the stream; nil while nobody waits

	seen  map[string]struct{} // with Dedupe: the ids of the last minute
	order []sighting          // and when they came
}

type entry struct {
	id   string // source and id
	name string
	text []byte // never changed
	at   time.Time
}

type sighting struct {
	id string
	at time.Time
}

// attach returns the stream with the name that the options have, or a new one.
func attach(o Options) *stream {
	if o.Keep <= 0 {
		o.Keep = 65536
	}
	if o.KeepBytes <= 0 {
		o.KeepBytes = 64 << 20
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 20
	}
	o.MaxBytes = max(o.MaxBytes, 0)

	named.mu.Lock()
	defer named.mu.Unlock()
	s := named.by[o.Name]
	if s == nil {
		s = &stream{opts: o, epoch: rand.Text(), first: 1, seen: map[string]struct{}{}}
		if o.Name != "" {
			if named.by == nil {
				named.by = map[string]*stream{}
			}
			named.by[o.Name] = s
		}
	}
	s.buses++
	return s
}

// detach is called once for each attach.
func (s *stream) detach() {
	named.mu.Lock()
	defer named.mu.Unlock()
	if s.buses--; s.buses == 0 && s.opts.Name != "" {
		delete(named.by, s.opts.Name)
	}
}

// append adds events and drops what is too old then.
func (s *stream) append(entries []entry) {
	if len(entries) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, e := range entries {
		if s.opts.Dedupe && s.seenLocked(e.id, now) {
			continue
		}
		e.at = now
		s.kept = append(s.kept, e)
		s.bytes += len(e.text)
	}
	drop := max(0, len(s.kept)-s.opts.Keep)
	bytes := s.bytes
	for _, e := range s.kept[:drop] {
		bytes -= len(e.text)
	}
	for bytes > s.opts.KeepBytes && drop < len(s.kept)-1 {
		bytes -= len(s.kept[drop].text)
		drop++
	}
	s.dropLocked(drop)
	s.stirLocked()
}

// seenLocked reports whether id came within the last minute, and remembers it.
func (s *stream) seenLocked(id string, now time.Time) bool {
	old := 0
	for old < len(s.order) && now.Sub(s.order[old].at) > time.Minute {
		delete(s.seen, s.order[old].id)
		old++
	}
	clear(s.order[:old])
	s.order = s.order[old:]
	if _, seen := s.seen[id]; seen {
		return true
	}
	s.seen[id] = struct{}{}
	s.order = append(s.order, sighting{id, now})
	return false
}

// dropLocked forgets the n oldest events.
func (s *stream) dropLocked(n int) {
	for _, e := range s.kept[:n] {
		s.bytes -= len(e.text)
	}
	clear(s.kept[:n])
	s.kept = s.kept[n:]
	s.first += uint64(n)
}

// stirLocked wakes the feeds that wait.
func (s *stream) stirLocked() {
	if s.arrival != nil {
		close(s.arrival)
		s.arrival = nil
	}
}

// nextLocked is the number that the next event will have.
func (s *stream) nextLocked() uint64 { return s.first + uint64(len(s.kept)) }

func (s *stream) tokenLocked(last uint64) bus.Token {
	if s.opts.NoReplay {
		return ""
	}
	return bus.MakeToken(engine, s.epoch, strconv.FormatUint(last, 10))
}

// place puts a feed where its tail says.
func (s *stream) place(f *feed, t bus.Tail) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.epoch, f.next = s.epoch, s.nextLocked()
	if t.Past {
		f.end = s.nextLocked()
	}
	if t.From.IsStart() {
		f.next = s.first
	}
	if since, ok := t.From.Time(); ok {
		f.since = since
		f.next = s.first + uint64(sort.Search(len(s.kept), func(i int) bool { return !s.kept[i].at.Before(since) }))
	}
	if token, ok := t.From.Token(); ok {
		last, err := position(token, s.epoch)
		if err != nil {
			return err
		}
		if last >= s.nextLocked() {
			return errAhead
		}
		f.next = last + 1
	}
	f.token = s.tokenLocked(f.next - 1)
	return nil
}
