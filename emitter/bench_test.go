package emitter_test

import (
	"context"
	"testing"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/emitter"
)

type user struct {
	ID   int
	Name string
}

// One event to one listener, against the core channel's Send and Handle.
func BenchmarkOneListener(b *testing.B) {
	data := &user{7, "ann"}
	b.Run("emitter", func(b *testing.B) {
		e := emitter.New(&emitter.Options{Server: earshot.NewServer(nil)})
		defer e.Close(context.Background())
		n := 0
		e.On("user.added", func(context.Context, emitter.Event) error { n++; return nil })
		b.ReportAllocs()
		ctx := context.Background()
		for b.Loop() {
			e.Emit(ctx, "user.added", data)
		}
		e.EmitWait(ctx, "user.added", data)
		if n != b.N+1 {
			b.Fatal(n, b.N)
		}
	})
	b.Run("typed", func(b *testing.B) {
		e := emitter.New(&emitter.Options{Server: earshot.NewServer(nil)})
		defer e.Close(context.Background())
		n := 0
		emitter.On(e, "user.added", func(context.Context, *user) error { n++; return nil })
		b.ReportAllocs()
		ctx := context.Background()
		for b.Loop() {
			e.Emit(ctx, "user.added", data)
		}
		e.EmitWait(ctx, "user.added", data)
	})
	b.Run("core", func(b *testing.B) {
		s := earshot.NewServer(nil)
		c := earshot.NewChannel[*user](s, "user.added", &earshot.ChannelOptions{MayBlock: true})
		n := 0
		c.Handle(context.Background(), func(context.Context, earshot.Message[*user]) error { n++; return nil },
			&earshot.SpawnOptions{Overflow: earshot.Block})
		b.ReportAllocs()
		for b.Loop() {
			c.Send(data)
		}
		s.Shutdown(context.Background())
	})
	b.Run("core-drop", func(b *testing.B) {
		s := earshot.NewServer(nil)
		c := earshot.NewChannel[*user](s, "user.added", nil)
		n := 0
		c.Handle(context.Background(), func(context.Context, earshot.Message[*user]) error { n++; return nil }, nil)
		b.ReportAllocs()
		for b.Loop() {
			c.Send(data)
		}
		s.Shutdown(context.Background())
	})
}

// An event that nobody hears, while others are heard, against SendEvent.
func BenchmarkNobody(b *testing.B) {
	data := &user{7, "ann"}
	e := emitter.New(&emitter.Options{Server: earshot.NewServer(nil)})
	defer e.Close(context.Background())
	e.On("user.gone", func(context.Context, emitter.Event) error { return nil })
	ctx := context.Background()
	b.Run("emitter", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			e.Emit(ctx, "user.added", data)
		}
	})
	b.Run("typed", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			emitter.Emit(ctx, e, "user.added", user{7, "ann"})
		}
	})
	s := earshot.NewServer(nil)
	b.Run("core", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			earshot.SendEvent(s, "user.added", data)
		}
	})
}
