package nats_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/backend/nats"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

func made(name string) event.Event {
	return event.Event{ID: event.NewID(), Source: "/test", Type: name, Data: []byte(`1`)}
}

// local runs a server in this process and returns its URL with one stream's name.
func local(t testing.TB) (url string, a admin) {
	s := startServer(t, options(t.TempDir(), server.RANDOM_PORT))
	name := streamName()
	return s.ClientURL() + "?stream=" + name, admin{t, s.ClientURL(), name}
}

func TestNewStream(t *testing.T) {
	url, a := local(t)
	b := open(t, url+"&keep=7&keepfor=1h&keepbytes=1000000&duplicates=90s&prefix=shop.events", nil)
	require.NoError(t, b.Publish(t.Context(), made("user.added")))
	a.stream(func(_ context.Context, _ jetstream.JetStream, s jetstream.Stream) error {
		c := s.CachedInfo().Config
		require.Equal(t, []string{"shop.events.>"}, c.Subjects)
		require.EqualValues(t, 7, c.MaxMsgs)
		require.EqualValues(t, 1000000, c.MaxBytes)
		require.Equal(t, time.Hour, c.MaxAge)
		require.Equal(t, 90*time.Second, c.Duplicates)
		require.Equal(t, jetstream.FileStorage, c.Storage)
		m, err := s.GetMsg(t.Context(), 1)
		require.NoError(t, err)
		require.Equal(t, "shop.events.user.added", m.Subject)
		return nil
	})
}

