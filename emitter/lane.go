package emitter

import (
	"context"
	"errors"
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/internal/exempt"
)

// A lane is one subscription to the emitter's channel, and the goroutine that calls listeners: one event after
// the other, each of its listeners in their order. It lives from the first listener until some time after the
// last.
type lane struct {
	e      *Emitter
	ref    earshot.Ref
	before atomic.Pointer[lane] // the one that has to call its last listener first
	gone   <-chan earshot.Down  // closed when this one has

	now  atomic.Pointer[listener] // the one that was called last
	hold atomic.Int64             // how many events of a batch are in hand

	mu    sync.Mutex           // guards the fields below
	waits map[*waiter]struct{} // that came in and have not been answered
	hand  *waiter              // of the event that listeners are being called for
	over  bool
}

// A waiter is an EmitWait that waits.
type waiter struct {
	once sync.Once
	done chan struct{}
	err  error

	accepted bool // by the engine; guarded by link.mu
}

func newWaiter() *waiter { return &waiter{done: make(chan struct{})} }

func (w *waiter) answer(err error) {
	w.once.Do(func() {
		w.err = err
		close(w.done)
	})
}

// isInside reports whether ctx is the one that listeners are given: whoever has it must not wait for the lane.
func (e *Emitter) isInside(ctx context.Context) bool { return exempt.Is(ctx, e.ch.Channel) }

// startLocked opens a lane if there is none. Emitter.book.mu is held.
func (e *Emitter) startLocked() error {
	if ln := e.lane.Load(); ln != nil && !ln.dead() {
		return nil
	}
	ln := &lane{e: e, waits: map[*waiter]struct{}{}}
	last := e.last
	for last != nil && last.ended() { // it may have had nothing to do while the one before it still has
		last = last.before.Load()
	}
	ln.before.Store(last)
	ref, err := e.ch.HandleBatch(context.Background(), ln.handle, &earshot.SpawnOptions{
		Name:     e.name,
		Capacity: e.queue,
		Overflow: earshot.Block,
		Restart:  earshot.Restart{Max: math.MaxInt, Within: 1}, // for runtime.Goexit in a listener
	})
	if errors.Is(err, earshot.ErrServerClosed) {
		return earshot.ErrServerClosed // without the place in this file
	}
	if err != nil {
		return err
	}
	ln.ref = ref
	ln.gone = e.ch.srv.Monitor(ref)
	e.last = ln
	e.lane.Store(ln)
	e.own.Store(1)
	return nil
}

// dead reports that the lane has ended by itself: its server was closed.
func (ln *lane) dead() bool {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	return !ln.over && ln.ended()
}

// ended reports that the lane calls no listener any more.
func (ln *lane) ended() bool {
	select {
	case <-ln.gone:
		return true
	default:
		return false
	}
}

// stopLocked closes the lane. What it has not come to is for listeners that are gone.
func (e *Emitter) stopLocked() {
	ln := e.lane.Swap(nil)
	if ln == nil {
		return
	}
	e.own.Store(0)
	ln.mu.Lock()
	ln.over = true
	ln.mu.Unlock()
	e.ch.srv.Unsubscribe(ln.ref)
	ln.mu.Lock()
	defer ln.mu.Unlock()
	for w := range ln.waits {
		if w != ln.hand {
			w.answer(nil)
		}
	}
}

// linger is how long a lane outlives its last listener: a Once that registers another one, time after time,
// needs no new goroutine for it, and over a bus no new feed.
const linger = time.Second

