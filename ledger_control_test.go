package earshot_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/earshot-go/earshot"
)

// honestLedger is a round in which all went well: two senders, by turns; a handler that had all of
// channel 1, a mailbox that had its window of it, and one that lost some.
func honestLedger() *ledger {
	l := &ledger{senders: make([][]ledgerSend, 2), anchored: make([]bool, len(ledgerNames))}
	l.anchored[1] = true
	receive := func(sub *ledgerSub, seq uint32, missed uint32) {
		sender, n := (seq-1)%2, (seq-1)/2
		at := l.senders[sender][n].end + 3
		sub.got = append(sub.got, ledgerRecord{call: at - 1, at: at, sender: sender, n: n, seq: seq, missed: missed})
	}
	for i := range 20 {
		at := int64(100 + 10*i)
		l.senders[i%2] = append(l.senders[i%2], ledgerSend{start: at, end: at + 5, channel: 1})
	}
	all := &ledgerSub{
		what: "all", channels: []uint32{1}, typed: true, lossless: true, handler: true,
		called: 10, returned: 20, endCalled: 500, endReturned: 510,
		downs: []ledgerDown{{at: 505, reason: earshot.ErrServerClosed}}, reasons: []error{earshot.ErrServerClosed},
	}
	window := &ledgerSub{
		what: "window", channels: []uint32{1}, lossless: true,
		called: 141, returned: 148, endCalled: 241, endReturned: 248, // within the 5th and the 15th send
		downs:   []ledgerDown{{at: 249, reason: earshot.ErrUnsubscribed}, {at: 250, reason: earshot.ErrUnsubscribed}},
		reasons: []error{earshot.ErrUnsubscribed},
	}
	lossy := &ledgerSub{
		what: "lossy", channels: []uint32{1}, called: 10, returned: 20, endCalled: 500, endReturned: 510,
		downs: []ledgerDown{{at: 600, reason: earshot.ErrClosed}}, reasons: []error{earshot.ErrTooSlow, earshot.ErrClosed},
	}
	for seq := range uint32(20) {
		receive(all, seq+1, 0)
		if seq+1 >= 6 && seq+1 <= 14 {
			receive(window, seq+1, 0)
		}
	}
	receive(lossy, 4, 3)
	receive(lossy, 5, 0)
	receive(lossy, 12, 6)
	l.boxes = []*ledgerBox{
		{subs: []*ledgerSub{all}},
		{subs: []*ledgerSub{window}, stats: &earshot.MailboxStats{Offered: 9, Received: 9}},
		{subs: []*ledgerSub{lossy}, stats: &earshot.MailboxStats{Offered: 20, Received: 3, Missed: 13, Discarded: 4}},
	}
	return l
}

