package earshot

import (
	"context"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/puzpuzpuz/xsync/v3"
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
	m := &Mailbox[Heard]{in: in}
	s.mu.Lock()
	in.taps = true
	if err := s.refuseLocked(&in.box); err == nil {
		w := s.wireLocked(o)
		w.log.join(s.newSubLocked(&in.box, w.log.name, at))
	} else {
		s.endBoxLocked(&in.box, err)
	}
	s.unlock()
	if !in.ended.Load() && !inBubble() {
		runtime.AddCleanup(m, func(b *box) { b.srv.endBox(b, ErrAbandoned) }, &in.box)
	}
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

// A wire carries what is sent on the channels of one Match to the taps of one Key. It is a log that no
// topic in the registry leads to: the logs of the channels append to it, under their own gates, and the
// taps are its cursors. So the number of taps costs senders nothing.
// A wiring is all wires of a server, and names that none of them wants, so that a send to one of those need
// not ask each. It is replaced as a whole, or an answer for the old wires could be taken for one for the new.
type wiring struct {
	wires    []*wire
	unwanted *xsync.MapOf[string, struct{}]
}

// manyUnwanted is how many names are remembered. Beyond it the wires are asked.
const manyUnwanted = 4096

func newWiring(wires []*wire) *wiring {
	return &wiring{wires, xsync.NewMapOf[string, struct{}]()}
}

// want reports whether some wire wants a name.
func (ws *wiring) want(name string) bool {
	if ws == nil || len(ws.wires) == 0 {
		return false
	}
	if _, known := ws.unwanted.Load(name); known {
		return false
	}
	for _, w := range ws.wires {
		if w.hears(name) {
			return true
		}
	}
	if ws.unwanted.Size() < manyUnwanted {
		ws.unwanted.Store(strings.Clone(name), struct{}{})
	}
	return false
}

type wire struct {
	key   any
	match func(string) bool
	log   *log

	opened mileage // when its newest block was; guarded by the log's gate
}

func (w *wire) hears(name string) (yes bool) {
	defer func() {
		if recover() != nil {
			yes = false
		}
	}()
	return w.match(name)
}

// wireLocked returns the wire for o, and lays it if there is none.
func (s *Server) wireLocked(o TapOptions) *wire {
	wires := s.wires()
	for _, w := range wires {
		if o.Key != nil && w.key == o.Key {
			return w
		}
	}
	w := &wire{key: o.Key, match: o.Match}
	if w.match == nil {
		w.match = func(name string) bool { return !isOwn(name) }
	}
	w.log = &log{srv: s, name: "tap", wire: w}
	w.log.topic.Store(&topic{name: w.log.name, srv: s, elem: reflect.TypeFor[Heard](), declared: true, internal: true})
	s.tapped.Store(newWiring(append(wires[:len(wires):len(wires)], w)))
	s.names.countEverything(1)
	s.names.all(func(t *topic) bool {
		if w.hears(NameText(t.name)) {
			if l := t.live.Load(); l != nil {
				l.connect(w)
				s.joinedLocked(l)
			} else if s.state != stopped {
				s.openLocked(t)
			}
		}
		return true
	})
	return w
}

// unwireLocked takes a wire down that no tap listens to any more.
func (s *Server) unwireLocked(w *wire) {
	s.tapped.Store(newWiring(without(slices.Clone(s.wires()), w)))
	s.names.countEverything(-1)
	s.names.all(func(t *topic) bool {
		if l := t.live.Load(); l != nil && l.disconnect(w) {
			s.leftLocked(l)
		}
		return true
	})
	h := w.log.head.lock()
	w.log.closed = true
	w.log.dropBlocksLocked()
	w.log.retripLocked()
	w.log.head.unlock(h)
}

func (s *Server) wires() []*wire {
	if ws := s.tapped.Load(); ws != nil {
		return ws.wires
	}
	return nil
}

// connect has a log tell w of its events from now on.
func (l *log) connect(w *wire) {
	h := l.head.lock()
	l.wires = append(l.wires, w)
	l.trip = 0
	l.head.unlock(h)
}

func (l *log) disconnect(w *wire) bool {
	h := l.head.lock()
	n := len(l.wires)
	l.wires = without(slices.Clone(l.wires), w)
	gone := len(l.wires) < n
	if len(l.wires) == 0 {
		if len(l.cursors) == 0 && l.replay == 0 {
			l.dropBlocksLocked()
		} else if len(l.armed) == len(l.cursors) {
			l.restLocked(h)
		}
	}
	l.retripLocked()
	l.head.unlock(h)
	return gone
}

// tellWires tells every tap of the event at position h, which is in block b. It is called under the
// gate of l, and takes that of the wire: the order in which events enter that is the order across
// channels.
func (l *log) tellWires(b *block, h uint64, wake *wakeList) {
	if b.lent == nil {
		b.lent = b.slots.lend()
	}
	heard := Heard{log: l, lease: b.lent, seq: h + 1, at: l.srv.clock.now()}
	for _, w := range l.wires {
		w.overhear(heard, wake)
	}
}

func (w *wire) overhear(e Heard, wake *wakeList) {
	l := w.log
	h := l.head.lock()
	if h < l.trip {
		if c, ok := l.slots.(*chunk[Heard]); ok {
			c.ev[h-c.base] = e
			l.head.unlock(h + 1)
			return
		}
	}
	if l.closed {
		l.head.unlock(h)
		return
	}
	c, ok := l.slots.(*chunk[Heard])
	if !ok || h >= c.end.Load() {
		if busy := w.opened.busy(h, e.at); busy {
			l.srv.clock.start(l)
		}
		w.opened = mileage{h, e.at}
		c = openBlock[Heard](l, h)
	}
	c.ev[h-c.base] = e
	wake.addArmed(l)
	l.retripLocked()
	l.head.unlock(h + 1)
}
