package main

import (
	"context"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/emitter"
)

// emitterPaths are one event from one goroutine to one listener, and to nobody while others listen to another name.
var emitterPaths = []string{
	"emitter/heard, Emit", "emitter/heard, Emit, listener for a type",
	"emitter/heard, core Send and Handle (nothing is lost)", "emitter/heard, core Send and Handle (may lose)",
	"emitter/unheard, Emit", "emitter/unheard, Emit of a type", "emitter/unheard, core SendEvent",
}

// emitters measures what the emitter costs more than the channel that it runs on. An event is a pointer: the
// comparison is of the two ways, and a struct would be boxed on one of them only. The time is until the listener has
// had the last one.
func emitters(r *runner) {
	r.each("emitter", emitterPaths, func(i int) {
		n := r.size(2_000_000, 200_000)
		if i >= 4 {
			n *= 10
		}
		r.add(emitterPaths[i], measureEmitter(i, n))
	})
}

const benchName = "user.added"

func measureEmitter(path, n int) float64 {
	srv := earshot.NewServer(nil)
	defer srv.Close()
	data := &event{ID: 7, S: text}
	heard := 0
	switch path {
	case 2, 3:
		opts := &earshot.SpawnOptions{Overflow: earshot.Block}
		if path == 3 {
			opts.Overflow = earshot.DropOldest
		}
		ch := earshot.NewChannel[*event](srv, benchName, &earshot.ChannelOptions{MayBlock: true})
		_, err := ch.Handle(ctx, func(context.Context, earshot.Message[*event]) error { heard++; return nil }, opts)
		must(err)
		start := time.Now()
		for range n {
			ch.Send(data)
		}
		must(srv.Sync(ctx))
		return float64(time.Since(start)) / float64(n)
	case 6:
		// Somebody listens to another name, as on the emitter.
		other := earshot.NewMailbox[*event](ctx, srv, nil)
		_, err := other.Subscribe("user.gone")
		must(err)
		start := time.Now()
		for range n {
			earshot.SendEvent(srv, benchName, data)
		}
		took := time.Since(start)
		must(other.Close())
		return float64(took) / float64(n)
	}
	e := emitter.New(&emitter.Options{Server: srv})
	defer e.Close(ctx)
	name := benchName
	if path >= 4 {
		name = "user.gone"
	}
	var err error
	if path == 1 {
		_, err = emitter.On(e, name, func(context.Context, *event) error { heard++; return nil })
	} else {
		_, err = e.On(name, func(context.Context, emitter.Event) error { heard++; return nil })
	}
	must(err)
	start := time.Now()
	if path == 5 {
		for range n {
			must(emitter.Emit(ctx, e, benchName, *data))
		}
	} else {
		for range n {
			must(e.Emit(ctx, benchName, data))
		}
	}
	must(e.EmitWait(ctx, benchName, data))
	return float64(time.Since(start)) / float64(n)
}

func emitterTables(r *runner) []table {
	t := newTable("Emitter in memory: ns per event", "event", "ns per event", "ratio")
	for i, path := range emitterPaths {
		base := r.min(emitterPaths[2])
		if i >= 4 {
			base = r.min(emitterPaths[6])
		}
		t.add(path[len("emitter/"):], nanosText(r.min(path)), ratioText(r.min(path), base))
	}
	r.judge("Emit to one listener / core Send and Handle", r.min(emitterPaths[0])/r.min(emitterPaths[2]), 2, "")
	r.judge("Emit to nobody / SendEvent", r.min(emitterPaths[4])/r.min(emitterPaths[6]), 1.5, "")
	return []table{t}
}
