package bustest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

// A publisher publishes events in batches of any size and writes down what became of it. It tries a batch again, with
// the same IDs, until it is accepted.
type publisher struct {
	*maker
	bus  bus.Bus
	h    *history
	rand *rand.Rand
}

// publish returns when total events are accepted, or with an error when ctx ends.
func (p *publisher) publish(ctx context.Context, total, most int) error {
	for total > 0 {
		batch := p.some(min(total, 1+p.rand.IntN(most)))
		p.h.try(p.name, batch...)
		if err := p.insist(ctx, batch); err != nil {
			return err
		}
		total -= len(batch)
	}
	return nil
}

func (p *publisher) insist(ctx context.Context, batch []event.Event) error {
	for {
		err := p.bus.Publish(ctx, batch...)
		if err == nil {
			p.h.accept(batch...)
			return nil
		}
		if !errors.Is(err, bus.ErrDisconnected) || ctx.Err() != nil {
			return fmt.Errorf("publisher %s: Publish of %s: %w", p.name, list(batch), err)
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// A team is goroutines that work for a test. The first error of one ends the others.
type team struct {
	ctx  context.Context
	end  context.CancelCauseFunc
	jobs sync.WaitGroup
}

func newTeam(t testing.TB, d time.Duration) *team {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	m := &team{}
	m.ctx, m.end = context.WithCancelCause(ctx)
	t.Cleanup(cancel)
	return m
}

func (m *team) start(f func(ctx context.Context) error) {
	m.jobs.Go(func() {
		if err := f(m.ctx); err != nil {
			m.end(err)
		}
	})
}

// wait returns when all have finished, and fails the test if one has failed.
func (m *team) wait(t testing.TB, what string) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		m.jobs.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-m.ctx.Done():
		hung := time.NewTimer(stubborn)
		defer hung.Stop()
		select {
		case <-done:
		case <-hung.C:
			t.Fatalf("%s: %v; and a call has not returned %v after that", what, context.Cause(m.ctx), stubborn)
		}
	}
	if m.ctx.Err() != nil {
		t.Fatalf("%s: %v", what, context.Cause(m.ctx))
	}
}

// readAll reads a feed until everything has come that was accepted up to the moment at which publishers were done.
func (f *feed) readAll(h *history, caps bus.Caps, skip map[string]bool) (came []string) {
	f.t.Helper()
	missing := map[string]bool{}
	for _, id := range h.missing(nil, skip) {
		missing[id] = true
	}
	for len(missing) > 0 {
		d := f.next(fmt.Sprintf("%d events that were accepted, one is %s", len(missing), one(missing)))
		if wrong := h.known(d.Event); wrong != "" {
			f.t.Fatalf("%s: %s", f.about, wrong)
		}
		came = append(came, d.Event.ID)
		delete(missing, d.Event.ID)
	}
	if wrong := h.misplaced(came); caps.Ordered && wrong != "" {
		f.t.Fatalf("%s: %s", f.about, wrong)
	}
	return came
}

func one(ids map[string]bool) string {
	for id := range ids {
		return id
	}
	return "none"
}

// crowd has several publishers, on clients of their own, publish at once.
func crowd(t testing.TB, s Stream, h *history, publishers, each, most int) {
	t.Helper()
	m := newTeam(t, 2*patience)
	for i := range publishers {
		p := &publisher{newMaker(fmt.Sprintf("p%d", i)), s.client(t), h, random(t)}
		m.start(func(ctx context.Context) error { return p.publish(ctx, each, most) })
	}
	m.wait(t, "publishing")
}

// random returns a source of numbers whose seed is in the test's log.
func random(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// What one bus publishes arrives everywhere in that order, whatever the others do.
func orderPerPublisher(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	c := s.client(t)
	caps := c.caps()
	feeds := []*feed{c.from(bus.Now), s.client(t).from(bus.Now)}
	h := newHistory()
	crowd(t, s, h, 4, 100, 8)
	if caps.Replay {
		feeds = append(feeds, c.from(bus.Start))
	}
	for _, f := range feeds {
		f.readAll(h, caps, nil)
	}
}

// Publishers that publish at once, on one client and on several, lose nothing for readers who look while they do.
func concurrentPublishersNoLoss(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	c := s.client(t)
	caps := c.caps()
	h := newHistory()
	live := c.from(bus.Now)
	m := newTeam(t, 2*patience)
	shared := []*client{s.client(t), s.client(t)}
	for i := range 8 {
		p := &publisher{newMaker(fmt.Sprintf("p%d", i)), shared[i%2].Bus, h, random(t)}
		m.start(func(ctx context.Context) error { return p.publish(ctx, 60, 3) })
	}
	var came []string
	if caps.Replay {
		// Each step begins where the one before has ended: what becomes visible behind a reader is lost to it.
		var at bus.Position = bus.Start
		for len(came) < 480 {
			f := c.tail(bus.Tail{From: at})
			for range 20 {
				d := f.next("events of publishers at work")
				if wrong := h.known(d.Event); wrong != "" {
					t.Fatalf("%s: %s", f.about, wrong)
				}
				came, at = append(came, d.Event.ID), bus.After(d.Token)
				if len(came) == 480 {
					break
				}
			}
			f.close()
		}
	}
	m.wait(t, "publishing")
	if caps.Replay {
		if lost := h.missing(came, nil); len(lost) > 0 {
			t.Fatalf("a reader who looked while publishers were at work has missed %d events: %s", len(lost), lost[0])
		}
	}
	caps.Ordered = false // the publishers of one client are not in step
	live.readAll(h, caps, nil)
}

// What another client publishes comes, and what another process would.
func twoClients(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	a, b := s.client(t), s.client(t)
	caps := a.caps()
	fa, fb := a.from(bus.Now), b.from(bus.Now)
	ma, mb := newMaker("a"), newMaker("b")
	for range 10 { // in turns: each waits for the other's, so that there is one order
		ev := ma.make()
		a.publish(ev)
		fb.want(caps.Ordered, ev)
		fa.want(caps.Ordered, ev)
		ev = mb.make()
		b.publish(ev)
		fa.want(caps.Ordered, ev)
		fb.want(caps.Ordered, ev)
	}
	if err := a.tryClose(patience); err != nil {
		t.Fatalf("Close: %v", err)
	}
	ev := mb.make() // the end of one is nothing to the other
	b.publish(ev)
	fb.want(caps.Ordered, ev)
}
