package nats_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/bustest"
	"github.com/earshot-go/earshot/event"
)

func several(name string, n int) []event.Event {
	evs := make([]event.Event, n)
	for i := range evs {
		evs[i] = made(name)
		evs[i].Data = fmt.Appendf(nil, "%d", i)
	}
	return evs
}

// readAll reads until a feed ends, or has nothing for a while, and returns what came and how many were missed.
func readAll(t testing.TB, f bus.Feed) (ids []string, gaps int, missed uint64) {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		d, err := f.Next(ctx)
		cancel()
		var gap *bus.GapError
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, context.DeadlineExceeded):
			return ids, gaps, missed
		case errors.As(err, &gap):
			gaps++
			missed += gap.Missed
		default:
			require.NoError(t, err)
			ids = append(ids, d.Event.ID)
		}
	}
}

// What retention removes before a slow feed has got to it is a gap, also when nothing comes after it.
func TestOvertakenByRetention(t *testing.T) {
	for _, keep := range []int{0, 10} {
		for _, hint := range [][]string{nil, {"odd.*"}} {
			for _, past := range []bool{false, true} {
				t.Run(fmt.Sprintf("keep=%d/hint=%v/past=%v", keep, hint, past), func(t *testing.T) {
					t.Parallel()
					url, a := local(t)
					b := open(t, url, nil)
					const n = 3000
					var evs []event.Event
					for i := range n {
						evs = append(evs, made([]string{"even.a", "odd.a"}[i%2]))
					}
					require.NoError(t, b.Publish(t.Context(), evs...))
					f, err := b.Tail(t.Context(), bus.Tail{From: bus.Start, Hint: hint, Past: past})
					require.NoError(t, err)
					first := 0
					if hint != nil {
						first = 1
					}
					wantNext(t, f, evs[first].ID)
					a.trim(keep)
					ids, gaps, missed := readAll(t, f)
					if hint == nil {
						require.Equal(t, 1, gaps)
						require.EqualValues(t, n, 1+len(ids)+int(missed))
					} else {
						t.Logf("%d gaps, %d read", gaps, len(ids))
						require.Positive(t, gaps)
						require.LessOrEqual(t, gaps, 4, "one for each time that the feed asks")
						require.Less(t, len(ids), n/2-1)
					}
					if keep > 0 {
						last := n - 1
						require.Equal(t, evs[last].ID, ids[len(ids)-1])
					}
					_, err = b.Tail(t.Context(), bus.Tail{From: bus.After(f.(bus.Positioned).Token())})
					require.NoError(t, err)
				})
			}
		}
	}
}

// A token that fell off is a gap before anything else, also if there is nothing else.
func TestTokenFellOff(t *testing.T) {
	for _, hint := range [][]string{nil, {"odd.*"}} {
		for _, past := range []bool{false, true} {
			url, a := local(t)
			b := open(t, url, nil)
			f, err := b.Tail(t.Context(), bus.Tail{})
			require.NoError(t, err)
			token := f.(bus.Positioned).Token()
			require.NoError(t, b.Publish(t.Context(), several("odd.a", 5)...))
			a.trim(0)
			f, err = b.Tail(t.Context(), bus.Tail{From: bus.After(token), Hint: hint, Past: past})
			require.NoError(t, err)
			_, err = next(t, f)
			var gap *bus.GapError
			require.ErrorAs(t, err, &gap)
			require.EqualValues(t, 5, gap.Missed)
			require.Equal(t, token, gap.After)
			if past {
				_, err = next(t, f)
				require.ErrorIs(t, err, io.EOF)
				continue
			}
			ev := made("odd.b")
			require.NoError(t, b.Publish(t.Context(), ev))
			wantNext(t, f, ev.ID)
		}
	}
}

// With a hint, numbers that are skipped are no gap, not even when retention removes what the hint leaves out.
func TestHintIsNoGap(t *testing.T) {
	url, _ := local(t)
	b := open(t, url+"&keep=5", nil)
	f, err := b.Tail(t.Context(), bus.Tail{Hint: []string{"rare.*"}})
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, b.Publish(t.Context(), several("common", 20)...))
		ev := made("rare.a")
		require.NoError(t, b.Publish(t.Context(), ev))
		wantNext(t, f, ev.ID)
	}
}

