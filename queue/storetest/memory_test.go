package storetest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/memstore"
	"github.com/earshot-go/earshot/queue/storetest"
)

// memory is a new store in memory, with a little fault if spoil makes one.
func memory(spoil func(s queue.Store) queue.Store) func(t testing.TB) storetest.Engine {
	return func(t testing.TB) storetest.Engine {
		s := memstore.New(nil)
		t.Cleanup(func() { s.Close(context.Background()) })
		return storetest.Engine{
			Open: func(testing.TB, string) queue.Store {
				if spoil == nil {
					return s
				}
				return spoil(s)
			},
			Break: func(testing.TB) (mend func()) {
				s.Fail(fmt.Errorf("%w: no room is left", queue.ErrFull))
				return func() { s.Fail(nil) }
			},
			Deny: func(testing.TB) queue.Store {
				s := memstore.New(nil)
				s.Fail(fmt.Errorf("%w: wrong password", queue.ErrDenied))
				if spoil != nil {
					return spoil(s)
				}
				return s
			},
		}
	}
}

func TestMemory(t *testing.T) {
	storetest.Run(t, memory(nil))
}

func TestMemoryFaults(t *testing.T) {
	storetest.Faults(t, memory(nil))
}
