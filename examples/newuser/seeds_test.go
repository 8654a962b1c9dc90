package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/earshot-go/earshot/internal/program"
)

// TestSeeds goes through docs/seeds.md on every engine, in its order. TestSeedsInMemory does what is possible without
// one.

// A heard is what a listener has heard.
type heard struct {
	mu    sync.Mutex
	texts []string
}

func (h *heard) add(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.texts = append(h.texts, text)
}

func (h *heard) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.texts)
}

// is waits until as many have been heard, and requires that it is these.
func (h *heard) is(t *testing.T, ordered bool, want ...string) {
	t.Helper()
	program.Until(t, strings.Join(want, " "), func() bool { return len(h.all()) >= len(want) })
	if ordered {
		require.Equal(t, want, h.all())
	} else {
		require.ElementsMatch(t, want, h.all())
	}
}

// on has the data, text, of all events of a name written down.
func (h *heard) on(t *testing.T, e *emitter.Emitter, name string) emitter.Ref {
	t.Helper()
	ref, err := emitter.On(e, name, func(_ context.Context, text string) error {
		h.add(text)
		return nil
	})
	require.NoError(t, err)
	return ref
}

// own has an event of the emitter's own written down by its name.
func (h *heard) own(t *testing.T, e *emitter.Emitter, names ...string) {
	t.Helper()
	for _, name := range names {
		_, err := e.On(name, func(context.Context, emitter.Event) error {
			h.add(name)
			return nil
		})
		require.NoError(t, err)
	}
}

// open is an emitter as another process would have it.
func open(t *testing.T, url string, opts emitter.Options) *emitter.Emitter {
	t.Helper()
	opts.Server = earshot.NewServer(nil)
	opts.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	e, err := emitter.Open(url, &opts)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), program.Bound)
		defer cancel()
		if err := e.Close(ctx); err != nil && !t.Failed() {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), program.Bound)
	t.Cleanup(cancel)
	return ctx
}

func TestSeedsInMemory(t *testing.T) {
	e := open(t, "mem:", emitter.Options{})
	vocabulary(t, e, true)
	for _, err := range e.Timeline(within(t), bus.Start) {
		require.ErrorIs(t, err, emitter.ErrNoBus)
	}
	require.Zero(t, e.Discard())
}

