// Package sqlite carries events, and keeps the items of queues, in one SQLite file: the engine that needs no server. Any
// number of processes on one host may open the file; each hears the events of the others, and works on the same queues.
//
//	b, err := bus.Open("sqlite:events.db?stream=shop&keep=100000")
//	s, err := queue.Open("sqlite:jobs.db")
//
// # URLs
//
// sqlite:events.db is a file in the working directory, sqlite:///var/lib/shop/events.db an absolute path. The file
// is made when it is needed; its directory is not. What the query may say is in [BusOptions] and [StoreOptions].
//
// # What is promised
//
// Publish returns when its events are on the disk: the file is in WAL mode with synchronous=FULL, so they survive
// kill -9 and the loss of power, as far as the disk keeps what it says. Calls that come while a commit is under way
// share the next one. With sync=normal a commit does not wait for the disk: it survives kill -9, but not the loss of
// power. All feeds have all events in one order, that of the commits.
//
// An event whose ID and Source are in the stream already is not stored again, for as long as the first one is kept.
//
// # Latency
//
// Feeds in the process that publishes are woken by the commit. The commits of other processes are found by asking
// SQLite's data_version: every 2 ms while there is something to hear, then ever less often, down to every 25 ms.
// One goroutine asks for all feeds of a Bus, and only while feeds are open.
//
// # The file
//
// Every stream has a table of its own, "earshot:shop" for the stream shop, with the columns seq, at (microseconds
// since 1970, by the host's clock; if the clock is set back, at stands still until it has caught up), id, source and
// event, the CloudEvent as JSON. Look into it with any SQLite program. The tables live well together with those of
// an application, which can publish within its own transaction by inserting (id, source, event). Rows that somebody
// deletes are a gap for feeds that have not had them, and so is every number that is missing: insert without OR IGNORE
// and ON CONFLICT, which may use up numbers for rows that are there already.
//
// Retention is done by Publish, some rows at a time; the space is used again, and the file does not shrink.
//
// While the file is open it consists of three: events.db, events.db-wal and events.db-shm. Copy it with sqlite3's
// .backup, not with cp. Remove all three or none. A file that was removed or replaced ends the feeds on it with
// bus.ErrForeignToken; the next Publish opens what is there then, or makes a new file.
//
// Never put the file on NFS or another network file system: SQLite's locks do not hold there, and WAL needs memory
// that all processes share. Nothing in the program should open and close the file by other means than SQLite while
// it is in use: that takes away SQLite's locks, as POSIX wants it.
//
// # Queues
//
// A [Store] keeps all queues of a file in the table earshot_items, and bindings, keys and busy serials in tables beside it,
// which all begin with earshot_. Look into them with any SQLite program; what changes them should go through this
// package. It promises what is promised above: a call returns when what it did is on the disk, and calls that come while
// a commit is under way share the next one.
//
// The clock of the store is that of the host. Items whose time has come, and what other stores of this process and other
// processes enqueue, are found within 25 ms; while somebody waits, one goroutine asks SQLite's data_version for all.
//
// The name of each LeaseRequest.Worker is kept for good, as a row in earshot_workers: about 100 bytes
// each. A name that is new with every start of a process is no harm, one that is new with every lease is.
//
// Each row has a checksum of what the application gave. An item whose row is not as it was written any more is not
// handed out: Lease buries it and goes on, Find returns queue.ErrDamaged.
//
// Enqueue, Lease and the acknowledgement of an item cost the same with a thousand items and a million. What looks for a
// Name or TID reads the whole table.
//
// [Store.EnqueueTx] stores items within a transaction of the application on the same file, on the application's own
// connection.
//
// # Spill
//
// [OpenSpill] is a queue on disk for the events that one process could not get rid of yet.
package sqlite
