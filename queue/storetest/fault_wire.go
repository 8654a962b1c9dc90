package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/earshot-go/earshot/bus/bustest"
	"github.com/earshot-go/earshot/queue"
)

// The limit is some seconds longer than that which stores are to keep to: the machine may be busy.
const callLimit = 8 * time.Second

// A wired is a store, and a client of it behind a proxy.
type wired struct {
	*bustest.Proxy
	e      Engine
	direct *client // which the proxy does not concern
	c      *client
	m      *maker
	lease  queue.Leased // of an item that nobody cares for
}

func newWire(t testing.TB, open func(t testing.TB) Engine) *wired {
	t.Helper()
	e := open(t)
	w := &wired{Proxy: bustest.NewProxy(t, e.Server), e: e, direct: e.client(t), m: newMaker("wire")}
	aside := newMaker("aside")
	w.lease = w.direct.takeAdded(aside.make())[0]
	w.c = e.clientVia(t, w.Addr())
	return w
}

// calls returns all methods of the client behind the proxy that talk to the engine when they are called.
func (w *wired) calls(s queue.Store) (all []method) {
	for _, f := range methods(s, newMaker("calls").make(), w.lease) {
		if f.name != "Wait" { // may wait without asking
			all = append(all, f)
		}
	}
	return all
}

// disconnected fails the test if a call is not answered with ErrDisconnected, in time.
func disconnected(t testing.TB, f method, when string) {
	t.Helper()
	begun := time.Now()
	err := call(t, patience, f.name, f.do)
	wantError(t, f.name+" "+when, err, queue.ErrDisconnected)
	if took := time.Since(begun); took > callLimit {
		t.Fatalf("%s %s has answered after %v, and has to within some seconds: %v", f.name, when, took, err)
	}
}

// back sees to it that calls work now that the wire does. One may fail: it finds out that its connection is gone.
func (w *wired) back(c *client, when string) {
	c.t.Helper()
	add := func() error { _, err := c.tryEnqueue(newMaker("back").make()); return err }
	if err := add(); err != nil {
		wantError(c.t, "the first call "+when, err, queue.ErrDisconnected)
		if err := add(); err != nil {
			c.t.Fatalf("the second call %s: %v", when, err)
		}
	}
	w.cycle(c)
}

// cycle does something of everything, which has to succeed.
func (w *wired) cycle(c *client) {
	c.t.Helper()
	m := newMaker("cycle")
	items := m.some(30)
	items[3].Payload = make([]byte, c.atMost(20_000))
	c.add(items...)
	ls := c.take(m.queue, idsOf(items)...)
	for i, l := range ls {
		if diff := difference(items[i], l.Item); diff != "" {
			c.t.Fatalf("%s has come changed: %s", l.ID, diff)
		}
	}
	c.ackAll(ls)
	c.bindings(0)
	if _, ok := c.Store.(queue.Finder); ok {
		c.find(queue.Query{Queue: m.queue})
	}
}

// A store may be opened before its server is there, and connects to nothing until it is used.
func absentThenPresent(t testing.TB, open func(t testing.TB) Engine) {
	w := newWire(t, open)
	w.c.Caps()
	if _, opened := w.Conns(); opened != 0 {
		t.Fatalf("Open, or Caps, has made %d connections", opened)
	}
	w.Cut()
	for range 2 {
		for _, f := range w.calls(w.c.Store) {
			disconnected(t, f, "without a server")
		}
	}
	w.Mend()
	w.back(w.c, "after the server has come")
}

// When the wire is cut every call says so, nothing is tried again unasked, and when it is mended all works, at the
// latest with the second call, however many connections there were.
func cutAndMended(t testing.TB, open func(t testing.TB) Engine) {
	w := newWire(t, open)
	for range 3 {
		atOnce(t, 8, func(ctx context.Context, i int) error { // as many connections as it will have
			_, err := w.c.Enqueue(ctx, []queue.Item{{ID: fmt.Sprint("pool-", i), Queue: "pool", Name: "n"}})
			return err
		})
		w.Cut()
		for _, f := range w.calls(w.c.Store) {
			disconnected(t, f, "on a wire that was cut")
		}
		w.Mend()
		_, before := w.Conns()
		<-time.After(2 * quiet)
		if _, after := w.Conns(); after != before {
			t.Fatalf("the store has made %d connections though nobody has called it: the layer above says when to try again", after-before)
		}
		w.back(w.c, "after the wire was mended")
		w.Drop() // and without anybody having noticed
		w.back(w.c, "after the connections were reset")
		for range 10 {
			w.c.add(newMaker("again").make())
		}
	}
	if err := w.c.tryClose(patience); err != nil {
		t.Fatalf("Close: %v", err)
	}
	eventually(t, "all connections to be closed after Close", func() bool {
		n, _ := w.Conns()
		return n == 0
	})
}

