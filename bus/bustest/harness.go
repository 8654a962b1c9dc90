// Package bustest is the conformance suite of package bus: what an engine must do to carry events for earshot.
//
//	func TestBus(t *testing.T) {
//		bustest.Run(t, func(t testing.TB) bustest.Stream { … })
//	}
//
// Run has the behaviour, Faults what happens when the wire is cut, frozen, slow, or brings garbage. Tests are
// chosen by what the engine claims in bus.Caps: a claim must hold, and what is not claimed must be refused.
package bustest

import (
	"os"
	"strconv"
	"testing"

	"github.com/earshot-go/earshot/bus"
)

// A Stream is one new, empty stream on an engine, for one test. The function that makes it sees to its removal
// with t.Cleanup. Open is required; a nil function is something that cannot be done to the engine, and the tests
// that need it say so when they are left out.
type Stream struct {
	// Open returns a bus on the stream: a client of its own, as another process would have. If via is not
	// empty it is the address, host:port, to which the client has to connect in place of the server's own:
	// that of a proxy. It must not connect before it is used.
	Open func(t testing.TB, via string) bus.Bus

	// Server is the address, host:port, of the server that a proxy should lead to. Empty for an engine
	// without a wire, which has no Faults.
	Server string

	// Restart kills the server as kill -9 does and starts it again on the same address with what it had on
	// disk. For an engine without a server: nil.
	Restart func(t testing.TB)

	// Recreate removes the stream and everything in it, and makes an empty one of the same name, behind the
	// back of buses that are open.
	Recreate func(t testing.TB)

	// Trim has the engine forget all events but the newest keep, as its retention would.
	Trim func(t testing.TB, keep int)

	// Break makes the engine refuse to accept events (a full disk, a read-only stream) until mend is called.
	Break func(t testing.TB) (mend func())

	// Deny returns a bus on the stream with wrong credentials. The password is "wr0ng-secret", and must not
	// be in any error.
	Deny func(t testing.TB) bus.Bus
}

// Run tests the behaviour of an engine. It calls open once for each test, from several goroutines: most tests run in
// parallel, after the function that calls Run has returned, so what they need has to be given up with t.Cleanup.
// Tests that disturb the server as a whole, by Restart or Break, run before them and one by one.
func Run(t *testing.T, open func(t testing.TB) Stream) {
	all(t, behaviour, open)
}

// Faults tests what an engine does about a bad wire, through a [Proxy] before Stream.Server. It calls open as Run does.
// EARSHOT_CUTS is how often the wire is cut in the tests that do so again and again: 100, or 20 with -short, if it
// is not set.
func Faults(t *testing.T, open func(t testing.TB) Stream) {
	all(t, faults, open)
}

// A testCase is a test that knows nothing of testing.T, so that the suite itself can be tested.
type testCase struct {
	name  string
	alone bool // nothing may run beside it
	run   func(t testing.TB, open func(t testing.TB) Stream)
	needs needs
}

// all runs the tests that are for this engine. The first, Claims, says which are not.
func all(t *testing.T, cases []testCase, open func(t testing.TB) Stream) {
	var mine []testCase
	asked := false
	ask := func(t *testing.T) {
		asked = true
		s := open(t)
		caps := s.client(t).caps()
		for _, c := range cases {
			if why := c.needs.missing(caps, s); why == "" {
				mine = append(mine, c)
			} else {
				t.Logf("%s is not for this engine: %s", c.name, why)
			}
		}
	}
	t.Run("Claims", ask)
	if !asked { // -run wants another one alone
		ask(t)
	}
	for _, c := range mine {
		t.Run(c.name, func(t *testing.T) {
			if !c.alone {
				t.Parallel()
			}
			c.run(t, open)
		})
	}
}

// cuts is how often a wire is cut.
func cuts() int {
	if n, err := strconv.Atoi(os.Getenv("EARSHOT_CUTS")); err == nil && n > 0 {
		return n
	}
	if testing.Short() {
		return 20
	}
	return 100
}
