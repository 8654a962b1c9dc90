// Package queue is durable work: events go into named queues, wait there as long as they have to, and are worked on by
// whichever process is free, at least once, whatever dies on the way.
//
//	store, err := queue.Open("sqlite:jobs.db") // or mem:, postgres:, redis:, mongodb:
//	q := queue.New(store, nil)
//	err = q.Subscribe(ctx, "crm", queue.Name("user.added"), func(ctx context.Context, l queue.Leased) error {
//		return welcome(ctx, l.TID)
//	})
//	err = q.Publish(ctx, queue.Event{Name: "user.added", TID: "17"})
//
// # Words
//
// An event has a name, and is published. A queue is bound to names, by [Name], [Pattern], [Regexp] or [All]; the store
// keeps the bindings, so a queue gets its items also while nobody works on it. Each queue that is bound to an event gets
// one item of it. A worker leases an item: it is hidden from others for a time, the TTL, which is extended while the
// handler runs. Then the item is settled: acknowledged and gone, failed and due again later, or dead after too many
// fails, until somebody redrives or removes it.
//
// # What is promised
//
// What Publish has returned for is stored as safely as [Caps] says: on the disk, for most stores. Every item is worked on
// until a handler has returned nil, or it is dead or removed. That may be more than once: when a process dies or loses
// its connection, the item comes again after the TTL, and what was done before is done again. A handler that was so
// overtaken hears of it, by the end of its context, and cannot settle the item any more: each lease has a receipt of its
// own, which is a fencing token where Caps.Fenced.
//
// Two counters tell what happened to an item: Deliveries is how often it was leased, Fails how often that ended with an
// error or with an expired lease. Only fails bring it nearer to death: what a shutdown gives back costs nothing.
//
// Items of one queue are taken in the order of priority, due time and publication; with several workers the order in
// which they end is another. [Event.Serial] has items of one key worked on one at a time.
//
// Times are those of the store, so that the clocks of processes need not agree.
//
// # Watching
//
// Everything that happens is a [Report] on a core channel, which costs nothing while nobody listens; [Panel] is a page
// for the tap, Counts and Stats are numbers, and "earshot queue" looks into any store from a terminal.
//
// # Stores
//
// Package memstore is in memory; backend/sqlite is one file, shared by the processes of a host, and needs no server;
// backend/postgres, backend/redis and backend/mongodb are for fleets. Package storetest is the suite they all pass, and
// what a new one has to.
package queue
