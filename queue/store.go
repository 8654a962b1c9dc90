package queue

import (
	"context"
	"time"
)

// A Store keeps the items of named queues, hands each to one worker at a time, and keeps the bindings that say which
// queue gets what. All methods may be called from many goroutines, and by many processes if Caps.MultiProcess.
//
// A store does what it is asked, once: retries, fan-out, heartbeats, backoff and draining are written above it, in
// [Queue], and are the same on every store. Package storetest holds a store to all that is said here.
//
// Every method but Caps and Close takes a context: when it ends the call returns soon, with its cause; whether the call
// has had an effect is not known then, unless the context had ended before: then it has none. A store whose engine
// cannot be reached answers with ErrDisconnected within some seconds, tries nothing again by itself, and works again
// with the first or second call after the engine is back. After Close methods return ErrClosed.
type Store interface {
	// Caps says what the store promises. It does not block, and answers the same at all times.
	Caps() Caps

	// Enqueue stores items, in this order, and returns when they are as safe as Caps says. For each item it tells
	// what became of it: Inserted, Duplicate if the store has an item of that ID (in whatever queue, dead ones
	// included) or one that holds the key, or Replaced. A repetition of a call is harmless therefore: it finds
	// duplicates, also of items earlier in the same call. An ID is known until its item is acknowledged or removed: what
	// is repeated later than that is stored again.
	//
	// An item that Validate refuses is an error, and nothing is stored. With Caps.AtomicBatch an error of any other
	// kind means as well that all or none of the items are stored; without, some may be.
	// No items are no error, and cost nothing.
	Enqueue(ctx context.Context, items []Item) ([]Enqueued, error)

	// Lease takes items that are due from the queues, and hides them from other calls until they are settled or the
	// TTL has passed. It returns none, at once, if none are due; see Waker. Of one queue the items with the highest
	// Priority come first, among them the one that is due first, among them the one that was enqueued first; of
	// several queues likewise, over all of them. That order is exact for one worker; calls at the same time
	// may each see some of the items.
	//
	// Before it looks for items, Lease takes back those whose lease has expired, of the queues it was asked for and
	// as many others as it likes: one fail more for each, with a reason that says so, due as before, or dead if that
	// was one fail too many. At most 1,000 in one call.
	//
	// An item with a Serial is not leased while another of the same queue and Serial is.
	//
	// The answer may hold fewer items than there are, but not none if some are due and no other call is under way.
	// A lease of an answer that is lost ends with its TTL.
	Lease(ctx context.Context, r LeaseRequest) ([]Leased, error)

	// Settle ends or prolongs leases. The first result has one entry for each settlement, in order: nil, or why
	// that one had no effect: ErrLeaseLost if the receipt is not that of the item's present lease, because the lease
	// has expired and was taken back, or the item was settled already; ErrInvalid if the settlement makes no
	// sense. The second is an error of the whole call: then nothing is known of each. A lease that has expired and
	// was not yet taken back can still be settled. Without Caps.Fenced a stale receipt may have an effect.
	Settle(ctx context.Context, s []Settlement) ([]error, error)

	// Bind adds bindings and then removes some, together, and returns the revision after that. To add one that is there, or
	// to remove one that is not, changes nothing, not the revision either.
	Bind(ctx context.Context, add, remove []Binding) (Rev, error)

	// Bindings returns all bindings and their revision; or none, and since, if since is the present revision.
	// It sees every Bind that has returned before, of whatever process. No revision is ever 0 or less, so that a caller
	// who knows none passes that.
	Bindings(ctx context.Context, since Rev) ([]Binding, Rev, error)

	// Close ends all calls that are under way and gives back what the store holds. It waits until that is done or
	// ctx ends. Items that were leased stay so until their TTL has passed. It is idempotent.
	Close(ctx context.Context) error
}

