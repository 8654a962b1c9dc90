// Package postgres keeps the queues of package queue in a PostgreSQL database: a [Store] that any number of processes
// share, and that stores items within a transaction of the application. It needs PostgreSQL 13 or later and a database
// whose encoding is UTF8.
//
//	s, err := queue.Open("postgres://user:secret@127.0.0.1:5432/shop?schema=earshot")
//
// The schemes are postgres and postgresql. Of the query, schema, notify, conns and maxbytes are this package's, see
// [StoreOptions]; sslmode, sslrootcert, sslcert, sslkey, host (a directory with a socket), target_session_attrs,
// passfile and application_name are what they are for libpq, and so are its environment variables.
//
// # What is in the database
//
// One schema, "earshot", with tables and functions, which is made when it is needed; for that, and only then, the role
// needs the right to create a schema in the database, or one that is empty and its own. The role that made it sees to
// its tables: others need USAGE on the schema and its sequence, EXECUTE on its functions, and SELECT, INSERT, UPDATE and
// DELETE on its tables. To look into it, read the table items; what may be changed is for [Store.Remove] and
// [Store.Redrive]. DROP SCHEMA earshot CASCADE removes all of it, at any time.
//
// Nearly every call is one round trip, to one function in that schema; Lease is three when leases have expired, Remove and
// Redrive are two for each thousand, and what met other transactions in its way is done again. No connection has a state
// between calls: PgBouncer may stand in between, in transaction mode too, where notifications do not work (see below).
//
// # Durability
//
// A call has returned when its transaction is committed: it is as safe as the server makes that. With fsync off, or
// with synchronous_commit off for the server, database or role, what the last half second has brought is lost when the
// server is killed. [Store.Durability] says what the server does.
//
// The transactions are READ COMMITTED, as those of a server are by default. Where the role or the database has another
// default_transaction_isolation, the first call says so with ErrUnsupported, and works when that is changed. Transactions
// of the application may be of any kind.
//
// A call that was given up, since its context or its time has ended, is not cancelled on the server, and may have its
// effect later. A Lease that the server begins with and is held up in leases nothing after its deadline, that of its
// context or else some seconds; what was leased for a caller who has gone otherwise is due again after its TTL, with a fail.
//
// # Latency
//
// Who waits in the process that enqueues is woken at once. Other processes are told with NOTIFY, which is sent after
// the commit, in a transaction that does not wait for the disk, for many calls together, and not more often than every
// 5 ms: within the transactions themselves it would have them commit one after another, all over the server. What gets
// lost of it is found within a second, by one small query for all that wait. With notify=off there is only that query.
//
// # Transactions of the application
//
// [Store.EnqueueTx] is for a pgx.Tx. [Store.SQL] is the same store for a *sql.Tx of pgx's driver for database/sql. Items
// in a transaction that is open keep others from enqueueing items of the same IDs, or the same keys, until it ends: they
// have to know how it does. So do Settle, of items of the same Serial, and Remove, when an item in the transaction has
// replaced one that waits (Item.Replace). It should not stay open for seconds.
//
// # What to know
//
// Lease and Settle take as long with a million of items waiting as with a thousand, and so does Enqueue. Find, Remove and
// Redrive by ID, too; Stats counts all items, and to find by Name or TID is to read all of them.
//
// Rows that are leased and acknowledged leave dead ones behind, which slow Lease down until they are removed. The store
// asks for VACUUM of its own table when there are many, if the role owns it. A transaction that is open for hours,
// anywhere in the database, keeps them.
package postgres