func TestHintNarrows(t *testing.T) {
	url, _ := local(t)
	b := open(t, url, nil)
	require.NoError(t, b.Publish(t.Context(), made("user.added"), made("user.x.y"), made("order.paid"), made("other")))
	for _, c := range []struct {
		hint []string
		want int
	}{{[]string{"user.*"}, 1}, {[]string{"user.**"}, 2}, {[]string{"user.added", "order.*"}, 2}, {[]string{"nothing"}, 0}, {nil, 4}} {
		f, err := b.Tail(t.Context(), bus.Tail{From: bus.Start, Past: true, Hint: c.hint})
		require.NoError(t, err)
		ids, gaps, _ := readAll(t, f)
		require.Len(t, ids, c.want, "%q", c.hint)
		require.Zero(t, gaps)
	}
}

// A stream that is made anew, or removed, ends feeds that wait, at once.
func TestMadeAnewWhileOpen(t *testing.T) {
	for what, do := range map[string]func(a admin){"recreated": admin.recreate, "removed": admin.remove} {
		t.Run(what, func(t *testing.T) {
			url, a := local(t)
			b := open(t, url, nil)
			old, fresh := made("old"), made("new")
			require.NoError(t, b.Publish(t.Context(), old))
			f, err := b.Tail(t.Context(), bus.Tail{From: bus.Start})
			require.NoError(t, err)
			wantNext(t, f, old.ID)
			do(a)
			_ = b.Publish(t.Context(), fresh) // finds out, if the stream is gone
			again(t, func() error { return b.Publish(t.Context(), fresh) })
			begun := time.Now()
			_, err = next(t, f)
			require.ErrorIs(t, err, bus.ErrForeignToken)
			require.Less(t, time.Since(begun), 5*time.Second, "the server says so, as a rule; else its silence does")
			_, err = b.Tail(t.Context(), bus.Tail{From: bus.After(f.(bus.Positioned).Token())})
			require.ErrorIs(t, err, bus.ErrForeignToken)
		})
	}
}

// A consumer that somebody removes ends its feed, and the next feed goes on where it stopped.
func TestConsumerRemoved(t *testing.T) {
	url, a := local(t)
	b := open(t, url, nil)
	evs := several("a", 2)
	require.NoError(t, b.Publish(t.Context(), evs[0]))
	f, err := b.Tail(t.Context(), bus.Tail{From: bus.Start})
	require.NoError(t, err)
	wantNext(t, f, evs[0].ID)
	a.stream(func(ctx context.Context, js jetstream.JetStream, s jetstream.Stream) error {
		for name := range s.ConsumerNames(ctx).Name() {
			if err := s.DeleteConsumer(ctx, name); err != nil {
				return err
			}
		}
		return nil
	})
	_, err = next(t, f)
	require.ErrorIs(t, err, bus.ErrDisconnected)
	require.NoError(t, b.Publish(t.Context(), evs[1]))
	f, err = b.Tail(t.Context(), bus.Tail{From: bus.After(f.(bus.Positioned).Token())})
	require.NoError(t, err)
	wantNext(t, f, evs[1].ID)
}

// Feeds that are closed leave no consumers behind.
func TestCloseRemovesConsumers(t *testing.T) {
	url, a := local(t)
	b := open(t, url, nil)
	f, err := b.Tail(t.Context(), bus.Tail{})
	require.NoError(t, err)
	_, err = b.Tail(t.Context(), bus.Tail{})
	require.NoError(t, err)
	count := func() (n int) {
		a.stream(func(_ context.Context, _ jetstream.JetStream, s jetstream.Stream) error {
			n = s.CachedInfo().State.Consumers
			return nil
		})
		return n
	}
	require.Equal(t, 2, count())
	require.NoError(t, f.Close())
	require.Eventually(t, func() bool { return count() == 1 }, 5*time.Second, 10*time.Millisecond)
	require.NoError(t, b.Close(t.Context()))
	require.Eventually(t, func() bool { return count() == 0 }, 5*time.Second, 10*time.Millisecond)
}

