package earshot

import (
	"context"
	"reflect"
)

// Everything that changes who listens to what is in this file and runs under Server.mu: a topic opens
// with its first subscriber and closes with its last in one step, so that no state exists in which a
// channel is dying. One function ends a subscription, whoever asks for it.

func (s *Server) addBox(ctx context.Context, b *box, err error) {
	if err == nil {
		err = causeIfEnded(ctx)
	}
	s.mu.Lock()
	if err == nil && s.state != running {
		err = ErrServerClosed
	}
	if err != nil {
		b.err = err
		b.ended.Store(true)
		close(b.done)
		b.signal()
		s.unlock()
		return
	}
	b.next = s.boxes
	if b.next != nil {
		b.next.prev = b
	}
	s.boxes = b
	s.unlock()
	if ctx.Done() == nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { s.endBox(b, context.Cause(ctx)) })
	s.mu.Lock()
	defer s.unlock()
	if b.ended.Load() {
		s.laterLocked(func() { stop() })
	} else {
		b.stopCtx = stop
	}
}

// subscribe makes a subscription of b to the channel called name.
func (s *Server) subscribe(b *box, name any) (Ref, error) {
	at := caller()
	if !usable(name) {
		return Ref{}, siteError("subscribe", name, at, ErrBadName, "")
	}
	s.mu.Lock()
	defer s.unlock()
	if err := s.refuseLocked(b); err != nil {
		return Ref{}, siteError("subscribe", name, at, err, "")
	}
	t := find(&s.names, name)
	if b.overflow == Block && (t == nil || !t.mayBlock) {
		return Ref{}, siteError("subscribe", name, at, ErrNotAllowed, "")
	}
	if t == nil {
		s.forgetLocked()
		t = s.topicLocked(name)
	}
	l := s.openLocked(t)
	// Whoever takes one type from a channel that may have others reads copies of its own: others must
	// not use up its capacity.
	mixed := t.elem != b.elem && b.elem.Kind() != reflect.Interface
	if len(b.subs) > 0 || b.overflow == DropNewest || mixed {
		s.toRingLocked(b)
	}
	sub := s.newSubLocked(b, name, at)
	if b.ringed {
		s.forwardLocked(l, sub)
	} else {
		l.join(sub)
		s.joinedLocked(l)
	}
	delete(s.unheard, t)
	s.announceSubLocked(Subscribed, sub)
	return Ref{sub}, nil
}

// refuseLocked says why b cannot subscribe, or nil.
func (s *Server) refuseLocked(b *box) error {
	if b.ended.Load() {
		return b.err
	}
	if s.state != running {
		return ErrServerClosed
	}
	return nil
}

func (s *Server) newSubLocked(b *box, name any, at site) *subscription {
	sub := &subscription{id: lastID.Add(1), box: b, at: at, name: name, place: len(b.subs)}
	b.subs = append(b.subs, sub)
	return sub
}

// topicLocked makes a topic for a name that has none. openLocked makes it known.
func (s *Server) topicLocked(name any) *topic { return &topic{name: name, srv: s} }

// openLocked returns the topic's log, bringing it to life for the patterns that match if it has none.
func (s *Server) openLocked(t *topic) *log {
	if l := t.live.Load(); l != nil {
		return l
	}
	l := &log{srv: s, name: t.name, replay: t.replay}
	l.topic.Store(t)
	s.announceTopicLocked(Opened, t)
	if ps := s.patterns.Load(); ps != nil {
		for _, p := range *ps {
			if p.matchTopic(t) {
				s.forwardLocked(l, p.sub)
			}
		}
	}
	if ws := s.wires(); len(ws) > 0 {
		text := NameText(t.name)
		for _, w := range ws {
			if w.hears(text) {
				l.connect(w)
				s.joinedLocked(l)
			}
		}
	}
	t.live.Store(l)
	if !t.declared {
		s.names.store(t) // not before: a send that finds it may rely on its being live
	}
	s.names.count(t.name, 1)
	for _, p := range t.producers {
		p.startLocked() // for the patterns
	}
	return l
}

// closeLogLocked ends a log that nobody reads any more. Whoever still forwards from it loses nothing:
// the next event of that name opens it again.
func (s *Server) closeLogLocked(l *log) {
	t := l.topic.Load()
	t.live.Store(nil)
	s.names.count(t.name, -1)
	for _, f := range l.forwards {
		f.sub.forwards = removeAt(f.sub.forwards, f.place, func(o *forward, i int) { o.place = i })
	}
	h := l.head.lock()
	l.closed = true
	l.dropBlocksLocked()
	l.forwards, l.wires, l.ringWait = nil, nil, 0
	l.retripLocked()
	l.head.unlock(h)
	delete(s.unheard, t)
	if !t.declared {
		s.names.remove(t)
	}
	s.announceTopicLocked(Closed, t)
}

// forwardLocked has a log copy its events into sub's ring, beginning with the replayed ones.
func (s *Server) forwardLocked(l *log, sub *subscription) {
	f := &forward{sub: sub, log: l, place: len(sub.forwards)}
	sub.forwards = append(sub.forwards, f)
	h := l.head.lock()
	l.addForwardLocked(f)
	from := h - min(h-l.oldestLocked(h), l.replay, uint64(sub.box.capacity))
	woke := false
	for _, b := range l.window {
		for p := max(from, b.base); p < min(h, b.end.Load()); p++ {
			woke = sub.box.ring.pushAny(sub, l.name, p+1, b.slots.at(p-b.base)) || woke
		}
	}
	l.head.unlock(h)
	if woke {
		sub.box.signal()
	}
	s.joinedLocked(l)
}

