package memstore_test

import (
	"testing"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/memstore"
	"github.com/earshot-go/earshot/queue/storetest"
)

// engine is a store that is opened once: in memory there is no second way to it.
func engine(testing.TB) storetest.Engine {
	s := memstore.New(nil)
	return storetest.Engine{
		Open: func(testing.TB, string) queue.Store { return s },
		Break: func(testing.TB) (mend func()) {
			s.Fail(queue.ErrFull)
			return func() { s.Fail(nil) }
		},
		Deny: func(testing.TB) queue.Store {
			denied := memstore.New(nil)
			denied.Fail(queue.ErrDenied)
			return denied
		},
	}
}

func TestStore(t *testing.T) { storetest.Run(t, engine) }

func TestStoreFaults(t *testing.T) { storetest.Faults(t, engine) }
