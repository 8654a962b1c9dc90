package earshot_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// Restart{} and Max 0 never restart: the failure itself is the reason.
func TestRestartLimitZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		for _, restart := range []earshot.Restart{{}, {Within: time.Hour}, {Max: -1}} {
			starts := 0
			p := s.Spawn(t.Context(), func(context.Context, *earshot.Mailbox[any]) error {
				starts++
				return errOh
			}, &earshot.SpawnOptions{Restart: restart})
			<-p.Done()
			require.Equal(t, 1, starts)
			require.Equal(t, errOh, p.Err())
		}
	})
}

// After Max failures within Within the next one is final; the reason says so and wraps the last failure.
func TestRestartGivesUp(t *testing.T) {
	for name, ending := range endings {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				starts := 0
				p := s.Spawn(t.Context(), func(context.Context, *earshot.Mailbox[any]) error {
					starts++
					return ending.end()
				}, &earshot.SpawnOptions{Restart: earshot.Restart{Max: 3}})
				<-p.Done()
				require.Equal(t, 1+3, starts)
				require.ErrorIs(t, p.Err(), earshot.ErrGaveUp)
				inner, ok := p.Err().(interface{ Unwrap() []error })
				require.True(t, ok)
				ending.check(t, inner.Unwrap()[1])
			})
		})
	}
}

// The waits double from 10 ms to 1 s.
func TestRestartBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		var waits []time.Duration
		last := time.Now()
		p := s.Spawn(t.Context(), func(context.Context, *earshot.Mailbox[any]) error {
			waits = append(waits, time.Since(last).Truncate(time.Microsecond))
			last = time.Now()
			panic("oh")
		}, &earshot.SpawnOptions{Restart: earshot.Restart{Max: 10}})
		<-p.Done()
		const ms = time.Millisecond
		require.Equal(t, []time.Duration{0, 10 * ms, 20 * ms, 40 * ms, 80 * ms, 160 * ms, 320 * ms, 640 * ms, 1000 * ms, 1000 * ms, 1000 * ms}, waits)
	})
}

// Failures that are older than Within are forgiven, and the wait starts small again.
func TestRestartForgives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		starts := 0
		p := s.Spawn(t.Context(), func(context.Context, *earshot.Mailbox[any]) error {
			starts++
			time.Sleep(time.Minute)
			return errOh
		}, &earshot.SpawnOptions{Restart: earshot.Restart{Max: 1, Within: time.Minute}})
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		require.NoError(t, p.Err(), "one failure a minute is allowed")
		require.InDelta(t, 24*60, starts, 2)
		p.Stop()
		<-p.Done()
	})
}

// A handler goes on with the event after the one that failed; nothing that is waiting is lost, and its
// Ref stays what it was.
func TestRestartedHandlerGoesOn(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error":  func() error { return errOh },
		"panic":  func() error { panic("oh") },
		"Goexit": func() error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				c := earshot.NewChannel[int](s, "x", nil)
				var got []int
				ref, err := c.Handle(t.Context(), func(_ context.Context, msg earshot.Message[int]) error {
					got = append(got, msg.Event)
					if msg.Event%40 == 0 {
						return fail()
					}
					return nil
				}, &earshot.SpawnOptions{Restart: earshot.Restart{Max: 5}})
				require.NoError(t, err)
				sendInts(s, "x", 1, 150)
				settle(t, s)
				require.Equal(t, upTo(1, 150), got)
				sendInts(s, "x", 151, 300)
				require.ErrorIs(t, oneDown(t, s.Monitor(ref)).Reason, earshot.ErrGaveUp)
				require.Equal(t, upTo(1, 240), got)
				require.False(t, c.Listening())
			})
		})
	}
}

// A restarted function gets a new mailbox; the old one has ended with the failure.
func TestRestartedSpawnGetsANewMailbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		var boxes []*earshot.Mailbox[any]
		var events []any
		p := s.Spawn(t.Context(), func(ctx context.Context, m *earshot.Mailbox[any]) error {
			boxes = append(boxes, m)
			if _, err := m.Subscribe("x"); err != nil {
				return err
			}
			msg, err := m.Receive(ctx)
			if err != nil {
				return err
			}
			events = append(events, msg.Event)
			return errOh
		}, &earshot.SpawnOptions{Restart: earshot.Restart{Max: 2}})
		for i := range 3 {
			synctest.Wait()
			earshot.SendEvent(s, "x", i)
			synctest.Wait()
			require.False(t, s.Listening("x"), "between two runs")
			time.Sleep(time.Second)
		}
		<-p.Done()
		require.Equal(t, []any{0, 1, 2}, events)
		require.Len(t, boxes, 3)
		for _, m := range boxes {
			require.Equal(t, errOh, m.Err())
		}
	})
}

// Unsubscribing a handler that waits to be restarted ends it at once.
func TestUnsubscribeDuringBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := earshot.NewChannel[int](s, "x", nil)
		starts := 0
		ref, err := c.Handle(t.Context(), func(context.Context, earshot.Message[int]) error {
			starts++
			return errOh
		}, &earshot.SpawnOptions{Restart: earshot.Restart{Max: 5}})
		require.NoError(t, err)
		sendInts(s, "x", 1, 5)
		synctest.Wait()
		require.Equal(t, 1, starts)
		start := time.Now()
		require.NoError(t, s.Unsubscribe(ref))
		require.Equal(t, earshot.ErrUnsubscribed, oneDown(t, s.Monitor(ref)).Reason)
		require.Zero(t, time.Since(start))
		time.Sleep(time.Minute)
		require.Equal(t, 1, starts)
	})
}
