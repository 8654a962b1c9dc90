package earshot_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/earshot-go/earshot"
)

var errLedger = errors.New("the ledger ended it")

// A ledgerMail is a mailbox with the records of what it received.
type ledgerMail[E any] struct {
	r        *ledgerRound
	rng      *rand.Rand
	m        *earshot.Mailbox[E]
	cancel   context.CancelCauseFunc
	overflow earshot.Overflow
	box      ledgerBox
	by       map[earshot.Ref]*ledgerSub
	refs     []earshot.Ref // by box.subs
	watch    [][]<-chan earshot.Down
	later    func() // a change to make in the middle of a loop, or nil
}

var ledgerCapacities = []int{1, 2, 8, 64, 1000, 4096}

func newLedgerMail[E any](ctx context.Context, r *ledgerRound, rng *rand.Rand, overflow earshot.Overflow) *ledgerMail[E] {
	x := &ledgerMail[E]{r: r, rng: rng, overflow: overflow, by: map[earshot.Ref]*ledgerSub{}}
	ctx, x.cancel = context.WithCancelCause(ctx)
	x.m = earshot.NewMailbox[E](ctx, r.s, &earshot.MailboxOptions{
		Overflow: overflow, Capacity: ledgerCapacities[rng.IntN(len(ledgerCapacities))],
	})
	return x
}

func typed[E any]() bool {
	var e E
	_, any := any(&e).(*any)
	return !any
}

// newSub makes the record of a subscription that begins at once. channel -1 is for a pattern.
func (r *ledgerRound) newSub(what string, channel int, typed bool, overflow earshot.Overflow) *ledgerSub {
	sub := &ledgerSub{
		what: what + " " + overflow.String(), typed: typed,
		lossless:  overflow == earshot.Unbounded || overflow == earshot.Block || overflow == earshot.Evict,
		endCalled: never, endReturned: never,
	}
	if typed {
		sub.what += " typed"
	}
	if overflow == earshot.Evict {
		sub.reasons = append(sub.reasons, earshot.ErrTooSlow)
	}
	if channel >= 0 {
		sub.channels = []uint32{uint32(channel)}
		sub.what += " " + fmt.Sprint(ledgerNames[channel])
	}
	return sub
}

// subscribe adds a subscription to the channel, or to a pattern if that is -1.
func (x *ledgerMail[E]) subscribe(channel int) {
	sub := x.r.newSub("mailbox", channel, typed[E](), x.overflow)
	var ref earshot.Ref
	var err error
	pattern := []string{"led.*", "led.**"}[x.rng.IntN(2)]
	sub.called = stamp()
	if channel < 0 {
		ref, err = x.m.SubscribePattern(pattern)
	} else if c, ok := any(x.r.handles[channel]).(*earshot.Channel[E]); ok && c != nil && x.rng.IntN(2) == 0 {
		ref, err = c.Subscribe(x.m)
	} else {
		ref, err = x.m.Subscribe(ledgerNames[channel])
	}
	sub.returned = stamp()
	if err != nil {
		if !errors.Is(err, earshot.ErrTooSlow) || x.overflow != earshot.Evict {
			x.r.t.Errorf("Subscribe = %v", err)
		}
		return
	}
	if channel < 0 {
		sub.what += " " + pattern
		sub.channels = []uint32{0, 1, 2, 3, 4}
		if pattern == "led.**" {
			sub.channels = append(sub.channels, 6)
		}
	}
	x.by[ref] = sub
	x.refs = append(x.refs, ref)
	x.box.subs = append(x.box.subs, sub)
	x.watch = append(x.watch, x.r.monitor(ref, x.rng))
}

// monitor returns one monitor of a subscription or several.
func (r *ledgerRound) monitor(ref earshot.Ref, rng *rand.Rand) (watch []<-chan earshot.Down) {
	for range 1 + rng.IntN(8)/7 {
		watch = append(watch, r.s.Monitor(ref))
	}
	return watch
}

// collect waits for what the monitors say.
func (r *ledgerRound) collect(sub *ledgerSub, watch []<-chan earshot.Down) {
	for _, ch := range watch {
		var down ledgerDown
		select {
		case d, ok := <-ch:
			if ok {
				down = ledgerDown{at: stamp(), reason: d.Reason}
				_, down.again = <-ch
			}
		case <-r.ctx.Done():
		}
		sub.downs = append(sub.downs, down)
	}
}