// leaveLocked follows the end of a registration.
func (e *Emitter) leaveLocked() {
	if e.retire != nil || e.lane.Load() == nil || e.book.count > 0 && (e.book.wanted > 0 || !e.holds) {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(linger, func() {
		e.book.mu.Lock()
		defer e.book.mu.Unlock()
		if e.retire == timer {
			e.retire = nil
			e.restLocked()
		}
	})
	e.retire = timer
}

// restLocked ends what no listener needs any more.
func (e *Emitter) restLocked() {
	if e.book.wanted == 0 {
		e.holdLocked(false)
	}
	if e.book.count == 0 {
		e.stopLocked()
	}
}

// holdLocked opens the feed, or closes it. Reserved names need none.
func (e *Emitter) holdLocked(hold bool) {
	if e.link == nil || hold == e.holds {
		return
	}
	if e.holds = hold; hold {
		e.link.hold()
	} else {
		e.link.release()
	}
}

// handle calls the listeners of some events.
func (ln *lane) handle(_ context.Context, b earshot.Batch[Event]) error {
	if before := ln.before.Load(); before != nil {
		<-before.gone
		ln.before.Store(nil)
	}
	ln.hold.Store(int64(len(b.Events)))
	defer ln.hold.Store(0)
	ln.each(b.Events)
	return nil
}

func (ln *lane) each(events []Event) {
	i := 0
	defer func() {
		if i < len(events) { // a listener has called runtime.Goexit, and this goroutine ends
			ln.each(events[i:])
		}
	}()
	for i < len(events) {
		ev := &events[i]
		i++
		switch {
		case ev.to == nil:
		case ev.to.wait == nil:
			ln.call(ev, 0, nil)
		default:
			ln.callAndAnswer(ev)
		}
	}
}

func (ln *lane) callAndAnswer(ev *Event) {
	w := ev.to.wait
	ln.mu.Lock()
	ln.hand = w
	ln.mu.Unlock()
	var errs []error
	defer func() {
		w.answer(errors.Join(errs...))
		ln.mu.Lock()
		defer ln.mu.Unlock()
		ln.hand = nil
		delete(ln.waits, w)
	}()
	ln.call(ev, 0, &errs)
}

// call calls the listeners of an event from number i on, whatever they do.
func (ln *lane) call(ev *Event, i int, errs *[]error) {
	var err error
	returned := true
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil {
			err = &earshot.PanicError{Value: v, Stack: debug.Stack()}
		} else {
			err = earshot.ErrGoexit
		}
		ln.failed(ev, i, err, errs)
		ln.call(ev, i+1, errs)
	}()
	for ; i < len(ev.to.list); i++ {
		l := ev.to.list[i]
		if !l.take() {
			continue
		}
		if l.once {
			ln.e.remove(l)
		}
		if ln.now.Load() != l {
			ln.now.Store(l)
		}
		returned = false
		err = l.fn(ln.e.ctx, *ev)
		returned = true
		if err != nil {
			ln.failed(ev, i, err, errs)
		}
	}
}

func (ln *lane) failed(ev *Event, i int, err error, errs *[]error) {
	wrapped := &ListenerError{Event: ev.Name, Listener: ev.to.list[i].site(), Err: err}
	if errs != nil {
		*errs = append(*errs, wrapped)
	}
	ln.e.failures.Add(1)
	if ev.Name == Error { // no error event about an error event
		ln.e.log("a listener of the emitter's error events has failed", wrapped)
		return
	}
	ln.e.fail(wrapped)
}

// untrack forgets a waiter whose event was not sent.
func (ln *lane) untrack(w *waiter) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	delete(ln.waits, w)
}

// track remembers a waiter until it is answered.
func (ln *lane) track(w *waiter) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.over {
		w.answer(ln.e.closedErr())
		return
	}
	ln.waits[w] = struct{}{}
}

// depth is how many events wait for listeners; those of a batch in hand count until all are done.
func (ln *lane) depth() int {
	if ln == nil {
		return 0
	}
	n := int(ln.hold.Load())
	st, _ := ln.e.ch.srv.Subscription(ln.ref)
	return n + st.Depth
}

// busy returns the listener that is at work, if one is.
func (ln *lane) busy() *listener {
	if ln == nil {
		return nil
	}
	if before := ln.before.Load(); before != nil && ln.hold.Load() == 0 {
		return before.busy()
	}
	if ln.hold.Load() == 0 {
		return nil
	}
	return ln.now.Load()
}
