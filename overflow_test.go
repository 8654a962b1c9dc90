package earshot_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// inPlaceAndInRing runs a test with mailboxes that receive in different ways and must keep the same
// promises: a typed mailbox reads a channel declared for its type in place, Mailbox[any] aside; on another
// channel, or with another subscription, it is given copies.
func inPlaceAndInRing(t *testing.T, opts earshot.MailboxOptions, f func(*testing.T, *earshot.Server, *earshot.Mailbox[int], earshot.Ref)) {
	for _, way := range []string{"declared channel", "undeclared channel", "two subscriptions"} {
		t.Run(way, func(t *testing.T) {
			s := newServer(t)
			if way == "declared channel" {
				earshot.NewChannel[int](s, "x", nil)
			}
			m := newMailbox[int](t, s, &opts)
			if way == "two subscriptions" {
				subscribe(t, m, "nobody sends here")
			}
			f(t, s, m, subscribe(t, m, "x"))
		})
	}
}

func sendInts(s *earshot.Server, name any, from, to int) {
	for i := from; i <= to; i++ {
		earshot.SendEvent(s, name, i)
	}
}

// P11, SLO-04: what each policy keeps of ten events in room for four, and how it says what is lost.
func TestP11_PoliciesLedger(t *testing.T) {
	type got struct {
		event, missed int
	}
	for _, test := range []struct {
		policy   earshot.Overflow
		want     []got // after 1…10
		wantNext got   // after 11
	}{
		{earshot.DropOldest, []got{{7, 6}, {8, 0}, {9, 0}, {10, 0}}, got{11, 0}},
		{earshot.DropNewest, []got{{1, 0}, {2, 0}, {3, 0}, {4, 0}}, got{11, 6}},
		{earshot.Latest, []got{{10, 9}}, got{11, 0}},
		{earshot.Unbounded, []got{{1, 0}, {2, 0}, {3, 0}, {4, 0}, {5, 0}, {6, 0}, {7, 0}, {8, 0}, {9, 0}, {10, 0}}, got{11, 0}},
	} {
		t.Run(test.policy.String(), func(t *testing.T) {
			opts := earshot.MailboxOptions{Capacity: 4, Overflow: test.policy}
			inPlaceAndInRing(t, opts, func(t *testing.T, s *earshot.Server, m *earshot.Mailbox[int], ref earshot.Ref) {
				sendInts(s, "x", 1, 10)
				missed := uint64(10 - len(test.want))
				st := m.Stats()
				require.Equal(t, len(test.want), st.Depth)
				require.Equal(t, missed, st.Missed, "Missed before anything is received")
				var all []got
				for _, msg := range drain(m) {
					require.Equal(t, ref, msg.Ref)
					require.Equal(t, uint64(msg.Event), msg.Seq)
					all = append(all, got{msg.Event, int(msg.Missed)})
				}
				require.Equal(t, test.want, all)
				sendInts(s, "x", 11, 11)
				msg := receive(t, m)
				require.Equal(t, test.wantNext, got{msg.Event, int(msg.Missed)})
				st = m.Stats()
				require.Equal(t, uint64(11), st.Offered)
				require.Equal(t, missed, st.Missed)
				require.Equal(t, 11-missed, st.Received)
				require.Zero(t, st.Depth)
				require.NoError(t, m.Err())
			})
		})
	}
}

// P11: Evict ends the mailbox at the event for which there is no room; the sender goes on.
func TestP11_EvictLedger(t *testing.T) {
	opts := earshot.MailboxOptions{Name: "laggard", Capacity: 4, Overflow: earshot.Evict}
	inPlaceAndInRing(t, opts, func(t *testing.T, s *earshot.Server, m *earshot.Mailbox[int], ref earshot.Ref) {
		other, _ := listen[int](t, s, "x", nil)
		down := s.Monitor(ref)
		sendInts(s, "x", 1, 4)
		require.NoError(t, m.Err())
		require.Equal(t, 1, receive(t, m).Event)
		sendInts(s, "x", 5, 5)
		require.NoError(t, m.Err(), "Err with exactly Capacity events waiting")
		finishes(t, "a send that evicts", func() { sendInts(s, "x", 6, 6) })
		require.Equal(t, earshot.ErrTooSlow, m.Err())
		require.Equal(t, earshot.Down{Ref: ref, Channel: "x", Subscriber: "laggard", Reason: earshot.ErrTooSlow}, await(t, down, "Down"))
		_, err := m.Receive(t.Context())
		require.Equal(t, earshot.ErrTooSlow, err)
		st := m.Stats()
		require.Equal(t, uint64(5), st.Offered)
		require.Equal(t, uint64(1), st.Received)
		require.Equal(t, uint64(4), st.Discarded)
		require.Equal(t, upTo(1, 6), drained(other))
	})
}