// A worker that waits survives that its wire is cut, for a moment or longer.
func waitSurvivesCut(t testing.TB, open func(t testing.TB) Engine) {
	w := newWire(t, open)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	had, done := make(chan string, 100), make(chan error, 1)
	go func() {
		for {
			// A lease whose answer is lost has to end soon.
			ls, err := waitFor(ctx, w.c.Store, queue.LeaseRequest{Queues: []string{w.m.queue}, Max: 5, TTL: 500 * time.Millisecond})
			if err != nil && !isAny(err, queue.ErrDisconnected) || ctx.Err() != nil {
				done <- err
				return
			}
			for _, l := range ls {
				had <- l.ID
				w.c.Settle(ctx, []queue.Settlement{l.Ack()}) // if it fails the item comes again
			}
			if err != nil {
				<-time.After(5 * time.Millisecond)
			}
		}
	}()
	for i, harm := range []func(){
		func() {},
		w.Drop,
		func() { w.Cut(); <-time.After(50 * time.Millisecond); w.Mend() },
		func() { w.HalfClose(); <-time.After(20 * time.Millisecond); w.Drop() },
		func() {
			for range 5 {
				w.Drop()
				<-time.After(quiet)
			}
		},
	} {
		<-time.After(quiet) // in all likelihood it waits then
		harm()
		if i == 4 {
			<-time.After(1200 * time.Millisecond) // it has gone on to wait
		}
		it := w.m.make(maxFails(-1))
		begun := time.Now()
		w.direct.add(it)
		for receive(t, had, "an item, after the wire was harmed") != it.ID {
			continue // one of before, of which the store does not know that it is done
		}
		if took := time.Since(begun); took > 2*time.Second+3*w.e.late() {
			t.Fatalf("%v after the wire was harmed for the %dth time a worker that waits has an item: it has to be told within a second", took, i)
		}
	}
	cancel()
	if err := receive(t, done, "a worker whose context has ended"); !errors.Is(err, context.Canceled) {
		t.Fatalf("a worker whose context has ended: %v", err)
	}
}

// A slow wire is no broken one, and the pieces in which bytes come mean nothing.
func slowWire(t testing.TB, open func(t testing.TB) Engine) {
	w := newWire(t, open)
	w.Delay(20 * time.Millisecond)
	w.cycle(w.c)
	w.Delay(0)
	w.Slice(1)
	w.cycle(w.e.clientVia(t, w.Addr()))
}

// Random bytes in place of answers are an error, and no success. When there is sense on the wire again, all goes on.
func garbageIsAnError(t testing.TB, open func(t testing.TB) Engine) {
	w := newWire(t, open)
	w.cycle(w.c)
	w.Garbage(true)
	fresh := w.e.clientVia(t, w.Addr())
	calls := append(w.calls(w.c.Store), w.calls(fresh.Store)...)
	errs := make([]error, len(calls))
	atOnce(t, len(calls), func(ctx context.Context, i int) error {
		errs[i] = calls[i].do(ctx)
		return nil
	})
	for i, err := range errs {
		if err == nil || isAny(err, queue.ErrClosed, queue.ErrDenied, queue.ErrInvalid, queue.ErrUnsupported, queue.ErrTooLarge, queue.ErrFull, context.DeadlineExceeded) {
			t.Fatalf("%s, answered by random bytes: %v", calls[i].name, err)
		}
	}
	w.Garbage(false)
	w.Drop()
	w.back(w.c, "after the wire makes sense again")
}

// A wire on which nothing moves is as good as cut, and is found out in time.
func freezeEndsInErrDisconnected(t testing.TB, open func(t testing.TB) Engine) {
	w := newWire(t, open)
	w.cycle(w.c)
	fresh := w.e.clientVia(t, w.Addr())
	calls := append(w.calls(w.c.Store), w.calls(fresh.Store)...)
	w.Freeze()
	took, errs := make([]time.Duration, len(calls)), make([]error, len(calls))
	atOnce(t, len(calls), func(ctx context.Context, i int) error {
		begun := time.Now()
		errs[i] = calls[i].do(ctx)
		took[i] = time.Since(begun)
		return nil
	})
	for i, f := range calls {
		wantError(t, f.name+" on a frozen wire", errs[i], queue.ErrDisconnected)
		if took[i] > callLimit {
			t.Errorf("%s on a frozen wire has answered after %v, and has to within some seconds", f.name, took[i])
		}
	}
	w.Thaw()
	w.back(w.c, "after the wire has thawed")
	w.back(fresh, "after the wire has thawed")
}

