// Package bus is the contract between earshot and an engine that carries events to every process that wants
// them: a database with a change feed, a message broker, a file.
//
// An engine transports. What can be written once is written above it, in package emitter: matching of names,
// buffering while there is no connection, retries, removal of duplicates. So a Bus is small, and its feeds
// may give up at the first sign of trouble: whoever reads them opens another one where the last one stopped.
//
// Package bustest holds every engine to what is said here, and package membus is the engine to compare with.
package bus

import (
	"context"
	"time"

	"github.com/earshot-go/earshot/event"
)

// A Bus is one stream of events on one engine. All methods may be called from many goroutines.
type Bus interface {
	// Caps says what the engine promises as it is configured here. It does not block. An engine that has to
	// ask its server answers with the least that it would promise until it has asked.
	Caps() Caps

	// Publish hands events to the engine, in this order, and returns nil when it has accepted all of them:
	// from then on Caps says what may become of them. After an error some may have been accepted, and it is
	// safe to publish all of them again with the same IDs. It blocks until the engine has answered, or ctx
	// ends.
	//
	// Without events it asks whether the engine would accept some: nil means yes.
	//
	// Errors: ErrDisconnected, ErrDenied, ErrTooLarge (nothing was accepted), ErrUnsupported, ErrClosed, the
	// cause of ctx, or what the engine said, when its disk is full for example; an event that is not valid is
	// refused before anything is sent.
	Publish(ctx context.Context, events ...event.Event) error

	// Tail opens a feed. It blocks until the engine has it open: of events published after Tail has returned
	// none is missing. The context is that of the opening, not of the feed.
	//
	// Errors: ErrForeignToken, ErrUnsupported (for a Position without Caps.Replay), and those of Publish.
	Tail(ctx context.Context, t Tail) (Feed, error)

	// Close ends all feeds, waits until nothing of the bus runs any more, or ctx ends, and gives back what
	// it holds. It is idempotent. Afterwards the methods return ErrClosed.
	Close(ctx context.Context) error
}

// A Tail says which events a feed has. The zero Tail is all that are published from now on.
type Tail struct {
	// Hint holds patterns of the names (event.Event.Type) that are wanted: "user.added", "user.*", "user.**",
	// as in [Match]. None means all. It only narrows what the engine sends: a feed may have others as well.
	Hint []string
	From Position // where to begin
	// Past ends the feed: after the last event that the engine had accepted before the call of Tail, Next
	// returns io.EOF. It needs Caps.Replay.
	Past bool
}

// A Feed is a reading of a stream from one position on. Events come at least once; a second copy has the same
// source and ID, and comes only after trouble: on a quiet wire, and from a token in undisturbed times, nothing is
// repeated. Next is called by one goroutine at a time, Close by any.
type Feed interface {
	// Next waits for the next event. A *GapError says that events are missing here (never where none are), and
	// the feed goes on: call Next again. After any other error, the end of ctx among them, the feed is of no more
	// use: close it.
	//
	// Errors: ErrDisconnected, within some seconds also when the wire is silent but dead; ErrForeignToken if
	// the stream was made anew while the feed was open; ErrClosed after Close, which ends a Next that waits;
	// io.EOF at the end of a Tail with Past; the cause of ctx.
	Next(ctx context.Context) (Delivery, error)
	// Close ends the feed. It is idempotent.
	Close() error
}

// A Positioned feed knows where it stands before its first delivery. All feeds of an engine with Caps.Replay
// are.
type Positioned interface {
	// Token returns the position after the event that Next returned last, or the one at which the feed began. It
	// does not move over a gap until an event has come.
	Token() Token
}

// A Delivery is an event as a feed has it.
type Delivery struct {
	Event event.Event
	// Token is the position just after the event. Empty without Caps.Replay.
	Token Token
	// Redelivered says that the engine knows it has sent this event before. Its absence means nothing.
	Redelivered bool
}

// Caps is what an engine promises. Package bustest tests both halves: what is claimed holds, and what is not
// is refused with ErrUnsupported, or reported as a gap.
type Caps struct {
	Engine       string // "redis", as in tokens
	Durable      bool   // what was accepted is still there after the server was killed and started again
	Replay       bool   // Start, At, After and Past work: the engine keeps what it has accepted, for a while
	Ordered      bool   // events that one Bus publishes arrive everywhere in that order
	Dedupe       bool   // an event that is published again, with its source and ID, within a minute is kept once
	MultiProcess bool   // other processes can open the same stream
	MaxBytes     int    // an event whose JSON is longer is ErrTooLarge; 0: no limit
	Note         string // what an operator has to know, in a sentence or two: "power loss may take the last second"
}

type where uint8

const (
	now where = iota
	start
	at
	after
)

// A Position is where a feed begins. The zero Position is Now.
type Position struct {
	where where
	time  time.Time
	token Token
}

// Positions that need nothing to be known.
var (
	Now   = Position{}             // events published after Tail has returned
	Start = Position{where: start} // the oldest event that is kept
)

// At is the first event that the engine accepted at t or later, by its own clock. Engines whose clock cannot
// be asked take the event's Time; their documentation says so.
func At(t time.Time) Position { return Position{where: at, time: t} }

// After is the event after the one that came with the token.
func After(t Token) Position { return Position{where: after, token: t} }

// IsNow reports whether p is Now.
func (p Position) IsNow() bool { return p.where == now }

// IsStart reports whether p is Start.
func (p Position) IsStart() bool { return p.where == start }

// Time returns the time of a Position that At has made.
func (p Position) Time() (t time.Time, ok bool) { return p.time, p.where == at }

// Token returns the token of a Position that After has made.
func (p Position) Token() (t Token, ok bool) { return p.token, p.where == after }

// String returns "now", "start", "at 2026-11-20T…" or "after v1:…".
func (p Position) String() string {
	switch p.where {
	case start:
		return "start"
	case at:
		return "at " + p.time.Format(time.RFC3339Nano)
	case after:
		return "after " + string(p.token)
	}
	return "now"
}
