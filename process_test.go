package earshot_test

import (
	"context"
	"errors"
	"runtime"
	"runtime/pprof"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// The ways in which a function ends, and the reason that is told.
var endings = map[string]struct {
	end   func() error
	check func(*testing.T, error)
}{
	"error": {func() error { return errOh }, func(t *testing.T, err error) { require.Equal(t, errOh, err) }},
	"panic": {func() error { panic("oh") }, func(t *testing.T, err error) {
		var panicked *earshot.PanicError
		require.ErrorAs(t, err, &panicked)
		require.Equal(t, "oh", panicked.Value)
		require.Contains(t, string(panicked.Stack), "process_test.go", "the stack where it panicked")
		require.Contains(t, err.Error(), "oh")
	}},
	"panic with an error": {func() error { panic(errOh) }, func(t *testing.T, err error) { require.ErrorIs(t, err, errOh) }},
	"panic(nil)": {func() error { panic(nil) }, func(t *testing.T, err error) {
		var none *runtime.PanicNilError
		require.ErrorAs(t, err, &none)
	}},
	"Goexit": {func() error { runtime.Goexit(); return nil }, func(t *testing.T, err error) { require.Equal(t, earshot.ErrGoexit, err) }},
}

// COR-11, P5, P6: a handler that fails ends with its reason; the channel and its other subscribers do not notice.
func TestCOR11_HandleEndsWithItsReason(t *testing.T) {
	for name, ending := range endings {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			notices, _ := listen[earshot.Lifecycle](t, s, earshot.LifecycleChannel, nil)
			c := earshot.NewChannel[int](s, "x", nil)
			other, _ := listen[int](t, s, "x", nil)
			ref, err := c.Handle(t.Context(), func(_ context.Context, msg earshot.Message[int]) error {
				if msg.Event == 3 {
					return ending.end()
				}
				return nil
			}, &earshot.SpawnOptions{Name: "worker"})
			require.NoError(t, err)
			down := s.Monitor(ref)
			sendInts(s, "x", 1, 10)
			d := oneDown(t, down)
			ending.check(t, d.Reason)
			require.Equal(t, "worker", d.Subscriber)
			require.Equal(t, upTo(1, 10), drained(other))
			require.NoError(t, s.Unsubscribe(ref), "again")
			for {
				e := receive(t, notices).Event
				if e.Kind == earshot.Failed {
					require.Equal(t, "x", e.Channel)
					require.Equal(t, "worker", e.Subscriber)
					ending.check(t, e.Reason)
					break
				}
			}
		})
	}
}

// COR-11: the same for Spawn, and what it subscribed to ends with it.
func TestCOR11_SpawnEndsWithItsReason(t *testing.T) {
	for name, ending := range endings {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			refs := make(chan earshot.Ref, 2)
			boxes := make(chan *earshot.Mailbox[any], 1)
			p := s.Spawn(t.Context(), func(ctx context.Context, m *earshot.Mailbox[any]) error {
				for _, name := range []string{"x", "y"} {
					ref, err := m.Subscribe(name)
					if err != nil {
						return err
					}
					refs <- ref
				}
				boxes <- m
				m.Receive(ctx)
				return ending.end()
			}, &earshot.SpawnOptions{Name: "worker"})
			m := await(t, boxes, "the function")
			require.NoError(t, p.Err(), "while it runs")
			earshot.SendEvent(s, "x", 1)
			await(t, p.Done(), "the function to end")
			ending.check(t, p.Err())
			for range 2 {
				ending.check(t, oneDown(t, s.Monitor(<-refs)).Reason)
			}
			ending.check(t, m.Err())
			require.False(t, s.Listening("x"))
		})
	}
}

// A function that just returns has not failed.
func TestSpawnReturns(t *testing.T) {
	s := newServer(t)
	p := s.Spawn(t.Context(), func(context.Context, *earshot.Mailbox[any]) error { return nil },
		&earshot.SpawnOptions{Restart: earshot.Restart{Max: 5}})
	await(t, p.Done(), "the function to end")
	require.Equal(t, earshot.ErrClosed, p.Err())
	p.Stop()
}

// The context of a function ends for each of these, and its cause is the reason.
func TestProcessContextEnds(t *testing.T) {
	for name, test := range map[string]struct {
		end    func(*earshot.Server, *earshot.Process, context.CancelCauseFunc)
		reason error
	}{
		"given context": {func(_ *earshot.Server, _ *earshot.Process, cancel context.CancelCauseFunc) { cancel(errOh) }, errOh},
		"Stop":          {func(_ *earshot.Server, p *earshot.Process, _ context.CancelCauseFunc) { p.Stop() }, earshot.ErrClosed},
		"Server.Close":  {func(s *earshot.Server, _ *earshot.Process, _ context.CancelCauseFunc) { s.Close() }, earshot.ErrServerClosed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				var cause error
				var box *earshot.Mailbox[any]
				p := s.Spawn(ctx, func(ctx context.Context, m *earshot.Mailbox[any]) error {
					box = m
					<-ctx.Done()
					cause = context.Cause(ctx)
					return errors.New("not the reason")
				}, &earshot.SpawnOptions{Restart: earshot.Restart{Max: 5}})
				synctest.Wait()
				test.end(s, p, cancel)
				<-p.Done()
				require.Equal(t, test.reason, cause)
				require.Equal(t, test.reason, p.Err())
				require.Error(t, box.Err())
			})
		})
	}
}

