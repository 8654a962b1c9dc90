package storetest

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// An Engine is one new, empty store, for one test. The function that makes it sees to its removal with t.Cleanup.
// Open is required; what else is missing is something that cannot be done to the engine, and the tests that need it
// say so when they are left out.
type Engine struct {
	// Open returns the store: a client of its own, as another process would have. If via is not empty it is the
	// address, host:port, to which the client has to connect in place of the server's own: that of a proxy. It must
	// not connect before it is used. The suite closes what it has opened. A store that does not claim MultiProcess
	// is opened again only when the one before was closed, and only if it claims Durable.
	Open func(t testing.TB, via string) queue.Store

	// Server is the address, host:port, of the server that a proxy should lead to. Empty for an engine without a
	// wire.
	Server string

	// URL is how another process reaches this same store: a child of the test, which opens it with the function
	// that was given to [Main]. Empty if none can: a store in memory.
	URL string

	// Restart kills the server as kill -9 does and starts it again on the same address with what it had on disk.
	// Nil for an engine without a server.
	Restart func(t testing.TB)

	// Break makes the engine refuse to write (a full disk, a server that only reads) until mend is called.
	Break func(t testing.TB) (mend func())

	// Deny returns a client with wrong credentials. The password is "wr0ng-secret", and must not be in any error.
	Deny func(t testing.TB) queue.Store

	// Begin begins a transaction of an application, for a store that is a queue.TxEnqueuer. Every transaction is
	// committed or rolled back once.
	Begin func(t testing.TB, s queue.Store) Tx

	// Skew returns a new, empty store by whose clock it is at least an hour earlier or later than by this process's.
	// For an engine with a clock of its own.
	Skew func(t testing.TB) queue.Store

	// Late is how long after it was due an item may be leased at the latest, by somebody who waits for it.
	// Default: 1 s.
	Late time.Duration

	// Crowd is how many items SerialOfTenThousand has; other tests with many items have less then, too. Default: 10,000.
	// Fewer are for a stand-in of a server that looks at all there is for each statement, and for no other engine.
	Crowd int

	// Seen is how long after Bind has returned another process may need to see the bindings. Default, and the
	// contract: 0.
	Seen time.Duration
}

// atMost is n, or less where Crowd asks for it.
func (e Engine) atMost(n, ofCrowd int) int {
	if e.Crowd <= 0 {
		return n
	}
	return max(1, min(n, ofCrowd))
}

// Tx is a transaction of an application that enqueues.
type Tx struct {
	Enqueue  func(ctx context.Context, items []queue.Item) ([]queue.Enqueued, error)
	Commit   func() error
	Rollback func() error
}

// Run tests the behaviour of a store. It calls open once for each test, from several goroutines: most tests run in
// parallel, after the function that calls Run has returned, so what they need has to be given up with t.Cleanup.
// Tests that disturb the engine as a whole, by Restart or Break, run before them and one by one.
func Run(t *testing.T, open func(t testing.TB) Engine) {
	all(t, behaviour, open)
}

// Faults tests what becomes of the items when processes are killed, wires are cut or frozen, and many work at once. It
// calls open as Run does. Environment variables say how long it takes: EARSHOT_KILLS is how many processes
// F3KillStoreProcessLoop kills, 200, or 20 with -short, if it is not set, and a tenth of it for a store with a server;
// EARSHOT_CUTS how often each of F4 cuts the wire, 60 or 15; EARSHOT_HISTORY the duration of F10RandomHistory, 2s or
// 1s. EARSHOT_SEED repeats the random choices of a run.
func Faults(t *testing.T, open func(t testing.TB) Engine) {
	all(t, faults, open)
}

// A testCase is a test that knows nothing of testing.T, so that the suite itself can be tested.
type testCase struct {
	name  string
	alone bool // nothing may run beside it
	run   func(t testing.TB, open func(t testing.TB) Engine)
	needs needs
}

// all runs the tests that are for this engine. The first, Claims, says which are not.
func all(t *testing.T, cases []testCase, open func(t testing.TB) Engine) {
	var mine []testCase
	asked := false
	ask := func(t *testing.T) {
		asked = true
		e := open(t)
		claims := claimsOf(e.client(t).Store, e)
		for _, c := range cases {
			if why := c.needs.missing(claims); why == "" {
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

// kills is how many processes are killed.
func kills() int {
	if n, err := strconv.Atoi(os.Getenv("EARSHOT_KILLS")); err == nil && n > 0 {
		return n
	}
	if testing.Short() {
		return 20
	}
	return 200
}

// length is how long a random history is.
func length() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("EARSHOT_HISTORY")); err == nil && d > 0 {
		return d
	}
	if testing.Short() {
		return time.Second
	}
	return 2 * time.Second
}
