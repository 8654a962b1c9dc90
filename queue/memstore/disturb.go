package memstore

// disturbed is what tests do to a store.
type disturbed struct {
	shut    bool
	fail    error         // what all calls answer, and have no effect; nil: nothing is wrong
	late    error         // what all calls answer after they have had their effect
	frozen  bool          //
	changed chan struct{} // closed, and made anew, when one of the above changes
}

// Fail is for tests of programs. Until it is called with nil, all calls answer the error and have no effect, as if the
// engine were out of reach; Wait, where it is under way, returns. A frozen store answers as well.
//
//	s.Fail(queue.ErrDisconnected)
//	…
//	s.Fail(nil)
func (s *Store) Fail(err error) { s.disturb(func(d *disturbed) { d.fail = err }) }

// FailAnswers is for tests of programs. Until it is called with nil, all calls but Wait have their effect and answer
// the error all the same, as if the wire had been cut between the two.
func (s *Store) FailAnswers(err error) { s.disturb(func(d *disturbed) { d.late = err }) }

// Freeze is for tests of programs. Until Thaw, all calls hang: they wait for Thaw, Fail, Close, or the end of their
// context. Time goes on, and leases expire.
func (s *Store) Freeze() { s.disturb(func(d *disturbed) { d.frozen = true }) }

// Thaw ends Freeze.
func (s *Store) Thaw() { s.disturb(func(d *disturbed) { d.frozen = false }) }

func (s *Store) disturb(how func(*disturbed)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	how(&s.disturbed)
	close(s.changed)
	s.changed = make(chan struct{})
	s.bell.RingAll() // who waits looks, and finds out
}
