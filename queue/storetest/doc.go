// Package storetest is the conformance suite of package queue: what a store must do to keep work for earshot.
//
//	func TestMain(m *testing.M) {
//		storetest.Main(queue.Open) // the children that Faults starts and kills end here
//		os.Exit(m.Run())
//	}
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t testing.TB) storetest.Engine { … })
//	}
//
//	func TestStoreFaults(t *testing.T) {
//		storetest.Faults(t, func(t testing.TB) storetest.Engine { … })
//	}
//
// Run has the behaviour; Faults what is left when processes are killed, wires are cut, and many work at once, judged
// by a [History] of all that was done. Tests are chosen by what the store claims in queue.Caps and by the methods that
// it has: a claim must hold, and what is not claimed must be refused. The first test, Claims, lists those that were
// left out, and why.
//
// Some promises are about time, and are held only as well as a busy machine and a slow engine allow. Clocks are real, so
// tests pause. Of queue.Waker it is held that of several tries the best is had 50 ms late or less, and twice of what it
// takes to enqueue and to lease, where stores aim at 10 ms; that what another process enqueues comes within 1 s and
// Engine.Late; and that with an Engine.Server five idle waiters send it something at most 40 times in 2 s. What a store
// without a server asks its engine while it is idle is not held, only that it does not go round in circles.
//
// thirdparty_test.go in this directory is a whole store of its own, in memory and with few abilities, that passes.
package storetest
