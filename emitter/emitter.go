package emitter

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
	"github.com/earshot-go/earshot/internal/exempt"
	"github.com/earshot-go/earshot/internal/pattern"
)

// Options configure an [Emitter]. A nil *Options is one in memory.
type Options struct {
	// Name is that of the core channel on which the events can be tapped, and part of Source. Default:
	// "emitter". A name that another emitter of the server has gets a number: "emitter-2". One that is declared for
	// events of another type is a mistake in the program: New panics.
	Name string
	// Server has the channel. Default: earshot.Default().
	Server *earshot.Server
	// Queue is how many events may wait for the listeners here. Beyond it Emit waits, in memory, and over a
	// bus the engine does; but a listener that emits never waits, and may fill memory. Default: 4096.
	Queue int
	// Logger is told what nobody listens to: error, gap and drop events without a listener, and the failures
	// of listeners of error events. Default: slog.Default().
	Logger *slog.Logger

	// Bus is the engine. Default: none, the emitter lives in memory, and the fields below have no meaning.
	// The emitter does not close it.
	Bus bus.Bus
	// Source is the source of the events, a URI reference. Default: "/", Name, "/", and a number drawn at random.
	Source string
	// From is where listening begins, the first time: with the first listener of a name that is not reserved, so
	// that one which must not miss anything has to be the first. A token that the engine refuses, because the
	// stream was made anew or it is another's, is a gap, and listening begins at the stream's start. Default: now.
	From bus.Position
	// Hint narrows what the engine sends, as in bus.Tail. Other names cannot be listened to then. What is no
	// pattern is a mistake in the program: New panics.
	Hint []string
	// Buffer is how many events may wait for the engine, and BufferBytes how much data they may hold.
	// Defaults: 8192, and 64 MiB.
	Buffer, BufferBytes int
	// Overflow is what Emit does beyond that. Default: Block.
	Overflow Overflow
	// Spill takes what does not fit the buffer, before Overflow has a say. Default: none.
	// backend/sqlite has one. The emitter does not close it.
	Spill Spill
}

// An Emitter calls listeners with what is emitted under a name, here and, over a bus, in every process. All its
// methods may be called from many goroutines and from listeners.
type Emitter struct {
	name   string
	ch     channel
	queue  int
	logger *slog.Logger
	link   *link // nil in memory
	owned  bus.Bus
	ctx    context.Context // of listeners
	stop   context.CancelFunc

	closed atomic.Bool
	own    atomic.Int32 // how many of the channel's audience are the emitter's lane: 0 or 1
	lane   atomic.Pointer[lane]
	book   book

	failures atomic.Uint64 // of listeners
	errors   atomic.Uint64 // error events
	muted    mute

	// Guarded by book.mu.
	retire *time.Timer
	holds  bool  // a feed
	last   *lane // the newest

	shutDown chan struct{} // closed when Close is done
	closeErr error         // set before that
}

const (
	defaultQueue       = 4096
	defaultBuffer      = 8192
	defaultBufferBytes = 64 << 20
)

// New returns an emitter. nil options make one that lives in memory, on the default server. Over a bus it
// begins to connect at once, and does not wait for it. Negative numbers and an unknown Overflow are mistakes in
// the program: New panics.
//
// An emitter in memory has a goroutine while it has listeners. Close it when it is not needed any more: its
// channel is declared as long as the server lives, and its name can be used again after Close.
func New(opts *Options) *Emitter {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Queue < 0 || o.Buffer < 0 || o.BufferBytes < 0 || o.Overflow < Block || o.Overflow > DropNewest {
		panic(fmt.Sprintf("emitter: New: Queue %d, Buffer %d, BufferBytes %d and %v have to be positive or known",
			o.Queue, o.Buffer, o.BufferBytes, o.Overflow))
	}
	if o.Source != "" {
		if err := (event.Event{ID: "-", Source: o.Source, Type: "-"}).Validate(); err != nil {
			panic(fmt.Sprintf("emitter: New: Source: %v", err))
		}
	}
	for _, text := range o.Hint {
		if _, hint := pattern.Parse(text); hint != "" && strings.Contains(text, "*") {
			panic(fmt.Sprintf("emitter: New: Hint %q is no pattern: %s", text, hint))
		}
	}
	if o.Queue == 0 {
		o.Queue = defaultQueue
	}
	if o.Name == "" {
		o.Name = "emitter"
	}
	if o.Server == nil {
		o.Server = earshot.Default()
	}
	e := &Emitter{queue: o.Queue, logger: o.Logger, shutDown: make(chan struct{})}
	e.ch = claim(o.Server, o.Name)
	e.ctx, e.stop = context.WithCancel(exempt.From(context.Background(), e.ch.Channel))
	e.book.init()
	e.name = e.ch.Name().(string)
	if o.Bus != nil {
		e.book.shout()
		e.link = newLink(e, &o)
	}
	return e
}

