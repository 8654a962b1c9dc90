package storetest_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/storetest"
)

// A fault is a wrong store, and the tests of the suite that have to find it.
type fault struct {
	name  string
	found []string
	spoil func(s able) queue.Store
}

// oddly is a spoil without a memory of its own.
func oddly(o odd) func(s able) queue.Store {
	return func(s able) queue.Store {
		o := o
		o.able = s
		return &o
	}
}

var (
	inMemory = [][]fault{faultsOfEnqueue, faultsOfForm, faultsOfBind, faultsOfTime, faultsOfLease, faultsOfSettle, faultsOfFail,
		faultsOfKeys, faultsOfSerial, faultsOfFind, faultsOfWait, faultsOfEnd, faultsOfRaces, faultsOfAccount}
	onWire = [][]fault{faultsOfClients, faultsOfWire, faultsOfKill}
)

// The suite finds each of these faults, by the tests that are named for it.
func TestRunFindsFaults(t *testing.T) {
	var tries []try
	for _, list := range inMemory {
		for _, c := range list {
			for _, name := range c.found {
				tries = append(tries, try{c.name, name, memory(func(s queue.Store) queue.Store { return c.spoil(s.(able)) })})
			}
		}
	}
	found(t, tries)
}

// And these, of stores that are for several processes, or have a wire.
func TestFaultsFindFaults(t *testing.T) {
	leaked = make(chan struct{})
	t.Cleanup(func() { close(leaked) })
	var tries []try
	for _, list := range onWire {
		for _, c := range list {
			for _, name := range c.found {
				tries = append(tries, try{c.name, name, wireEngine(func(s *wireStore) queue.Store { return c.spoil(s) })})
			}
		}
	}
	found(t, append(tries, engineTries...))
}

// There is a wrong store for each test.
func TestEveryCaseFindsSomething(t *testing.T) {
	var found []string
	for _, list := range append(slices.Clone(inMemory), onWire...) {
		for _, c := range list {
			found = append(found, c.found...)
		}
	}
	for _, c := range engineTries {
		found = append(found, c.test)
	}
	for _, name := range storetest.Cases() {
		if !slices.Contains(found, name) {
			t.Errorf("no wrong store is known that %s finds", name)
		}
	}
}

// A try is a faulty store, and the test that has to find that.
type try struct {
	fault, test string
	open        func(t testing.TB) storetest.Engine
}

// found fails where a test has not found a fault. The tries run at once, many more than there are processors: most of
// them wait for what does not come.
func found(t *testing.T, tries []try) {
	storetest.Hurry(t)
	records := make([]chan storetest.Record, len(tries))
	room := make(chan struct{}, 24)
	for i, c := range tries {
		records[i] = make(chan storetest.Record, 1)
		if storetest.Alone(c.test) {
			continue
		}
		go func() {
			room <- struct{}{}
			defer func() { <-room }()
			records[i] <- storetest.Try(t, c.test, c.open)
		}()
	}
	report := func(i int, r storetest.Record) {
		t.Run(tries[i].fault+"/"+tries[i].test, func(t *testing.T) {
			if !r.Failed {
				t.Fatalf("%s has not found the fault: %s", tries[i].test, r.Log)
			}
			t.Log(strings.TrimSpace(r.Log))
		})
	}
	for i, c := range tries {
		if !storetest.Alone(c.test) {
			report(i, <-records[i])
		}
	}
	for i, c := range tries {
		if storetest.Alone(c.test) {
			report(i, storetest.Try(t, c.test, c.open))
		}
	}
}

// A right store passes what finds the faults: the wrappers of these tests bring none of their own.
func TestWrappersAreRight(t *testing.T) {
	storetest.Run(t, memory(func(s queue.Store) queue.Store { return &odd{able: s.(able)} }))
}

// What a store may do is no fault: the tests for which it is a matter of time or number.
func TestWhatStoresMayDo(t *testing.T) {
	slow := func(d time.Duration) func(s able) queue.Store {
		return oddly(odd{lease: func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error) {
			<-time.After(d)
			return s.Lease(ctx, r)
		}})
	}
	atMost := func(n int) func(s able) queue.Store {
		return oddly(odd{lease: func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error) {
			r.Max = min(r.Max, n)
			return s.Lease(ctx, r)
		}})
	}
	for _, c := range []fault{
		{"brings two at most", []string{"F7ReaperRacesAck", "ReapTakesBack", "F8TwoReapers"}, atMost(2)},
		{"takes its time", []string{"LeaseWakesOnEnqueue", "WakesWhenDue", "WakesOnExpiry", "F7ReaperRacesAck"}, slow(120 * time.Millisecond)},
	} {
		for _, name := range c.found {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				r := storetest.Try(t, name, memory(func(s queue.Store) queue.Store { return c.spoil(s.(able)) }))
				if r.Failed {
					t.Fatal(r.Log)
				}
			})
		}
	}
}
