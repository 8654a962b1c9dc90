package emitter

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/internal/pattern"
)

// On registers a listener for the events called name, behind those that are registered already, and returns the
// reference by which Off removes it. The same function may be registered several times.
//
// Listeners are called by one goroutine of the emitter: the events in the order in which they were emitted, and
// the listeners of one in the order in which they were registered. A listener hears what is emitted after On
// has returned, in this process; over a bus also what others emit from the moment on at which the feed is open,
// for which [Emitter.Ready] waits, or from Options.From. One that blocks keeps the others waiting. If it returns an error,
// panics, or calls runtime.Goexit, that becomes an error event, and nothing else changes; after a Goexit the next event
// comes 10 ms later, with a new goroutine.
//
// The context that listeners are given ends when Close has stopped waiting for them. On does not block. Its errors are ErrName,
// ErrNilFunc, ErrClosed, and bus.ErrUnsupported for a name that Options.Hint leaves out. The reserved names
// Connect, Disconnect, Reconnect, Error, Gap and Drop can be listened to; their constants say what their data is. A
// listener of Connect that comes when the engine has answered already is called all the same, and so is one of an
// emitter in memory, which is always there.
func (e *Emitter) On(name string, fn func(context.Context, Event) error) (Ref, error) {
	return e.add(newListener(name, fn), false)
}

// Once is On for one event: the listener is removed before it is called.
func (e *Emitter) Once(name string, fn func(context.Context, Event) error) (Ref, error) {
	l := newListener(name, fn)
	l.once = true
	return e.add(l, false)
}

// Prepend is On, but the listener is called before those that are registered already.
func (e *Emitter) Prepend(name string, fn func(context.Context, Event) error) (Ref, error) {
	return e.add(newListener(name, fn), true)
}

// OnAny is On for all names that match a pattern: segments between dots must be equal, "*" stands for one segment
// and a last "**" for one or more. Reserved names match no pattern. A pattern that does not parse is ErrPattern.
func (e *Emitter) OnAny(text string, fn func(context.Context, Event) error) (Ref, error) {
	l := newListener(text, fn)
	var hint string
	if l.pattern, hint = pattern.Parse(text); hint != "" {
		return Ref{}, fmt.Errorf("emitter: on any %q: %w: %s", short(text), ErrPattern, hint)
	}
	return e.add(l, false)
}

// On is Emitter.On for listeners that want the data as a T. It is decoded as by Event.Decode; data that does
// not fit is an error event, and the listener is not called.
func On[T any](e *Emitter, name string, fn func(context.Context, T) error) (Ref, error) {
	return e.add(newListener(name, typed(fn)), false)
}

// Once is Emitter.Once as On is Emitter.On.
func Once[T any](e *Emitter, name string, fn func(context.Context, T) error) (Ref, error) {
	l := newListener(name, typed(fn))
	l.once = true
	return e.add(l, false)
}

func typed[T any](fn func(context.Context, T) error) func(context.Context, Event) error {
	if fn == nil {
		return nil
	}
	open := reflect.TypeFor[T]().Kind() == reflect.Interface // a json.RawMessage would pass for one
	return func(ctx context.Context, ev Event) error {
		if data, ok := ev.Data.(T); ok && !open {
			return fn(ctx, data)
		}
		data, err := decodeAs[T](ev)
		if err != nil {
			return err
		}
		return fn(ctx, data)
	}
}

func (e *Emitter) add(l *listener, before bool) (Ref, error) {
	if err := e.refuseListener(l); err != nil {
		return Ref{}, fmt.Errorf("emitter: on %q: %w", short(l.name), err)
	}
	e.book.mu.Lock()
	defer e.book.mu.Unlock()
	if e.closed.Load() {
		return Ref{}, fmt.Errorf("emitter: on %q: %w", l.name, ErrClosed)
	}
	if err := e.startLocked(); err != nil { // before anybody can emit to it
		return Ref{}, fmt.Errorf("emitter: on %q: %w", l.name, err)
	}
	if wanted := l.pattern != nil || !reserved(l.name); wanted || e.link == nil && l.name != Connect {
		if e.retire != nil {
			e.retire.Stop()
			e.retire = nil
		}
		e.book.addLocked(l, before) // before the feed can bring anything
		e.holdLocked(wanted)
		return Ref{l}, nil
	}
	up := true // memory is always there
	if e.link != nil {
		e.link.mu.Lock() // what is told is told under it: l hears of it there, or here
		defer e.link.mu.Unlock()
		up = e.link.up
	}
	e.book.addLocked(l, before)
	if l.name == Connect && up {
		e.ch.SendContext(e.ctx, Event{Name: Connect, to: &audience{list: []*listener{l}}})
	}
	return Ref{l}, nil
}

func (e *Emitter) refuseListener(l *listener) error {
	if l.fn == nil {
		return ErrNilFunc
	}
	if l.pattern != nil {
		return nil
	}
	if err := checkName(l.name); err != nil {
		return err
	}
	if e.link != nil && !reserved(l.name) && !bus.Match(e.link.hint, l.name) {
		return fmt.Errorf("%w: Options.Hint is %q, and nothing else is sent here", bus.ErrUnsupported, e.link.hint)
	}
	return nil
}

// Off removes a listener. It is not called any more when Off has returned, but for a call that runs at that
// moment, which Off does not wait for. Off reports whether the listener was registered until now.
func (e *Emitter) Off(ref Ref) bool {
	return ref.l != nil && e.remove(ref.l)
}

// RemoveAll removes all listeners of a name, or of the pattern that was given to OnAny with that text. An empty
// name means every listener. It returns how many there were.
func (e *Emitter) RemoveAll(name string) int {
	e.book.mu.Lock()
	defer e.book.mu.Unlock()
	n := 0
	for _, l := range e.book.allLocked(name) {
		if e.book.removeLocked(l) {
			n++
		}
	}
	e.leaveLocked()
	return n
}

func (e *Emitter) remove(l *listener) bool {
	e.book.mu.Lock()
	defer e.book.mu.Unlock()
	removed := e.book.removeLocked(l)
	e.leaveLocked()
	return removed
}

// EventNames returns the names that have listeners, sorted, and the patterns.
func (e *Emitter) EventNames() []string {
	e.book.mu.Lock()
	defer e.book.mu.Unlock()
	var names []string
	for _, l := range e.book.allLocked("") {
		names = append(names, l.name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ListenerCount returns how many listeners would be called for an event of that name.
func (e *Emitter) ListenerCount(name string) int {
	to := e.book.heardBy(name)
	if to == nil {
		return 0
	}
	return len(to.list)
}
