package emitter

import (
	"errors"
	"fmt"
)

// Why something was refused, or did not happen. They come wrapped; match them with errors.Is.
var (
	// ErrClosed: the emitter was closed.
	ErrClosed = errors.New("emitter is closed")
	// ErrName: the name is empty, longer than 255 bytes, or not plain UTF-8 text.
	ErrName = errors.New("not a usable event name")
	// ErrReserved: the name is one of those that the emitter itself emits.
	ErrReserved = errors.New("reserved name")
	// ErrPattern: the pattern of OnAny does not parse.
	ErrPattern = errors.New("not a pattern")
	// ErrNilFunc: a listener that is nil.
	ErrNilFunc = errors.New("nil listener")
	// ErrData: the data cannot be encoded as JSON, or decoded into the type that a listener wants.
	ErrData = errors.New("data does not fit")
	// ErrFull: the buffer is full, and the policy is DropNewest.
	ErrFull = errors.New("buffer is full")
	// ErrDropped: the event was lost before the engine had accepted it: see the events called drop.
	ErrDropped = errors.New("event dropped")
	// ErrInside: a listener would wait for itself.
	ErrInside = errors.New("called from a listener, which would wait for itself")
	// ErrNoBus: the emitter lives in memory, which keeps nothing.
	ErrNoBus = errors.New("emitter without a bus")
)

// A ListenerError is the data of an error event: a listener failed.
type ListenerError struct {
	Event    string // the name of the event that it was given
	Listener string // file:line of the call that registered it
	Err      error  // what it returned, an *earshot.PanicError, or earshot.ErrGoexit
}

func (e *ListenerError) Error() string {
	return fmt.Sprintf("emitter: listener %s of %q: %v", e.Listener, e.Event, e.Err)
}

func (e *ListenerError) Unwrap() error { return e.Err }

// An UnsentError is the answer of Close when events are left that the engine has not accepted. They are lost,
// but for those in a Spill.
type UnsentError struct {
	Count   int    // in memory
	Spilled int    // in Options.Spill, which keeps them
	Oldest  string // the name of the first of them
	Err     error  // why Close did not wait any longer, and what the engine said last
}

func (e *UnsentError) Error() string {
	s := fmt.Sprintf("emitter: closed with %d events not sent", e.Count)
	if e.Spilled > 0 {
		s += fmt.Sprintf(" and %d kept in the spill", e.Spilled)
	}
	if e.Oldest != "" {
		s += fmt.Sprintf(", the oldest %q", e.Oldest)
	}
	return s + ": " + e.Err.Error()
}

func (e *UnsentError) Unwrap() error { return e.Err }
