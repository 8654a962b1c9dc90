package main

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"time"
)

const rawChannel = "raw Go channel"

// latencyContenders are those who wake a goroutine. The raw channel, which is
// what the goal is a ratio to, comes between the others, not before them.
func latencyContenders() []contender {
	raw := contender{name: rawChannel, note: "no mutex, no list of subscribers", open: newRaw}
	list := []contender{byName("earshot Receive"), raw, byName("earshot Handle")}
	for _, c := range peers {
		if !c.inSender { // a plain call has no one-way latency
			list = append(list, c)
		}
	}
	return list
}

type raw struct {
	ch   chan event
	done chan struct{}
}

func newRaw() bus { return &raw{make(chan event, 1), make(chan struct{})} }

func (b *raw) subscribe(l *lane) {
	go func() {
		defer close(b.done)
		for e := range b.ch {
			l.see(e.ID)
		}
	}()
}

func (b *raw) sender(id uint64) func(uint64) {
	return func(n uint64) {
		for i := uint64(1); i <= n; i++ {
			b.ch <- event{i, id, text}
		}
	}
}

func (b *raw) close() { close(b.ch); <-b.done }

// oneWay sends up to n events to one subscriber, each when the one before has
// arrived and the subscriber has had 20–50 µs to park, and returns the times from
// just before the send to the first thing the subscriber does, in ns. It stops
// early when the budget is gone.
func oneWay(c contender, n int, budget time.Duration) []float64 {
	b := c.open()
	defer b.close()
	var (
		took    = make([]float64, 0, n)
		sentAt  int64
		arrived atomic.Int64
		l       = &lane{next: 1}
	)
	l.reached = func() {
		took = append(took, float64(nanos()-sentAt))
		l.next++
		arrived.Add(1)
	}
	b.subscribe(l)
	send := b.sender(0)
	begin := nanos()
	for i := range int64(n) {
		// Yielding, not sleeping: a sleeping sender lets the processor idle, and
		// then the kernel's wake-up is all one sees.
		for until := nanos() + 20_000 + rand.Int64N(30_000); nanos() < until; {
			runtime.Gosched()
		}
		sentAt = nanos()
		send(1)
		for arrived.Load() == i {
			runtime.Gosched()
		}
		if time.Duration(nanos()-begin) > budget {
			break
		}
	}
	// The first tenth warms caches and pools.
	return took[len(took)/10:]
}

func latency(r *runner) {
	list := latencyContenders()
	paths := make([]string, len(list))
	for i, c := range list {
		paths[i] = "latency/" + c.name
	}
	// 40,000 samples of each, at about 40 µs. kelindar/event delivers on a ticker
	// and gets as far as the budget goes.
	n := r.size(40_000, 12_000) * 10 / 9 / r.rounds
	budget := time.Duration(n) * 100 * time.Microsecond
	r.each("latency", paths, func(i int) {
		for _, ns := range oneWay(list[i], n, budget) {
			r.add(paths[i], ns)
		}
	})
}

// percentile of a path's pooled samples, p in 0..1; NaN if there are none.
func (r *runner) percentile(path string, p float64) float64 {
	s := slices.Sorted(slices.Values(r.samples[path]))
	if len(s) == 0 {
		return nan
	}
	return s[min(int(p*float64(len(s))), len(s)-1)]
}

func latencyTables(r *runner) []table {
	t := newTable("One-way latency to one parked subscriber, ns", "contender",
		"p50", "p99", "p99.9", "p50 / raw", "p99 / raw", "samples")
	ref50 := r.percentile("latency/"+rawChannel, 0.5)
	ref99 := r.percentile("latency/"+rawChannel, 0.99)
	for _, c := range latencyContenders() {
		path := "latency/" + c.name
		p50, p99 := r.percentile(path, 0.5), r.percentile(path, 0.99)
		t.add(c.name, nanosText(p50), nanosText(p99), nanosText(r.percentile(path, 0.999)),
			ratioText(p50, ref50), ratioText(p99, ref99), countText(len(r.samples[path])), c.note)
		if c.ours {
			r.judge("latency p50, "+c.name+" / raw Go channel", p50/ref50, 1.5, "")
			r.judge("latency p99, "+c.name+" / raw Go channel", p99/ref99, 2, "")
			for _, o := range latencyContenders() {
				if !o.ours {
					r.compare("latency p50, "+c.name, p50, o.name, r.percentile("latency/"+o.name, 0.5))
					r.compare("latency p99, "+c.name, p99, o.name, r.percentile("latency/"+o.name, 0.99))
				}
			}
		}
	}
	return []table{t}
}
