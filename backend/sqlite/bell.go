package sqlite

import "sync"

// A bell wakes the feeds of this process that wait for events of one file, whichever Bus they are of. It also has those
// of this process that write to the file take turns: SQLite's lock goes to whoever asks at the right moment, and one
// that is always busy would keep the others out.
type bell struct {
	turn chan struct{} // has room for one: who has put something into it has its turn

	mu   sync.Mutex // guards the fields below, and comes after bells.mu
	ch   chan struct{}
	held int // how many buses hold it
}

var bells struct {
	mu sync.Mutex
	by map[string]*bell // by the path of the file
}

// bellOf returns the bell of a file; give it back with leave.
func bellOf(path string) *bell {
	bells.mu.Lock()
	defer bells.mu.Unlock()
	if bells.by == nil {
		bells.by = map[string]*bell{}
	}
	b := bells.by[path]
	if b == nil {
		b = &bell{turn: make(chan struct{}, 1)}
		bells.by[path] = b
	}
	b.held++
	return b
}

func (b *bell) leave(path string) {
	bells.mu.Lock()
	defer bells.mu.Unlock()
	if b.held--; b.held == 0 {
		delete(bells.by, path)
	}
}

// next returns a channel that is closed at the next ring. Take it before looking for events.
func (b *bell) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}
