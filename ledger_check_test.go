package earshot_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/earshot-go/earshot"
)

// The ledger is what senders and subscribers wrote down, each for itself: what was sent when, what was
// received when, and when subscriptions began and ended. All stamps are monotonic nanoseconds, which
// order nothing: the checker shares no lock and no atomic with the code, and hides no data race from
// the detector. It decides P1 to P5 of the package's promises from the intervals alone.

// A ledgerSend is one event as its sender knows it. A sender's sends follow each other.
type ledgerSend struct {
	start, end int64
	channel    uint32
	stray      bool   // of another type than the channel's
	seq        uint32 // the event's Seq as subscribers saw it, 0 if none did; the checker's
}

// A ledgerRecord is one message as its subscriber saw it.
type ledgerRecord struct {
	call, at    int64 // the receiving call began, and had returned
	sender, n   uint32
	seq, missed uint32 // as in the Message; 0 if the reader is not told
}

// A ledgerSub is the life of one subscription.
type ledgerSub struct {
	what     string   // for reports
	channels []uint32 // one, unless by a pattern
	typed    bool     // strays do not reach it
	lossless bool     // by its mailbox's policy
	shared   bool     // several goroutines read: the order of got says nothing
	untold   bool     // an iterator over events: neither Seq nor Missed
	handler  bool     // its last event is over before its Down

	called, returned       int64 // of Subscribe
	endCalled, endReturned int64 // of what ended it; MaxInt64 if nothing did, or nobody knows when
	got                    []ledgerRecord
	downs                  []ledgerDown
	reasons                []error // allowed in its Down
}

// A ledgerDown is what one monitor said.
type ledgerDown struct {
	at     int64 // after it was received
	reason error
	again  bool // the monitor's channel had a second notice, or was not closed
}

// A ledgerBox is a mailbox with the subscriptions it had, and its public statistics at rest.
type ledgerBox struct {
	subs  []*ledgerSub
	stats *earshot.MailboxStats // nil if nobody could read them
}

type ledger struct {
	senders  [][]ledgerSend
	anchored []bool // by channel: it lives through the whole round, so its Seqs are never given twice
	boxes    []*ledgerBox

	lanes [][]lane // by sender and channel; those without strays after the others
}

// check returns what is wrong, at most a few of each kind's findings.
func (l *ledger) check() (faults []string) {
	fault := func(sub *ledgerSub, format string, args ...any) {
		if len(faults) < 20 {
			faults = append(faults, fmt.Sprintf("%s: %s", sub.what, fmt.Sprintf(format, args...)))
		}
	}
	l.drawLanes()
	l.checkSeqs(fault)
	for _, b := range l.boxes {
		for _, sub := range b.subs {
			l.checkOrder(sub, fault)
			l.checkEnd(sub, fault)
		}
		l.checkStats(b, fault)
	}
	return faults
}

type faultFunc func(sub *ledgerSub, format string, args ...any)

// checkSeqs: one order of a channel's events for all (P3). An event has the same Seq wherever it
// arrives, and within a channel's life no two events have the same.
func (l *ledger) checkSeqs(fault faultFunc) {
	owners := make([]map[uint32]uint64, len(l.anchored))
	for i := range owners {
		owners[i] = map[uint32]uint64{}
	}
	for _, b := range l.boxes {
		for _, sub := range b.subs {
			for _, r := range sub.got {
				if int(r.sender) >= len(l.senders) || int(r.n) >= len(l.senders[r.sender]) {
					fault(sub, "P1: received event %d of sender %d, which was never sent", r.n, r.sender)
					continue
				}
				if sub.untold {
					continue
				}
				e := &l.senders[r.sender][r.n]
				if e.seq == 0 {
					e.seq = r.seq
					if l.anchored[e.channel] {
						id := uint64(r.sender)<<32 | uint64(r.n)
						if other, ok := owners[e.channel][r.seq]; ok {
							fault(sub, "P3: seq %d of channel %d belongs to event %d of sender %d, and to %d of %d",
								r.seq, e.channel, uint32(other), other>>32, r.n, r.sender)
						}
						owners[e.channel][r.seq] = id
					}
				} else if e.seq != r.seq {
					fault(sub, "P3: event %d of sender %d arrived as %d, elsewhere as %d", r.n, r.sender, r.seq, e.seq)
				}
			}
		}
	}
}

