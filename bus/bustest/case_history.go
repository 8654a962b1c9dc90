package bustest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot-go/earshot/bus"
)

// A reader reads a stream in pieces: it opens a feed, reads for a while, and opens another where it stopped.
type reader struct {
	bus  bus.Bus
	h    *history
	caps bus.Caps
	rand *rand.Rand
	at   bus.Position // where to go on

	came   []string
	seen   map[string]bool
	last   time.Time // when something came last
	opened int
	n      atomic.Int64 // len(seen), for others to see
}

// read reads until stop tells that it is enough, or nothing has come for so long that nothing will: account says then
// what is missing. An ErrDisconnected makes it open another feed.
func (r *reader) read(ctx context.Context, stop func(r *reader) bool) error {
	r.seen, r.last = map[string]bool{}, time.Now()
	for !stop(r) && time.Since(r.last) < patience {
		err := r.piece(ctx, stop)
		if err != nil && !(errors.Is(err, bus.ErrDisconnected) && ctx.Err() == nil) {
			return err
		}
		if err != nil {
			select {
			case <-time.After(2 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
	return nil
}

func (r *reader) piece(ctx context.Context, stop func(r *reader) bool) error {
	f, err := r.bus.Tail(ctx, bus.Tail{From: r.at})
	if err != nil {
		return fmt.Errorf("tail from %v: %w", r.at, err)
	}
	defer f.Close()
	r.opened++
	p, ok := f.(bus.Positioned)
	if !ok {
		return fmt.Errorf("the feed from %v is no bus.Positioned", r.at)
	}
	r.at = bus.After(p.Token())
	for n := r.rand.IntN(60); n >= 0 && !stop(r); n-- {
		d, err := r.next(ctx, f, stop)
		if err != nil {
			return err
		}
		if d == nil {
			return nil
		}
		if wrong := r.h.known(d.Event); wrong != "" {
			return fmt.Errorf("the feed from %v: %s", r.at, wrong)
		}
		r.seen[d.Event.ID], r.last = true, time.Now()
		r.n.Store(int64(len(r.seen)))
		r.came, r.at = append(r.came, d.Event.ID), bus.After(d.Token)
	}
	return nil
}

// next returns nil when it has become enough while it waited.
func (r *reader) next(ctx context.Context, f bus.Feed, stop func(r *reader) bool) (*bus.Delivery, error) {
	waiting, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	d, err := f.Next(waiting)
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		return nil, nil // nothing for a second: open another feed, or stop
	}
	if err != nil {
		return nil, fmt.Errorf("next after %v: %w", r.at, err)
	}
	return &d, nil
}

// Publishers and readers at random, and then the whole account: what was accepted has come to everybody, from where
// they began, and nothing else has.
func randomHistory(t testing.TB, open func(t testing.TB) Stream) {
	s := open(t)
	c := s.client(t)
	caps := c.caps()
	h := newHistory()
	const publishers, each = 3, 150
	m := newTeam(t, 3*patience)
	early := some("early", 5)
	h.try("early", early...)
	c.publish(early...)
	h.accept(early...)
	for i := range publishers {
		p := &publisher{newMaker(fmt.Sprintf("p%d", i)), s.client(t).Bus, h, random(t)}
		m.start(func(ctx context.Context) error { return p.publish(ctx, each, 10) })
	}
	var readers []*reader
	began := c.from(bus.Now).token() // some of the publishers' may be before it
	for range 3 {
		r := &reader{bus: s.client(t).Bus, h: h, caps: caps, rand: random(t), at: bus.Start}
		readers = append(readers, r)
		m.start(func(ctx context.Context) error {
			return r.read(ctx, func(r *reader) bool { return len(r.seen) == publishers*each+len(early) })
		})
	}
	m.wait(t, "publishing and reading at random")
	for _, r := range readers {
		r.account(t)
	}
	// One who begins in the middle has the end of what each publisher has published, and nothing of before.
	var came []string
	late := s.client(t).tail(bus.Tail{From: bus.After(began), Past: true})
	for {
		d, err := late.tryNext(patience)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", late.about, err)
		}
		if contains(early, d.Event.ID) {
			t.Fatalf("%s has brought %s, which is of before", late.about, d.Event.ID)
		}
		came = append(came, d.Event.ID)
	}
	if wrong := h.torn(came); caps.Ordered && wrong != "" {
		t.Fatalf("%s: %s", late.about, wrong)
	}
}
