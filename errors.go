package earshot

import (
	"errors"
	"fmt"
)

// The reasons why something was refused. They arrive wrapped in an [*Error]; match them with
// errors.Is.
var (
	// ErrServerClosed: the server has been stopped. It is also the reason of everything that ended
	// because of that.
	ErrServerClosed = errors.New("server closed")
	// ErrUnknownRef: the Ref is zero, or another server's or mailbox's.
	ErrUnknownRef = errors.New("unknown ref")
	// ErrBadName: the channel name is nil, cannot be hashed, or is not equal to itself (NaN), so that
	// nobody could ever send to it.
	ErrBadName = errors.New("not a usable channel name")
	// ErrBadPattern: the pattern does not parse.
	ErrBadPattern = errors.New("not a pattern")
	// ErrBadOption: an option is out of its range.
	ErrBadOption = errors.New("bad option")
	// ErrNilFunc: a function that is needed is nil.
	ErrNilFunc = errors.New("nil function")
	// ErrNotAllowed: a Block mailbox subscribed to a channel whose owner has not said MayBlock, or to
	// a pattern.
	ErrNotAllowed = errors.New("channel does not allow blocking its senders (ChannelOptions.MayBlock)")
	// ErrOtherServer: a mailbox and a channel of different servers.
	ErrOtherServer = errors.New("mailbox belongs to another server")
	// ErrStuck: Shutdown gave up waiting for a function that ignores the end of its context.
	ErrStuck = errors.New("function does not return")
)

// The reasons why a subscriber ended, in [Down], Mailbox.Err and Process.Err, beside the cause of a
// context, ErrServerClosed, a [*PanicError], and the error that a handler returned.
var (
	// ErrUnsubscribed: Unsubscribe was called.
	ErrUnsubscribed = errors.New("earshot: unsubscribed")
	// ErrClosed: the mailbox was closed, or the function that received from it has returned.
	ErrClosed = errors.New("earshot: mailbox closed")
	// ErrAbandoned: nothing referred to the mailbox any more, and it was garbage collected.
	ErrAbandoned = errors.New("earshot: mailbox abandoned")
	// ErrTooSlow: the mailbox's policy is Evict, and it was full.
	ErrTooSlow = errors.New("earshot: subscriber too slow")
	// ErrGoexit: the handler called runtime.Goexit.
	ErrGoexit = errors.New("earshot: handler called runtime.Goexit")
	// ErrGaveUp: the function failed more often than SpawnOptions.Restart allows. It wraps the last
	// failure.
	ErrGaveUp = errors.New("earshot: gave up restarting")
)

// An Error says which operation failed, on what, where it was called, and why.
type Error struct {
	Op   string // "subscribe", "handle", …
	On   any    // the channel's name, the pattern, the Ref, or nil
	Site string // file:line of the call, or empty
	Err  error  // one of the variables of this package, or a context's cause
	Hint string // more about Err, or empty
}

func (e *Error) Error() string {
	text := "earshot: " + e.Op
	switch on := e.On.(type) {
	case nil:
	case string:
		text += fmt.Sprintf(" %q", on)
	case Ref:
		text += " " + on.String()
	default:
		text += fmt.Sprintf(" %T", on) // its value may not print safely
	}
	text += ": " + e.Err.Error()
	if e.Hint != "" {
		text += ": " + e.Hint
	}
	if e.Site != "" {
		text += " (at " + e.Site + ")"
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

func opError(op string, on any, err error) error {
	return &Error{Op: op, On: on, Err: err}
}

func siteError(op string, on any, at site, err error, hint string) error {
	return &Error{Op: op, On: on, Site: at.String(), Err: err, Hint: hint}
}

// A PanicError is the reason of a subscriber whose function panicked.
type PanicError struct {
	Value any
	Stack []byte // of the goroutine, where it panicked
}

func (e *PanicError) Error() string { return fmt.Sprintf("earshot: handler panicked: %v", e.Value) }

// Unwrap returns the value that was panicked with, if that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
