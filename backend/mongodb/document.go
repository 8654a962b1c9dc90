package mongodb

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/earshot-go/earshot/queue"
)

// The states of a document. Those that package queue does not know are between two steps: whoever finds one that stays
// finishes what was begun; see doc.go.
const (
	prep    = "prep"    // stored, and its key not yet taken
	pending = "pending" // in the lane of its queue
	parked  = "parked"  // in the lane of its serial key, because another item of that is leased
	taking  = "taking"  // chosen by a lease, and its serial key not yet taken
	leased  = "leased"
	dead    = "dead"
	done    = "done" // settled or removed: what it holds, and then itself, goes away
)

// A row is an item as a document. Times are microseconds since 1970 by the server's clock.
type row struct {
	ID       string   `bson:"_id"`
	Queue    string   `bson:"q"`
	Name     string   `bson:"nm"`
	TID      string   `bson:"ti,omitempty"`
	Parent   string   `bson:"pa,omitempty"`
	Payload  []byte   `bson:"p,omitempty"`
	Headers  []header `bson:"h,omitempty"`
	Size     int64    `bson:"sz"` // of payload and headers, for a lease that has to know it before
	Priority int32    `bson:"pr"`
	MaxFails int64    `bson:"mf,omitempty"`
	Serial   string   `bson:"sr,omitempty"`

	Key   string `bson:"k,omitempty"`
	Scope int32  `bson:"sc,omitempty"`
	Hold  int64  `bson:"hu,omitempty"` // until when the key is held in any case
	Holds bool   `bson:"kh,omitempty"` // it has the key, as far as its scope goes

	Born    bson.ObjectID `bson:"in"` // of this very document: another with the same ID has another
	Created int64         `bson:"cr"`
	Seq     int64         `bson:"sq"`

	State string `bson:"st"`
	// Lane is where it stands for a lease, and missing while it does not: that of its queue, which has the queue's
	// name, or that of its serial key; see serialLane.
	Lane string `bson:"lane,omitempty"`
	Due  int64  `bson:"du"`
	// At is when something has to happen: it is due, or its lease ends, or a step has taken too long.
	At    int64         `bson:"at"`
	Lease bson.ObjectID `bson:"tk,omitempty"` // of the claim that leased it; what else is in a receipt does not change
	Step  bson.ObjectID `bson:"op,omitempty"` // of the last thing that was done to it, to find out whether it was done

	Deliveries int64  `bson:"dl,omitempty"`
	Fails      int64  `bson:"fl,omitempty"`
	Left       int64  `bson:"lf"`           // how many fails it has left: the last one makes it dead
	Until      int64  `bson:"un,omitempty"` // of the lease, or when it died
	Worker     string `bson:"wk,omitempty"`
	Reason     string `bson:"re,omitempty"`
	Removed    bool   `bson:"rm,omitempty"` // of done: its key is free though Hold is not over
}

// A header is one of an item. They are a list, because the names of fields cannot have dots and dollars everywhere.
type header struct {
	Name  string `bson:"k"`
	Value string `bson:"v"`
}

// immortal is Left of an item that no fails make dead.
const immortal = math.MaxInt64 / 2

func lives(maxFails int) int64 {
	switch {
	case maxFails < 0:
		return immortal
	case maxFails == 0:
		return queue.DefaultMaxFails
	}
	return int64(maxFails)
}

func micros(t time.Time) int64       { return t.UnixMicro() }
func instant(us int64) time.Time     { return time.UnixMicro(us).UTC() }
func length(d time.Duration) int64   { return int64((d + time.Microsecond - 1) / time.Microsecond) }
func keyID(queue, key string) string { return queue + "\n" + key }

// serialLane is also the ID of the lock. It begins with what no queue's name has: all lanes of serial keys are together
// in the order of lanes, and before those of queues.
func serialLane(queue, serial string) string { return "\n" + queue + "\n" + serial }

const lastSerialLane = "\v"

// queueOf returns the queue of a lane that serialLane has made.
func queueOf(lane string) string {
	queue, _, _ := strings.Cut(lane[1:], "\n")
	return queue
}

