package sqlite

import "sync/atomic"

// A request is something that the writer is asked to do.
type request struct {
	rows  []row
	probe bool // is no event, and asks whether one would be accepted
	tail  bool // wants the file and the epoch of the stream

	state atomic.Int32
	done  chan error // has the answer; it never blocks the writer

	file  *file  // answers of tail, to be read after done
	epoch string //
}

const (
	waiting = iota
	taken
	cancelled
)

func newRequest(rows []row) *request { return &request{rows: rows, done: make(chan error, 1)} }

// take reports whether somebody still waits for the answer. It is for the writer.
func (r *request) take() bool { return r.state.CompareAndSwap(waiting, taken) }

// cancel says that nobody waits any more. A request that was taken is carried out all the same.
func (r *request) cancel() { r.state.CompareAndSwap(waiting, cancelled) }

func answer(requests []*request, err error) {
	for _, r := range requests {
		r.done <- err
	}
}
