package bus

import (
	"errors"
	"fmt"
	"strings"
)

// What a Bus and its feeds answer. They come wrapped, with what the engine said; match them with errors.Is.
var (
	// ErrDisconnected: the engine cannot be reached. Try again later.
	ErrDisconnected = errors.New("no connection to the engine")
	// ErrDenied: the engine is there and refuses these credentials. Trying again helps when somebody has
	// mended them.
	ErrDenied = errors.New("the engine refuses these credentials")
	// ErrForeignToken: the token is another engine's or stream's, or of a stream that has been made anew.
	ErrForeignToken = errors.New("foreign token")
	// ErrTooLarge: an event is larger than Caps.MaxBytes, or than the server takes.
	ErrTooLarge = errors.New("event too large")
	// ErrUnsupported: the engine cannot do this, and Caps says so.
	ErrUnsupported = errors.New("not supported by this engine")
	// ErrClosed: the bus or the feed was closed.
	ErrClosed = errors.New("bus closed")
	// ErrScheme: Open does not know the scheme of the URL.
	ErrScheme = errors.New("unknown scheme")
)

// A GapError says that a feed has no events for a stretch of its stream: they are no longer kept. The feed
// goes on after the gap, with the oldest that is.
type GapError struct {
	After  Token  // the last position that was read
	Missed uint64 // how many events are missing; 0 if the engine cannot tell
	Reason string // "the stream keeps 1000 events"
}

func (e *GapError) Error() string {
	var b strings.Builder
	b.WriteString("bus: gap")
	if e.Missed > 0 {
		fmt.Fprintf(&b, " of %d events", e.Missed)
	}
	if e.After != "" {
		b.WriteString(" after " + string(e.After))
	}
	if e.Reason != "" {
		b.WriteString(": " + e.Reason)
	}
	return b.String()
}
