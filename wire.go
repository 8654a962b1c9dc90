package earshot

import (
	"reflect"
	"slices"
	"strings"

	"github.com/puzpuzpuz/xsync/v3"
)

// A wire carries what is sent on the channels of one Match to the taps of one Key. It is a log that no
// topic in the registry leads to: the logs of the channels append to it, under their own gates, and the
// taps are its cursors. So the number of taps costs senders nothing.
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