func newRow(it queue.Item, now, seq int64) row {
	r := row{
		ID: it.ID, Queue: it.Queue, Name: it.Name, TID: it.TID, Parent: it.Parent, Payload: it.Payload,
		Priority: int32(it.Priority), MaxFails: int64(it.MaxFails), Left: lives(it.MaxFails), Serial: it.Serial,
		Born: bson.NewObjectID(), Created: now, Seq: seq,
		State: pending, Lane: it.Queue,
	}
	r.Headers, r.Size = listHeaders(it.Headers), int64(len(it.Payload))
	for _, h := range r.Headers {
		r.Size += int64(len(h.Name) + len(h.Value))
	}
	r.Due = dueAt(it.Due, it.Delay, now)
	r.At = r.Due
	if it.Key != "" {
		r.Key, r.Scope, r.Holds = it.Key, int32(it.Scope), true
		if it.Hold > 0 {
			r.Hold = now + length(it.Hold)
		}
		r.State, r.Lane, r.At = prep, "", now
	}
	return r
}

// dueAt is at, if it is a time, or delay from now.
func dueAt(at time.Time, delay time.Duration, now int64) int64 {
	if at.IsZero() {
		return now + length(delay)
	}
	return micros(at)
}

func listHeaders(m map[string]string) []header {
	var list []header
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, header{k, m[k]})
	}
	return list
}

func (r *row) item() queue.Item {
	it := queue.Item{
		ID: r.ID, Queue: r.Queue, Name: r.Name, TID: r.TID, Parent: r.Parent, Priority: int8(r.Priority),
		MaxFails: int(r.MaxFails), Due: instant(r.Due), Key: r.Key, Scope: queue.Scope(r.Scope), Serial: r.Serial,
	}
	if len(r.Payload) > 0 {
		it.Payload = r.Payload
	}
	if len(r.Headers) > 0 {
		it.Headers = make(map[string]string, len(r.Headers))
		for _, h := range r.Headers {
			it.Headers[h.Name] = h.Value
		}
	}
	return it
}

func (r *row) record() queue.Record {
	rec := queue.Record{
		Item: r.item(), State: queue.State(r.State), Deliveries: int(r.Deliveries), Fails: int(r.Fails),
		Created: instant(r.Created), Worker: r.Worker, Reason: r.Reason, Cursor: cursor(r.Seq, r.ID),
	}
	switch r.State {
	case parked, taking:
		rec.State = queue.StatePending
	case leased, dead:
		rec.Until = instant(r.Until)
	}
	return rec
}

func (r *row) leased() queue.Leased {
	return queue.Leased{
		Item: r.item(), Until: instant(r.Until), Deliveries: int(r.Deliveries), Fails: int(r.Fails),
		Receipt: receipt{r.Lease, r.Born, r.Due, r.Key != "" || r.Serial != ""}.String(),
	}
}

// A receipt names a claim and a document, and has what a settlement has to know besides.
type receipt struct {
	lease, born bson.ObjectID
	due         int64 // as it was before the lease
	holds       bool  // it has, or had, a key or a serial key
}

func (rc receipt) String() string {
	flag := "-"
	if rc.holds {
		flag = "k"
	}
	return fmt.Sprintf("%s.%s.%d.%s", rc.lease.Hex(), rc.born.Hex(), rc.due, flag)
}

// readReceipt returns false for what is no receipt of this store.
func readReceipt(text string) (rc receipt, ok bool) {
	parts := strings.Split(text, ".")
	if len(parts) != 4 {
		return rc, false
	}
	var errs [3]error
	rc.lease, errs[0] = bson.ObjectIDFromHex(parts[0])
	rc.born, errs[1] = bson.ObjectIDFromHex(parts[1])
	rc.due, errs[2] = strconv.ParseInt(parts[2], 10, 64)
	rc.holds = parts[3] == "k"
	return rc, errs == [3]error{} && rc.String() == text
}

// A cursor is a place in the order of enqueueing. Two processes may have used the same number.
func cursor(seq int64, id string) string { return strconv.FormatInt(seq, 36) + "." + id }

func readCursor(text string) (seq int64, id string, err error) {
	number, id, ok := strings.Cut(text, ".")
	seq, err = strconv.ParseInt(number, 36, 64)
	if !ok || err != nil {
		return 0, "", fmt.Errorf("mongodb: %w: %.40q is no cursor of a record", queue.ErrInvalid, text)
	}
	return seq, id, nil
}