// note records a message.
func (r *ledgerRound) note(sub *ledgerSub, event any, seq, missed uint64, call int64) {
	at := stamp()
	e, ok := event.(ledgerEvent)
	if stray, is := event.(ledgerStray); is {
		e, ok = ledgerEvent(stray), true
	}
	if !ok || e.sum() != e.Sum {
		e = ledgerEvent{Sender: 1 << 30} // which the checker does not know
	}
	sub.got = append(sub.got, ledgerRecord{call: call, at: at, sender: e.Sender, n: e.N, seq: uint32(seq), missed: uint32(missed)})
	if len(sub.got)%countAt == 0 {
		r.delivered.Add(countAt)
	}
}

const countAt = 256 // records at a time

func (x *ledgerMail[E]) note(msg *earshot.Message[E], call int64) {
	sub := x.by[msg.Ref]
	if sub == nil {
		x.r.t.Errorf("P1: a message of %v, which is not this mailbox's", msg.Ref)
		return
	}
	x.r.note(sub, msg.Event, msg.Seq, msg.Missed, call)
	if x.later != nil && x.rng.IntN(8) == 0 {
		f := x.later
		x.later = nil
		f()
	}
}

// read reads up to n messages, in every way there is. It reports false when no more can come.
func (x *ledgerMail[E]) read(ctx context.Context, n int) bool {
	for n > 0 {
		k := 1 + x.rng.IntN(min(n, 50))
		n -= k
		switch x.rng.IntN(3) {
		case 0:
			for range k {
				call := stamp()
				msg, err := x.m.Receive(ctx)
				if err != nil {
					return false
				}
				x.note(&msg, call)
			}
		case 1:
			for k > 0 {
				call := stamp()
				if msg, ok := x.m.TryReceive(); ok {
					x.note(&msg, call)
					k--
					continue
				}
				select {
				case <-x.m.Ready():
				case <-ctx.Done():
					return false
				}
				if x.m.Err() != nil {
					return false
				}
			}
		case 2:
			call := stamp()
			for msg := range x.m.Messages(ctx) {
				x.note(&msg, call)
				if k--; k == 0 {
					break
				}
				call = stamp()
			}
			if k > 0 {
				return false
			}
		}
	}
	return true
}

// end ends the subscriptions that have not been ended, all in one way.
func (x *ledgerMail[E]) end(how int) {
	begin := stamp()
	reason := earshot.ErrUnsubscribed
	switch how {
	case 0:
		for i := range x.refs {
			x.unsubscribe(i)
		}
		return
	case 1:
		reason = earshot.ErrClosed
		x.m.Close()
	case 2:
		reason = errLedger
		x.cancel(errLedger)
		<-x.m.Done()
	}
	end := stamp()
	for _, sub := range x.box.subs {
		if sub.endCalled == never {
			sub.endCalled, sub.endReturned, sub.reasons = begin, end, append(sub.reasons, reason)
		}
	}
}

func (x *ledgerMail[E]) unsubscribe(i int) {
	sub := x.box.subs[i]
	if sub.endCalled != never {
		return
	}
	sub.reasons = append(sub.reasons, earshot.ErrUnsubscribed)
	sub.endCalled = stamp()
	err := x.m.Unsubscribe(x.refs[i])
	sub.endReturned = stamp()
	if err != nil {
		x.r.t.Errorf("Unsubscribe = %v", err)
	}
}

// finish records what is left to see when the subscriptions have ended and nobody reads any more.
func (x *ledgerMail[E]) finish() {
	for {
		call := stamp()
		msg, ok := x.m.TryReceive()
		if !ok {
			break
		}
		x.note(&msg, call)
	}
	st := x.m.Stats()
	x.box.stats = &st
	evicted := errors.Is(x.m.Err(), earshot.ErrTooSlow)
	for i, sub := range x.box.subs {
		x.r.collect(sub, x.watch[i])
		sub.evicted(evicted)
	}
	x.m.Close()
	x.cancel(nil)
	x.r.add(&x.box)
}

// evicted moves the end of a subscription that was too slow to where it was certainly still alive:
// nobody knows when it was ended.
func (sub *ledgerSub) evicted(so bool) {
	if !so {
		return
	}
	alive := sub.returned
	for _, r := range sub.got {
		alive = max(alive, r.call)
	}
	sub.endCalled = min(sub.endCalled, alive)
}

// add puts the records of a mailbox into the ledger.
func (r *ledgerRound) add(b *ledgerBox) {
	r.mu.Lock()
	if len(b.subs) > 0 {
		r.ledger.boxes = append(r.ledger.boxes, b)
	}
	r.mu.Unlock()
	for _, sub := range b.subs {
		r.churned.Add(1)
		r.delivered.Add(int64(len(sub.got) % countAt))
	}
}
