// Package earshottest helps to test code that sends events with earshot, or receives them.
//
// A test makes a server of its own, watches the channels it cares about, runs the code, and says what
// it expects:
//
//	func TestCheckout(t *testing.T) {
//		srv := earshottest.NewServer(t)
//		orders := earshottest.Watch[Order](t, srv, "shop.order")
//		mails := earshottest.Watch[Mail](t, srv, "mail.sent")
//
//		shop.New(srv).Checkout(cart)
//
//		orders.ExpectExactly(Order{ID: 1, Total: 42})
//		mails.Expect(func(m Mail) bool { return strings.Contains(m.Body, "42") })
//		orders.ExpectNothing()
//	}
//
// An expectation is a value, which must be deeply equal to the event, or a function of the event:
//
//	func(E)       // any event of type E; see also Type
//	func(E) bool  // one for which it returns true
//	func(E) error // one for which it returns nil; other errors appear in the failure's text
//
// Expectations are met in order, and each call goes on behind the event that met the last one. A failure
// ends the test and lists what was expected and what was received.
//
// Nothing here sleeps. What was sent before a call is always seen by it: a watcher has no capacity to
// exceed. For what other goroutines are about to send, Expect and ExpectExactly wait; that nothing more
// comes is decided when every handler of the server has returned, so it is known at once and for sure
// as far as handlers send it (see [Settle]). All of it may be used inside a testing/synctest bubble,
// where waiting in vain takes no time.
//
// A watcher is a subscriber: the channel it watches is live, and whatever runs only while somebody
// listens, runs.
package earshottest
