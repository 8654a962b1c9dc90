package main

import (
	"fmt"
	"sync"
	"time"
)

// cell is one shape of traffic.
type cell struct{ senders, subs int }

func (c cell) String() string { return fmt.Sprintf("%dx%d", c.senders, c.subs) }

var cells = []cell{{1, 1}, {1, 8}, {1, 64}, {2, 1}, {2, 8}, {2, 64}}

// stuck is far longer than any phase: past it, an event is not late but lost.
const stuck = 30 * time.Second

// A traffic is a contender with its subscribers in place, ready to carry events.
type traffic struct {
	contender
	cell
	bus     bus
	lanes   []lane // one per subscriber
	senders []func(n uint64)
	full    sync.WaitGroup // one count per lane that has not got everything yet
	sum     uint64         // of the IDs every lane must have seen
}

func newTraffic(c contender, cl cell) *traffic {
	t := &traffic{contender: c, cell: cl, bus: c.open(), lanes: make([]lane, cl.subs)}
	for i := range t.lanes {
		t.lanes[i].reached = t.full.Done
		t.bus.subscribe(&t.lanes[i])
	}
	for i := range cl.senders {
		t.senders = append(t.senders, t.bus.sender(uint64(i)))
	}
	return t
}

// send has every sender send n events and returns when every subscriber has
// received all of them.
func (t *traffic) send(n uint64) (time.Duration, error) {
	senders := uint64(t.cell.senders)
	t.sum += senders * (n * (n + 1) / 2)
	t.full.Add(len(t.lanes))
	for i := range t.lanes {
		t.lanes[i].next += senders * n
	}
	arrived := make(chan struct{})
	begin := time.Now()
	var sent sync.WaitGroup
	for _, send := range t.senders {
		sent.Go(func() { send(n) })
	}
	go func() {
		sent.Wait()
		t.full.Wait()
		close(arrived)
	}()
	late := time.NewTimer(stuck)
	defer late.Stop()
	select {
	case <-arrived:
		return time.Since(begin), nil
	case <-late.C:
		return 0, fmt.Errorf("%s %s: not every event had arrived after %v", t.name, t.cell, stuck)
	}
}

// close ends the subscribers and checks what each of them saw.
func (t *traffic) close() error {
	t.bus.close()
	for i := range t.lanes {
		l := &t.lanes[i]
		if l.n != l.next || (l.sum != t.sum && (!t.inSender || t.aside)) {
			return fmt.Errorf("%s %s: subscriber %d got %d events with ID sum %d, want %d and %d",
				t.name, t.cell, i, l.n, l.sum, l.next, t.sum)
		}
	}
	return nil
}

// fits reports whether a contender can do a cell's work at all.
func (c contender) fits(cl cell) bool { return !c.aside || cl.senders == 1 }

// carry is one measurement: warm up with a quarter, which grows queues to the
// size they keep, then total events against the clock. The result is in ns per
// event sent.
func carry(c contender, cl cell, total int) (float64, error) {
	n := uint64(max(total/cl.senders, 8))
	t := newTraffic(c, cl)
	if _, err := t.send(n / 4); err != nil {
		return 0, err
	}
	d, err := t.send(n)
	if err != nil {
		return 0, err
	}
	return float64(d.Nanoseconds()) / float64(n*uint64(cl.senders)), t.close()
}

// enough finds how many events fill the budget. It does not extrapolate from a
// few: those measure how fast goroutines start, and a bus that works in batches
// looks ten times slower on them than it is.
func enough(c contender, cl cell, budget time.Duration) int {
	for total := 64; ; total *= 4 {
		ns, err := carry(c, cl, total)
		must(err)
		if took := ns * float64(total); took > float64(budget)/4 || total > 1<<20 {
			return min(int(float64(total)*float64(budget)/took), 1<<22)
		}
	}
}

func throughput(r *runner) {
	budget := r.budget(150 * time.Millisecond)
	for _, cl := range cells {
		var list []contender
		var paths []string
		for _, c := range contenders {
			if c.fits(cl) {
				list = append(list, c)
				paths = append(paths, fmt.Sprintf("throughput/%s/%s", cl, c.name))
			}
		}
		events := make([]int, len(list))
		r.each("throughput "+cl.String(), paths, func(i int) {
			if events[i] == 0 {
				events[i] = enough(list[i], cl, budget)
			}
			ns, err := carry(list[i], cl, events[i])
			must(err)
			r.add(paths[i], ns)
		})
	}
}
