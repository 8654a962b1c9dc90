package earshot

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A Server holds channels. It has no goroutine, and no channel, until somebody subscribes.
// All its methods may be called from many goroutines, from inside handlers, and while holding locks
// of one's own.
type Server struct {
	names    registry
	patterns atomic.Pointer[[]*pattern] // copied on write, under mu
	tapped   atomic.Pointer[wiring]     // likewise
	clock    clock                      // for taps
	past     past                       // of subscriptions that have ended
	logger   *slog.Logger
	wg       sync.WaitGroup // the server's goroutines
	watching atomic.Bool    // handlers count their turns, for the slow watch

	lifecycle *Channel[Lifecycle]
	slow      *Channel[Slow]

	mu        sync.Mutex // guards the fields below, and who subscribes to what
	state     state
	boxes     *box // every mailbox that has not ended
	processes map[*Process]struct{}
	unheard   map[*topic]struct{} // live only for patterns
	todo      []func()            // what a change means for others, see unlock
	flushing  bool
}

type state int

const (
	running state = iota
	draining
	stopped
)

// NewServer returns a server. nil options mean the defaults. A server that is not needed any more may
// be shut down or just forgotten, once nobody subscribes.
func NewServer(opts *Options) *Server {
	s := &Server{processes: map[*Process]struct{}{}, unheard: map[*topic]struct{}{}}
	if opts != nil {
		s.logger = opts.Logger
	}
	s.names.init()
	s.lifecycle = NewChannel[Lifecycle](s, LifecycleChannel, &ChannelOptions{Doc: "channels and subscribers coming and going, and functions that fail"})
	s.slow = NewChannel[Slow](s, SlowChannel, &ChannelOptions{Doc: "subscribers that stopped receiving, and those that recovered"})
	s.lifecycle.internal, s.slow.internal = true, true
	s.slow.OnDemand(s.watchSlow)
	return s
}

var defaultServer struct {
	once sync.Once
	s    *Server
}

// Default returns the process-wide server. It is made at the first call.
func Default() *Server {
	defaultServer.once.Do(func() { defaultServer.s = NewServer(nil) })
	return defaultServer.s
}

// SendEvent sends an event to the channel with the given name. It never blocks (unless the channel's
// owner said MayBlock and a Block mailbox is full) and never fails. If nobody listens it costs one look
// and allocates nothing; on a name that cannot be hashed nobody can listen. After Shutdown it does
// nothing. A nil server means [Default].
//
// Names are compared as Go compares interface values: string "7", int 7 and int64 7 are three
// channels. A name that is neither a string nor an integer is looked up, which may allocate, while
// somebody listens to another such name.
func SendEvent[K comparable, E any](s *Server, name K, event E) {
	if !quiet(s, name) {
		sendNamed(s, name, event)
	}
}

//go:noinline
func sendNamed[K comparable, E any](s *Server, name K, event E) {
	if s == nil {
		s = Default()
	}
	for {
		t := find(&s.names, name)
		if t == nil {
			// Another name in the same cell is live, or there are patterns, which match strings only.
			if text, ok := any(name).(string); ok {
				if s.matchAny(text) {
					t = s.discover(text)
				}
			} else if len(s.wires()) > 0 {
				t = s.discoverTerm(name)
			}
			if t == nil {
				return
			}
		}
		if a, ok := any(&event).(*any); ok && t.handle != nil && t.handle.(anySender).sendAny(*a) {
			return // as the type that the channel is for: a log that has seen another boxes all
		}
		// A log that closes between the look and the send, or before either, may have been forgotten
		// while patterns still listen to its name: look again.
		if l := t.live.Load(); l != nil {
			if send(l, event) {
				return
			}
		} else if t.declared {
			return
		}
		runtime.Gosched() // whoever closes it may be waiting for this processor
	}
}

// Listening reports whether somebody listens to the channel with the given name. It does not block.
func (s *Server) Listening(name any) bool {
	if quiet(s, name) {
		return false
	}
	if t := find(&s.names, name); t != nil {
		return t.live.Load() != nil
	}
	return usable(name) && s.anyHears(name)
}

// Unsubscribe ends a subscription. After it has returned no message of that Ref is received. It is
// idempotent and does not block; a Ref that is zero or another server's is ErrUnknownRef.
func (s *Server) Unsubscribe(ref Ref) error {
	sub := ref.sub
	if sub == nil || sub.box.srv != s {
		return opError("unsubscribe", ref, ErrUnknownRef)
	}
	s.mu.Lock()
	defer s.unlock()
	if p := sub.box.process; p != nil {
		s.endBoxLocked(sub.box, ErrUnsubscribed) // a handler has one subscription and ends with it
	} else {
		s.leaveLocked(sub, ErrUnsubscribed)
	}
	return nil
}

// Shutdown refuses new subscribers, waits until everything sent so far has been received or ctx ends,
// then stops the server as Close does and waits for its goroutines to end, so that none is left when it
// returns nil. It returns ctx's cause if that cut the draining short.
//
// Handlers see their context end. If one ignores that for ten seconds Shutdown gives up waiting and
// returns an error that names it. Do not call Shutdown from a handler, which it would wait for: call
// Close there. It may be called more than once.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if s.state == running {
		s.state = draining
	}
	s.unlock()
	err := s.Sync(ctx)
	s.Close()
	ended := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(ended)
	}()
	giveUp := time.NewTimer(stuckAfter)
	defer giveUp.Stop()
	select {
	case <-ended:
		return err
	case <-giveUp.C:
		return s.stuck()
	}
}

// stuckAfter is how long Shutdown waits for functions that ignore the end of their context.
const stuckAfter = 10 * time.Second

// Close stops the server now: every subscription ends with ErrServerClosed, what has not been received
// is discarded, and the contexts of handlers end. It does not wait for them and may be called from one.
// Afterwards sending does nothing and Subscribe returns ErrServerClosed. It is idempotent and returns
// nil.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.unlock()
	if s.state == stopped {
		return nil
	}
	s.state = stopped
	for s.boxes != nil {
		s.endBoxLocked(s.boxes, ErrServerClosed)
	}
	s.names.all(func(t *topic) bool {
		if l := t.live.Load(); l != nil {
			s.closeLogLocked(l)
		}
		return true
	})
	for p := range s.processes {
		s.laterLocked(func() { p.cancel(ErrServerClosed) })
	}
	return nil
}

// laterLocked queues what has to happen outside the lock because it runs code that is not ours.
func (s *Server) laterLocked(f func()) { s.todo = append(s.todo, f) }

// contain runs f and drops its panic: it may come from the program's log handler or context, and must
// neither surface in a sender who has nothing to do with it nor keep the rest from being done.
func contain(f func()) {
	defer func() { _ = recover() }()
	f()
}

// unlock releases mu and then does what the change has queued, in the order of the changes whoever
// made them: one goroutine at a time does it, the others leave theirs to it.
func (s *Server) unlock() {
	for len(s.todo) > 0 && !s.flushing {
		todo := s.todo
		s.todo, s.flushing = nil, true
		s.mu.Unlock()
		for _, f := range todo {
			contain(f)
		}
		s.mu.Lock()
		s.flushing = false
	}
	s.mu.Unlock()
}
