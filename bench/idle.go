package main

import (
	"log/slog"
	"runtime"
	"runtime/trace"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"
	"github.com/asynkron/protoactor-go/eventstream"
	"github.com/cskr/pubsub/v2"
	kelindar "github.com/kelindar/event"
	libp2p "github.com/libp2p/go-libp2p/p2p/host/eventbus"
	tailscale "tailscale.com/util/eventbus"
)

// An op is something done n times in a row. The loop is written out in each one:
// these are a few instructions long, and a call around them would double that.
type op struct {
	name string
	note string
	ours bool
	open func() (loop func(n int), close func())
}

// liveNames are the 16 names somebody listens to while an idle one is measured.
// They differ in length and in their ends as names in a program do.
var liveNames = [16]string{
	"db.created", "db.deleted", "db.updated", "doc.conflict",
	"view.indexed", "view.compacted", "replication.started", "replication.done",
	"task.progress", "http.request", "http.error", "auth.login",
	"auth.failed", "file.opened", "file.synced", "config.changed",
}

const (
	// idleName looks like the live ones and is none of them.
	idleName = "replication.progress"
	// twinName has the length, the first and the last byte of "db.created", so
	// that a filter on those three lets it through.
	twinName = "db.awaited"
)

// idleOps is every way to ask for nothing. References first: they are what the
// goals are ratios to.
var idleOps = append(append(references, earshotIdle...), peerIdle...)

const (
	refLoad = "atomic pointer load + nil check"
	refMap  = "Go map[string] miss"
)

var references = []op{
	{name: "empty loop", open: func() (func(int), func()) {
		return func(n int) {
			for range n {
			}
		}, nil
	}},
	{name: refLoad, note: "the least an idle send can be", open: func() (func(int), func()) {
		p := new(atomic.Pointer[event])
		return func(n int) {
			for i := range n {
				if p.Load() != nil {
					sink.Store(int64(i))
				}
			}
		}, nil
	}},
	{name: refMap, note: "16 other names", open: func() (func(int), func()) {
		m := map[string]*event{}
		for _, name := range liveNames {
			m[name] = new(event)
		}
		return func(n int) {
			for i := range n {
				if m[idleName] != nil {
					sink.Store(int64(i))
				}
			}
		}, nil
	}},
	{name: "sync.Map miss", note: "16 other names", open: func() (func(int), func()) {
		m := new(sync.Map)
		for _, name := range liveNames {
			m.Store(name, new(event))
		}
		return func(n int) {
			for i := range n {
				if _, ok := m.Load(idleName); ok {
					sink.Store(int64(i))
				}
			}
		}, nil
	}},
	{name: "runtime/trace.IsEnabled", open: func() (func(int), func()) {
		return func(n int) {
			for i := range n {
				if trace.IsEnabled() {
					sink.Store(int64(i))
				}
			}
		}, nil
	}},
	{name: "slog Debug, DiscardHandler", open: func() (func(int), func()) {
		l := slog.New(slog.DiscardHandler)
		return func(n int) {
			for range n {
				l.Debug(text, "n", 1)
			}
		}, nil
	}},
}

// peerIdle is a publish nobody hears. Subscribing once and leaving is the state
// a long-running program is in, and not every peer comes back from it.
var peerIdle = []op{
	{name: "kelindar/event, never subscribed", open: func() (func(int), func()) {
		d := kelindar.NewDispatcher()
		return func(n int) {
			for i := range n {
				kelindar.Publish(d, event{uint64(i), 0, text})
			}
		}, func() { _ = d.Close() }
	}},
	{name: "kelindar/event, after unsubscribe", open: func() (func(int), func()) {
		d := kelindar.NewDispatcher()
		kelindar.Subscribe(d, func(event) {})()
		settle()
		return func(n int) {
			for i := range n {
				kelindar.Publish(d, event{uint64(i), 0, text})
			}
		}, func() { _ = d.Close() }
	}},
	{name: "libp2p eventbus", open: func() (func(int), func()) {
		em, err := libp2p.NewBus().Emitter(new(event))
		must(err)
		return func(n int) {
			for i := range n {
				_ = em.Emit(event{uint64(i), 0, text})
			}
		}, nil
	}},
	{name: "protoactor eventstream", open: func() (func(int), func()) {
		es := eventstream.NewEventStream()
		return func(n int) {
			for i := range n {
				es.Publish(event{uint64(i), 0, text})
			}
		}, nil
	}},
	{name: "cskr/pubsub", open: func() (func(int), func()) {
		ps := pubsub.New[string, event](buffer)
		return func(n int) {
			for i := range n {
				ps.Pub(event{uint64(i), 0, text}, topic)
			}
		}, ps.Shutdown
	}},
	{name: "tailscale eventbus, ShouldPublish", open: func() (func(int), func()) {
		bus := tailscale.New()
		pub := tailscale.Publish[event](bus.Client("sender"))
		return func(n int) {
			for i := range n {
				if pub.ShouldPublish() {
					pub.Publish(event{uint64(i), 0, text})
				}
			}
		}, bus.Close
	}},
	{name: "watermill gochannel", open: func() (func(int), func()) {
		ps := gochannel.NewGoChannel(gochannel.Config{}, watermill.NopLogger{})
		return func(n int) {
			for range n {
				_ = ps.Publish(topic, message.NewMessage("", nil))
			}
		}, func() { _ = ps.Close() }
	}},
}

// timeOp finds a count that fills the budget and returns ns per operation.
func timeOp(loop func(int), budget time.Duration) float64 {
	for n := 64; ; n *= 4 {
		begin := time.Now()
		loop(n)
		if d := time.Since(begin); d >= budget/4 || n > 1<<30 {
			return float64(d.Nanoseconds()) / float64(n)
		}
	}
}

// countAllocs returns allocations per operation, of the whole process: an
// allocation does not get cheaper by happening in another goroutine. The least
// of three, since the runtime's own now and then fall into one.
func countAllocs(loop func(int)) float64 {
	const n = 1000
	least := float64(1 << 30)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		loop(n)
		runtime.ReadMemStats(&after)
		least = min(least, float64(after.Mallocs-before.Mallocs)/n)
	}
	return least
}

func idle(r *runner) {
	measureOps(r, "idle", idleOps)
}

// measureOps takes the wanted ops in turn. Each is opened for its turn only: some
// peers keep a ticker running, which would disturb whoever comes next.
func measureOps(r *runner, section string, ops []op) {
	paths := make([]string, len(ops))
	for i, o := range ops {
		paths[i] = section + "/" + o.name
	}
	r.each(section, paths, func(i int) {
		loop, end := ops[i].open()
		if end != nil {
			defer end()
		}
		if allocs := paths[i] + " allocs"; len(r.samples[allocs]) == 0 {
			r.add(allocs, countAllocs(loop))
		}
		r.add(paths[i], timeOp(loop, r.budget(40*time.Millisecond)))
	})
}
