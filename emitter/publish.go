package emitter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

// publish sends what is in the buffer, and the spill before it, in order, until the link is closed.
func (k *link) publish() {
	defer k.wg.Done()
	var wait backoff
	singly := 0 // so many are sent one at a time: there is one among them that the engine refuses
	for k.awaitFeed() {
		k.spillOver()
		batch, spilled, err := k.front()
		if err != nil {
			k.complain(&k.saidSpill, "spill", err)
			k.pause(wait.next())
			continue
		}
		if singly > 0 && len(batch) > 1 {
			batch = batch[:1]
		}
		feed, losses, reachable := k.state()
		if len(batch) == 0 && reachable && !k.idle() {
			continue
		}
		err = k.send(batch)
		switch {
		case err == nil:
			k.accepted(batch, feed, losses)
			k.content(&k.saidPublish)
			singly = max(singly-1, 0)
			k.mark(nil)
			if k.settle(len(batch), spilled) {
				wait.reset()
			} else {
				k.pause(wait.next()) // they will be sent again, with the same IDs
			}
			continue
		case k.ctx.Err() != nil:
			k.settle(0, spilled)
			return
		case unreachable(err):
			k.mark(err)
		case len(batch) > 1:
			singly = len(batch) // what is wrong with one of them must not keep the others
			k.settle(0, spilled)
			continue
		case len(batch) == 1 && hopeless(err):
			k.settle(1, spilled)
			k.lost(&batch[0], err)
			singly = max(singly-1, 0)
			continue
		}
		k.settle(0, spilled)
		k.complain(&k.saidPublish, "publish", err)
		d := wait.next()
		if errors.Is(err, bus.ErrDenied) {
			d = deniedWait
		}
		k.pause(d)
	}
}

// send publishes a batch. Engines give up by themselves; one that does not is as good as gone.
func (k *link) send(batch []event.Event) error {
	ctx, cancel := context.WithTimeout(k.ctx, publishTime)
	defer cancel()
	err := k.bus.Publish(ctx, batch...)
	if err != nil && ctx.Err() != nil && k.ctx.Err() == nil {
		err = fmt.Errorf("%w: no answer within %v: %w", bus.ErrDisconnected, publishTime, err)
	}
	return err
}

// hopeless reports that the engine will never take an event.
func hopeless(err error) bool {
	return errors.Is(err, bus.ErrTooLarge) || errors.Is(err, bus.ErrUnsupported) || errors.Is(err, event.ErrInvalid)
}

// feedReadyLocked reports whether listeners here would hear what is sent now: they do when their feed is open, and
// later if it has been, on an engine that keeps events.
func (k *link) feedReadyLocked() bool {
	return k.listeningLocked() || k.feed.token != ""
}

// awaitFeed waits until that is so, and keeps the buffer from filling up meanwhile. It reports false when the link is
// closed.
func (k *link) awaitFeed() bool {
	for {
		k.mu.Lock()
		ready, changed := k.feedReadyLocked(), k.changed
		k.mu.Unlock()
		if k.ctx.Err() != nil || ready {
			return k.ctx.Err() == nil
		}
		select {
		case <-changed:
		case <-k.out.more:
			k.spillOver()
		case <-k.ctx.Done():
		}
	}
}

func (k *link) state() (f *feed, losses int, reachable bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.feed, k.counts.Gaps, k.reachable
}

// idle waits for something to send. It reports true when it is time to ask whether the engine is there.
func (k *link) idle() bool {
	timer := time.NewTimer(probeEvery)
	defer timer.Stop()
	k.mu.Lock()
	changed := k.changed
	k.mu.Unlock()
	select {
	case <-k.out.more:
		return false
	case <-changed: // there may be a feed to wait for
		return false
	case <-timer.C:
		return true
	case <-k.ctx.Done():
		return false
	}
}

// pause waits, and keeps the buffer from filling up meanwhile. The engine coming back ends it.
func (k *link) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	var opened <-chan struct{}
	k.mu.Lock()
	if f := k.feed; f != nil && !f.open && !f.hopeless {
		opened = f.opened
	}
	k.mu.Unlock()
	for {
		select {
		case <-k.out.more:
			k.spillOver()
			continue
		case <-opened:
		case <-timer.C:
		case <-k.ctx.Done():
		}
		return
	}
}

// mark notes whether the engine answers.
func (k *link) mark(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		k.reason = err
	}
	if ok := err == nil; ok != k.reachable {
		k.reachable = ok
		k.changeLocked()
	}
}

// accepted answers those who wait for events that nobody here will hear. The feed is the one that was wanted when
// they were sent: one that came later may have begun behind them, and a gap since then may have swallowed them.
func (k *link) accepted(batch []event.Event, f *feed, losses int) {
	k.published.Add(uint64(len(batch)))
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.waits) == 0 {
		return
	}
	for i := range batch {
		ev := &batch[i]
		w := k.waits[ev.ID]
		if w == nil {
			continue
		}
		w.accepted = true
		switch {
		case f == nil, f != k.feed, f.hopeless, k.e.book.heardBy(ev.Type) == nil, !bus.Match(k.hint, ev.Type):
			delete(k.waits, ev.ID)
			w.answer(nil)
		case losses != k.counts.Gaps:
			delete(k.waits, ev.ID)
			w.answer(fmt.Errorf("%w: accepted by the engine, and perhaps in the gap that listeners have been told of", ErrDropped))
		}
	}
}

// Ready waits until the engine answers and, if somebody listens, the feed is open: what any process emits from
// then on is heard here. In memory it returns at once. Its errors are ErrClosed, and the cause of ctx with what
// the engine said last.
func (e *Emitter) Ready(ctx context.Context) error {
	if e.link == nil || e.link.until(ctx, func() bool { return e.link.up && e.link.listeningLocked() }) {
		return nil
	}
	return e.link.interrupted(ctx, "wait for the engine")
}

// Flush waits until the engine has accepted everything that was emitted before the call; with a spill, until that is
// empty. In memory it returns at once. Its errors are ErrClosed, and the cause of ctx with what the engine said last.
func (e *Emitter) Flush(ctx context.Context) error {
	if e.link == nil {
		return nil
	}
	return e.link.flush(ctx)
}

func (k *link) flush(ctx context.Context) error {
	for upTo := k.out.added(); ; {
		moved := k.out.past(upTo)
		if moved == nil {
			if k.spill == nil || k.spill.Len() == 0 {
				return nil
			}
			tick := make(chan struct{}) // nobody tells when a spill is empty
			time.AfterFunc(20*time.Millisecond, func() { close(tick) })
			moved = tick
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return k.interrupted(ctx, "flush")
		case <-k.ctx.Done():
			return k.interrupted(ctx, "flush")
		}
	}
}

func (k *link) interrupted(ctx context.Context, doing string) error {
	cause := ErrClosed
	if ctx.Err() != nil {
		cause = context.Cause(ctx)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.reason != nil && !k.up {
		return fmt.Errorf("emitter: %s: %w; the engine: %w", doing, cause, k.reason)
	}
	return fmt.Errorf("emitter: %s: %w", doing, cause)
}