// On a frozen wire the context of a call counts, if it ends before the store's patience does.
func frozenContextEnds(t testing.TB, open func(t testing.TB) Engine) {
	w := newWire(t, open)
	w.cycle(w.c)
	calls := w.calls(w.c.Store)
	w.Freeze()
	cause := errors.New("the caller has gone")
	took, errs := make([]time.Duration, len(calls)), make([]error, len(calls))
	atOnce(t, len(calls), func(_ context.Context, i int) error {
		ctx, cancel := context.WithTimeoutCause(context.Background(), 200*time.Millisecond, cause)
		defer cancel()
		begun := time.Now()
		errs[i] = calls[i].do(ctx)
		took[i] = time.Since(begun)
		return nil
	})
	for i, f := range calls {
		wantError(t, f.name+" on a frozen wire, whose context ends", errs[i], cause)
		if took[i] > 3*time.Second {
			t.Fatalf("%s on a frozen wire has gone on for %v after its context had ended", f.name, took[i])
		}
	}
	w.Thaw()
	w.back(w.c, "after the wire has thawed")
}

// Close needs no server.
func closeWhileFrozen(t testing.TB, open func(t testing.TB) Engine) {
	w := newWire(t, open)
	w.cycle(w.c)
	w.Freeze()
	calls := w.calls(w.c.Store)
	ends := make(chan error, len(calls))
	for _, f := range calls {
		go func() { ends <- f.do(context.Background()) }()
	}
	<-time.After(quiet)
	begun := time.Now()
	w.c.tryClose(time.Second) // an error may say that it was not kind to the server
	if took := time.Since(begun); took > 3*time.Second {
		t.Fatalf("Close on a frozen wire, with a second to do it, has taken %v", took)
	}
	for range calls {
		if err := receive(t, ends, "calls whose store was closed"); !isAny(err, queue.ErrClosed, queue.ErrDisconnected) {
			t.Fatalf("a call whose store is closed on a frozen wire: %v", err)
		}
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Fatalf("calls have gone on for %v after Close", took)
	}
	for _, f := range w.calls(w.c.Store) {
		wantError(t, f.name+" after Close", call(t, patience, f.name, f.do), queue.ErrClosed)
	}
}

// split is a store of which one part goes another way.
type split struct {
	queue.Store
	enqueue, lease, settle queue.Store
}

func (s split) Enqueue(ctx context.Context, items []queue.Item) ([]queue.Enqueued, error) {
	return s.enqueue.Enqueue(ctx, items)
}

func (s split) Lease(ctx context.Context, r queue.LeaseRequest) ([]queue.Leased, error) {
	return s.lease.Lease(ctx, r)
}

func (s split) Settle(ctx context.Context, ss []queue.Settlement) ([]error, error) {
	return s.settle.Settle(ctx, ss)
}

// The wire is cut while calls of one kind are under way, at any moment: what was answered is so, what was not is so or
// not, and a retry is safe.
func cutWireDuring(part string) func(t testing.TB, open func(t testing.TB) Engine) {
	return func(t testing.TB, open func(t testing.TB) Engine) {
		w := newWire(t, open)
		seed := random(t)
		h := NewHistory()
		queues := []string{"cut-a", "cut-b"}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		stop := make(chan struct{})
		const workers = 3
		done := make(chan error, workers)
		for i := range workers {
			s := split{w.direct.Store, w.direct.Store, w.direct.Store, w.direct.Store}
			via := w.e.clientVia(t, w.Addr()).Store
			switch part {
			case "Enqueue":
				s.enqueue = via
			case "Lease":
				s.lease = via
			case "Settle":
				s.settle = via
			}
			if !w.direct.Caps().Fenced && part != "Enqueue" {
				s.lease, s.settle = via, via // a receipt may be for one client
			}
			worker := w.direct.newWorker(fmt.Sprint("w", i), queues, seed)
			worker.bad = true
			go func() { done <- worker.workOn(ctx, h.Watch(s), stop) }()
		}
		for i := range cuts() {
			before := h.calls()
			for end := time.Now().Add(patience); h.calls() < before+3; <-time.After(time.Millisecond) {
				select {
				case err := <-done:
					t.Fatalf("a worker has ended after the wire was cut for the %dth time: %v", i, err)
				default:
				}
				if time.Now().After(end) {
					t.Fatalf("workers do not get on, %v after the wire was mended for the %dth time", patience, i)
				}
			}
			pause(seed, 5*time.Millisecond)
			switch seed.IntN(6) {
			case 0, 1, 2:
				w.Drop()
			case 3:
				w.HalfClose()
				pause(seed, 5*time.Millisecond)
				w.Drop()
			case 4:
				w.Freeze()
				pause(seed, 10*time.Millisecond)
				w.Drop()
				w.Thaw()
			default:
				w.Cut()
				pause(seed, 10*time.Millisecond)
				w.Mend()
			}
		}
		close(stop)
		for range workers {
			if err := receive(t, done, "workers to stop"); err != nil {
				t.Fatalf("a worker has ended: %v", err)
			}
		}
		w.direct.settleAll(h, queues...)
	}
}

