package main

import (
	"fmt"
	"runtime"

	"github.com/earshot-go/earshot"
)

// inUse is what the process holds in heap and stacks once garbage is collected.
// Twice: finalizers and cleanups run after the first collection, and what they
// let go of is collected by the second.
func inUse() float64 {
	var m runtime.MemStats
	for range 2 {
		settle()
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return float64(m.HeapInuse + m.StackInuse)
}

// crowd is a server with one mailbox on each of n channels.
type crowd struct {
	server *earshot.Server
	boxes  []*earshot.Mailbox[event]
}

func channelNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("channel.%07d", i)
	}
	return names
}

func newCrowd(names []string) *crowd {
	c := &crowd{earshot.NewServer(nil), make([]*earshot.Mailbox[event], len(names))}
	for i, name := range names {
		c.boxes[i] = earshot.NewMailbox[event](ctx, c.server, nil)
		_, err := c.boxes[i].Subscribe(name)
		must(err)
	}
	return c
}

func (c *crowd) leave() {
	for i, mb := range c.boxes {
		must(mb.Close())
		c.boxes[i] = nil
	}
}

// bytesPerChannel returns what each of n live channels costs with everything, and
// what is left per channel when all have gone but the server is still there.
func bytesPerChannel(n int) (live, left float64, goroutines int) {
	names := channelNames(n)
	c := &crowd{earshot.NewServer(nil), nil}
	idle := runtime.NumGoroutine()
	before := inUse()
	c = newCrowd(names)
	live = (inUse() - before) / float64(n)
	goroutines = runtime.NumGoroutine() - idle
	c.leave()
	c.boxes = nil
	left = (inUse() - before) / float64(n)
	runtime.KeepAlive(names)
	must(c.server.Close())
	return live, left, goroutines
}

// passingNames sends one event over each of n names that live only for it, and
// returns by how many bytes the process grew. A tenth goes ahead of it unmeasured,
// so that what grows once and stays is not taken for what grows with every name.
func passingNames(n int) (grown float64) {
	s := earshot.NewServer(nil)
	defer s.Close()
	pass := func(from, to int) {
		for i := from; i < to; i++ {
			name := fmt.Sprintf("job.%08d", i)
			mb := earshot.NewMailbox[event](ctx, s, nil)
			_, err := mb.Subscribe(name)
			must(err)
			earshot.SendEvent(s, name, event{uint64(i), 0, text})
			m, err := mb.Receive(ctx)
			must(err)
			if m.Event.ID != uint64(i) {
				must(fmt.Errorf("%s: got event %d, want %d", name, m.Event.ID, i))
			}
			must(mb.Close())
		}
	}
	pass(0, n/10)
	before := inUse()
	pass(n/10, n/10+n)
	return inUse() - before
}

func memory(r *runner) {
	if n := r.size(100_000, 20_000); r.wants("memory/live channels") {
		r.say(true, "memory: %d live channels", n)
		live, left, goroutines := bytesPerChannel(n)
		r.add("memory/channels", float64(n))
		r.add("memory/live", live)
		r.add("memory/left", left)
		r.add("memory/goroutines", float64(goroutines)/float64(n))
	}
	if n := r.size(1_000_000, 100_000); r.wants("memory/passing names") {
		r.say(true, "memory: %d short-lived names", n)
		r.add("memory/names", float64(n))
		r.add("memory/grown", passingNames(n))
	}
}

func bytesText(v float64, digits int) string {
	if absent(v) {
		return dash
	}
	return fmt.Sprintf("%.*f", digits, v)
}

func memoryTables(r *runner) []table {
	t := newTable("Memory: heap and stacks in use after collection", "what", "count", "bytes each", "goroutines each")
	n, live, left := r.min("memory/channels"), r.min("memory/live"), r.min("memory/left")
	t.add("live channel with one mailbox", countText(n), bytesText(live, 0), bytesText(r.min("memory/goroutines"), 2))
	t.add("the same after all have left", countText(n), bytesText(left, 1), "")
	names, grown := r.min("memory/names"), r.min("memory/grown")
	t.add("short-lived name, one after the other", countText(names), bytesText(grown/names, 2), "")
	r.judge("bytes per live channel, all in", live, 4096, "")
	r.judge("bytes left per channel after all have left", left, 64, "a trace, against thousands while alive")
	r.judge("growth over short-lived names, KiB", grown/1024, 512, "the collector's own noise is some 100 KiB")
	return []table{t}
}
