package queue

import (
	"context"
	"time"
)

// What a Store may be able to do besides. Those of earshot can do all of it, but for the last two.

// A Finder looks at items and takes them away.
type Finder interface {
	// Find returns items in the order in which they were enqueued. It sees all that was answered before.
	Find(ctx context.Context, q Query) ([]Record, error)
	// Remove removes items that wait or are dead, not those that are leased, and returns how many. Their keys are
	// free then. Query.Limit bounds how many, 0 is all. A query without ID, Queue, Name, TID and State is ErrInvalid:
	// it would remove everything.
	Remove(ctx context.Context, q Query) (int, error)
}

// A Redriver gives items another chance.
type Redriver interface {
	// Redrive makes items due now, and returns how many: dead ones become pending again, with the same ID and
	// without fails; pending ones which wait for their time do not wait any longer. Leased ones stay as they are. A
	// dead item does not get back the key it once held. The query is like Remove's.
	Redrive(ctx context.Context, q Query) (int, error)
}

// A Statter counts.
type Statter interface {
	// Stats counts the items of all queues that have items or bindings, in the order of their names.
	Stats(ctx context.Context) (Stats, error)
}

// A Waker knows when it is worthwhile to lease.
type Waker interface {
	// Wait blocks until Lease may have something for one of the queues, or ctx ends; then it returns its cause.
	// It misses nothing that became due after the last call of Lease for that queue began, on this Store value. It
	// may return too early. What is enqueued through this Store value, or becomes due, it tells at once: stores aim at
	// 10 ms. What other processes do it tells within a second, most stores sooner. While nothing happens stores aim at
	// one query a second, at most, for all waiters together. Package storetest says how closely it holds them to that.
	Wait(ctx context.Context, queues []string) error
}

// A Clock tells the time of the store, by which items become due.
type Clock interface {
	Now(ctx context.Context) (time.Time, error)
}

// A RevEnqueuer stores items if the bindings are still those of a revision.
type RevEnqueuer interface {
	// EnqueueAt is Enqueue, unless the bindings have another revision: then it stores nothing and returns
	// ErrStaleBindings. Items may be empty; the revision is looked at all the same.
	EnqueueAt(ctx context.Context, rev Rev, items []Item) ([]Enqueued, error)
}

// A TxEnqueuer stores items in a transaction of the application: they are there if, and when, it is committed. T is
// the type of the transaction: *sql.Tx, pgx.Tx.
type TxEnqueuer[T any] interface {
	EnqueueTx(ctx context.Context, tx T, items []Item) ([]Enqueued, error)
}

// A Maintainer cleans up. Lease does it too, bit by bit, so that nobody has to call this.
type Maintainer interface {
	// Reap takes back all items whose lease has expired, and returns how many.
	Reap(ctx context.Context) (int, error)
}

// State of an item.
type State string

const (
	StatePending State = "pending" // due, or waiting for its time
	StateLeased  State = "leased"  // in the hands of a worker, or its lease expired and was not yet taken back
	StateDead    State = "dead"    // waits for somebody to redrive or remove it
)

// A Query selects items: all fields that are not empty have to fit.
type Query struct {
	ID, Queue, Name, TID string
	State                State
	Limit                int    // at most this many; for Find 0 is 100
	After                string // only those after the one with this Cursor; see Record. For Find
}

// A Record is an item as it stands in the store.
type Record struct {
	Item
	State      State
	Deliveries int
	Fails      int
	Created    time.Time // by the store's clock
	Until      time.Time // of the lease, or when it died
	Worker     string    // who has it leased, or had it last
	Reason     string    // of the last Fail or Bury
	Cursor     string    // for Query.After
}

// Stats of a store.
type Stats struct {
	Now    time.Time // by the store's clock
	Queues []QueueStats
}

// QueueStats counts the items of a queue.
type QueueStats struct {
	Queue       string
	Ready       int       // pending and due
	Delayed     int       // pending, not yet due
	Leased      int       // expired leases that were not yet taken back among them
	Dead        int       //
	OldestReady time.Time // since when the oldest of Ready is due; zero if there is none
}