// cuts is how often a wire is cut.
func cuts() int {
	if n, err := strconv.Atoi(os.Getenv("EARSHOT_CUTS")); err == nil && n > 0 {
		return n
	}
	if testing.Short() {
		return 15
	}
	return 60
}

// A worker is cut off for longer than its lease: another one has its item, and what the first says of it, when it can
// speak again, means nothing.
func freezeConnection(t testing.TB, open func(t testing.TB) Engine) {
	w := newWire(t, open)
	for _, action := range []queue.Action{queue.Ack, queue.Fail, queue.Release, queue.Bury, queue.Extend} {
		if action == queue.Extend && !w.direct.Caps().Extend {
			continue
		}
		it := w.m.make(maxFails(-1))
		w.c.add(it)
		const ttl = 200 * time.Millisecond
		loser := w.c.takeFor(ttl, w.m.queue, it.ID)[0]
		s := loser.Ack()
		s.Action, s.TTL = action, time.Hour
		w.Freeze()
		winner, _ := w.direct.takeSoon(long, w.m.queue, it.ID, "an item whose worker was cut off")
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		_, err := w.c.Settle(ctx, []queue.Settlement{s}) // is on its way until the wire thaws
		cancel()
		if err == nil {
			t.Fatalf("%v on a frozen wire has succeeded", action)
		}
		w.Thaw()
		var errs []error
		for range 2 {
			if errs, err = w.c.trySettle(s); err == nil {
				break
			}
			wantError(t, "Settle after the wire has thawed", err, queue.ErrDisconnected)
		}
		if err != nil {
			t.Fatalf("the second Settle after the wire has thawed: %v", err)
		}
		if !errors.Is(errs[0], queue.ErrLeaseLost) {
			t.Fatalf("%v by a worker that was cut off for longer than its lease: %v, and has to be %v", action, errs[0], queue.ErrLeaseLost)
		}
		w.direct.wantState(it.ID, queue.StateLeased, 1)
		w.direct.none("the winner has it", w.m.queue)
		w.direct.settle(winner.Ack())
		w.direct.wantGone(it.ID)
	}
}

// The server is killed while workers are at work: what it has answered is so.
func restartServer(t testing.TB, open func(t testing.TB) Engine) {
	e := open(t)
	c := e.client(t)
	k := keep(c)
	seed := random(t)
	h := NewHistory()
	queues := []string{"restart-a", "restart-b"}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stop := make(chan struct{})
	const workers = 3
	done := make(chan error, workers)
	for i := range workers {
		w := c.newWorker(fmt.Sprint("w", i), queues, seed)
		w.bad = true
		s := e.client(t).Store
		go func() { done <- w.workOn(ctx, h.Watch(s), stop) }()
	}
	for i := range 3 {
		before := h.Acknowledged()
		for end := time.Now().Add(patience); h.Acknowledged() < before+30; <-time.After(time.Millisecond) {
			select {
			case err := <-done:
				t.Fatalf("a worker has ended after the server was killed for the %dth time: %v", i, err)
			default:
			}
			if time.Now().After(end) {
				t.Fatalf("workers do not get on, %v after the server was started for the %dth time", patience, i)
			}
		}
		e.Restart(t)
	}
	eventually(t, "calls to work after the last restart", func() bool {
		_, err := c.tryEnqueue(newMaker("alive").make())
		if err != nil && !errors.Is(err, queue.ErrDisconnected) {
			t.Fatalf("Enqueue after a restart: %v", err)
		}
		return err == nil
	})
	close(stop)
	for range workers {
		if err := receive(t, done, "workers to stop"); err != nil {
			t.Fatalf("a worker has ended: %v", err)
		}
	}
	if !c.Caps().Durable {
		return // all, some or nothing may be left
	}
	k.check(c)
	c.settleAll(h, queues...)
}
