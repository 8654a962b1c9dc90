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
// thirdparty_test.go in this directory is a whole store of its own, in memory and with few abilities, that passes.
package storetest
