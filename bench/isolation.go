package main

import (
	"context"
	"time"

	"github.com/earshot-go/earshot"
)

const (
	withoutBlocked = "isolation/999 subscribers"
	withBlocked    = "isolation/999 subscribers beside a blocked one"
)

var (
	isolationCell  = cell{1, 999}
	isolationPaths = []string{withoutBlocked, withBlocked}
)

// isolationContender is who runs isolationPaths[i].
func isolationContender(i int) contender {
	c := byName("earshot Handle")
	if isolationPaths[i] == withBlocked {
		c.open = func() bus { return newBlocked(open(handle)().(*earshotBus)) }
	}
	return c
}

// isolation compares a channel of 999 subscribers with the same channel that has
// one more, whose handler never returns. There is no peer here: those that do not
// drop would stand still.
func isolation(r *runner) {
	events := 0
	r.each("isolation", isolationPaths, func(i int) {
		if events == 0 {
			events = enough(isolationContender(0), isolationCell, r.budget(200*time.Millisecond))
		}
		ns, err := carry(isolationContender(i), isolationCell, events)
		must(err)
		r.add(isolationPaths[i], ns)
	})
}

// blocked is a bus with one subscriber of its own, stuck in its handler until the
// bus closes. It has an ordinary mailbox: it loses, nobody waits for it.
type blocked struct {
	*earshotBus
	release chan struct{}
}

func newBlocked(b *earshotBus) bus {
	release := make(chan struct{})
	_, err := b.ch.Handle(b.ctx, func(context.Context, earshot.Message[event]) error {
		<-release
		return nil
	}, nil)
	must(err)
	return &blocked{b, release}
}

func (b *blocked) close() {
	close(b.release)
	b.earshotBus.close()
}

func isolationTables(r *runner) []table {
	t := newTable("Isolation: ns per event until the last of 999 subscribers has it", "channel", "ns per event", "ratio")
	alone := r.median(withoutBlocked)
	beside := r.median(withBlocked)
	t.add("999 subscribers", nanosText(alone), ratioText(alone, alone))
	t.add("the same beside one that is blocked in its handler", nanosText(beside), ratioText(beside, alone))
	r.judge("999 subscribers beside a blocked one / without it", beside/alone, 1.1, "median")
	return []table{t}
}