// P11, SLO-06: Seq and Missed together name the first and the last event of a gap.
func TestP11_GapIsNamed(t *testing.T) {
	opts := earshot.MailboxOptions{Capacity: 8}
	inPlaceAndInRing(t, opts, func(t *testing.T, s *earshot.Server, m *earshot.Mailbox[int], _ earshot.Ref) {
		last, sent := uint64(0), 0
		for _, burst := range []int{3, 8, 9, 30, 1, 500, 0, 8} {
			sendInts(s, "x", sent+1, sent+burst)
			sent += burst
			for _, msg := range drain(m) {
				require.Equal(t, last+1, msg.Seq-msg.Missed, "after a burst of %d", burst)
				last = msg.Seq
			}
			require.Equal(t, uint64(sent), last)
		}
	})
}

// P11, P12: the newest events stay, exactly as many as there is room for, whatever the block sizes of
// the log they are read from.
func TestP11_DropOldestKeepsExactlyItsCapacity(t *testing.T) {
	for _, capacity := range []int{1, 2, 7, 8, 9, 63, 64, 300, 1000} {
		t.Run(fmt.Sprint(capacity), func(t *testing.T) {
			opts := earshot.MailboxOptions{Capacity: capacity}
			inPlaceAndInRing(t, opts, func(t *testing.T, s *earshot.Server, m *earshot.Mailbox[int], _ earshot.Ref) {
				sent := 0
				for _, burst := range []int{1, capacity, capacity + 1, 17, 3*capacity + 5, 2000, 40, 5000} {
					sendInts(s, "x", sent+1, sent+burst)
					sent += burst
					require.Equal(t, upTo(sent-min(burst, capacity)+1, sent), drained(m), "after a burst of %d", burst)
				}
			})
		})
	}
}

// P6, P11: subscribers of one channel with different room do not change what the others get.
func TestP6_CapacitiesAreIndependent(t *testing.T) {
	s := newServer(t)
	earshot.NewChannel[int](s, "x", nil) // read in place
	boxes := map[int]*earshot.Mailbox[int]{}
	for _, capacity := range []int{1, 3, 50, 1000, 4096} {
		boxes[capacity], _ = listen[int](t, s, "x", &earshot.MailboxOptions{Capacity: capacity})
	}
	keen, _ := listen[int](t, s, "x", &earshot.MailboxOptions{Overflow: earshot.Unbounded})
	sent := 0
	for range 20 {
		sendInts(s, "x", sent+1, sent+700)
		sent += 700
		require.Equal(t, upTo(sent-699, sent), drained(keen))
		require.Equal(t, []int{sent}, drained(boxes[1]))
	}
	for capacity, m := range boxes {
		if capacity > 1 {
			require.Equal(t, upTo(sent-capacity+1, sent), drained(m), "capacity %d", capacity)
		}
	}
}

// P11: a mailbox with several subscriptions has one capacity, and each loss is told by the Ref that had it.
func TestP11_LossIsToldToTheRightRef(t *testing.T) {
	s := newServer(t)
	m := newMailbox[int](t, s, &earshot.MailboxOptions{Capacity: 4})
	x, y := subscribe(t, m, "x"), subscribe(t, m, "y")
	sendInts(s, "x", 1, 3)
	sendInts(s, "y", 101, 103)
	sendInts(s, "x", 4, 4) // x1, x2, x3 had to go
	type got struct {
		ref    earshot.Ref
		event  int
		missed uint64
	}
	var all []got
	for _, msg := range drain(m) {
		all = append(all, got{msg.Ref, msg.Event, msg.Missed})
	}
	require.Equal(t, []got{{y, 101, 0}, {y, 102, 0}, {y, 103, 0}, {x, 4, 3}}, all)
}

