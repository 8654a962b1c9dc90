package emitter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

// Close ends the emitter: it refuses what is emitted from now on, waits until the engine has accepted what is in the
// buffer and until the listeners have been called for what is queued, or until ctx ends, and then stops its
// goroutines. Without a deadline it waits as long as the engine is away; a context that has ended makes it stop at
// once. EmitWaits that still wait return ErrClosed.
//
// It returns an *UnsentError if events are left that the engine has not accepted, an error that names the listener
// if one has not returned, and nil otherwise. Called from a listener, with the context that this was given, it does
// not wait for listeners. Afterwards Emit, EmitWait and On return ErrClosed, Stats says what was there at the end, and
// Timeline works as long as the bus is open. It is idempotent: a second call waits for the first one, or until its own ctx ends, and
// returns the same.
func (e *Emitter) Close(ctx context.Context) error {
	e.book.mu.Lock()
	first := !e.closed.Swap(true) // under the lock: nobody is registered after this
	e.book.mu.Unlock()
	if first {
		e.closeErr = e.shut(ctx)
		close(e.shutDown)
		return e.closeErr
	}
	if e.isInside(ctx) {
		return nil // whoever closes it waits for this listener
	}
	select {
	case <-e.shutDown:
		return e.closeErr
	case <-ctx.Done():
		return fmt.Errorf("emitter: close: another call of it is not done: %w", context.Cause(ctx))
	}
}

// stopTime is how long Close waits for what it has stopped.
const stopTime = 2 * time.Second

// lastMoment is how long it waits, when its own context has ended, for a listener whose context has.
const lastMoment = 100 * time.Millisecond

func (e *Emitter) shut(ctx context.Context) error {
	e.book.shout() // so that Emit says ErrClosed
	var unsent error
	if e.link != nil {
		unsent = e.link.shut(ctx)
	}
	stuck := e.drain(ctx)

	e.book.mu.Lock()
	for _, l := range e.book.allLocked("") {
		e.book.removeLocked(l)
	}
	if e.retire != nil {
		e.retire.Stop()
		e.retire = nil
	}
	if ln := e.lane.Load(); ln != nil {
		ln.abandon()
	}
	e.restLocked()
	last := e.last
	e.book.mu.Unlock()

	e.stop()
	for ln := last; ln != nil && stuck == nil && !e.isInside(ctx); ln = ln.before.Load() {
		if ln.leaves(ctx) {
			continue
		}
		if l := ln.busy(); l != nil {
			stuck = fmt.Errorf("emitter: close: the listener %s of %q has not returned: %w", l.site(), l.name, context.Cause(ctx))
		} else {
			stuck = fmt.Errorf("emitter: close: a listener has not returned: %w", context.Cause(ctx))
		}
	}
	e.ch.free()
	var err error
	if e.owned != nil {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		err = e.owned.Close(closing)
	}
	return errors.Join(unsent, stuck, err)
}

// leaves waits until the lane has called its last listener, whose context has ended. It reports false if that takes
// longer than ctx and a moment.
func (ln *lane) leaves(ctx context.Context) bool {
	select {
	case <-ln.gone:
		return true
	case <-ctx.Done():
	}
	select {
	case <-ln.gone:
		return true
	case <-time.After(lastMoment):
		return false
	}
}

// drain waits until the listeners have been called for everything that is queued.
func (e *Emitter) drain(ctx context.Context) error {
	ln := e.lane.Load()
	if ln == nil || e.isInside(ctx) || ln.depth() == 0 && ctx.Err() != nil {
		return nil
	}
	w := newWaiter()
	ln.track(w)
	waiting := ln.depth()
	err := e.ch.SendContext(e.ctx, Event{Name: "(close)", to: &audience{wait: w}}) // a tap sees it too
	if err == nil {
		select {
		case <-w.done:
			return nil
		case <-ln.gone:
			return nil
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	if l := ln.busy(); l != nil {
		return fmt.Errorf("emitter: close: %d events wait for the listener %s of %q, which has not returned: %w", waiting, l.site(), l.name, err)
	}
	return fmt.Errorf("emitter: close: %w", err)
}

// abandon answers those who wait for events that will not be handled.
func (ln *lane) abandon() {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	for w := range ln.waits {
		w.answer(ErrClosed)
	}
}

// shut sends what is left, and stops the link.
func (k *link) shut(ctx context.Context) error {
	k.out.close()
	waited := k.flush(ctx)
	defer k.tellDrops() // while there is somebody to tell
	k.cancel()
	stopped := make(chan struct{})
	go func() {
		k.wg.Wait()
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-time.After(stopTime): // an engine that ignores the end of its context is left to itself
	}
	k.mu.Lock()
	k.up, k.reachable, k.reason = false, false, ErrClosed
	if k.feed != nil {
		k.feed.open = false
	}
	k.mu.Unlock()
	gone := k.keep(k.out.discard())
	for i := range gone {
		if w := k.takeWait(gone[i].ID); w != nil {
			w.answer(ErrClosed)
		}
	}
	k.mu.Lock()
	for id, w := range k.waits {
		delete(k.waits, id)
		w.answer(ErrClosed)
	}
	k.mu.Unlock()
	left := &UnsentError{Count: len(gone), Err: waited}
	if k.spill != nil {
		left.Spilled = k.spill.Len()
	}
	if len(gone) == 0 && left.Spilled == 0 {
		return nil
	}
	if len(gone) > 0 {
		left.Oldest = gone[0].Type
	}
	if left.Err == nil {
		left.Err = bus.ErrDisconnected
	}
	return left
}

// keep puts what is left into the spill, and returns what could not be.
func (k *link) keep(left []event.Event) []event.Event {
	if k.spill == nil || len(left) == 0 {
		return left
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if err := k.spill.Push(ctx, left...); err != nil {
		return left
	}
	return nil
}

// Discard drops everything in the buffer that is not being sent at this moment, and returns how many events that
// were; a drop event tells of them. A spill keeps its own. In memory there is nothing to discard.
func (e *Emitter) Discard() int {
	if e.link == nil {
		return 0
	}
	gone := e.link.out.discard()
	for i := range gone {
		e.link.lost(&gone[i], fmt.Errorf("%w: Discard was called", ErrDropped))
	}
	return len(gone)
}