func (l *log) addForwardLocked(f *forward) {
	f.at = len(l.forwards)
	l.forwards = append(l.forwards, f)
	if o := f.sub.box.overflow; o == Block || o == Evict {
		l.ringWait++
	}
	l.trip = 0
}

func (l *log) removeForward(f *forward) {
	h := l.head.lock()
	l.forwards = removeAt(l.forwards, f.at, func(o *forward, i int) { o.at = i })
	if o := f.sub.box.overflow; o == Block || o == Evict {
		l.ringWait--
	}
	l.retripLocked()
	l.head.unlock(h)
}

// toRingLocked makes a mailbox read from its ring for good. What its cursor has not read moves there.
func (s *Server) toRingLocked(b *box) {
	if b.ringed {
		return
	}
	b.ringed = true
	cu := b.cur.Load()
	if cu == nil {
		return
	}
	sub, l := cu.sub, cu.log
	f := &forward{sub: sub, log: l, place: len(sub.forwards)}
	sub.forwards = append(sub.forwards, f)
	cu.leave(f)
	b.noteHigh(cu)
	sub.cur = nil
	b.cur.Store(nil)
	b.signal()
	b.progress()
}

// leaveLocked ends a subscription: it is the only place where that happens.
func (s *Server) leaveLocked(sub *subscription, reason error) {
	if sub.reason != nil {
		return
	}
	sub.ended.Store(true)
	sub.reason = reason
	s.announceSubLocked(Left, sub)
	b := sub.box
	var count tally
	if cu := sub.cur; cu != nil {
		sub.cur = nil
		b.cur.Store(nil)
		count = cu.leave(nil)
		b.noteHigh(cu)
		s.leftLocked(cu.log)
	}
	for _, f := range sub.forwards {
		f.log.removeForward(f)
		s.leftLocked(f.log)
	}
	sub.forwards = nil
	count.add(b.ring.purge(sub))
	b.addPast(count)
	b.subs = removeAt(b.subs, sub.place, func(o *subscription, i int) { o.place = i })
	if p := sub.pattern; p != nil {
		s.setPatternsLocked(func(ps []*pattern) []*pattern { return without(ps, p) })
		s.names.countAll(-1)
	}
	if b.process == nil || b.process.over {
		s.tellLocked(sub)
	}
	b.progress()
}

func without[T comparable](list []T, gone T) []T {
	kept := list[:0]
	for _, x := range list {
		if x != gone {
			kept = append(kept, x)
		}
	}
	return kept
}

// joinedLocked and leftLocked follow a change in a log's number of subscribers.
func (s *Server) joinedLocked(l *log) {
	l.audience.Store(int32(l.listeners()))
	if t := l.topic.Load(); l.listeners() == 1 {
		t.interval++
		for _, p := range t.producers {
			p.startLocked()
		}
	}
}

func (s *Server) leftLocked(l *log) {
	l.audience.Store(int32(l.listeners()))
	if l.wire != nil {
		if len(l.cursors) == 0 {
			s.unwireLocked(l.wire)
		}
		return
	}
	if l.closed {
		return
	}
	if l.listeners() > 0 {
		if len(l.cursors) == 0 && l.replay == 0 && s.onlyPatternsLocked(l) {
			s.unheard[l.topic.Load()] = struct{}{}
		}
		return
	}
	for _, p := range l.topic.Load().producers {
		p.stopLocked()
	}
	if l.replay == 0 {
		s.closeLogLocked(l)
	}
}

// endBox ends a mailbox and all its subscriptions.
//
// It looks under the lock: whoever closes a mailbox that another goroutine is about to end may rely on
// its being empty when Close has returned.
func (s *Server) endBox(b *box, reason error) {
	s.mu.Lock()
	defer s.unlock()
	s.endBoxLocked(b, reason)
}

func (s *Server) endBoxLocked(b *box, reason error) {
	if b.ended.Load() {
		return
	}
	b.err = reason
	b.ended.Store(true)
	for _, sub := range b.subs {
		sub.ended.Store(true)
	}
	b.ring.purge(nil) // all at once, not once for each
	for len(b.subs) > 0 {
		s.leaveLocked(b.subs[len(b.subs)-1], reason)
	}
	if b.prev != nil {
		b.prev.next = b.next
	} else {
		s.boxes = b.next
	}
	if b.next != nil {
		b.next.prev = b.prev
	}
	b.prev, b.next = nil, nil
	close(b.done)
	b.signal()
	b.progress()
	if stop := b.stopCtx; stop != nil {
		s.laterLocked(func() { stop() })
	}
	if p := b.process; p != nil {
		s.laterLocked(func() { p.cancel(reason) })
	}
	if s.logger != nil && (reason == ErrTooSlow || reason == ErrAbandoned) {
		who := b.who()
		s.wg.Add(1) // a log may block, and nothing else may wait for it
		go func() {
			defer s.wg.Done()
			contain(func() { s.logger.Warn("earshot: subscriber ended", "subscriber", who, "reason", reason) })
		}()
	}
}