// Open is New over the bus of a URL, as in bus.Open, which Close then closes. "mem:" and an empty URL make an
// emitter that lives in memory, without a bus; "mem:name" is a stream of package membus, if that is imported.
func Open(url string, opts *Options) (*Emitter, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if url == "" || url == "mem:" {
		o.Bus = nil
		return New(&o), nil
	}
	b, err := bus.Open(url)
	if err != nil {
		return nil, err
	}
	o.Bus = b
	e := New(&o)
	e.owned = b
	return e, nil
}

// Name returns the name of the core channel.
func (e *Emitter) Name() string { return e.name }

// Emit has the listeners of name called with data, and does not wait for them.
//
// In memory it waits only while Options.Queue events wait for listeners, until there is room or ctx ends;
// called by a listener with the context that this was given, it does not wait at all. If nobody listens it is
// one look, and allocates nothing: but to make an interface of data that is no pointer may, so that [Emit]
// exists.
//
// Over a bus the data is encoded before Emit returns, and the event waits in the buffer until the engine has
// accepted it: nil means that it is there. It is sent, again and again if need be, until it is accepted, the
// emitter is closed, or the policy of a full buffer drops it, which is told by a drop event. Listeners in this
// process hear it when it comes back from the engine, once, like all others.
//
// Errors: ErrReserved, ErrName, ErrData, bus.ErrTooLarge, ErrFull, ErrClosed, and the cause of ctx; then the event
// was not emitted (and for ErrFull a drop event tells of it too), but for ErrClosed in memory while Close runs: listeners may have heard it. In memory data is not encoded and cannot be wrong, and a name that nobody hears is not looked at.
func (e *Emitter) Emit(ctx context.Context, name string, data any) error {
	one := e.book.cells[cell(name)].Load()
	if one == nil {
		if !e.overheard() {
			return nil
		}
	} else if one.name == name && one.to != nil { // then it is open, lives in memory, and the name is a good one
		// Here, and not in a function that is given the event: each copy costs 5 ns.
		if err := e.ch.SendContext(ctx, Event{Name: name, Data: data, to: one.to}); err != nil {
			return e.refused(name, err)
		}
		return e.closedErr()
	}
	return e.emit(ctx, name, data, nil)
}

// closedErr returns ErrClosed if the emitter is closed: nobody may be called for an event that came in meanwhile.
func (e *Emitter) closedErr() error {
	if e.closed.Load() {
		return ErrClosed
	}
	return nil
}

// Emit is Emitter.Emit, and does not box the data unless somebody listens.
func Emit[T any](ctx context.Context, e *Emitter, name string, data T) error {
	if e.book.cells[cell(name)].Load() == nil && !e.overheard() {
		return nil
	}
	return e.Emit(ctx, name, data)
}

// EmitWait is Emit, and waits until the listeners in this process have returned; over a bus also until the engine
// has accepted the event. It returns their errors, joined, each a *ListenerError. When ctx ends first its
// cause is returned, and the event takes its way all the same. ErrDropped says that it was dropped, or that it was
// accepted and a gap followed, so that nobody can say whether listeners here hear it.
//
// From a listener, with the context that it was given, it is ErrInside: it would wait for that listener.
func (e *Emitter) EmitWait(ctx context.Context, name string, data any) error {
	if e.isInside(ctx) {
		return fmt.Errorf("emitter: emit %q and wait: %w; use Emit", name, ErrInside)
	}
	w := newWaiter()
	if err := e.emit(ctx, name, data, w); err != nil {
		return err
	}
	return e.await(ctx, w)
}

// await waits for the answer.
func (e *Emitter) await(ctx context.Context, w *waiter) error {
	for {
		ln := e.lane.Load()
		var gone <-chan earshot.Down
		if ln != nil {
			gone = ln.gone
		}
		select {
		case <-w.done:
			return w.err
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-gone:
			select {
			case <-w.done:
				return w.err
			default:
			}
			if ln.dead() {
				return fmt.Errorf("emitter: %w: nobody calls listeners any more", earshot.ErrServerClosed)
			}
			if e.lane.Load() == ln { // it is being replaced
				runtime.Gosched()
			}
		}
	}
}

