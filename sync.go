package earshot

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// Sync waits until every event whose send ended before the call has been received by each subscriber it
// was sent to, has been counted as missed, or was discarded because the subscriber ended. A handler has
// received an event when it has returned; a loop over Messages or Events, when its body has.
//
// It returns ctx's cause, and which subscriber it waited for, if ctx ends first: nobody receives from a
// mailbox that its owner has put aside. Called from a handler it would wait for that handler's own
// event.
func (s *Server) Sync(ctx context.Context) error {
	s.mu.Lock()
	var marks []*mark
	for b := s.boxes; b != nil; b = b.next {
		if b.taps {
			continue
		}
		m := &mark{box: b, cu: b.cur.Load(), ring: b.ring.newest()}
		if m.cu != nil {
			m.upTo = m.cu.log.head.pos()
		}
		marks = append(marks, m)
	}
	s.unlock()
	for _, m := range marks {
		for {
			moved := m.box.watch()
			if m.reached() {
				break
			}
			select {
			case <-moved:
			case <-time.After(lostLook):
			case <-ctx.Done():
				n, _ := m.box.depth()
				return &Error{Op: "sync", On: nil, Err: context.Cause(ctx),
					Hint: fmt.Sprintf("%s has %d events waiting", m.box.who(), n)}
			}
		}
	}
	return nil
}

// lostLook is how often Sync looks for itself: a sender that overtakes a subscriber tells nobody.
const lostLook = 10 * time.Millisecond

// A mark is how far one mailbox has to get: everything up to upTo and ring taken from it, and then all
// that its loops have in their hands dealt with.
type mark struct {
	box  *box
	cu   *cursor
	upTo uint64 // position in cu's log
	ring uint64 // number of the newest record in the ring

	turns map[*atomic.Uint64]uint64 // of the loops that had some of it in their hands
}

// reached is asked again and again. What a loop gives back is waiting again, so that the loops have
// finished counts only if everything has still been taken then.
func (m *mark) reached() bool {
	for {
		if m.box.ended.Load() && m.turns == nil {
			return true
		}
		if !m.taken() {
			m.turns = nil
			return false
		}
		if m.turns == nil {
			if m.turns = m.box.busy(); m.turns == nil {
				return m.taken()
			}
		}
		for turn, n := range m.turns {
			if turn.Load() == n {
				return false
			}
		}
		m.turns = nil
		if m.taken() {
			return true
		}
	}
}

func (m *mark) taken() bool {
	if m.cu != nil {
		if !m.cu.passed(m.upTo) {
			return false
		}
		if m.cu.left() {
			m.ring = max(m.ring, m.box.ring.newest()) // it may have moved there with what it had not read
			m.cu = nil
		}
	}
	return m.box.ring.passed(m.ring)
}

// stuck describes the functions that keep Shutdown waiting.
func (s *Server) stuck() error {
	s.mu.Lock()
	defer s.unlock()
	hint := "a goroutine of the server"
	n := 0
	for p := range s.processes {
		if n++; n == 1 {
			hint = p.who()
		}
	}
	if n > 1 {
		hint += fmt.Sprintf(" and %d more", n-1)
	}
	return &Error{Op: "shutdown", Err: ErrStuck, Hint: hint}
}
