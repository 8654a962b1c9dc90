package earshot_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"

	"github.com/earshot-go/earshot"
)

// life runs one subscriber from its beginning to its end.
func (r *ledgerRound) life(rng *rand.Rand) {
	n := 1000
	if left := r.churns - r.churned.Load(); left > 0 {
		n = int(min(1000, 2*(r.deliveries-r.delivered.Load())/left))
	}
	n = 1 + rng.IntN(max(1, n))
	switch k := rng.IntN(100); {
	case k < 30:
		mailLife[ledgerEvent](r, rng, n)
	case k < 55:
		mailLife[any](r, rng, n)
	case k < 85:
		r.handleLife(rng, n)
	case k < 92:
		r.eventsLife(rng, n)
	case k < 98:
		r.spawnLife(rng, n)
	default:
		r.mu.Lock()
		enough := len(r.abandoned) >= 20
		r.mu.Unlock()
		if !enough {
			r.abandon(rng, n)
		}
	}
}

func mailLife[E any](r *ledgerRound, rng *rand.Rand, n int) {
	channel := rng.IntN(len(ledgerNames))
	overflow := earshot.Overflow(rng.IntN(int(earshot.Block)))
	if channel == ledgerBlock && rng.IntN(2) == 0 {
		overflow = earshot.Block
	}
	x := newLedgerMail[E](context.Background(), r, rng, overflow)
	another := func() { // a second subscription, perhaps to the same channel
		if overflow == earshot.Block {
			x.subscribe(ledgerBlock)
		} else {
			x.subscribe(rng.IntN(len(ledgerNames)+1) - 1)
		}
	}
	x.subscribe(channel)
	many := rng.IntN(3) == 0
	if many {
		x.later = another
		if rng.IntN(2) == 0 {
			another()
		}
	}
	ctx, stop := context.WithCancel(r.ctx)
	defer stop()
	alive := x.read(ctx, n/2)
	if many && alive {
		another()
		x.unsubscribe(rng.IntN(len(x.refs)))
		if another(); rng.IntN(2) == 0 {
			alive = x.read(ctx, n/4)
		}
	}
	x.later = nil
	how := rng.IntN(3)
	switch {
	case !alive:
		x.end(how)
	case rng.IntN(3) == 0: // in the middle of a loop, which goes on
		x.later = func() { x.end(how); stop() }
		x.read(ctx, n/2)
		if x.later != nil {
			x.end(how)
		}
		x.later = nil
	case rng.IntN(2) == 0: // while it receives
		var wg sync.WaitGroup
		wait := rng.IntN(10)
		wg.Go(func() {
			for range wait {
				runtime.Gosched()
			}
			x.end(how)
			stop()
		})
		if len(x.refs) == 1 && rng.IntN(2) == 0 {
			x.rng = rand.New(rand.NewPCG(rng.Uint64(), 0))
			x.share(ctx, 1<<20)
		} else {
			x.rng = rand.New(rand.NewPCG(rng.Uint64(), 0))
			x.read(ctx, 1<<20)
		}
		wg.Wait()
	default:
		x.read(ctx, n/2)
		x.end(how)
	}
	x.finish()
}

// handleLife ends a handler in all the ways there are, from inside and from outside.
func (r *ledgerRound) handleLife(rng *rand.Rand, n int) {
	channel := []int{0, 1, 3, 6}[rng.IntN(4)]
	opts := &earshot.SpawnOptions{
		Overflow: earshot.Overflow(rng.IntN(int(earshot.Block))), Capacity: ledgerCapacities[rng.IntN(len(ledgerCapacities))],
	}
	if channel == ledgerBlock && rng.IntN(2) == 0 {
		opts.Overflow = earshot.Block
	}
	if rng.IntN(100) == 0 {
		opts.Restart.Max = 1 // what ends it by its own fault does not end it then
	}
	sub := r.newSub("handler", channel, true, opts.Overflow)
	sub.handler = true
	how := rng.IntN(8)
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	reached := make(chan struct{})
	var ref earshot.Ref
	known := make(chan struct{})
	call := stamp()
	sub.called = call
	got, err := r.handles[channel].Handle(ctx, func(ctx context.Context, msg earshot.Message[ledgerEvent]) error {
		r.note(sub, msg.Event, msg.Seq, msg.Missed, call)
		defer func() { call = stamp() }()
		if n--; n > 0 || n < 0 && (how >= 3 || opts.Restart.Max == 0) {
			return nil
		}
		sub.endCalled = min(sub.endCalled, stamp())
		switch how {
		case 0:
			return errLedger
		case 1:
			panic(errLedger)
		case 2:
			runtime.Goexit()
		case 3:
			<-known
			r.s.Unsubscribe(ref)
			sub.endReturned = stamp()
		case 4:
			cancel(errLedger)
			<-ctx.Done()
		default:
			close(reached)
		}
		return nil
	}, opts)
	sub.returned = stamp()
	if err != nil {
		r.t.Errorf("Handle = %v", err)
		return
	}
	ref = got
	close(known)
	watch := r.monitor(ref, rng)
	var ended, called int64
	if how >= 5 {
		down := r.s.Monitor(ref)
		select {
		case <-reached:
		case <-down: // too slow
		case <-r.ctx.Done():
		}
		called = stamp()
		switch how {
		case 5:
			r.s.Unsubscribe(ref)
			ended = stamp()
		default:
			cancel(errLedger)
		}
	}
	r.collect(sub, watch)
	if how >= 5 {
		sub.endCalled = min(sub.endCalled, called)
	}
	sub.evicted(errors.Is(sub.downs[0].reason, earshot.ErrTooSlow))
	if ended > 0 {
		sub.endReturned = ended
	}
	sub.reasons = append(sub.reasons, []error{
		errLedger, errLedger, earshot.ErrGoexit, earshot.ErrUnsubscribed, errLedger, earshot.ErrUnsubscribed, errLedger, errLedger,
	}[how])
	r.add(&ledgerBox{subs: []*ledgerSub{sub}})
}

