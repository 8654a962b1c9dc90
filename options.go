package earshot

import (
	"fmt"
	"log/slog"
	"time"
)

// Options configure a [Server]. A nil *Options is ready to use.
type Options struct {
	// Logger may block without keeping anybody but its own caller. It is told about handlers that panic, subscribers that are evicted or abandoned, and
	// functions that are given up. nil means that nothing is logged; the same facts are events on
	// Server.Lifecycle.
	Logger *slog.Logger
}

// Overflow is what a mailbox does with an event for which it has no room. Whatever is lost is counted
// in its statistics and in the Missed field of the next message.
type Overflow int

const (
	DropOldest Overflow = iota // lose the oldest that has not been received; the default
	DropNewest                 // lose the new one
	Latest                     // keep one event of each channel, the newest; Capacity is ignored
	Unbounded                  // lose nothing and use as much memory as it takes, as Erlang does
	Evict                      // end the mailbox with ErrTooSlow
	Block                      // let the sender wait; only on channels whose owner said MayBlock
)

func (o Overflow) String() string {
	switch o {
	case DropOldest:
		return "drop-oldest"
	case DropNewest:
		return "drop-newest"
	case Latest:
		return "latest"
	case Unbounded:
		return "unbounded"
	case Evict:
		return "evict"
	case Block:
		return "block"
	}
	return fmt.Sprintf("Overflow(%d)", int(o))
}

// DefaultCapacity is a mailbox's capacity if its options do not say otherwise.
const DefaultCapacity = 4096

// MailboxOptions configure a [Mailbox]. A nil *MailboxOptions means the defaults.
type MailboxOptions struct {
	Name     string   // for people, in Down and statistics; default: file:line of the call that made it
	Capacity int      // events that may wait to be received; 0 means DefaultCapacity, negative is an error
	Overflow Overflow // what happens beyond that
}

// resolve fills in the defaults.
func (o *MailboxOptions) resolve() (MailboxOptions, error) {
	if o == nil {
		return MailboxOptions{Capacity: DefaultCapacity}, nil
	}
	r := *o
	if r.Capacity == 0 {
		r.Capacity = DefaultCapacity
	}
	if r.Overflow == Latest {
		r.Capacity = 1
	}
	if r.Capacity < 0 {
		return r, &Error{Op: "new mailbox", On: r.Name, Err: ErrBadOption, Hint: fmt.Sprintf("negative capacity %d", r.Capacity)}
	}
	if r.Overflow < DropOldest || r.Overflow > Block {
		return r, &Error{Op: "new mailbox", On: r.Name, Err: ErrBadOption, Hint: "unknown " + r.Overflow.String()}
	}
	return r, nil
}

// ChannelOptions configure a declared channel. A nil *ChannelOptions means the defaults.
type ChannelOptions struct {
	Doc      string // what the channel's events mean, for people
	MayBlock bool   // mailboxes whose policy is Block may subscribe; a full one then makes Send wait
	Replay   int    // so many past events are kept for new subscribers; a channel that replays is never idle
}

// SpawnOptions configure a function that the server runs. A nil *SpawnOptions means the defaults: a
// mailbox as by MailboxOptions, and no restart.
type SpawnOptions struct {
	Name     string   // as in MailboxOptions, and in pprof labels
	Capacity int      // as in MailboxOptions
	Overflow Overflow // as in MailboxOptions
	Restart  Restart  // what to do when the function fails
}

func (o *SpawnOptions) mailbox() *MailboxOptions {
	if o == nil {
		return nil
	}
	return &MailboxOptions{Name: o.Name, Capacity: o.Capacity, Overflow: o.Overflow}
}

// Restart is how often a function that fails (by an error, a panic or Goexit) is started again:
// after Max failures within the time Within the next one is final. The wait before a start grows from
// 10 ms to 1 s with the failures that count. The zero Restart never restarts; Within 0 means one
// minute.
type Restart struct {
	Max    int
	Within time.Duration
}