// Handle's context ends with each of these, though the function is at work.
func TestHandleContextEnds(t *testing.T) {
	for name, test := range map[string]struct {
		end    func(*earshot.Server, earshot.Ref, context.CancelCauseFunc)
		reason error
	}{
		"given context": {func(_ *earshot.Server, _ earshot.Ref, cancel context.CancelCauseFunc) { cancel(errOh) }, errOh},
		"Unsubscribe":   {func(s *earshot.Server, ref earshot.Ref, _ context.CancelCauseFunc) { s.Unsubscribe(ref) }, earshot.ErrUnsubscribed},
		"Server.Close":  {func(s *earshot.Server, _ earshot.Ref, _ context.CancelCauseFunc) { s.Close() }, earshot.ErrServerClosed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				c := earshot.NewChannel[int](s, "x", nil)
				var cause error
				ref, err := c.Handle(ctx, func(ctx context.Context, msg earshot.Message[int]) error {
					<-ctx.Done()
					cause = context.Cause(ctx)
					return nil
				}, &earshot.SpawnOptions{Restart: earshot.Restart{Max: 5}})
				require.NoError(t, err)
				sendInts(s, "x", 1, 3)
				synctest.Wait()
				test.end(s, ref, cancel)
				require.Equal(t, test.reason, oneDown(t, s.Monitor(ref)).Reason)
				require.Equal(t, test.reason, cause)
				require.False(t, c.Listening())
			})
		})
	}
}

// A handler whose context has ended is not called with the events that still wait, but for the few that
// it may take to notice.
func TestHandleIsNotCalledWithAnEndedContext(t *testing.T) {
	for range 100 {
		s := newServer(t)
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		c := earshot.NewChannel[int](s, "x", nil)
		ref, err := c.Handle(ctx, func(ctx context.Context, _ earshot.Message[int]) error {
			calls++
			<-ctx.Done()
			return nil
		}, nil)
		require.NoError(t, err)
		sendInts(s, "x", 1, 50)
		cancel()
		oneDown(t, s.Monitor(ref))
		require.LessOrEqual(t, calls, 8)
	}
}

// Goroutines say in profiles whose they are, also after a restart.
func TestPprofLabels(t *testing.T) {
	s := newServer(t)
	type labels struct{ channel, subscriber string }
	got := make(chan labels, 4)
	look := func(ctx context.Context) {
		var l labels
		l.channel, _ = pprof.Label(ctx, "earshot_channel")
		l.subscriber, _ = pprof.Label(ctx, "earshot_subscriber")
		got <- l
	}
	c := earshot.NewChannel[int](s, "db.read", nil)
	_, err := c.Handle(pprof.WithLabels(t.Context(), pprof.Labels("mine", "too")), func(ctx context.Context, msg earshot.Message[int]) error {
		look(ctx)
		mine, _ := pprof.Label(ctx, "mine")
		return errors.New(mine) // once more
	}, &earshot.SpawnOptions{Name: "reader", Restart: earshot.Restart{Max: 1}})
	require.NoError(t, err)
	sendInts(s, "db.read", 1, 2)
	for range 2 {
		require.Equal(t, labels{"db.read", "reader"}, await(t, got, "the handler"))
	}
	s.Spawn(t.Context(), func(ctx context.Context, _ *earshot.Mailbox[any]) error {
		look(ctx)
		return nil
	}, nil)
	l := await(t, got, "the function")
	require.Empty(t, l.channel)
	require.Regexp(t, `/process_test\.go:\d+$`, l.subscriber)
}

// The labels are on the goroutine, not only in the context.
func TestPprofLabelsOnTheGoroutine(t *testing.T) {
	s := newServer(t)
	at, release := make(chan struct{}), make(chan struct{})
	s.Spawn(t.Context(), func(context.Context, *earshot.Mailbox[any]) error {
		close(at)
		<-release
		return nil
	}, &earshot.SpawnOptions{Name: "the one in the profile"})
	await(t, at, "the function")
	defer close(release)
	var profile profileText
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&profile, 1))
	require.Contains(t, string(profile), `"earshot_subscriber":"the one in the profile"`)
}

type profileText []byte

func (b *profileText) Write(p []byte) (int, error) { *b = append(*b, p...); return len(p), nil }

// The wait before a restart does not hold up the end.
func TestStopDuringBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		p := s.Spawn(t.Context(), func(context.Context, *earshot.Mailbox[any]) error { return errOh },
			&earshot.SpawnOptions{Restart: earshot.Restart{Max: 1000, Within: time.Hour}})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		start := time.Now()
		p.Stop()
		<-p.Done()
		require.Zero(t, time.Since(start))
		require.Equal(t, earshot.ErrClosed, p.Err())
	})
}
