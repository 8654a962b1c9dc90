// Package earshot is an event runtime whose channels exist only while somebody listens.
//
// A program sends events to named channels, at any time, from anywhere. While nobody is within
// earshot of a channel, a send is one atomic load and nothing else: no lock, no allocation, no
// goroutine. So a server can have an instrumentation point wherever somebody may want to look one day,
// and a debug tap that can be opened at run time.
//
//	var queries = earshot.NewChannel[Query](nil, "db.query", nil)
//
//	func (db *DB) Query(text string) {
//		start := time.Now()
//		…
//		queries.Send(Query{text, time.Since(start)})   // nobody listens: free
//	}
//
//	ref, err := queries.Handle(ctx, func(ctx context.Context, m earshot.Message[Query]) error {
//		log.Print(m.Event)
//		return nil
//	}, nil)
//
// # Parts
//
// A [Server] holds channels. [Default] is the process-wide one; a nil server means it.
//
// A [Channel] is a typed handle on one name. [SendEvent] sends by name alone, and any comparable value
// is a name.
//
// A [Mailbox] receives. It subscribes to as many names and patterns as it likes, and each subscription
// has its own [Ref], which every message carries. Channel.Events and Channel.Handle are a mailbox with
// one subscription and somebody who empties it; Server.Spawn is a function with a mailbox.
//
// [Server.Monitor] tells when a subscription ended and why, Channel.OnDemand runs a producer while
// somebody listens, and the server's own channels (Server.Lifecycle, Server.Slow) say who comes, who
// goes and who does not keep up.
//
// # Order
//
// All subscribers of a channel see its events in the same order, and the events of one sender keep
// theirs. Message.Seq numbers a channel's events from 1, so a gap can be seen; Message.Missed says how
// many of them this subscription lost. A mailbox with several subscriptions, or a pattern, receives
// its messages in the order in which their sends took effect, across channels. Several goroutines that
// receive from one mailbox share its messages, and the order is that in which they were taken.
//
// An event whose send starts after Subscribe has returned, and ends before Unsubscribe is called, is
// delivered exactly once to that subscription, or counted in the Missed of a later message. Of events
// sent while Subscribe or Unsubscribe runs, some beginning or end arrives.
//
// # Blocking
//
// Sending never blocks and never fails, whatever subscribers do: block, panic, exit, or never read. The
// one exception is made by the channel's owner, not by a subscriber: on a channel with
// ChannelOptions.MayBlock a mailbox with the policy [Block] makes senders wait while it is full. A
// handler that sends to a channel for which its own full mailbox makes senders wait, waits for itself;
// use SendContext there.
//
// Subscribe, Unsubscribe, Close, Monitor and the statistics take a lock for a microsecond or so, and never wait for user
// code. Receive, Messages, Sync and Shutdown wait, and take a context. Everything but Shutdown and Sync
// may be called from inside a handler, and everything while holding locks of one's own, as long as no
// handler needs the same lock for its part of what is waited for.
//
// # Lifetimes
//
// A channel comes to life with its first subscriber and is gone with its last; what is left is what was
// there before. A declaration (NewChannel) lasts as long as its server.
//
// A subscriber ends in one of four ways, and its subscriptions with it: Close or Unsubscribe; the end of
// the context that it was made with; the end of the function that the server runs for it (it returns,
// fails, panics, or calls runtime.Goexit); or nothing in the program refers to its mailbox any more.
// Whichever it is, every monitor receives one [Down], after the last event, and no message is received
// after the call that ended it has returned.
//
// After Shutdown or Close, sending does nothing and subscribing returns ErrServerClosed.
//
// # Loss
//
// A mailbox has a capacity and a policy for what happens beyond it: see [Overflow]. Nothing is lost in
// silence: Missed says it in the next message, the statistics count it, and at every moment
// Offered = Received + Missed + Discarded + Depth. Memory is bounded by capacity, not by history, for
// every policy but Unbounded: a subscriber that never reads, or is always one event behind, holds its
// capacity and at most one block of 256 events more.
//
// # Cost
//
// An event is stored once whatever the number of subscribers; each reads it in place. A send on a live
// channel costs about as much as locking and unlocking a mutex, with one subscriber or a thousand. An
// untyped subscriber, Mailbox[any], makes each event be boxed, once for all of them. A mailbox with
// several subscriptions, a pattern or DropNewest is given copies, which the sender pays for. Handle,
// Messages and Events take events in batches of up to 256 (a sixteenth of the capacity) and are several times cheaper than Receive,
// which takes one at a time; statistics count a batch in hand as received. docs/performance.md has the
// measurements, docs/design.md the reasons.
package earshot
