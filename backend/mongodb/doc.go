// Package mongodb keeps the work of package queue in a MongoDB database: a [Store] that any number of processes share.
// It needs MongoDB 5.0 or later, standalone, a replica set or a sharded cluster, or something that speaks like it.
//
//	s, err := queue.Open("mongodb://user:secret@127.0.0.1:27017/shop?prefix=jobs")
//
// The schemes are mongodb, with one host or several, and mongodb+srv. The path is the database, by default "earshot".
// The query has what [StoreOptions] has, prefix and maxbytes, which goes before the options; and of the options of
// MongoDB's connection strings appName, authMechanism, authMechanismProperties, authSource, compressors,
// directConnection, loadBalanced, maxPoolSize, replicaSet, srvServiceName, and those that begin with tls. A user is
// looked up in the database of the path, if there is one, unless authSource says otherwise.
//
// What is here was run on FerretDB 1.24, which answers MongoDB's protocol and takes one message at a time in the tests:
// it was not run on a real MongoDB. That single-document operations are atomic there, that an update finds a document in
// the state of its filter, that an index is used, and all speed, is what MongoDB's documentation says.
//
// # What is in the server
//
// Four collections, whose names begin with the prefix: items, keys, serials and meta. There is one document for each
// item, with four indexes. A user of the database needs the role readWrite on it.
//
// Writes wait for the journal of a majority of the replica set (w: majority, j: true), reads go to the primary. A
// server that was started without a journal, or with an arbiter in place of a majority that has data, keeps less.
//
// A store of a newer version of earshot is refused, and left as it is. Documents of others among the items are left
// out.
//
// # Steps
//
// A standalone server has no transactions over several documents, so nothing here uses them. Each call is a sequence of
// steps, of which each changes documents one by one, and what a step leaves behind can be gone on with by anybody:
//
//   - An item without a key is stored by one insertion. Of a batch some items may be stored and others not.
//   - An item with a key is stored as "prep" (1), which nobody sees; its key is inserted, or taken over from an item
//     that does not hold it any more (2); then it is pending (3), or removed if another item has the key. After a crash
//     behind (1) or (2) the item is finished by the next Enqueue with its ID, or by others after ten seconds: it
//     becomes pending or, without its key, goes.
//   - A key is held as long as its item says so: an item lets go of it by the same change by which it is leased, dead
//     or done. The document of the key is taken away after that; if nobody does, it is garbage, which the next item
//     with this key takes over, or which is swept up.
//   - An item is leased by one change, which only one of many can make. One with a serial key is marked as "taking"
//     (1), the lock of the key is inserted, or taken over from a lease that has ended (2), and it is leased (3). After a
//     crash behind (1) or (2) it waits again, ten seconds later, and no fail is counted. A lock is held as long as its
//     item is marked or leased by the very lease that the lock names.
//   - Items whose serial key is busy are put aside into a lane of their own (1), so that no lease meets them again, and
//     the lock is looked at once more (2). Who settles an item lets the next one out of the lane (2) and takes away the
//     lock (3). After a crash behind (1) the lane is found by others, within ten seconds for up to twenty lanes.
//   - A settlement is one change, of an item that has this lease: that is the fence. One that is acknowledged is "done"
//     then (1), its serial key is passed on and its key let go (2), and it is deleted (3). What is done and stays is
//     finished by the next Enqueue with its ID, or by others after ten seconds. An item without either kind of key that
//     is acknowledged alone is deleted in one step.
//   - Remove marks items as done, and goes on in the same way.
//   - All bindings are one document, which is replaced if it is still that which was read.
//
// The others are whoever calls Lease, which looks for what was left every ten seconds, or [Store.Reap], which looks at
// everything.
//
// # What to know
//
// Time is the server's: each process measures how far its own clock is from it, every thirty seconds and after each
// disturbance. It may be off by half of the time to the server and back, and by a part of a millisecond, as the server
// tells whole ones; so much the items of several processes may be out of order, and an item leased early or late. The
// stores of one process agree. In a replica set it is the clock of the primary: when another one becomes primary, its
// clock counts.
//
// Nothing tells a process what others do: a worker that waits asks the server once a second, for all queues together.
// What the same store enqueues it knows at once.
//
// EnqueueAt looks at the revision of the bindings first and then stores: one that overlaps a Bind counts as before it.
//
// A call that comes while others are under way for the same queues is made together with those that come then, so that
// many workers of a process cost little more than one.
//
// A retry is never made here, by the driver either: retryable reads and writes are off.
package mongodb
