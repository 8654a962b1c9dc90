package tap

import "time"

// A pace keeps what a page does for all its viewers together below a quarter of one processor, however
// many they are and whatever they ask for: one viewer's events are looked at and encoded at a time, and
// then nobody's for three times as long. What that leaves no time for is shed. Writing to a connection is
// not a part of it, so a viewer that does not read is in nobody's way.
type pace struct {
	turn chan struct{}
	debt time.Duration // belongs to whose turn it is
}

const (
	rest     = 3 // times the time that was worked
	smallest = time.Millisecond
	largest  = 50 * time.Millisecond  // at a time: the others wait as well
	owed     = 500 * time.Millisecond // the clock may have stood still for the program, not for us
)

func newPace() *pace { return &pace{turn: make(chan struct{}, 1)} }

// do calls work when it is its turn, unless its viewer is gone first, or the page or the server is closed.
func (p *pace) do(work func() bool, gone, closed, ended <-chan struct{}) (more bool) {
	select {
	case p.turn <- struct{}{}:
	case <-gone:
		return true
	case <-closed:
		return true
	case <-ended:
		return true
	}
	defer func() { <-p.turn }()
	began := time.Now()
	more = work()
	p.debt = min(owed, p.debt+rest*time.Since(began))
	if p.debt >= smallest {
		took := min(p.debt, largest)
		p.debt -= took
		pause := time.NewTimer(took)
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-gone:
		case <-closed:
		case <-ended:
		}
	}
	return more
}