// Caps are the promises of a store. What is true is held by storetest, what is false is refused or documented.
type Caps struct {
	Engine       string // "sqlite"
	Durable      bool   // what a call has answered survives a kill -9 of the engine, and of this process
	MultiProcess bool   // other processes work on the same queues
	AtomicBatch  bool   // Enqueue stores all items of a call or none
	Fenced       bool   // a stale receipt has no effect, and is told by ErrLeaseLost
	Extend       bool   // leases can be prolonged
	Unique       bool   // Item.Key
	Serial       bool   // Item.Serial
	MaxBytes     int    // the largest Payload; 0 if there is no limit
	Note         string // what else a user should know, in a sentence
}

// Enqueued says what became of an item.
type Enqueued struct {
	ID     string // of the item in the store: for a Duplicate by key that of the one that holds it
	Status Status
}

// Status of an item after Enqueue.
type Status int8

const (
	// Inserted: it is a new item.
	Inserted Status = iota
	// Duplicate: nothing was changed, an item with its ID or key is there.
	Duplicate
	// Replaced: the item that waits under its key has its payload now; see Item.Replace.
	Replaced
)

// String returns "inserted", "duplicate" or "replaced".
func (s Status) String() string {
	switch s {
	case Inserted:
		return "inserted"
	case Duplicate:
		return "duplicate"
	case Replaced:
		return "replaced"
	}
	return "unknown"
}

// A LeaseRequest asks for items that are due.
type LeaseRequest struct {
	Queues []string      // at least one
	Max    int           // how many at most, 1 or more; of large payloads a store may bring fewer, 16 MiB in all
	TTL    time.Duration // how long the items are hidden from others, at least 1 ms
	Worker string        // who asks, for people that look at the store; may be empty
}

// Leased is an item in the hands of a worker.
type Leased struct {
	Item
	Receipt    string    // names this very lease: no other, of this item or another one, has had or will have it
	Until      time.Time // when the lease ends by the store's clock, which need not be this process's
	Deliveries int       // how often the item was leased, this time included
	Fails      int       // how often it has failed, or its lease expired
}

// Ack is a settlement: the work is done. The item is gone then.
func (l Leased) Ack() Settlement { return l.settle(Ack) }

// Fail is a settlement: the work has failed. It counts, and the item is due again after the delay, or dead with that
// reason if it has failed Item.MaxFails times now. It keeps its ID, queue and place in the order of enqueueing.
func (l Leased) Fail(delay time.Duration, reason string) Settlement {
	s := l.settle(Fail)
	s.Delay, s.Reason = delay, reason
	return s
}

// Release is a settlement: the work was not begun, or given up for no fault of the item's. It does not count, and the
// item is due again after the delay; with 0 it is due as it was before.
func (l Leased) Release(delay time.Duration) Settlement {
	s := l.settle(Release)
	s.Delay = delay
	return s
}

// Bury is a settlement: the item is dead, with that reason, and stays until it is redriven or removed.
func (l Leased) Bury(reason string) Settlement {
	s := l.settle(Bury)
	s.Reason = reason
	return s
}

// Extend is a settlement: the lease ends ttl from now, by the store's clock, and the receipt stays good.
func (l Leased) Extend(ttl time.Duration) Settlement {
	s := l.settle(Extend)
	s.TTL = ttl
	return s
}

func (l Leased) settle(a Action) Settlement {
	return Settlement{Queue: l.Queue, ID: l.ID, Receipt: l.Receipt, Action: a}
}

// A Settlement says what becomes of a leased item. Leased has methods that make them.
type Settlement struct {
	Queue, ID string
	Receipt   string
	Action    Action
	At        time.Time     // Fail: when it is due again; the zero Time is Delay from now
	Delay     time.Duration // Fail, Release: from now, by the store's clock
	TTL       time.Duration // Extend
	Reason    string        // Fail, Bury: kept with the item, up to MaxReason bytes
}

// Action is what a Settlement does; see the methods of Leased.
type Action int8

const (
	Ack Action = iota + 1
	Fail
	Release
	Bury
	Extend
)

// String returns the name in small letters: "ack".
func (a Action) String() string {
	switch a {
	case Ack:
		return "ack"
	case Fail:
		return "fail"
	case Release:
		return "release"
	case Bury:
		return "bury"
	case Extend:
		return "extend"
	}
	return "unknown"
}
