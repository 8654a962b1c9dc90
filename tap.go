package earshot

import (
	"context"
	"reflect"
	"runtime"
	"time"
)

// A Tap hears what is sent on many channels at once, of whatever type: those that are live and those
// that will be, in the order in which the sends took effect, across channels. It is made to watch a
// system without disturbing it: an event is not copied or boxed for a tap, a tap that does not keep up
// loses the oldest and says how many, and taps with equal keys cost senders as much as one.
// Package tap builds pages, streams and filters on it.
//
// A tapped channel is live: Listening is true, and producers run. Sync and Shutdown do not wait for
// taps, and Subscriptions does not name them.
//
// A tap is for one goroutine at a time, but for Ready, Close, Done, Err and Stats, which are for many.
// It ends like a [Mailbox]: by Close, the end of its context, of the server, or when nothing refers to
// it any more.
type Tap struct{ m *Mailbox[Heard] }

// TapOptions configure a [Tap]. A nil *TapOptions means the defaults.
type TapOptions struct {
	// Match chooses the channels, by their name as [NameText] writes it. nil means all but the server's
	// own, whose names begin with "earshot.". It is called with a lock held: it must be quick, must not
	// call the server, and must always answer the same for the same name. A panic means no.
	Match func(channel string) bool

	// Key says that taps which have an equal one also have the same Match and Capacity: what they hear is
	// kept once. Give it a type of your own, as to the keys of a context. nil is equal to none.
	Key any

	// Capacity is how many events may wait to be taken; 0 means 65,536. Memory is 40 bytes for each, and
	// the events themselves, in the blocks in which their channels store them.
	Capacity int
}

const defaultTapCapacity = 1 << 16

// Heard is an event that a tap has heard. It refers to the event where its channel stored it, and keeps
// that and its neighbours alive.
type Heard struct {
	log   *log
	lease lease
	seq   uint64
	at    int64 // since epoch
}

// Channel returns the name of the channel that the event was sent to.
func (h Heard) Channel() any { return h.log.name }

// Seq returns the event's number among its channel's events since that came to life, from 1.
func (h Heard) Seq() uint64 { return h.seq }

// Time returns when the event was sent, to within some milliseconds while tens of thousands are sent
// each second, exactly otherwise.
func (h Heard) Time() time.Time {
	// From now, not from the epoch: the clock may have been set since, and the machine may have slept.
	now := time.Now()
	return now.Add(time.Duration(h.at) - now.Sub(epoch))
}

// Value returns the event in place, without a copy of it; the zero Value for a nil event. Do not change
// what it refers to: subscribers read the same.
func (h Heard) Value() reflect.Value {
	v := h.lease.value(h.seq - 1)
	if v.Kind() == reflect.Interface {
		return v.Elem()
	}
	return v
}

// Event returns the event.
func (h Heard) Event() any { return h.lease.get(h.seq - 1) }

// Tap opens a tap. When ctx ends the tap ends. Events whose send starts after Tap has returned are
// heard, or counted as missed. It takes time in proportion to the channels there are.
//
// Negative capacities, an ended context or a closed server make a tap that has ended already: Err says
// why.
func (s *Server) Tap(ctx context.Context, opts *TapOptions) *Tap {
	if s == nil {
		s = Default()
	}
	var o TapOptions
	if opts != nil {
		o = *opts
	}
	if o.Capacity == 0 {
		o.Capacity = defaultTapCapacity
	}
	at := caller()
	in := newInner[Heard](ctx, s, &MailboxOptions{Name: "tap", Capacity: o.Capacity}, at)
	m := in.mailbox()
	s.mu.Lock()
	in.taps = true
	if o.Key != nil && !reflect.ValueOf(o.Key).Comparable() {
		s.endBoxLocked(&in.box, siteError("tap", nil, at, ErrBadOption, "Key cannot be compared"))
	} else if err := s.refuseLocked(&in.box); err == nil {
		w := s.wireLocked(o)
		w.log.join(s.newSubLocked(&in.box, w.log.name, at))
	} else {
		s.endBoxLocked(&in.box, err)
	}
	s.unlock()
	return &Tap{m}
}

// Take moves up to len(dst) events into dst, and returns how many, and how many were lost just before
// the first of them. It does not wait.
func (t *Tap) Take(dst []Heard) (n int, missed uint64) {
	defer runtime.KeepAlive(t.m)
	if cu := t.m.in.cur.Load(); cu != nil && len(dst) > 0 {
		n, _, missed = take(cu, dst)
	}
	return n, missed
}

// Ready returns a channel that can be received from when there may be something to take, or the tap has
// ended. Call it anew for each select, after Take has returned 0: the send that makes it ready pays for
// a wake-up.
func (t *Tap) Ready() <-chan struct{} { return t.m.Ready() }

// Close ends the tap, and what it costs. It is idempotent, does not wait, and returns nil.
func (t *Tap) Close() error { return t.m.Close() }

// Done returns a channel that is closed when the tap has ended.
func (t *Tap) Done() <-chan struct{} { return t.m.Done() }

// Err returns nil while the tap lives, then why it ended, as Mailbox.Err does.
func (t *Tap) Err() error { return t.m.Err() }

// TapStats describe a tap. At every moment
//
//	Offered = Received + Missed + Discarded + Depth
type TapStats struct {
	Capacity  int
	Depth     int    // events waiting
	HighWater int    // largest Depth seen
	Offered   uint64 // events that were sent on its channels
	Received  uint64 // that were taken
	Missed    uint64 // that were lost because it did not keep up
	Discarded uint64 // that had not been taken when it ended
}

// Stats returns the tap's counters.
func (t *Tap) Stats() TapStats {
	st := t.m.Stats()
	return TapStats{st.Capacity, st.Depth, st.HighWater, st.Offered, st.Received, st.Missed, st.Discarded}
}
