// Package membus is the engine of one process: a stream of events in memory.
//
// It is the engine to compare others with, and to test programs on: [Bus.Fail], [Bus.Freeze], [Bus.Reset] and
// [Bus.Trim] bring about what servers do on their bad days. Nothing in it starts a goroutine, and everything in it
// that waits does so on channels, so that it can be used in the bubbles of testing/synctest.
//
// An event is kept as JSON: what the publisher does to it afterwards changes nothing, every delivery is a copy of its
// own, and what an engine with a wire would not carry does not pass here either.
package membus

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

func init() {
	bus.Register("mem", func(address string) (bus.Bus, error) { return OpenBus(address) })
}

// Options are the properties of a stream. All buses of one name share a stream, which has the options of the one that
// made it.
type Options struct {
	// Name is that of the stream, within this process. A stream with a name lives while a bus on it is open. Without
	// a name the stream belongs to this bus alone.
	Name string
	// Keep is how many events are kept; older ones are forgotten, and feeds that have not read them get a
	// *bus.GapError. 0 means 65536.
	Keep int
	// KeepBytes is how many bytes of JSON are kept at most, whatever Keep says; the newest event always is. 0 means
	// 64 MiB.
	KeepBytes int
	// MaxBytes is the length of JSON that an event may have. 0 means 1 MiB, a negative number no limit.
	MaxBytes int
	// NoReplay makes it an engine that has no past: there are no tokens and feeds begin at bus.Now. A feed that is
	// read too slowly misses what Keep does not hold any more, and says so with a *bus.GapError.
	NoReplay bool
	// Dedupe drops events whose Source and ID were published in the minute before. The memory this takes grows with
	// the events of a minute.
	Dedupe bool
}

// A Bus is a client of a stream in memory. Its methods may be called from many goroutines. Only Next of its feeds
// waits, unless the bus is frozen.
type Bus struct {
	stream *stream
	closed chan struct{} // closed by the first Close

	mu       sync.Mutex // guards the fields below; taken before that of the stream
	shut     bool
	fail     error // what everything answers; nil: nothing is wrong
	failures int   // counts calls of Fail with an error: a feed that is older than the last of them is broken
	broken   error // what the feeds that are answer
	late     error // what Publish answers after it has accepted
	frozen   bool
	changed  chan struct{} // closed, and made anew, when one of the above changes
}

// New returns a bus. Nil options are the defaults: a stream of its own that keeps 65536 events.
func New(opts *Options) *Bus {
	var o Options
	if opts != nil {
		o = *opts
	}
	return &Bus{stream: attach(o), closed: make(chan struct{}), changed: make(chan struct{})}
}

// OpenBus returns the bus of a URL. "mem:" has a stream of its own, "mem:shop" shares the stream that has this name in
// this process. The options can be in the query: "mem:shop?keep=1000&keepbytes=1048576&maxbytes=65536&replay=false&dedupe=true".
func OpenBus(address string) (*Bus, error) {
	fault := func(format string, args ...any) (*Bus, error) {
		return nil, fmt.Errorf("membus: open %s: %s", bus.Redact(address), fmt.Sprintf(format, args...))
	}
	u, err := url.Parse(address)
	if err != nil {
		return fault("this is no URL: write mem: or mem:name")
	}
	if u.Scheme != "mem" || u.Host != "" || u.Path != "" || u.User != nil {
		return fault("write mem: or mem:name")
	}
	name, err := url.PathUnescape(u.Opaque)
	if err != nil {
		return fault("the name has a faulty escape")
	}
	o := Options{Name: name}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return fault("the query has a faulty escape")
	}
	for key, values := range query {
		value, err := values[len(values)-1], error(nil)
		number := func(to *int) {
			if *to, err = strconv.Atoi(value); err == nil && *to <= 0 {
				err = errors.New("not positive")
			}
		}
		switch key {
		case "keep":
			number(&o.Keep)
		case "keepbytes":
			number(&o.KeepBytes)
		case "maxbytes":
			number(&o.MaxBytes)
		case "replay":
			o.NoReplay, err = strconv.ParseBool(value)
			o.NoReplay = !o.NoReplay
		case "dedupe":
			o.Dedupe, err = strconv.ParseBool(value)
		default:
			return fault("unknown option %q: there are keep, keepbytes, maxbytes, replay and dedupe", key)
		}
		if err != nil {
			return fault("%s=%s: a positive number is needed, and true or false for replay and dedupe", key, value)
		}
	}
	return New(&o), nil
}

