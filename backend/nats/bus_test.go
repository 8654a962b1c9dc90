package nats_test

import (
	"context"
	"net/url"
	"os"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot-go/earshot/backend/nats"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/bustest"
)

// stream returns a new stream, on a server of its own that can be killed, or on the one of EARSHOT_NATS_URL, which
// cannot. The mode is the rest of the query.
func stream(mode string) func(t testing.TB) bustest.Stream {
	return func(t testing.TB) bustest.Stream {
		name := streamName()
		base := os.Getenv(urlVar)
		var c *child
		if base == "" {
			c = startChild(t)
			base = "nats://app:" + password + "@" + c.address()
		}
		u, err := url.Parse(base)
		if err != nil {
			t.Fatalf("%s is no URL", urlVar)
		}
		address := base + "?stream=" + name + mode
		a := admin{t, base, name}
		s := bustest.Stream{
			Server: u.Host,
			Open: func(t testing.TB, host string) bus.Bus {
				b, err := nats.OpenBus(via(t, address, host), nil)
				if err != nil {
					t.Fatal(err)
				}
				return b
			},
		}
		if mode == "" {
			s.Recreate = func(t testing.TB) { a.recreate() }
			s.Trim = func(t testing.TB, keep int) { a.trim(keep) }
			s.Break = func(t testing.TB) func() { return a.fill() }
		}
		if c == nil {
			t.Cleanup(func() {
				a.with(func(ctx context.Context, js jetstream.JetStream) error {
					_ = js.DeleteStream(ctx, name) // absent if the test used none
					return nil
				})
			})
			return s
		}
		s.Restart = func(t testing.TB) { c.kill(); c.start(t) }
		s.Deny = func(t testing.TB) bus.Bus { return open(t, c.url("app", wrong, name)+mode, nil) }
		return s
	}
}

func TestBus(t *testing.T)       { bustest.Run(t, stream("")) }
func TestBusFaults(t *testing.T) { bustest.Faults(t, stream("")) }

func TestCore(t *testing.T)       { bustest.Run(t, stream("&mode=core")) }
func TestCoreFaults(t *testing.T) { bustest.Faults(t, stream("&mode=core")) }