// vocabulary is what an EventEmitter can do, wherever its events go.
func vocabulary(t *testing.T, e *emitter.Emitter, ordered bool) {
	ctx := within(t)
	require.NoError(t, e.Ready(ctx))
	var users, once, any heard
	ref := users.on(t, e, "new-user")
	_, err := emitter.Once(e, "new-user", func(_ context.Context, name string) error {
		once.add(name)
		return nil
	})
	require.NoError(t, err)
	_, err = e.OnAny("shop.*", func(_ context.Context, ev emitter.Event) error {
		any.add(ev.Name)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{"new-user", "shop.*"}, e.EventNames())
	require.Equal(t, 2, e.ListenerCount("new-user"))
	require.NoError(t, e.Ready(ctx))

	for _, name := range []string{"ann", "bob"} {
		require.NoError(t, e.Emit(ctx, "new-user", name))
	}
	require.NoError(t, e.EmitWait(ctx, "shop.opened", nil))
	users.is(t, ordered, "ann", "bob")
	once.is(t, true, users.all()[0])
	any.is(t, true, "shop.opened")

	// A listener that fails hurts nobody else, and is told.
	var failed heard
	failed.own(t, e, emitter.Error)
	broken, err := e.Prepend("new-user", func(context.Context, emitter.Event) error { return errors.New("out of stamps") })
	require.NoError(t, err)
	err = e.EmitWait(ctx, "new-user", "cay")
	var listener *emitter.ListenerError
	require.ErrorAs(t, err, &listener)
	require.ErrorContains(t, err, "out of stamps")
	users.is(t, false, "ann", "bob", "cay")
	failed.is(t, true, "error")
	require.True(t, e.Off(broken))

	for _, name := range []string{"connect", "disconnect", "reconnect", "error", "gap", "drop"} {
		require.ErrorIs(t, e.Emit(ctx, name, nil), emitter.ErrReserved, name)
	}

	require.True(t, e.Off(ref))
	require.False(t, e.Off(ref))
	require.Equal(t, 1, e.RemoveAll("shop.*"))
	require.Equal(t, []string{"error"}, e.EventNames())
	require.Equal(t, 1, e.RemoveAll(""))
	require.Empty(t, e.EventNames())
}

func TestSeeds(t *testing.T) {
	onEvery(t, func(t *testing.T, on *engine) {
		url := on.url.String()
		ordered := on.ordered()
		ctx := within(t)

		// little-big-events: all events are buffered until the emitter is connected.
		on.leave(t)
		server, mailer := open(t, url, emitter.Options{}), open(t, url, emitter.Options{From: bus.Start})
		var life, mailed, own heard
		mailed.on(t, mailer, "new-user")
		own.on(t, server, "new-user") // an emitter hears what it emits itself
		life.own(t, server, emitter.Connect, emitter.Disconnect, emitter.Reconnect)
		for _, name := range []string{"ann", "bob"} {
			require.NoError(t, server.Emit(ctx, "new-user", name))
		}
		require.Equal(t, 2, server.Stats().Bus.Buffered)
		require.Empty(t, life.all())
		on.comeBack(t)
		mailed.is(t, ordered, "ann", "bob")
		own.is(t, ordered, "ann", "bob")
		life.is(t, true, "connect")
		require.NoError(t, server.Flush(ctx))
		require.Zero(t, server.Stats().Bus.Buffered)
		require.NoError(t, mailer.Ready(ctx))

		// Exactly the same public API as before.
		other := open(t, on.another(), emitter.Options{})
		vocabulary(t, other, ordered)

		// emitter-rethinkdb: connect, disconnect, reconnect, and nothing of the down time is missing.
		if on.wire != nil {
			on.leave(t)
			program.Until(t, "disconnect", func() bool { return len(life.all()) >= 2 && !mailer.Stats().Bus.Up })
			require.NoError(t, server.Emit(ctx, "new-user", "cay"))
			on.comeBack(t)
			mailed.is(t, ordered, "ann", "bob", "cay")
			own.is(t, ordered, "ann", "bob", "cay")
			life.is(t, true, "connect", "disconnect", "reconnect")
		} else {
			require.NoError(t, server.EmitWait(ctx, "new-user", "cay"))
			mailed.is(t, ordered, "ann", "bob", "cay")
		}

		// Its list of things to do: resume. A listener that was away goes on after the last event it has heard.
		var token bus.Token
		for ev, err := range server.Timeline(ctx, bus.Start) {
			require.NoError(t, err)
			token = ev.Received.Token
		}
		require.NoError(t, server.EmitWait(ctx, "new-user", "dan"))
		var late heard
		late.on(t, open(t, url, emitter.Options{From: bus.After(token)}), "new-user")
		program.Until(t, "dan", func() bool { return slices.Contains(late.all(), "dan") })
		if ordered {
			require.Equal(t, []string{"dan"}, late.all())
		}

		// The timeline.
		var names []string
		for ev, err := range server.Timeline(ctx, bus.Start) {
			require.NoError(t, err)
			require.Equal(t, "new-user", ev.Name)
			require.WithinDuration(t, time.Now(), ev.Received.Event.Time, program.Bound)
			names = append(names, string(ev.Data.(json.RawMessage)))
		}
		require.ElementsMatch(t, []string{`"ann"`, `"bob"`, `"cay"`, `"dan"`}, names)

		// kill: empty what waits to be sent.
		if on.wire != nil {
			on.leave(t)
			var drops heard
			drops.own(t, server, emitter.Drop)
			program.Until(t, "disconnect", func() bool { return !server.Stats().Bus.Up })
			for range 3 {
				require.NoError(t, server.Emit(ctx, "new-user", "eve"))
			}
			gone := 0
			program.Until(t, "all are discarded", func() bool { gone += server.Discard(); return gone == 3 })
			require.Zero(t, server.Stats().Bus.Buffered)
			program.Until(t, "drop", func() bool { return len(drops.all()) > 0 })
			on.comeBack(t)
		}
		require.NoError(t, server.EmitWait(ctx, "new-user", "fay"))
		program.Until(t, "fay", func() bool { return slices.Contains(mailed.all(), "fay") })
		require.NotContains(t, mailed.all(), "eve")
		require.Len(t, mailed.all(), 5, "each is heard once: %v", mailed.all())
	})
}

// persist: false.
func TestSeedsNotPersisted(t *testing.T) {
	on := onRethinkDB(t)
	on.url.RawQuery = "persist=false"
	ctx := within(t)
	e := open(t, on.url.String(), emitter.Options{})
	vocabulary(t, e, false)
	require.False(t, e.Stats().Bus.Caps.Replay)
	for _, err := range e.Timeline(ctx, bus.Start) {
		require.ErrorIs(t, err, bus.ErrUnsupported)
	}
	// What it wrote is gone: somebody who reads the table finds nothing.
	on.url.RawQuery = ""
	program.Until(t, "the table is empty", func() bool {
		n := 0
		for _, err := range open(t, on.url.String(), emitter.Options{}).Timeline(ctx, bus.Start) {
			require.NoError(t, err)
			n++
		}
		return n == 0
	})
}
