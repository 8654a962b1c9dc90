package earshot_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// P7, COR-09: what a handler may do, with its own channel, subscription and server among it.
func TestP7_EverythingFromAHandler(t *testing.T) {
	type inside struct {
		s   *earshot.Server
		c   *earshot.Channel[int]
		ctx context.Context
		msg earshot.Message[int]
	}
	nop := func(context.Context, earshot.Message[int]) error { return nil }
	for name, test := range map[string]struct {
		do   func(inside) error
		ends error // why the handler has ended then, if it has
	}{
		"Send to its own channel": {func(in inside) error { in.c.Send(2); return nil }, nil},
		"SendEvent elsewhere":     {func(in inside) error { earshot.SendEvent(in.s, "y", 1); return nil }, nil},
		"Subscribe to its own channel": {func(in inside) error {
			m := earshot.NewMailbox[int](in.ctx, in.s, nil)
			defer m.Close()
			if _, err := in.c.Subscribe(m); err != nil {
				return err
			}
			in.c.Send(2)
			_, err := m.Receive(in.ctx)
			return err
		}, nil},
		"SubscribePattern": {func(in inside) error {
			m := earshot.NewMailbox[int](in.ctx, in.s, nil)
			defer m.Close()
			ref, err := m.SubscribePattern("x")
			return errors.Join(err, m.Unsubscribe(ref))
		}, nil},
		"Handle": {func(in inside) error {
			ref, err := in.c.Handle(in.ctx, nop, nil)
			return errors.Join(err, in.s.Unsubscribe(ref))
		}, nil},
		"Spawn and await": {func(in inside) error {
			p := in.s.Spawn(in.ctx, func(context.Context, *earshot.Mailbox[any]) error { return nil }, nil)
			<-p.Done()
			return nil
		}, nil},
		"OnDemand": {func(in inside) error {
			stop := in.c.OnDemand(func(ctx context.Context) { <-ctx.Done() })
			stop()
			return nil
		}, nil},
		"Channels": {func(in inside) error {
			for range in.s.Channels() {
				for range in.s.Subscriptions() {
				}
			}
			return nil
		}, nil},
		"Unsubscribe itself": {func(in inside) error { return in.s.Unsubscribe(in.msg.Ref) }, earshot.ErrUnsubscribed},
		"Close the server":   {func(in inside) error { return in.s.Close() }, earshot.ErrServerClosed},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			c := earshot.NewChannel[int](s, "x", nil)
			handled := make(chan error, 8)
			ref, err := c.Handle(context.Background(), func(ctx context.Context, msg earshot.Message[int]) (err error) {
				if msg.Event == 1 {
					err = test.do(inside{s, c, ctx, msg})
				}
				handled <- err
				return nil
			}, nil)
			require.NoError(t, err)
			c.Send(1)
			require.NoError(t, await(t, handled, "the handler to return"))
			if test.ends != nil {
				require.ErrorIs(t, oneDown(t, s.Monitor(ref)).Reason, test.ends)
				require.False(t, c.Listening())
				return
			}
			c.Send(3)
			await(t, handled, "the next event to be handled")
		})
	}
}

// P7: a handler that fills its own mailbox is evicted like any other, and not stuck.
func TestP7_EvictingOneself(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[int](s, "x", nil)
	ref, err := c.Handle(context.Background(), func(ctx context.Context, _ earshot.Message[int]) error {
		sendInts(s, "x", 1, 10)
		return context.Cause(ctx)
	}, &earshot.SpawnOptions{Capacity: 4, Overflow: earshot.Evict})
	require.NoError(t, err)
	c.Send(0)
	require.Equal(t, earshot.ErrTooSlow, oneDown(t, s.Monitor(ref)).Reason)
}

// P7: the loop over Messages may end the mailbox it reads from, and its subscription.
func TestP7_EverythingFromALoop(t *testing.T) {
	for name, do := range map[string]func(*earshot.Mailbox[int], earshot.Ref){
		"Close":       func(m *earshot.Mailbox[int], _ earshot.Ref) { m.Close() },
		"Unsubscribe": func(m *earshot.Mailbox[int], ref earshot.Ref) { m.Unsubscribe(ref) },
	} {
		t.Run(name, func(t *testing.T) {
			opts := earshot.MailboxOptions{}
			inPlaceAndInRing(t, opts, func(t *testing.T, s *earshot.Server, m *earshot.Mailbox[int], ref earshot.Ref) {
				sendInts(s, "x", 1, 100)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var got []int
				finishes(t, "the loop to end", func() {
					for msg := range m.Messages(ctx) {
						if msg.Ref != ref {
							break // the second round, see below
						}
						if got = append(got, msg.Event); len(got) == 3 {
							do(m, ref)
							if m.Err() == nil { // only the subscription has ended
								_, err := m.Subscribe("x")
								assert.NoError(t, err)
								sendInts(s, "x", 101, 101)
							}
						}
					}
				})
				require.Equal(t, upTo(1, 3), got, "P4: events after the end")
				st := m.Stats()
				require.Equal(t, uint64(97), st.Discarded)
				require.Equal(t, st.Offered, st.Received+st.Missed+st.Discarded+uint64(st.Depth))
			})
		})
	}
}

