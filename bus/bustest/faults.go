package bustest

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

// faults is the tests of Faults.
var faults = []testCase{
	{"AbsentThenPresent", false, absentThenPresent, nil},
	{"CutWhileIdle", false, cutWhileIdle, nil},
	{"NoLossAcrossCut", false, noLossAcrossCut, needs{replay}},
	{"MendedAtOnce", false, mendedAtOnce, nil},
	{"HalfClosed", false, halfClosed, nil},
	{"Delayed", false, delayed, nil},
	{"OneByteAtATime", false, oneByteAtATime, nil},
	{"GarbageIsAnError", false, garbageIsAnError, nil},
	{"FreezeEndsInErrDisconnected", false, freezeEndsInErrDisconnected, nil},
	{"FrozenContextEnds", false, frozenContextEnds, nil},
	{"CloseWhileFrozen", false, closeWhileFrozen, nil},
	{"CutDuringPublish", false, cutDuringPublish, nil},
	{"CutDuringTail", false, cutDuringTail, needs{replay}},
	{"CutAgainAndAgain", false, cutAgainAndAgain, needs{replay}},
	{"RestartKeepsAccepted", true, restartKeepsAccepted, needs{restart}},
}

// The limits are some seconds longer than those that engines are to keep to: the machine may be busy.
const (
	publishLimit = 8 * time.Second  // for a call that gets no answer: 5 s, and time to notice
	nextLimit    = 10 * time.Second // for a feed on a dead wire: 3 to 5 s, and time to notice
)

// A wire is a stream, and a client of it behind a proxy.
type wire struct {
	*Proxy
	s      Stream
	direct *client // which the proxy does not concern
	c      *client
	caps   bus.Caps
}

func newWire(t testing.TB, open func(t testing.TB) Stream) *wire {
	t.Helper()
	s := open(t)
	if s.Server == "" {
		t.Fatal("bustest.Faults: Stream.Server is empty: an engine without a wire has no faults of one")
	}
	w := &wire{Proxy: NewProxy(t, s.Server), s: s, direct: s.client(t)}
	w.caps = w.direct.caps()
	w.c = s.clientVia(t, w.Addr())
	return w
}

// feed opens a feed from Now on which one event has come: its connection, if it has one of its own, is made.
func (w *wire) feed() *feed {
	w.c.t.Helper()
	f := w.c.from(bus.Now)
	evs := some("first", 1)
	w.direct.publish(evs...)
	f.want(w.caps.Ordered, evs...)
	return f
}

// disconnected fails the test if a call was not answered with ErrDisconnected, in time.
func disconnected(t testing.TB, what string, limit time.Duration, call func() error) {
	t.Helper()
	begun := time.Now()
	err := call()
	wantError(t, what, err, bus.ErrDisconnected)
	if took := time.Since(begun); took > limit {
		t.Fatalf("%s has answered after %v, and has to within %v: %v", what, took.Round(time.Millisecond), limit, err)
	}
}

// A call is one that a test makes beside others. It must not use t.
type call struct {
	what  string
	limit time.Duration
	do    func(ctx context.Context) error

	err  error
	took time.Duration
}

// atOnce makes calls at the same time, and returns when all have answered.
func atOnce(t testing.TB, calls ...call) []call {
	t.Helper()
	answers := make(chan call, len(calls))
	for _, c := range calls {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			begun := time.Now()
			c.err = c.do(ctx)
			c.took = time.Since(begun)
			answers <- c
		}()
	}
	for i := range calls {
		calls[i] = receive(t, answers, "the answers of calls on a bad wire")
	}
	return calls
}

// bounded makes the call alone.
func (c call) bounded(t testing.TB) error {
	t.Helper()
	_, err := bounded(t, patience, c.what, func(ctx context.Context) (struct{}, error) { return struct{}{}, c.do(ctx) })
	return err
}

func publishCall(what string, b bus.Bus, evs ...event.Event) call {
	return call{what: what, limit: publishLimit, do: func(ctx context.Context) error { return b.Publish(ctx, evs...) }}
}

func tailCall(what string, b bus.Bus) call {
	return call{what: what, limit: publishLimit, do: func(ctx context.Context) error {
		f, err := b.Tail(ctx, bus.Tail{})
		if err == nil {
			f.Close()
		}
		return err
	}}
}

