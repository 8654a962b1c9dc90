package nats_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/bus"
)

// The client library keeps one error of a connection. Calls that run at the same time have theirs all the same, and
// a feed that is opened meanwhile does not have it.
func TestCoreDeniedInParallel(t *testing.T) {
	s := startServer(t, withUsers(options(t.TempDir(), server.RANDOM_PORT)))
	b := open(t, "nats://reader:"+password+"@"+s.Addr().String()+"?stream=x&prefix=fenced&mode=core", nil)
	var wg sync.WaitGroup
	var accepted, other atomic.Int64
	for g := range 8 {
		wg.Go(func() {
			for range 300 {
				switch err := b.Publish(context.Background(), made("x"+string(rune('a'+g)))); {
				case err == nil:
					accepted.Add(1)
				case !errors.Is(err, bus.ErrDenied):
					other.Add(1)
				}
			}
		})
	}
	for range 100 {
		f, err := b.Tail(t.Context(), bus.Tail{})
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	wg.Wait()
	require.Zero(t, accepted.Load())
	require.Zero(t, other.Load())
}

// Publish of nothing says what Publish of something would, and leaves nothing behind.
func TestProbe(t *testing.T) {
	s := startServer(t, withUsers(options(t.TempDir(), server.RANDOM_PORT)))
	for _, mode := range []string{"", "&mode=core"} {
		name := streamName()
		url := func(user string) string {
			return "nats://" + user + ":" + password + "@" + s.Addr().String() + "?stream=" + name + "&prefix=fenced." + name + mode
		}
		app, reader := open(t, url("app"), nil), open(t, url("reader"), nil)
		require.NoError(t, app.Publish(t.Context()))
		f, err := reader.Tail(t.Context(), bus.Tail{})
		require.NoError(t, err)
		for range 3 {
			require.NoError(t, app.Publish(t.Context()))
			require.ErrorIs(t, reader.Publish(t.Context()), bus.ErrDenied)
			require.ErrorIs(t, reader.Publish(t.Context(), made("a")), bus.ErrDenied)
		}
		ev := made("a")
		require.NoError(t, app.Publish(t.Context(), ev))
		wantNext(t, f, ev.ID)
		require.Zero(t, reader.Garbage())
		if mode == "" {
			admin{t, "nats://app:" + password + "@" + s.Addr().String(), name}.stream(func(_ context.Context, _ jetstream.JetStream, s jetstream.Stream) error {
				require.EqualValues(t, 1, s.CachedInfo().State.LastSeq)
				return nil
			})
		}
	}
}