// P11: Latest keeps one event of each channel.
func TestP11_LatestOfEachChannel(t *testing.T) {
	s := newServer(t)
	m := newMailbox[int](t, s, &earshot.MailboxOptions{Overflow: earshot.Latest, Capacity: 77})
	subscribe(t, m, "x")
	subscribe(t, m, "y")
	sendInts(s, "x", 1, 5)
	sendInts(s, "y", 101, 103)
	sendInts(s, "x", 6, 6)
	require.Equal(t, []int{103, 6}, drained(m))
	require.Equal(t, uint64(2+5), m.Stats().Missed)
}

// P11: events that a typed mailbox could not have received anyway are not missed.
func TestP11_MismatchedEventsAreNotMissed(t *testing.T) {
	for _, policy := range []earshot.Overflow{earshot.DropOldest, earshot.Latest} {
		t.Run(policy.String(), func(t *testing.T) {
			opts := earshot.MailboxOptions{Capacity: 2, Overflow: policy}
			inPlaceAndInRing(t, opts, func(t *testing.T, s *earshot.Server, m *earshot.Mailbox[int], _ earshot.Ref) {
				if strings.HasSuffix(t.Name(), "/declared_channel") {
					return // there they take up room, as Mailbox says
				}
				earshot.SendEvent(s, "x", 7)
				for range 5 {
					earshot.SendEvent(s, "x", "not for this one")
				}
				require.Equal(t, []int{7}, drained(m))
				st := m.Stats()
				require.Equal(t, uint64(0), st.Missed)
				require.Equal(t, uint64(5), st.Mismatched)
				require.Equal(t, uint64(1), st.Offered)
			})
		})
	}
}

// P2: the statistics add up at every moment, for each subscription and for the mailbox, and Missed is
// what the messages said plus what the next one will.
func TestP2_StatsAddUp(t *testing.T) {
	for _, policy := range []earshot.Overflow{earshot.DropOldest, earshot.DropNewest, earshot.Latest, earshot.Unbounded, earshot.Evict} {
		t.Run(policy.String(), func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			rnd := rand.New(rand.NewPCG(seed, 0))
			s := newServer(t)
			m := newMailbox[int](t, s, &earshot.MailboxOptions{Capacity: 5, Overflow: policy})
			refs := map[earshot.Ref]bool{}
			said, received, sent := uint64(0), uint64(0), uint64(0)
			for range 2000 {
				switch rnd.IntN(8) {
				case 0:
					if len(refs) < 3 && m.Err() == nil {
						refs[subscribe(t, m, rnd.IntN(2))] = true
					}
				case 1:
					for ref := range refs {
						if rnd.IntN(10) == 0 {
							require.NoError(t, m.Unsubscribe(ref))
							delete(refs, ref)
						}
						break
					}
				case 2, 3, 4:
					earshot.SendEvent(s, rnd.IntN(2), 1)
				default:
					if msg, ok := m.TryReceive(); ok {
						received++
						said += msg.Missed
						require.Contains(t, refs, msg.Ref)
					}
				}
				st := m.Stats()
				require.Equal(t, st.Offered, st.Received+st.Missed+st.Discarded+uint64(st.Depth), "%+v", st)
				require.Equal(t, received, st.Received)
				require.LessOrEqual(t, said, st.Missed)
				require.GreaterOrEqual(t, st.Offered, sent, "Offered went back")
				require.GreaterOrEqual(t, st.HighWater, st.Depth)
				sent = st.Offered
				for _, sub := range st.Subscriptions {
					require.Equal(t, sub.Offered, sub.Received+sub.Missed+sub.Discarded+uint64(sub.Depth), "%+v", sub)
				}
			}
			for _, msg := range drain(m) {
				received++
				said += msg.Missed
			}
			m.Close()
			st := m.Stats()
			require.Zero(t, st.Depth)
			require.Empty(t, st.Subscriptions)
			require.Equal(t, st.Offered, st.Received+st.Missed+st.Discarded)
		})
	}
}