// P7, COR-08: the caller may hold a mutex that its handler wants, through all of this.
func TestP7_HoldingTheHandlersMutex(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[int](s, "x", nil)
	var mu sync.Mutex
	sum := 0
	handler := func(_ context.Context, msg earshot.Message[int]) error {
		mu.Lock()
		defer mu.Unlock()
		sum += msg.Event
		return nil
	}
	finishes(t, "calls under a mutex that handlers want", func() {
		mu.Lock()
		defer mu.Unlock()
		var refs []earshot.Ref
		for range 4 {
			ref, err := c.Handle(context.Background(), handler, &earshot.SpawnOptions{Capacity: 8})
			assert.NoError(t, err)
			refs = append(refs, ref)
		}
		for range 1000 {
			c.Send(1)
		}
		assert.NoError(t, s.Unsubscribe(refs[0]))
		m := earshot.NewMailbox[int](context.Background(), s, nil)
		_, err := m.Subscribe("x")
		assert.NoError(t, err)
		c.Send(1)
		assert.Equal(t, []int{1}, drained(m))
		m.Close()
	})
	settle(t, s)
	mu.Lock()
	defer mu.Unlock()
	require.GreaterOrEqual(t, sum, 3*8)
	require.NoError(t, s.Close())
}

// P7: the server's own notices may be handled with calls that cause more of them.
func TestP7_FromTheLifecycleHandler(t *testing.T) {
	s := newServer(t)
	followed := make(chan any, 8)
	_, err := s.Lifecycle().Handle(context.Background(), func(ctx context.Context, msg earshot.Message[earshot.Lifecycle]) error {
		if msg.Event.Kind != earshot.Opened || msg.Event.Channel != any("x") {
			return nil
		}
		m := earshot.NewMailbox[any](ctx, s, nil)
		defer m.Close()
		_, err := m.Subscribe("y")
		followed <- msg.Event.Channel
		return err
	}, nil)
	require.NoError(t, err)
	listen[int](t, s, "x", nil)
	require.Equal(t, "x", await(t, followed, "the lifecycle handler"))
	settle(t, s)
}

// A logger is code of the program's own: the server calls it with no lock held.
func TestP7_FromTheLogger(t *testing.T) {
	logged := make(chan string, 8)
	var s *earshot.Server
	s = earshot.NewServer(&earshot.Options{Logger: slog.New(slog.NewTextHandler(writer(func(p []byte) {
		m := earshot.NewMailbox[int](t.Context(), s, nil)
		_, err := m.Subscribe("from the logger")
		assert.NoError(t, err)
		earshot.SendEvent(s, "from the logger", 1)
		m.Close()
		logged <- string(p)
	}), nil))})
	defer stop(t, s)
	m, _ := listen[int](t, s, "x", &earshot.MailboxOptions{Name: "laggard", Capacity: 1, Overflow: earshot.Evict})
	finishes(t, "a send that evicts and logs", func() { sendInts(s, "x", 1, 2) })
	require.Contains(t, await(t, logged, "the log line"), "laggard")
	require.Equal(t, earshot.ErrTooSlow, m.Err())
}

// A logger that blocks, or panics, holds up whoever made it log, and nobody else.
func TestP6_LoggerThatBlocks(t *testing.T) {
	for _, panics := range []bool{false, true} {
		release := make(chan struct{})
		s := earshot.NewServer(&earshot.Options{Logger: slog.New(slog.NewTextHandler(writer(func([]byte) {
			if panics {
				panic("logger")
			}
			<-release
		}), nil))})
		defer stop(t, s)
		ref, err := earshot.NewChannel[int](s, "handled", nil).Handle(context.Background(), func(ctx context.Context, _ earshot.Message[int]) error {
			<-ctx.Done()
			return nil
		}, nil)
		require.NoError(t, err)
		earshot.SendEvent(s, "handled", 1)
		listen[int](t, s, "x", &earshot.MailboxOptions{Capacity: 1, Overflow: earshot.Evict})
		var sender sync.WaitGroup
		sender.Go(func() {
			defer func() { recover() }()
			sendInts(s, "x", 1, 2)
		})
		for s.Listening("x") { // until it is evicted, and logged
			runtime.Gosched()
		}
		require.NoError(t, s.Unsubscribe(ref))
		timeout := time.NewTimer(time.Second)
		defer timeout.Stop()
		late := false
		select {
		case <-s.Monitor(ref):
		case <-timeout.C:
			late = true
		}
		close(release)
		sender.Wait()
		require.False(t, late, "the handler's context has not ended, panics: %v", panics)
	}
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }

var _ io.Writer = writer(nil)