// Caps says what the engine promises.
func (b *Bus) Caps() bus.Caps {
	return bus.Caps{
		Engine:   engine,
		Replay:   !b.stream.opts.NoReplay,
		Ordered:  true,
		Dedupe:   b.stream.opts.Dedupe,
		MaxBytes: b.stream.opts.MaxBytes,
		Note:     "in the memory of this process: gone when it ends",
	}
}

// Publish appends events to the stream: all of them, or after an error none.
func (b *Bus) Publish(ctx context.Context, events ...event.Event) error {
	entries := make([]entry, 0, len(events))
	for i := range events {
		ev := &events[i]
		if err := ev.Validate(); err != nil {
			return fmt.Errorf("membus: publish: %w", err)
		}
		text, err := ev.AppendJSON(nil)
		if err != nil {
			return fmt.Errorf("membus: publish: %w", err)
		}
		if limit := b.stream.opts.MaxBytes; limit > 0 && len(text) > limit {
			return fmt.Errorf("membus: publish %s: %w: %d bytes, the limit is %d", ev.ID, bus.ErrTooLarge, len(text), limit)
		}
		entries = append(entries, entry{id: ev.Source + "\x00" + ev.ID, name: ev.Type, text: text})
	}
	late, err := b.pass(ctx)
	if err != nil {
		return fmt.Errorf("membus: publish: %w", err)
	}
	b.stream.append(entries)
	if late != nil {
		return fmt.Errorf("membus: publish: %w", late)
	}
	return nil
}

// Tail opens a feed.
func (b *Bus) Tail(ctx context.Context, t bus.Tail) (bus.Feed, error) {
	if b.stream.opts.NoReplay && (!t.From.IsNow() || t.Past) {
		return nil, fmt.Errorf("membus: tail from %s: %w: the stream is opened with NoReplay", t.From, bus.ErrUnsupported)
	}
	if _, err := b.pass(ctx); err != nil {
		return nil, fmt.Errorf("membus: tail: %w", err)
	}
	b.mu.Lock()
	failures := b.failures
	b.mu.Unlock()
	f := &feed{bus: b, hint: slices.Clone(t.Hint), failures: failures, closed: make(chan struct{})}
	if err := b.stream.place(f, t); err != nil {
		return nil, fmt.Errorf("membus: tail: %w", err)
	}
	return f, nil
}

// Close ends all feeds. The stream is gone with the last bus that is open on it.
func (b *Bus) Close(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.shut {
		b.shut = true
		close(b.closed)
		b.stream.detach()
	}
	return nil
}

// String returns the URL of the bus.
func (b *Bus) String() string { return "mem:" + url.PathEscape(b.stream.opts.Name) }

// pass lets a call through: it waits while the bus is frozen, and tells what is in the way.
func (b *Bus) pass(ctx context.Context) (late, err error) {
	for {
		b.mu.Lock()
		shut, fail, late, frozen, changed := b.shut, b.fail, b.late, b.frozen, b.changed
		b.mu.Unlock()
		switch {
		case shut:
			return nil, bus.ErrClosed
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case fail != nil:
			return nil, fail
		case !frozen:
			return late, nil
		}
		select {
		case <-changed:
		case <-b.closed:
		case <-ctx.Done():
		}
	}
}

const engine = "mem"

// errAhead is a token of this stream's epoch that this stream cannot have written.
var errAhead = fmt.Errorf("%w: its position is none of this stream", bus.ErrForeignToken)

// position reads what token wrote.
func position(t bus.Token, epoch string) (uint64, error) {
	text, err := t.Position(engine, epoch)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || strings.HasPrefix(text, "+") {
		return 0, errAhead
	}
	return n, nil
}