// nextCall reads a feed until it ends.
func nextCall(what string, f bus.Feed) call {
	return call{what: what, limit: nextLimit, do: func(ctx context.Context) error {
		for {
			if _, err := f.Next(ctx); err != nil {
				return err
			}
		}
	}}
}

// tailFails is the error of Tail.
func (c *client) tailFails() error {
	c.t.Helper()
	return tailCall("Tail", c.Bus).bounded(c.t)
}

// ends is the error with which a feed ends. What comes before has to be of these events, and is returned.
func (f *feed) ends(known []event.Event) (came []bus.Delivery, err error) {
	f.t.Helper()
	for {
		d, err := f.tryNext(patience)
		if err != nil {
			return came, err
		}
		if !contains(known, d.Event.ID) {
			f.t.Fatalf("%s has brought %s, which is none of the %d that were published: %s", f.about, d.Event.ID, len(known), list(known))
		}
		came = append(came, d)
	}
}

// back sees to it that calls work now that the wire does. One may fail: it finds out that its connection is gone.
func (c *client) back(what string) {
	c.t.Helper()
	if err := c.tryPublish(); err != nil {
		wantError(c.t, "the first Publish "+what, err, bus.ErrDisconnected)
		if err := c.tryPublish(); err != nil {
			c.t.Fatalf("the second Publish %s: %v", what, err)
		}
	}
	if err := c.tailFails(); err != nil {
		wantError(c.t, "the first Tail "+what, err, bus.ErrDisconnected)
		if err := c.tailFails(); err != nil {
			c.t.Fatalf("the second Tail %s: %v", what, err)
		}
	}
}

// chaos cuts a wire n times, mostly when something has gone over it since the last time, and at times when nothing has.
func (w *wire) chaos(t testing.TB, m *team, rand *rand.Rand, n int, progress func() int) {
	t.Helper()
	upTo := func(d time.Duration) { <-time.After(time.Duration(rand.Int64N(int64(d)))) }
	for i := range n {
		if rand.IntN(4) > 0 {
			before := progress()
			for end := time.Now().Add(patience); progress() == before; <-time.After(time.Millisecond) {
				if m.ctx.Err() != nil {
					t.Fatalf("after the wire was cut for the %dth time: %v", i, context.Cause(m.ctx))
				}
				if time.Now().After(end) {
					t.Fatalf("nothing has gone over the wire for %v since it was mended for the %dth time", patience, i)
				}
			}
		}
		upTo(10 * time.Millisecond)
		switch rand.IntN(8) {
		case 0, 1, 2:
			w.Drop()
		case 3:
			w.HalfClose()
			upTo(5 * time.Millisecond)
			w.Drop()
		case 4:
			w.Freeze()
			upTo(20 * time.Millisecond)
			w.Drop()
			w.Thaw()
		case 5:
			w.Freeze()
			upTo(20 * time.Millisecond)
			w.Thaw()
		default:
			w.Cut()
			upTo(10 * time.Millisecond)
			w.Mend()
		}
	}
}

// pace publishes small batches until the context ends, and then until the last one is accepted.
func (p *publisher) pace(ctx context.Context, stop <-chan struct{}) error {
	for {
		if err := p.publish(ctx, 1+p.rand.IntN(4), 4); err != nil {
			return err
		}
		select {
		case <-stop:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Millisecond):
		}
	}
}

// account fails the test if something that was accepted does not come to a feed from Start, or something else does.
func (w *wire) account(t testing.TB, h *history) {
	t.Helper()
	t.Logf("%d events were accepted", h.here())
	if !w.caps.Replay {
		return
	}
	w.s.client(t).from(bus.Start).readAll(h, w.caps, nil)
}

// isWire reports whether an error may stand for bytes that make no sense: not one on which the layer above gives up.
func isWire(err error) bool {
	return err != nil && !isAny(err, bus.ErrClosed, bus.ErrDenied, bus.ErrForeignToken, bus.ErrUnsupported, bus.ErrTooLarge, context.DeadlineExceeded) &&
		!errors.As(err, new(*bus.GapError))
}
