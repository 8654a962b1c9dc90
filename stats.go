package earshot

import (
	"iter"
	"reflect"
	"sync"
)

// ChannelStats describe a channel that is live or declared.
type ChannelStats struct {
	Name        any
	Doc         string
	Type        reflect.Type // of its events, nil if it is not declared
	Declared    bool
	Live        bool
	MayBlock    bool
	Replay      int
	Tapped      bool   // a tap listens
	Subscribers int    // subscriptions, those by patterns included, taps not
	Sent        uint64 // events since it came to life
}

// SubscriptionStats describe one subscription. At every moment
//
//	Offered = Received + Missed + Discarded + Depth
//
// where Received counts what has been handed out.
type SubscriptionStats struct {
	Ref        Ref
	Channel    any    // the channel's name, or the pattern's text
	Subscriber string // the mailbox's name, or file:line of where it was made
	Site       string // file:line of the subscribe call
	Overflow   Overflow
	Capacity   int
	Depth      int    // events waiting
	HighWater  int    // largest Depth of the mailbox seen
	Offered    uint64 // events that were sent to it
	Received   uint64
	Missed     uint64 // lost by the mailbox's policy
	Discarded  uint64 // not received when it ended
	Mismatched uint64 // events of another type, not counted in Offered
}

// MailboxStats sum up a mailbox's subscriptions, those that have ended included. The equation of
// [SubscriptionStats] holds for them.
type MailboxStats struct {
	Name                                             string
	Overflow                                         Overflow
	Capacity                                         int
	Depth                                            int
	HighWater                                        int // largest Depth seen
	Offered, Received, Missed, Discarded, Mismatched uint64
	Subscriptions                                    []SubscriptionStats // that have not ended
}

// Channels returns an iterator over the channels that are live or declared, in no order, as they were
// at the call. It holds no lock while the loop runs.
func (s *Server) Channels() iter.Seq[ChannelStats] {
	return func(yield func(ChannelStats) bool) {
		var all []ChannelStats
		s.mu.Lock()
		s.names.all(func(t *topic) bool {
			c := ChannelStats{Name: t.name, Doc: t.doc, Type: t.elem, Declared: t.declared, MayBlock: t.mayBlock, Replay: int(t.replay)}
			if l := t.live.Load(); l != nil {
				c.Live, c.Sent, c.Subscribers = true, l.head.pos(), len(l.cursors)+len(l.forwards)
				c.Tapped = len(l.wires) > 0
			}
			all = append(all, c)
			return true
		})
		s.unlock()
		for _, c := range all {
			if !yield(c) {
				return
			}
		}
	}
}

// Subscriptions returns an iterator over the subscriptions that have not ended, in no order, as they
// were at the call. It holds no lock while the loop runs.
func (s *Server) Subscriptions() iter.Seq[SubscriptionStats] {
	return func(yield func(SubscriptionStats) bool) {
		var subs []*subscription
		s.mu.Lock()
		for b := s.boxes; b != nil; b = b.next {
			if !b.taps {
				subs = append(subs, b.subs...)
			}
		}
		s.unlock()
		for _, sub := range subs {
			s.mu.Lock()
			st := sub.statsLocked()
			over := sub.reason != nil
			s.unlock()
			if !over && !yield(st) {
				return
			}
		}
	}
}

// Subscription returns the counters of one subscription. It reports false for one that has ended, and for a Ref that
// is zero or another server's.
func (s *Server) Subscription(ref Ref) (SubscriptionStats, bool) {
	sub := ref.sub
	if sub == nil || sub.box.srv != s {
		return SubscriptionStats{}, false
	}
	s.mu.Lock()
	defer s.unlock()
	if sub.reason != nil {
		return SubscriptionStats{}, false
	}
	return sub.statsLocked(), true
}

// Stats returns the mailbox's counters.
func (m *Mailbox[E]) Stats() MailboxStats { return m.in.stats() }

func (b *box) stats() MailboxStats {
	b.srv.mu.Lock()
	defer b.srv.unlock()
	b.mu.Lock()
	t := b.past
	b.mu.Unlock()
	st := MailboxStats{Name: b.who(), Overflow: b.overflow, Capacity: b.capacity}
	for _, sub := range b.subs {
		x := sub.statsLocked()
		st.Subscriptions = append(st.Subscriptions, x)
		st.Depth += x.Depth
		t.add(tally{x.Offered, x.Received, x.Missed, x.Mismatched, x.Discarded})
	}
	st.Offered, st.Received, st.Missed, st.Mismatched, st.Discarded = t.offered, t.received, t.missed, t.mismatched, t.discarded
	_, st.HighWater = b.depth()
	return st
}

// depth returns how many events wait in the mailbox, and the most there have been.
func (b *box) depth() (n, high int) {
	n, high = b.ring.depth()
	b.mu.Lock()
	high = max(high, b.high)
	b.mu.Unlock()
	if cu := b.cur.Load(); cu != nil {
		_, d, h := cu.snapshot()
		n += int(d)
		high = max(high, int(h))
	}
	return n, max(n, high)
}

// statsLocked is called under Server.mu, so that the subscription does not change its way to the
// mailbox meanwhile.
func (sub *subscription) statsLocked() SubscriptionStats {
	b := sub.box
	t, n := sub.tallyLocked()
	_, high := b.depth()
	return SubscriptionStats{
		Ref: Ref{sub}, Channel: sub.name, Subscriber: b.who(), Site: sub.at.String(),
		Overflow: b.overflow, Capacity: b.capacity, Depth: n, HighWater: high,
		Offered: t.offered, Received: t.received, Missed: t.missed, Discarded: t.discarded, Mismatched: t.mismatched,
	}
}

func (sub *subscription) tallyLocked() (t tally, depth int) {
	t, depth = sub.box.ring.depthOf(sub)
	if cu := sub.cur; cu != nil {
		ct, d, _ := cu.snapshot()
		t.add(ct)
		depth += int(d)
	}
	return t, depth
}

// ServerStats sum up all subscriptions of a server, those that have ended included: counters that never go
// down. The equation of [SubscriptionStats] holds for them.
type ServerStats struct {
	Subscriptions                                    int // that have not ended
	Depth                                            int
	Offered, Received, Missed, Discarded, Mismatched uint64
}

// Stats returns the server's counters. Taps are no subscriptions.
func (s *Server) Stats() ServerStats {
	s.mu.Lock()
	defer s.unlock()
	var st ServerStats
	t := s.past.sum()
	for b := s.boxes; b != nil; b = b.next {
		if b.taps {
			continue
		}
		for _, sub := range b.subs {
			x, n := sub.tallyLocked()
			x.offered = x.received + x.missed + x.discarded + uint64(n)
			t.add(x)
			st.Depth += n
			st.Subscriptions++
		}
	}
	st.Offered, st.Received, st.Missed, st.Discarded, st.Mismatched = t.offered, t.received, t.missed, t.discarded, t.mismatched
	return st
}

// A past is what became of the events of subscriptions that have ended.
type past struct {
	mu sync.Mutex // guards t; taken while holding box.mu
	t  tally
}

func (p *past) add(t tally) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.t.add(t)
}

func (p *past) sum() tally {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.t
}
