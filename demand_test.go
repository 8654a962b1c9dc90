package earshot_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// producer counts the runs of an OnDemand function.
type producer struct{ begun, ended, atOnce, most int }

func (p *producer) run(ctx context.Context) {
	p.begun++
	p.atOnce++
	p.most = max(p.most, p.atOnce)
	<-ctx.Done()
	p.atOnce--
	p.ended++
}

// One run for each interval from the first subscriber to the last, however many come in between and
// however they leave.
func TestOnDemandIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := earshot.NewChannel[int](s, "db.read", nil)
		var p producer
		stop := c.OnDemand(p.run)
		defer stop()
		check := func(begun, ended int, when string) {
			t.Helper()
			synctest.Wait()
			require.Equal(t, [2]int{begun, ended}, [2]int{p.begun, p.ended}, "runs begun and ended %s", when)
		}
		check(0, 0, "before anybody listens")
		c.Send(1)
		check(0, 0, "after an event for nobody")

		a, ref := listen[int](t, s, "db.read", nil)
		check(1, 0, "after the first subscriber")
		b, _ := listen[any](t, s, "db.read", &earshot.MailboxOptions{Overflow: earshot.DropNewest})
		require.NoError(t, s.Unsubscribe(ref))
		check(1, 0, "while one remains")
		b.Close()
		check(1, 1, "after the last has left by Close")

		ctx, cancel := context.WithCancel(t.Context())
		_, err := earshot.NewMailbox[int](ctx, s, nil).Subscribe("db.read")
		require.NoError(t, err)
		check(2, 1, "in the second interval")
		cancel()
		check(2, 2, "after the last has left by its context")

		_, err = c.Handle(t.Context(), func(context.Context, earshot.Message[int]) error { panic("oh") }, nil)
		require.NoError(t, err)
		check(3, 2, "in the third interval")
		c.Send(1)
		check(3, 3, "after the last has left by a panic")

		subscribe(t, a, "db.read")
		check(4, 3, "in the fourth interval")
		stop()
		stop()
		check(4, 4, "after stop")
		a.Close()
		listen[int](t, s, "db.read", nil)
		check(4, 4, "after a subscriber that came after stop")
		require.Equal(t, 1, p.most, "runs at a time")
	})
}

// A pattern's subscriber is a subscriber.
func TestOnDemandByPattern(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := earshot.NewChannel[int](s, "db.read", nil)
		var p producer
		defer c.OnDemand(p.run)()
		m, ref := listenPattern[int](t, s, "db.*", nil)
		synctest.Wait()
		require.Equal(t, 1, p.begun, "runs with a pattern")
		exact, _ := listen[int](t, s, "db.read", nil)
		require.NoError(t, m.Unsubscribe(ref))
		synctest.Wait()
		require.Equal(t, producer{begun: 1, atOnce: 1, most: 1}, p, "when an exact subscriber has taken over")
		exact.Close()
		synctest.Wait()
		require.Equal(t, producer{begun: 1, ended: 1, most: 1}, p)
	})
}

// A producer that comes when somebody listens already starts at once.
func TestOnDemandLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		listen[int](t, s, "live", nil)
		listenPattern[int](t, s, "matched", nil)
		for _, name := range []string{"live", "matched"} {
			var p producer
			stop := earshot.NewChannel[int](s, name, nil).OnDemand(p.run)
			synctest.Wait()
			require.Equal(t, 1, p.begun, name)
			stop()
			synctest.Wait()
			require.Equal(t, 1, p.ended, name)
		}
	})
}

// A run that does not end before the next interval begins is not doubled, and is followed by one.
func TestOnDemandNeverTwiceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := earshot.NewChannel[int](s, "x", nil)
		var p producer
		defer c.OnDemand(func(ctx context.Context) {
			p.run(ctx)
			p.atOnce++
			time.Sleep(time.Second) // cleans up
			p.atOnce--
		})()
		m := newMailbox[int](t, s, nil)
		for range 10 {
			ref := subscribe(t, m, "x")
			synctest.Wait()
			require.NoError(t, m.Unsubscribe(ref))
		}
		synctest.Wait()
		require.Equal(t, 1, p.begun)
		subscribe(t, m, "x")
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 2, p.begun)
		require.Equal(t, 1, p.most, "runs at a time")
	})
}

// A run that returns early, or panics, is not repeated until somebody comes anew.
func TestOnDemandReturnsEarly(t *testing.T) {
	for name, test := range map[string]struct {
		leave  func()
		failed error
	}{
		"return": {func() {}, nil},
		"panic":  {func() { panic(errOh) }, errOh},
		"Goexit": {runtime.Goexit, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				notices, _ := listen[earshot.Lifecycle](t, s, earshot.LifecycleChannel, nil)
				c := earshot.NewChannel[int](s, "x", nil)
				begun := 0
				defer c.OnDemand(func(context.Context) { begun++; test.leave() })()
				a, _ := listen[int](t, s, "x", nil)
				b, _ := listen[int](t, s, "x", nil)
				a.Close()
				synctest.Wait()
				require.Equal(t, 1, begun)
				require.True(t, c.Listening(), "its subscribers are not the producer's business")
				b.Close()
				listen[int](t, s, "x", nil)
				synctest.Wait()
				require.Equal(t, 2, begun)
				var failed []earshot.Lifecycle
				for _, e := range drained(notices) {
					if e.Kind == earshot.Failed {
						failed = append(failed, e)
					}
				}
				if test.failed == nil {
					require.Empty(t, failed)
					return
				}
				require.Len(t, failed, 2)
				require.Equal(t, "x", failed[0].Channel)
				require.ErrorIs(t, failed[0].Reason, test.failed)
			})
		})
	}
}

var errOh = errors.New("oh")

// What OnDemand is for: a source that is asked only while its events are wanted.
func TestOnDemandProduces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := earshot.NewChannel[int](s, "clock", nil)
		defer c.OnDemand(func(ctx context.Context) {
			for n := 1; ; n++ {
				c.Send(n)
				select {
				case <-time.After(time.Second):
				case <-ctx.Done():
					return
				}
			}
		})()
		for range 2 {
			want := 1
			for n := range c.Events(t.Context()) {
				require.Equal(t, want, n)
				if want++; want > 3 {
					break
				}
			}
			synctest.Wait()
			require.False(t, c.Listening())
		}
	})
}

// stop may be called by the run itself.
func TestOnDemandStopsItself(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[int](s, "x", nil)
	stops, ended := make(chan func(), 1), make(chan struct{})
	stops <- c.OnDemand(func(ctx context.Context) {
		(<-stops)()
		<-ctx.Done()
		close(ended)
	})
	listen[int](t, s, "x", nil)
	await(t, ended, "the run to end")
}
