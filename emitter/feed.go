package emitter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

// A feed is one stretch of listening to the engine, from the first listener to the last, over as many feeds of
// the bus as that takes. Its fields are guarded by link.mu.
type feed struct {
	cancel   context.CancelFunc
	open     bool
	ever     bool          // has been open
	failed   bool          // could not be opened at first
	opened   chan struct{} // closed when it opens; another one after it has broken
	hopeless bool          // the engine cannot do what is asked for
	token    bus.Token     // of the last event, or of the beginning
}

// hold keeps the feed open until release is called as often.
func (k *link) hold() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.holds++
	if k.holds > 1 || k.ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(k.ctx)
	f := &feed{cancel: cancel, opened: make(chan struct{})}
	before, gone := k.feedGone, make(chan struct{})
	k.feed, k.feedGone = f, gone
	k.wg.Add(1)
	go func() {
		defer k.wg.Done()
		defer close(gone)
		<-before // never two at a time: each event would be heard twice
		k.follow(ctx, f)
	}()
	k.changeLocked()
}

func (k *link) release() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.holds--
	if k.holds > 0 || k.feed == nil {
		return
	}
	k.feed.cancel()
	k.feed = nil
	k.from = bus.Now
	k.answerLocked(nil) // nobody is left to hear them
	k.changeLocked()
}

// answerLocked answers those who wait for events that the engine has accepted and no feed will bring.
func (k *link) answerLocked(err error) {
	for id, w := range k.waits {
		if w.accepted {
			delete(k.waits, id)
			w.answer(err)
		}
	}
}

// follow reads the engine's events until ctx ends.
func (k *link) follow(ctx context.Context, f *feed) {
	var wait backoff
	k.mu.Lock()
	from := k.from
	k.mu.Unlock()
	var broken error // why the feed before this one ended
	for ctx.Err() == nil {
		in, err := k.bus.Tail(ctx, bus.Tail{Hint: k.hint, From: from})
		if err == nil {
			begin, heard := time.Now(), k.arrived.Load()
			if broken != nil && from.IsNow() { // this engine keeps nothing
				k.loss(&bus.GapError{Reason: "the engine keeps no events, and could not be heard for a while: " + broken.Error()})
			}
			k.opened(f, in, &from)
			err = k.read(ctx, in, &from)
			in.Close()
			broken = err
			if k.arrived.Load() != heard || time.Since(begin) >= longestWait { // it did work
				k.content(&k.saidListen)
				wait.reset()
			}
		}
		if ctx.Err() != nil {
			return
		}
		k.broken(f, from, err)
		switch {
		case errors.Is(err, bus.ErrForeignToken):
			from, broken = k.anew(err), nil
		case errors.Is(err, bus.ErrUnsupported):
			k.change(func() { f.hopeless = true })
			k.e.fail(fmt.Errorf("emitter: listen from %v: %w", from, err))
			<-ctx.Done()
			return
		default:
			k.complain(&k.saidListen, "listen", err)
		}
		d := wait.next()
		if errors.Is(err, bus.ErrDenied) {
			d = deniedWait
		}
		timer := time.NewTimer(d)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// opened notes that a feed is open, and from where to go on should it break before it brings anything.
func (k *link) opened(f *feed, in bus.Feed, from *bus.Position) {
	k.change(func() {
		f.open, f.ever = true, true
		close(f.opened)
		if p, ok := in.(bus.Positioned); ok && p.Token() != "" {
			f.token = p.Token()
			*from = bus.After(f.token)
		}
	})
}

// broken notes that it is not open any more.
func (k *link) broken(f *feed, from bus.Position, err error) {
	k.change(func() {
		k.reason = err
		if f.open {
			f.open, f.opened = false, make(chan struct{})
			if t, ok := from.Token(); ok {
				f.token = t
			}
		} else {
			f.failed = true // nobody else may notice: the publisher waits for the feed
			if unreachable(err) {
				k.reachable = false
			}
		}
	})
}

// anew says that the stream is another one than before, and where to go on: all of it is new.
func (k *link) anew(err error) bus.Position {
	k.loss(&bus.GapError{Reason: err.Error()})
	if k.bus.Caps().Replay {
		return bus.Start
	}
	return bus.Now
}

// loss says that what the engine had may be missing here. An event that somebody waits for may be among it, or still
// come: that cannot be told apart.
func (k *link) loss(g *bus.GapError) {
	k.mu.Lock()
	k.counts.Gaps++
	k.answerLocked(fmt.Errorf("%w: accepted by the engine, and perhaps not heard here: %w", ErrDropped, g))
	k.mu.Unlock()
	k.e.tell(Gap, g)
}

// read brings events from one feed of the bus to the listeners, and keeps from just behind the last of them.
func (k *link) read(ctx context.Context, in bus.Feed, from *bus.Position) error {
	for {
		d, err := in.Next(ctx)
		var gap *bus.GapError
		if errors.As(err, &gap) {
			k.loss(gap)
			continue
		}
		if err != nil {
			return err
		}
		if err := k.deliver(ctx, &d); err != nil {
			return err
		}
		if d.Token != "" {
			*from = bus.After(d.Token)
		}
	}
}

// audible reports that a listener may hear of such a name.
func audible(ev *event.Event) bool { return len(ev.Type) <= longestName && !reserved(ev.Type) }

// deliver brings one event to its listeners, unless it has been here before. It waits for room.
func (k *link) deliver(ctx context.Context, d *bus.Delivery) error {
	k.arrived.Add(1)
	if k.heard.again(&d.Event) {
		k.repeated.Add(1)
		return nil
	}
	if !audible(&d.Event) {
		k.foreign.Add(1) // somebody else's, and no business of listeners here
		return nil
	}
	if !d.Event.Time.IsZero() {
		k.lag.Store(int64(time.Since(d.Event.Time)))
	}
	own := *d // what listeners keep must not be what the next call writes to
	ev := received(&own)
	ev.to = k.e.book.heardBy(ev.Name)
	w := k.takeWait(ev.Received.Event.ID)
	err := k.e.post(ctx, ev, w)
	if err != nil && w != nil {
		w.answer(k.e.closedErr()) // the feed has ended while it waited for room: for lack of listeners, or at Close
	}
	return err
}