// TestLedgerControl sees that the checker is content with an honest ledger and finds each fault that is
// put into it.
func TestLedgerControl(t *testing.T) {
	if faults := honestLedger().check(); len(faults) > 0 {
		t.Fatalf("an honest ledger: %q", faults)
	}
	for _, c := range []struct {
		name, want string
		doctor     func(l *ledger, all, window, lossy *ledgerSub, st, lost *earshot.MailboxStats)
	}{
		{"lost", "P1: 1 events between", func(_ *ledger, _, w, _ *ledgerSub, st, _ *earshot.MailboxStats) {
			w.got = slices.Delete(w.got, 3, 4)
			st.Offered, st.Received = 8, 8
		}},
		{"lost first", "P1: seq 6 of channel 1 was sent after it had subscribed", func(_ *ledger, _, w, _ *ledgerSub, st, _ *earshot.MailboxStats) {
			w.got = w.got[1:]
			st.Offered, st.Received = 8, 8
		}},
		{"lost first, of a handler", "P1: seq 4 of channel 1 was sent after it had subscribed", func(_ *ledger, a, _, _ *ledgerSub, _, _ *earshot.MailboxStats) {
			a.got = a.got[4:]
		}},
		{"lost last", "P1: seq 14 of channel 1 was sent before it ended", func(_ *ledger, _, w, _ *ledgerSub, st, _ *earshot.MailboxStats) {
			w.got = w.got[:8]
			st.Offered, st.Received = 8, 8
		}},
		{"lost all", "P1: offered 0, but 9", func(_ *ledger, _, w, _ *ledgerSub, st, _ *earshot.MailboxStats) {
			w.got = nil
			st.Offered, st.Received = 0, 0
		}},
		{"lost and not reported", "P1: 6 events between", func(_ *ledger, _, _, l *ledgerSub, _, _ *earshot.MailboxStats) {
			l.got[2].missed = 5
		}},
		{"twice", "P3: seq 6 of channel 1 after 6", func(_ *ledger, _, w, _ *ledgerSub, st, _ *earshot.MailboxStats) {
			w.got = slices.Insert(w.got, 1, w.got[0])
			st.Offered, st.Received = 10, 10
		}},
		{"never sent", "P1: received event 77", func(_ *ledger, a, _, _ *ledgerSub, _, _ *earshot.MailboxStats) {
			a.got[19].n = 77
		}},
		{"damaged", "P1: received event 0 of sender 1073741824", func(_ *ledger, a, _, _ *ledgerSub, _, _ *earshot.MailboxStats) {
			a.got[19].sender, a.got[19].n = 1<<30, 0
		}},
		{"sent before it subscribed", "P1: received event 0 of sender 0, sent", func(l *ledger, _, w, _ *ledgerSub, st, _ *earshot.MailboxStats) {
			w.got = slices.Insert(w.got, 0, ledgerRecord{call: 200, at: 201, sender: 0, n: 0, seq: 5})
			st.Offered, st.Received = 10, 10
		}},
		{"offered too much", "P1: offered 30", func(_ *ledger, _, _, _ *ledgerSub, _, lost *earshot.MailboxStats) {
			lost.Offered, lost.Discarded = 30, 14
		}},
		{"other channel", "sent to channel 2", func(l *ledger, _, _, _ *ledgerSub, _, _ *earshot.MailboxStats) {
			l.senders[0][3].channel = 2
		}},
		{"other type", "stray true", func(l *ledger, _, _, _ *ledgerSub, _, _ *earshot.MailboxStats) {
			l.senders[0][3].stray = true
		}},
		{"offered", "P2: offered 21", func(_ *ledger, _, _, _ *ledgerSub, _, lost *earshot.MailboxStats) { lost.Offered++ }},
		{"depth", "P2: offered 20", func(_ *ledger, _, _, _ *ledgerSub, _, lost *earshot.MailboxStats) { lost.Depth++ }},
		{"received", "P2: received 10 by its statistics, 9", func(_ *ledger, _, _, _ *ledgerSub, st, _ *earshot.MailboxStats) {
			st.Offered, st.Received = 10, 10
		}},
		{"missed", "P2: missed 8 by its statistics, 9", func(_ *ledger, _, _, _ *ledgerSub, _, lost *earshot.MailboxStats) {
			lost.Missed, lost.Discarded = 8, 9
		}},
		{"lossless", "P11", func(_ *ledger, _, w, _ *ledgerSub, st, _ *earshot.MailboxStats) {
			w.got[0].missed, st.Missed, st.Offered = 1, 1, 10
		}},
		{"mismatched", "P2: 1 mismatched", func(_ *ledger, _, _, _ *ledgerSub, st, _ *earshot.MailboxStats) { st.Mismatched = 1 }},
		{"order", "P3: seq 7 of channel 1 after 8", func(_ *ledger, _, w, _ *ledgerSub, _, _ *earshot.MailboxStats) {
			w.got[1], w.got[2] = w.got[2], w.got[1]
		}},
		{"order of a sender", "P3: event 2 of sender 1 after 3", func(_ *ledger, _, w, _ *ledgerSub, _, _ *earshot.MailboxStats) {
			w.got[0].n, w.got[2].n = w.got[2].n, w.got[0].n
		}},
		{"another order for another", "P3: event 2 of sender 1 arrived as 7, elsewhere as 6", func(_ *ledger, _, w, _ *ledgerSub, _, _ *earshot.MailboxStats) {
			w.got[0].seq, w.got[1].seq = 7, 6
		}},
		{"one seq for two", "P3: seq 20 of channel 1 belongs to", func(_ *ledger, a, _, _ *ledgerSub, _, _ *earshot.MailboxStats) {
			a.got[18].seq = 20
		}},
		{"before it was sent", "P3: received event 9 of sender 1 before", func(_ *ledger, a, _, _ *ledgerSub, _, _ *earshot.MailboxStats) {
			a.got[19].at = 280
		}},
		{"ghost", "P4: received event 6 of sender 1 in a call 2 ns after", func(_ *ledger, _, w, _ *ledgerSub, _, _ *earshot.MailboxStats) {
			w.got[8].call, w.got[8].at = 250, 251
		}},
		{"no down", "P5: no Down", func(_ *ledger, _, w, _ *ledgerSub, _, _ *earshot.MailboxStats) { w.downs[1] = ledgerDown{} }},
		{"two downs", "P5: more than one", func(_ *ledger, _, w, _ *ledgerSub, _, _ *earshot.MailboxStats) { w.downs[0].again = true }},
		{"reason", "P5: Down with reason", func(_ *ledger, _, w, _ *ledgerSub, _, _ *earshot.MailboxStats) {
			w.downs[0].reason = earshot.ErrClosed
		}},
		{"received after the down", "P5: event 6 of sender 1 after the Down", func(_ *ledger, _, w, _ *ledgerSub, _, _ *earshot.MailboxStats) {
			w.downs[0].at = 230
		}},
		{"handled after the down", "P5: event 9 of sender 1 after the Down", func(_ *ledger, a, _, _ *ledgerSub, _, _ *earshot.MailboxStats) {
			a.got[19].at = 506
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := honestLedger()
			c.doctor(l, l.boxes[0].subs[0], l.boxes[1].subs[0], l.boxes[2].subs[0], l.boxes[1].stats, l.boxes[2].stats)
			faults := l.check()
			if !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, c.want) }) {
				t.Errorf("check() = %q, want one with %q", faults, c.want)
			}
		})
	}
}