// What is no event is left out and counted, with and without a stream.
func TestGarbage(t *testing.T) {
	url, a := local(t)
	for _, mode := range []string{"", "&mode=core"} {
		b := open(t, url+mode, nil)
		f, err := b.Tail(t.Context(), bus.Tail{})
		require.NoError(t, err)
		nc, err := natsgo.Connect(a.url)
		require.NoError(t, err)
		for _, text := range []string{"", "{", `{"specversion":"1.0"}`, "\x00\xff", "null", `[]`} {
			m := natsgo.NewMsg(a.name + ".x")
			m.Data = []byte(text)
			m.Header.Set("Status", "409")
			m.Header.Set("Description", "Consumer Deleted")
			require.NoError(t, nc.PublishMsg(m))
		}
		require.NoError(t, nc.Flush())
		nc.Close()
		ev := made("x")
		require.NoError(t, b.Publish(t.Context(), ev))
		wantNext(t, f, ev.ID)
		require.EqualValues(t, 6, b.Garbage())
	}
}

// A server that comes back without its disk has another stream, and refuses the tokens of the old one.
func TestServerRestartedEmpty(t *testing.T) {
	c := startChild(t)
	b := open(t, c.url("app", password, streamName()), nil)
	require.NoError(t, b.Publish(t.Context(), several("a", 3)...))
	f, err := b.Tail(t.Context(), bus.Tail{})
	require.NoError(t, err)
	token := f.(bus.Positioned).Token()
	c.kill()
	_, err = next(t, f)
	require.ErrorIs(t, err, bus.ErrDisconnected)
	require.NoError(t, os.RemoveAll(filepath.Join(c.dir, "jetstream")))
	c.start(t)
	_, err = b.Tail(t.Context(), bus.Tail{From: bus.After(token)})
	require.ErrorIs(t, err, bus.ErrForeignToken)
	require.NoError(t, b.Publish(t.Context(), several("a", 5)...))
	_, err = b.Tail(t.Context(), bus.Tail{From: bus.After(token)})
	require.ErrorIs(t, err, bus.ErrForeignToken)
}

// A server that comes back with an older copy of its disk has lost events that were read: its stream is the same,
// and ends before the token.
func TestServerRestoredFromOlderCopy(t *testing.T) {
	c := startChild(t)
	b := open(t, c.url("app", password, streamName()), nil)
	require.NoError(t, b.Publish(t.Context(), several("a", 3)...))
	c.kill()
	copied := filepath.Join(t.TempDir(), "copy")
	require.NoError(t, os.CopyFS(copied, os.DirFS(c.dir)))
	c.start(t)
	require.Eventually(t, func() bool { return b.Publish(t.Context(), several("a", 2)...) == nil }, 5*time.Second, time.Millisecond)
	f, err := b.Tail(t.Context(), bus.Tail{})
	require.NoError(t, err)
	token := f.(bus.Positioned).Token()
	c.kill()
	c.dir = copied
	c.start(t)
	require.Eventually(t, func() bool { return b.Publish(t.Context()) == nil }, 5*time.Second, time.Millisecond)
	_, err = b.Tail(t.Context(), bus.Tail{From: bus.After(token)})
	require.ErrorIs(t, err, bus.ErrForeignToken)
	require.ErrorContains(t, err, "older copy")
}

// A wire that is cut keeps the server from hearing that a feed is over. The next feed tells it: the server has a bound on
// consumers, and would make no more for a wire that breaks again and again.
func TestCutsLeaveNoConsumers(t *testing.T) {
	address, a := local(t)
	u, err := url.Parse(address)
	require.NoError(t, err)
	p := bustest.NewProxy(t, u.Host)
	b := open(t, via(t, address, p.Addr()), nil)
	for range 10 {
		f, err := b.Tail(t.Context(), bus.Tail{})
		require.NoError(t, err)
		p.Cut()
		_, err = next(t, f)
		require.ErrorIs(t, err, bus.ErrDisconnected)
		require.NoError(t, f.Close())
		p.Mend()
	}
	_, err = b.Tail(t.Context(), bus.Tail{})
	require.NoError(t, err)
	require.Eventually(t, func() (only bool) {
		a.stream(func(_ context.Context, _ jetstream.JetStream, s jetstream.Stream) error {
			only = s.CachedInfo().State.Consumers == 1
			return nil
		})
		return only
	}, 5*time.Second, 10*time.Millisecond)
}