// A stream that is there is used as it is, or not at all.
func TestExistingStream(t *testing.T) {
	ours := func(name string) jetstream.StreamConfig {
		return jetstream.StreamConfig{Name: name, Subjects: []string{name + ".>"}, Storage: jetstream.FileStorage}
	}
	for says, change := range map[string]func(*jetstream.StreamConfig){
		"":               func(c *jetstream.StreamConfig) { c.MaxMsgs, c.Description = 3, "of somebody" },
		"its subjects":   func(c *jetstream.StreamConfig) { c.Subjects = []string{c.Name + ".a.>"} },
		"its retention":  func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy },
		"storage=memory": func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage },
		"recognises":     func(c *jetstream.StreamConfig) { c.Duplicates = time.Second },
		"no_ack":         func(c *jetstream.StreamConfig) { c.NoAck = true },
		"persist_mode":   func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.AsyncPersistMode },
		"transforms subjects": func(c *jetstream.StreamConfig) {
			c.SubjectTransform = &jetstream.SubjectTransformConfig{Source: ">", Destination: "x.>"}
		},
		"subjects \\[\"else.>": func(c *jetstream.StreamConfig) { c.Subjects = []string{"else.>"} },
	} {
		t.Run(says, func(t *testing.T) {
			url, a := local(t)
			config := ours(a.name)
			change(&config)
			a.with(func(ctx context.Context, js jetstream.JetStream) error {
				_, err := js.CreateStream(ctx, config)
				return err
			})
			b := open(t, url, nil)
			err := b.Publish(t.Context(), made("a"))
			_, tail := b.Tail(t.Context(), bus.Tail{})
			if says == "" {
				require.NoError(t, err)
				require.NoError(t, tail)
				a.stream(func(_ context.Context, _ jetstream.JetStream, s jetstream.Stream) error {
					require.Equal(t, "of somebody", s.CachedInfo().Config.Description)
					return nil
				})
				return
			}
			for _, err := range []error{err, b.Publish(t.Context()), tail} {
				require.ErrorContains(t, err, strings.ReplaceAll(says, `\`, ""))
				require.False(t, errors.Is(err, bus.ErrDisconnected), "trying again does not help: %v", err)
			}
		})
	}
}

func TestNoJetStream(t *testing.T) {
	s := startServer(t, options("", server.RANDOM_PORT))
	b := open(t, s.ClientURL(), nil)
	for _, err := range []error{b.Publish(t.Context()), b.Publish(t.Context(), made("a"))} {
		require.ErrorIs(t, err, bus.ErrUnsupported)
		require.ErrorContains(t, err, "mode=core")
	}
	_, err := b.Tail(t.Context(), bus.Tail{})
	require.ErrorIs(t, err, bus.ErrUnsupported)
}

// What the server takes counts as much as the bus's own limit, and nothing of a batch is sent before that is clear.
func TestTooLargeForTheServer(t *testing.T) {
	o := options(t.TempDir(), server.RANDOM_PORT)
	o.MaxPayload = 4096
	s := startServer(t, o)
	for _, mode := range []string{"?mode=core", ""} {
		b := open(t, s.ClientURL()+mode, nil) // has not asked the server yet
		f, err := open(t, s.ClientURL()+mode, nil).Tail(t.Context(), bus.Tail{})
		require.NoError(t, err)
		big := made("big")
		big.Data = []byte(`"` + strings.Repeat("x", 5000) + `"`)
		require.ErrorIs(t, b.Publish(t.Context(), append(several("a", 500), big)...), bus.ErrTooLarge)
		require.Equal(t, 4096-320, b.Caps().MaxBytes)
		long := made(strings.Repeat("n", 3001))
		require.ErrorIs(t, b.Publish(t.Context(), long), bus.ErrTooLarge)
		last := made("last")
		require.NoError(t, b.Publish(t.Context(), last))
		wantNext(t, f, last.ID)
	}
}

// Permissions are of subjects: a user may be allowed to listen and not to publish.
func TestDeniedSubjects(t *testing.T) {
	c := startChild(t)
	for _, mode := range []string{"", "&mode=core"} {
		name := streamName()
		mode += "&prefix=fenced." + name
		app, reader := open(t, c.url("app", password, name)+mode, nil), open(t, c.url("reader", password, name)+mode, nil)
		require.NoError(t, app.Publish(t.Context(), made("a")))
		f, err := reader.Tail(t.Context(), bus.Tail{})
		require.NoError(t, err)
		for range 3 {
			begun := time.Now()
			err = reader.Publish(t.Context(), made("a"), made("b"))
			require.ErrorIs(t, err, bus.ErrDenied)
			require.Less(t, time.Since(begun), 4*time.Second, "the server has said so, no need to wait for an answer")
			noPassword(t, err)
		}
		ev := made("a")
		require.NoError(t, app.Publish(t.Context(), ev))
		wantNext(t, f, ev.ID) // the feed has not suffered

		nobody := open(t, c.url("nobody", password, name)+mode, nil)
		require.ErrorIs(t, nobody.Publish(t.Context(), made("a")), bus.ErrDenied)
		_, err = nobody.Tail(t.Context(), bus.Tail{})
		require.ErrorIs(t, err, bus.ErrDenied)
		noPassword(t, err)
	}
}

// A stream that is gone is made again by the call after the one that has found out.
func TestStreamRemoved(t *testing.T) {
	url, a := local(t)
	b := open(t, url, nil)
	require.NoError(t, b.Publish(t.Context(), made("a")))
	a.remove()
	require.ErrorIs(t, b.Publish(t.Context(), made("a")), bus.ErrDisconnected)
	again(t, func() error { return b.Publish(t.Context(), made("a")) })
}

// again repeats what follows the removal of the only stream: for a moment the server may be unable to make another.
func again(t testing.TB, f func() error) {
	var err error
	require.Eventually(t, func() bool {
		err = f()
		return !errors.Is(err, bus.ErrDisconnected)
	}, 5*time.Second, time.Millisecond)
	require.NoError(t, err)
}

// The server refuses an event in the middle of a batch and would take a later one. With Atomic nothing of the batch
// is stored, so that the order holds when it comes again.
func TestAtomic(t *testing.T) {
	url, a := local(t)
	b := open(t, url+"&atomic=true", nil)
	require.NoError(t, b.Publish(t.Context()))
	before := a.update(func(c *jetstream.StreamConfig) { c.MaxBytes, c.Discard = 2000, jetstream.DiscardNew })
	big := made("b")
	big.Data = []byte(`"` + strings.Repeat("x", 3000) + `"`)
	evs := []event.Event{made("a"), big, made("c")}
	require.Error(t, b.Publish(t.Context(), evs...))
	a.stream(func(_ context.Context, _ jetstream.JetStream, s jetstream.Stream) error {
		require.Zero(t, s.CachedInfo().State.Msgs)
		return nil
	})
	a.update(func(c *jetstream.StreamConfig) { *c = before })
	for range 3 { // and once more is no more
		require.NoError(t, b.Publish(t.Context(), evs...))
	}
	for range 1500 {
		evs = append(evs, made("more"))
	}
	require.NoError(t, b.Publish(t.Context(), evs...), "partly there already, and more than one part")
	f, err := b.Tail(t.Context(), bus.Tail{From: bus.Start, Past: true})
	require.NoError(t, err)
	for _, ev := range evs {
		wantNext(t, f, ev.ID)
	}
	_, err = open(t, url+"&prefix=other&atomic=true", nil).Tail(t.Context(), bus.Tail{})
	require.Error(t, err)
}

func TestAtomicNeedsTheStream(t *testing.T) {
	url, _ := local(t)
	require.NoError(t, open(t, url, nil).Publish(t.Context()))
	require.ErrorContains(t, open(t, url+"&atomic=true", nil).Publish(t.Context()), "allow_atomic")
}

// Options of the client library do not bring its reconnecting back, with which a feed would have silent gaps.
func TestConnectOptions(t *testing.T) {
	c := startChild(t)
	called := 0
	b := open(t, c.url("app", password, streamName()), &nats.BusOptions{Connect: []natsgo.Option{
		natsgo.RetryOnFailedConnect(true), natsgo.MaxReconnects(-1),
		func(o *natsgo.Options) error { called++; return nil },
	}})
	require.NoError(t, b.Publish(t.Context()))
	f, err := b.Tail(t.Context(), bus.Tail{})
	require.NoError(t, err)
	c.kill()
	begun := time.Now()
	_, err = next(t, f)
	require.ErrorIs(t, err, bus.ErrDisconnected)
	require.ErrorIs(t, b.Publish(t.Context(), made("a")), bus.ErrDisconnected)
	require.Less(t, time.Since(begun), 2*time.Second, "nothing waits for a connection to come back")
	c.start(t)
	require.NoError(t, b.Publish(t.Context(), made("a")))
	require.GreaterOrEqual(t, called, 2)
}
