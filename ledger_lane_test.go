package earshot_test

import "sort"

// A lane is which of a sender's sends went to one channel.
type lane []uint32

// window calls visit with the events whose delivery P1 promises: those sent from after Subscribe
// returned to before the end was asked for.
func (l *ledger) window(sub *ledgerSub, visit func([]ledgerSend, lane)) {
	for i, sends := range l.senders {
		for _, in := range l.lanesOf(sub, i, sub.typed) {
			from := sort.Search(len(in), func(i int) bool { return sends[in[i]].start > sub.returned })
			to := sort.Search(len(in), func(i int) bool { return sends[in[i]].end >= sub.endCalled })
			if from < to {
				visit(sends, in[from:to])
			}
		}
	}
}

// most returns how many events can have been offered to sub: those whose sends and whose subscription
// were under way at the same time.
func (l *ledger) most(sub *ledgerSub) (n uint64) {
	for i, sends := range l.senders {
		for _, in := range l.lanesOf(sub, i, false) {
			from := sort.Search(len(in), func(i int) bool { return sends[in[i]].end >= sub.called })
			to := sort.Search(len(in), func(i int) bool { return sends[in[i]].start > sub.endReturned })
			n += uint64(max(0, to-from))
		}
	}
	return n
}

func (l *ledger) lanesOf(sub *ledgerSub, sender int, typed bool) (lanes []lane) {
	for _, ch := range sub.channels {
		if typed && ch == ledgerMixed {
			ch = uint32(len(l.anchored))
		}
		lanes = append(lanes, l.lanes[sender][ch])
	}
	return lanes
}

func (l *ledger) drawLanes() {
	for _, sends := range l.senders {
		lanes := make([]lane, len(l.anchored)+1)
		for i, e := range sends {
			lanes[e.channel] = append(lanes[e.channel], uint32(i))
			if e.channel == ledgerMixed && !e.stray {
				lanes[len(l.anchored)] = append(lanes[len(l.anchored)], uint32(i))
			}
		}
		l.lanes = append(l.lanes, lanes)
	}
}
