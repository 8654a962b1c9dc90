package earshot_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/earshot-go/earshot"
)

// abandon subscribes a mailbox, reads some, and forgets it: only a collection of garbage ends it.
//
//go:noinline
func (r *ledgerRound) abandon(rng *rand.Rand, n int) {
	x := newLedgerMail[any](context.Background(), r, rng, earshot.DropOldest)
	x.subscribe(1 + rng.IntN(4))
	for ; n > 0 && r.ctx.Err() == nil; n-- {
		call := stamp()
		if msg, ok := x.m.TryReceive(); ok {
			x.note(&msg, call)
		} else {
			runtime.Gosched()
		}
	}
	sub, watch := x.box.subs[0], x.watch[0]
	sub.endCalled = stamp()
	sub.what, sub.reasons = "abandoned "+sub.what, []error{earshot.ErrAbandoned}
	runtime.KeepAlive(x.m)
	wait := func() {
		for i := range 100 {
			if i > 0 { // the collection that ended another may have ended it, too
				runtime.GC()
			}
			select {
			case d := <-watch[0]:
				again := make(chan earshot.Down, 1) // what a monitor looks like that has told
				again <- d
				close(again)
				watch[0] = again
				r.collect(sub, watch)
				r.add(&ledgerBox{subs: []*ledgerSub{sub}})
				return
			case <-time.After(time.Duration(i) * time.Millisecond):
			}
		}
		r.t.Errorf("P5: %s: not ended by the collection of its mailbox", sub.what)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.abandoned = append(r.abandoned, wait)
}

// share has two goroutines read one mailbox.
func (x *ledgerMail[E]) share(ctx context.Context, n int) {
	twin := *x
	twin.rng = rand.New(rand.NewPCG(x.rng.Uint64(), 0))
	twin.by = map[earshot.Ref]*ledgerSub{}
	for ref, sub := range x.by {
		sub.shared = true
		other := ledgerSub{}
		twin.by[ref] = &other
	}
	var wg sync.WaitGroup
	wg.Go(func() { twin.read(ctx, n) })
	x.read(ctx, n)
	wg.Wait()
	for ref, sub := range x.by {
		sub.got = append(sub.got, twin.by[ref].got...)
	}
}