func (e *Emitter) emit(ctx context.Context, name string, data any, w *waiter) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("emitter: emit %q: %w", short(name), err)
	}
	if reserved(name) {
		return fmt.Errorf("emitter: emit %q: %w: %s is what the emitter says about itself", name, ErrReserved, name)
	}
	if e.closed.Load() {
		return fmt.Errorf("emitter: emit %q: %w", name, ErrClosed)
	}
	if e.link != nil {
		return e.link.emit(ctx, name, data, w)
	}
	if err := e.post(ctx, Event{Name: name, Data: data, to: e.book.heardBy(name)}, w); err != nil {
		return err
	}
	return e.closedErr()
}

// post brings an event to its audience, and to those who listen to the channel. The waiter may be nil; it is
// answered unless there is an error.
func (e *Emitter) post(ctx context.Context, ev Event, w *waiter) error {
	ln := e.lane.Load()
	if w != nil && (ln == nil || ev.to == nil) {
		w.answer(e.closedErr())
		w = nil
	}
	if ev.to == nil && !e.overheard() {
		return nil
	}
	if w != nil {
		ev.to = &audience{ev.to.list, w}
		ln.track(w)
	}
	if err := e.ch.SendContext(ctx, ev); err != nil {
		if w != nil {
			ln.untrack(w)
		}
		return e.refused(ev.Name, err)
	}
	return nil
}

func (e *Emitter) refused(name string, err error) error {
	ln := e.lane.Load()
	if l := ln.busy(); l != nil {
		return fmt.Errorf("emitter: emit %q: the queue is full, %d events wait for the listener %s of %q: %w", name, ln.depth(), l.site(), l.name, err)
	}
	return fmt.Errorf("emitter: emit %q: %w", name, err)
}

// overheard reports that somebody listens to the channel beside the emitter's own lane.
func (e *Emitter) overheard() bool {
	return int32(e.ch.Audience()) > e.own.Load()
}

// tell emits one of the emitter's own events.
func (e *Emitter) tell(name string, data any) {
	ev := Event{Name: name, Data: data, to: e.book.heardBy(name)}
	if ev.to == nil {
		if name == Error || name == Gap || name == Drop {
			e.log("nobody listens to the emitter's event "+name, data.(error))
		}
		if !e.overheard() {
			return
		}
	}
	e.ch.SendContext(e.ctx, ev) // and does not wait
}

func (e *Emitter) fail(err error) {
	e.errors.Add(1)
	e.tell(Error, err)
}

const longestName = 255

// checkName has the rules of CloudEvents for a type, which has to pass through every engine.
func checkName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: it is empty", ErrName)
	case len(name) > longestName:
		return fmt.Errorf("%w: %d bytes, and %d is the most", ErrName, len(name), longestName)
	}
	if err := (event.Event{ID: "-", Source: "-", Type: name}).Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrName, err)
	}
	return nil
}

func short(name string) string {
	if len(name) > 40 {
		return name[:40] + "…"
	}
	return name
}

// channel is the core channel of one emitter.
type channel struct {
	*earshot.Channel[Event]
	srv *earshot.Server
}

var claimed struct {
	mu sync.Mutex
	by map[*earshot.Channel[Event]]struct{}
}

// claim declares a channel for one emitter: the first of name, name-2, name-3, … that no other has.
func claim(s *earshot.Server, name string) channel {
	claimed.mu.Lock()
	defer claimed.mu.Unlock()
	if claimed.by == nil {
		claimed.by = map[*earshot.Channel[Event]]struct{}{}
	}
	for i := 1; ; i++ {
		text := name
		if i > 1 {
			text += "-" + strconv.Itoa(i)
		}
		c := earshot.NewChannel[Event](s, text, &earshot.ChannelOptions{Doc: "events that listeners of the emitter hear", MayBlock: true})
		if _, taken := claimed.by[c]; !taken {
			claimed.by[c] = struct{}{}
			return channel{c, s}
		}
	}
}

func (c channel) free() {
	claimed.mu.Lock()
	defer claimed.mu.Unlock()
	delete(claimed.by, c.Channel)
}