// eventsLife leaves a loop over events, or has it end with its context.
func (r *ledgerRound) eventsLife(rng *rand.Rand, n int) {
	channel := []int{0, 1, 3, 6}[rng.IntN(4)]
	sub := r.newSub("events", channel, true, earshot.DropOldest)
	sub.untold = true
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	byContext := rng.IntN(2) == 0
	call := stamp()
	sub.called, sub.returned = call, never // nobody knows when it had subscribed
	for e := range r.handles[channel].Events(ctx) {
		r.note(sub, e, 0, 0, call)
		if n--; n <= 0 {
			sub.endCalled = stamp()
			if !byContext {
				break
			}
			cancel()
		}
		call = stamp()
	}
	sub.endReturned = stamp()
	r.add(&ledgerBox{subs: []*ledgerSub{sub}})
}

// spawnLife has the server run a function with a mailbox of its own.
func (r *ledgerRound) spawnLife(rng *rand.Rand, n int) {
	how := rng.IntN(4)
	x := &ledgerMail[any]{r: r, rng: rng, by: map[earshot.Ref]*ledgerSub{}, cancel: func(error) {}}
	p := r.s.Spawn(context.Background(), func(ctx context.Context, m *earshot.Mailbox[any]) error {
		x.m = m
		for range 1 + rng.IntN(2) {
			x.subscribe(rng.IntN(len(ledgerNames)))
		}
		x.read(ctx, n)
		for _, sub := range x.box.subs {
			sub.endCalled = stamp()
		}
		switch how {
		case 1:
			panic(errLedger)
		case 2:
			runtime.Goexit()
		case 3:
			return nil
		}
		return errLedger
	}, nil)
	select {
	case <-p.Done():
	case <-r.ctx.Done():
		return
	}
	end, reason := stamp(), []error{errLedger, errLedger, earshot.ErrGoexit, earshot.ErrClosed}[how]
	if !errors.Is(p.Err(), reason) {
		r.t.Errorf("P5: Process.Err = %v, want %v", p.Err(), reason)
	}
	for _, sub := range x.box.subs {
		sub.what = "spawned " + sub.what
		sub.endReturned, sub.reasons = end, append(sub.reasons, reason)
	}
	x.finish()
}

// anchor subscribes to a channel for the whole round.
func (r *ledgerRound) anchor(wg *sync.WaitGroup, channel uint32, rng *rand.Rand) {
	end := func(sub *ledgerSub, watch []<-chan earshot.Down) {
		sub.reasons = append(sub.reasons, earshot.ErrServerClosed)
		r.collect(sub, watch)
		r.add(&ledgerBox{subs: []*ledgerSub{sub}})
	}
	if channel == ledgerBlock || channel != ledgerMixed && rng.IntN(2) == 0 {
		opts := &earshot.SpawnOptions{Overflow: earshot.Unbounded}
		if channel == ledgerBlock {
			opts.Overflow = earshot.Block
		}
		sub := r.newSub("anchor", int(channel), true, opts.Overflow)
		sub.handler = true
		call := stamp()
		sub.called = call
		ref, err := r.handles[channel].Handle(context.Background(), func(ctx context.Context, msg earshot.Message[ledgerEvent]) error {
			r.note(sub, msg.Event, msg.Seq, msg.Missed, call)
			call = stamp()
			return nil
		}, opts)
		sub.returned = stamp()
		if err != nil {
			r.t.Errorf("Handle = %v", err)
			return
		}
		watch := r.monitor(ref, rng)
		wg.Go(func() { end(sub, watch) })
		return
	}
	x := newLedgerMail[any](context.Background(), r, rand.New(rand.NewPCG(rng.Uint64(), 0)), earshot.Unbounded)
	x.subscribe(int(channel))
	wg.Go(func() {
		for x.read(context.Background(), 1000) {
		}
		x.box.subs[0].reasons = []error{earshot.ErrServerClosed}
		x.box.subs[0].what = "anchor " + x.box.subs[0].what
		x.finish()
	})
}
