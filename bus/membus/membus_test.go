package membus_test

import (
	"crypto/rand"
	"errors"
	"testing"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/bustest"
	"github.com/earshot-go/earshot/bus/membus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stream returns a harness for streams with these options.
func stream(o membus.Options) func(t testing.TB) bustest.Stream {
	return func(t testing.TB) bustest.Stream {
		o := o
		o.Name = rand.Text()
		hold := membus.New(&o) // keeps the stream, whoever closes
		t.Cleanup(func() { hold.Close(t.Context()) })
		buses := []*membus.Bus{hold}
		return bustest.Stream{
			Open: func(testing.TB, string) bus.Bus {
				b := membus.New(&o)
				buses = append(buses, b)
				return b
			},
			Break: func(testing.TB) (mend func()) {
				for _, b := range buses {
					b.Fail(errors.New("the disk is full"))
				}
				return func() {
					for _, b := range buses {
						b.Fail(nil)
					}
				}
			},
			Deny: func(testing.TB) bus.Bus {
				b := membus.New(&o)
				b.Fail(bus.ErrDenied)
				return b
			},
			Recreate: func(testing.TB) { hold.Reset() },
			Trim:     func(_ testing.TB, keep int) { hold.Trim(keep) },
		}
	}
}

func TestBus(t *testing.T) {
	bustest.Run(t, stream(membus.Options{}))
}

func TestBusWithoutReplay(t *testing.T) {
	bustest.Run(t, stream(membus.Options{NoReplay: true, Keep: 1024}))
}

func TestBusDedupe(t *testing.T) {
	bustest.Run(t, stream(membus.Options{Dedupe: true, MaxBytes: -1}))
}
