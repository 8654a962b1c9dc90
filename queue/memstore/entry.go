package memstore

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// An entry is an item as it stands in the store. It moves between four states:
//
//	pending: in a strand of its pile         Lease → leased
//	leased:  in pile.leased                  Ack → gone; Fail, Release, expiry → pending; Bury, a fail too many → dead
//	dead:    nowhere but in byID and order   Redrive → pending
//	gone:    in order, until that is tidied
type entry struct {
	queue.Item // its own copy, with Due and without Delay
	seq        int64
	pile       *pile
	state      queue.State // empty when it is gone
	at         int         // its place in a strand or in pile.leased

	deliveries, fails int
	created           time.Time
	until             time.Time // end of the lease; or when it died
	worker, reason    string
}

// receipt names the present lease. No other has had it: seq is never used again, and deliveries only grows.
func (e *entry) receipt() string {
	b := strconv.AppendInt(make([]byte, 0, 24), e.seq, 10)
	b = append(b, '.')
	return string(strconv.AppendInt(b, int64(e.deliveries), 10))
}

// cursor is for queue.Query.After.
func (e *entry) cursor() string { return strconv.FormatInt(e.seq, 10) }

// copied returns an item that shares nothing with the one given.
func copied(it queue.Item) queue.Item {
	it.Payload, it.Headers = bytes.Clone(it.Payload), maps.Clone(it.Headers)
	if len(it.Payload) == 0 {
		it.Payload = nil
	}
	if len(it.Headers) == 0 {
		it.Headers = nil
	}
	return it
}

// spent reports whether an item has failed too often.
func (e *entry) spent() bool {
	most := e.MaxFails
	if most == 0 {
		most = queue.DefaultMaxFails
	}
	return most > 0 && e.fails >= most
}

// await makes an entry, which is in no pile now, pending.
func (s *Store) await(e *entry, due, now time.Time) {
	e.Due, e.state, e.until = due, queue.StatePending, time.Time{}
	e.pile.put(e)
	s.ring(e.pile, now)
}

// bury makes an entry, which is in no pile now, dead.
func (s *Store) bury(e *entry, reason string, now time.Time) {
	e.state, e.until, e.reason = queue.StateDead, now, reason
	s.outOfScope(e, now)
}

// forget removes an entry, which is in no pile now.
func (s *Store) forget(e *entry) {
	e.state, e.Payload, e.Headers = "", nil, nil
	delete(s.byID, e.ID)
	if s.gone++; s.gone > len(s.order)/2 { // so that tidying costs each item a constant time
		s.order = slices.DeleteFunc(s.order, func(e *entry) bool { return e.state == "" })
		s.gone = 0
	}
}

// ring tells those who wait when there may be something to lease, after a change of a queue.
func (s *Store) ring(p *pile, now time.Time) {
	if next, ok := p.next(); ok {
		s.bell.Ring(p.queue, next.Sub(now))
	}
}
