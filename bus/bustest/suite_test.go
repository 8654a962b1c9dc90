package bustest_test

import (
	"strings"
	"testing"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/bustest"
	"github.com/earshot-go/earshot/bus/membus"
)

// A fault is a wrong engine, and the tests of the suite that have to find it.
type fault struct {
	name  string
	found []string
	opts  membus.Options
	spoil func(b bus.Bus) bus.Bus
}

// oddly is a spoil without a memory of its own.
func oddly(o odd) func(b bus.Bus) bus.Bus {
	return func(b bus.Bus) bus.Bus {
		o := o
		o.Bus = b
		return &o
	}
}

// The suite finds each of these faults, by the tests that are named for it.
func TestRunFindsFaults(t *testing.T) {
	leaked = make(chan struct{})
	t.Cleanup(func() { close(leaked) })
	var tries []try
	for _, list := range [][]fault{faultsOfPublish, faultsOfForm, faultsOfTail, faultsOfResume, faultsOfEnd} {
		for _, c := range list {
			for _, name := range c.found {
				tries = append(tries, try{c.name, name, memory(c.opts, c.spoil)})
			}
		}
	}
	found(t, tries)
}

// A try is a faulty engine, and the test that has to find that.
type try struct {
	fault, test string
	open        func(t testing.TB) bustest.Stream
}

// found fails where a test has not found a fault. The tries run at once, many more than there are processors: most of
// them wait for what does not come.
func found(t *testing.T, tries []try) {
	bustest.Hurry(t)
	records := make([]chan bustest.Record, len(tries))
	room := make(chan struct{}, 24)
	for i, c := range tries {
		records[i] = make(chan bustest.Record, 1)
		if bustest.Alone(c.test) {
			continue
		}
		go func() {
			room <- struct{}{}
			defer func() { <-room }()
			records[i] <- bustest.Try(t, c.test, c.open)
		}()
	}
	report := func(i int, r bustest.Record) {
		t.Run(tries[i].fault+"/"+tries[i].test, func(t *testing.T) {
			if !r.Failed {
				t.Fatalf("%s has not found the fault: %s", tries[i].test, r.Log)
			}
			t.Log(strings.TrimSpace(r.Log))
		})
	}
	for i, c := range tries {
		if !bustest.Alone(c.test) {
			report(i, <-records[i])
		}
	}
	for i, c := range tries {
		if bustest.Alone(c.test) {
			report(i, bustest.Try(t, c.test, c.open))
		}
	}
}

// A right engine passes what finds the faults: the wrappers of these tests bring none of their own.
func TestWrappersAreRight(t *testing.T) {
	bustest.Run(t, memory(membus.Options{}, oddly(odd{})))
}