// checkOrder: each event at most once, in the channel's order and each sender's (P1, P3), no gap that
// is not reported (P1, P11), nothing from before the subscription or after its end (P1, P4).
func (l *ledger) checkOrder(sub *ledgerSub, fault faultFunc) {
	got := sub.got
	if sub.shared {
		got = slices.Clone(got)
		slices.SortStableFunc(got, func(a, b ledgerRecord) int { return cmp.Compare(a.seq, b.seq) })
	}
	last := map[uint32]uint32{}  // seq by channel
	first := map[uint32]uint32{} // lowest seq offered, by channel
	next := map[uint32]uint32{}  // n by sender
	var gaps, missed uint64
	for i, r := range got {
		if int(r.sender) >= len(l.senders) || int(r.n) >= len(l.senders[r.sender]) {
			continue
		}
		e := l.senders[r.sender][r.n]
		if !slices.Contains(sub.channels, e.channel) || sub.typed && e.stray {
			fault(sub, "P1: received event %d of sender %d, sent to channel %d (stray %v)", r.n, r.sender, e.channel, e.stray)
			continue
		}
		if e.end < sub.called {
			fault(sub, "P1: received event %d of sender %d, sent %d ns before it subscribed", r.n, r.sender, sub.called-e.end)
		}
		if r.call > sub.endReturned {
			fault(sub, "P4: received event %d of sender %d in a call %d ns after it had ended", r.n, r.sender, r.call-sub.endReturned)
		}
		if e.start > r.at {
			fault(sub, "P3: received event %d of sender %d before it was sent", r.n, r.sender)
		}
		if r.n < next[r.sender] {
			fault(sub, "P3: event %d of sender %d after %d", r.n, r.sender, next[r.sender]-1)
		}
		next[r.sender] = r.n + 1
		seq := r.seq
		if sub.untold {
			if seq = e.seq; seq == 0 {
				continue
			}
		}
		before, some := last[e.channel]
		last[e.channel] = seq
		missed += uint64(r.missed)
		if !some {
			first[e.channel] = seq - r.missed
			continue
		}
		if seq <= before {
			fault(sub, "P3: seq %d of channel %d after %d (record %d)", seq, e.channel, before, i)
			continue
		}
		gap := uint64(seq - before - 1)
		gaps += gap
		if sub.shared || sub.untold || l.strays(sub) {
			continue
		}
		if one := len(sub.channels) == 1; one && gap != uint64(r.missed) || gaps > missed {
			fault(sub, "P1: %d events between seq %d and %d did not arrive, %d are reported missed", gap, before, seq, r.missed)
			gaps = missed
		}
	}
	if sub.lossless && missed > 0 {
		fault(sub, "P11: %d events missed by a policy that loses none", missed)
	}
	if sub.untold || l.strays(sub) || len(sub.channels) > 1 && !sub.lossless {
		return // its first message does not tell where it began
	}
	// What was sent in its window has to be among what it was offered, from the first on.
	l.window(sub, func(sends []ledgerSend, in lane) {
		for _, i := range in {
			if e := sends[i]; e.seq != 0 {
				if f, ok := first[e.channel]; ok && e.seq < f {
					fault(sub, "P1: seq %d of channel %d was sent after it had subscribed, its first is %d", e.seq, e.channel, f)
				}
				break // the sender's next have higher ones
			}
		}
	})
}

// strays reports whether gaps in the Seqs of sub may be events that are not of its type.
func (l *ledger) strays(sub *ledgerSub) bool {
	return sub.typed && slices.Contains(sub.channels, ledgerMixed)
}

// checkEnd: exactly one Down for each monitor, with a reason that is the right one, after the last
// event (P5).
func (l *ledger) checkEnd(sub *ledgerSub, fault faultFunc) {
	for _, d := range sub.downs {
		if d.at == 0 {
			fault(sub, "P5: no Down")
			continue
		}
		if d.again {
			fault(sub, "P5: more than one Down, or none to tell that it was the last")
		}
		if !slices.ContainsFunc(sub.reasons, func(err error) bool { return errors.Is(d.reason, err) }) {
			fault(sub, "P5: Down with reason %v, want one of %v", d.reason, sub.reasons)
		}
		for _, r := range sub.got {
			if r.call > d.at || sub.handler && r.at > d.at {
				fault(sub, "P5: event %d of sender %d after the Down", r.n, r.sender)
				break
			}
		}
	}
}

// checkStats: the public counters add up to what was recorded (P2), and to what was sent (P1).
func (l *ledger) checkStats(b *ledgerBox, fault faultFunc) {
	st := b.stats
	if st == nil {
		return
	}
	var got, missed, must, may uint64
	lossless, strays := true, false
	for _, sub := range b.subs {
		got += uint64(len(sub.got))
		for _, r := range sub.got {
			missed += uint64(r.missed)
		}
		l.window(sub, func(_ []ledgerSend, in lane) { must += uint64(len(in)) })
		may += l.most(sub)
		lossless, strays = lossless && sub.lossless, strays || l.strays(sub)
	}
	sub := b.subs[0]
	if st.Offered != st.Received+st.Missed+st.Discarded+uint64(st.Depth) {
		fault(sub, "P2: offered %d != received %d + missed %d + discarded %d + depth %d", st.Offered, st.Received, st.Missed, st.Discarded, st.Depth)
	}
	if st.Received != got {
		fault(sub, "P2: received %d by its statistics, %d by its records", st.Received, got)
	}
	if st.Missed < missed || lossless && st.Missed > 0 {
		fault(sub, "P2: missed %d by its statistics, %d by its messages", st.Missed, missed)
	}
	if st.Offered < must {
		fault(sub, "P1: offered %d, but %d were sent in its window", st.Offered, must)
	}
	if st.Offered > may {
		fault(sub, "P1: offered %d, but only %d can have been", st.Offered, may)
	}
	if len(b.subs) == 1 && len(sub.channels) == 1 && len(sub.got) > 0 && !strays {
		l.checkLast(sub, st.Offered, fault)
	}
	if !strays && st.Mismatched > 0 && !slices.ContainsFunc(b.subs, func(s *ledgerSub) bool { return s.typed }) {
		fault(sub, "P2: %d mismatched where every type matches", st.Mismatched)
	}
}

// checkLast: what was sent in the window of a mailbox's only subscription is among what it was offered,
// to the last.
func (l *ledger) checkLast(sub *ledgerSub, offered uint64, fault faultFunc) {
	low := sub.got[0]
	for _, r := range sub.got {
		if r.seq < low.seq {
			low = r
		}
	}
	last := uint64(low.seq-low.missed) + offered - 1
	l.window(sub, func(sends []ledgerSend, in lane) {
		for _, i := range slices.Backward(in) {
			if e := sends[i]; e.seq != 0 {
				if uint64(e.seq) > last {
					fault(sub, "P1: seq %d of channel %d was sent before it ended, the last it was offered is %d", e.seq, e.channel, last)
				}
				break // the sender's earlier ones have lower ones
			}
		}
	})
}
