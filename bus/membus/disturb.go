package membus

import "crypto/rand"

// Fail is for tests of programs. Until it is called with nil, Publish and Tail answer the error, and so does Next of
// the feeds that are open now: they are broken for good, as after a cut wire. Nothing is accepted meanwhile.
// Other buses on the stream are not concerned. A frozen bus answers as well.
//
//	b.Fail(bus.ErrDisconnected)
//	…
//	b.Fail(nil)
func (b *Bus) Fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail = err; err != nil {
		b.failures++
		b.broken = err
	}
	b.stirLocked()
}

// FailAnswers is for tests of programs. Until it is called with nil, Publish accepts events and answers the error all
// the same, as if the wire had been cut between the two.
func (b *Bus) FailAnswers(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.late = err
	b.stirLocked()
}

// Freeze is for tests of programs. Until Thaw, Publish, Tail and Next wait: for Thaw, Fail, Close, or the end of their
// context.
func (b *Bus) Freeze() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.frozen = true
	b.stirLocked()
}

// Thaw ends Freeze.
func (b *Bus) Thaw() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.frozen = false
	b.stirLocked()
}

func (b *Bus) stirLocked() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// Reset is for tests of programs. It removes the stream and makes an empty one in its place, for all buses on it: feeds
// that are open end with bus.ErrForeignToken, and so does a Tail from a token of the old stream.
func (b *Bus) Reset() {
	s := b.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch, s.first, s.kept, s.bytes = rand.Text(), 1, nil, 0
	s.seen, s.order = map[string]struct{}{}, nil
	s.stirLocked()
}

// Trim is for tests of programs. It forgets all events but the newest keep, for all buses on the stream, as retention
// would.
func (b *Bus) Trim(keep int) {
	s := b.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked(max(0, len(s.kept)-keep))
	s.stirLocked()
}
