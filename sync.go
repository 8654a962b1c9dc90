package earshot

import (
	"context"
	"fmt"
	"sync/atomic"
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
			case <-ctx.Done():
				n, _ := m.box.depth()
				return &Error{Op: "sync", On: nil, Err: context.Cause(ctx),
					Hint: fmt.Sprintf("%s has %d events waiting", m.box.who(), n)}
			}
		}
	}
	return nil
}

// A mark is how far one mailbox has to get: everything up to upTo and ring taken from it, and then all
// that its loops have in their hands dealt with.
type mark struct {
	box  *box
	cu   *cursor
	upTo uint64 // position in cu's log
	ring uint64 // number of the newest record in the ring

	taken bool
	turns map[*atomic.Uint64]uint64
}

func (m *mark) reached() bool {
	if !m.taken {
		if m.box.ended.Load() {
			return true
		}
		if m.cu != nil {
			if !m.cu.passed(m.upTo) {
				return false
			}
			if m.box.cur.Load() != m.cu {
				m.ring = m.box.ring.newest() // it moved to the ring with what it had not read
			}
			m.cu = nil
		}
		if !m.box.ring.passed(m.ring) {
			return false
		}
		m.taken = true
		m.turns = m.box.busy()
	}
	for turn, n := range m.turns {
		if turn.Load() == n {
			return false
		}
		delete(m.turns, turn)
	}
	return true
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
