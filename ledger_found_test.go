package earshot_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// What the ledger, the model and their authors found, each as small as it gets.

// TestStuckCursorKeepsItsWindow: a block that nobody stood in was dropped although a reader behind it was
// still to get its events. It ended in a nil dereference.
func TestStuckCursorKeepsItsWindow(t *testing.T) {
	s := newServer(t)
	m, _ := listen[int](t, s, "x", &earshot.MailboxOptions{Capacity: 8})
	for i := range 8 {
		earshot.SendEvent(s, "x", i)
	}
	require.Len(t, drain(m), 8)
	for i := range 9 {
		earshot.SendEvent(s, "x", 8+i)
	}
	require.Equal(t, []int{9, 10, 11, 12, 13, 14, 15, 16}, drained(m))
}

// TestLoopGivesBackWhatItTook: a second look while a loop had events in hand made the log think that
// everything had been read, and clear it. What the loop gave back arrived as zeros.
func TestLoopGivesBackWhatItTook(t *testing.T) {
	s := newServer(t)
	earshot.NewChannel[int](s, "x", nil)
	m, _ := listen[int](t, s, "x", nil)
	for i := range 4 {
		earshot.SendEvent(s, "x", i+1)
	}
	for range m.Messages(t.Context()) {
		_, ok := m.TryReceive()
		require.False(t, ok)
		break
	}
	require.Equal(t, []int{2, 3, 4}, drained(m))
}

// TestLoopGivesBackBetweenTypes: what a loop gave back was queued behind what came later if events of
// another type lay between.
func TestLoopGivesBackBetweenTypes(t *testing.T) {
	s := newServer(t)
	earshot.NewChannel[int](s, "x", nil)
	m, _ := listen[int](t, s, "x", &earshot.MailboxOptions{Capacity: 1000})
	for i := range 8 {
		earshot.SendEvent(s, "x", i)
		earshot.SendEvent(s, "x", "stray")
	}
	for want := range 3 {
		for msg := range m.Messages(t.Context()) {
			require.Equal(t, want, msg.Event)
			break
		}
	}
	require.Equal(t, []int{3, 4, 5, 6, 7}, drained(m))
	require.Equal(t, uint64(8), m.Stats().Mismatched)
}

// TestMissedAfterWhatWasGivenBack: what a mailbox had lost when it began to get copies, or lost among
// those, was told with an older event, one that a loop gave back (P11).
func TestMissedAfterWhatWasGivenBack(t *testing.T) {
	for name, before := range map[string]bool{"lost before": true, "lost after": false} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			c := earshot.NewChannel[int](s, "x", nil)
			m, _ := listen[int](t, s, "x", &earshot.MailboxOptions{Capacity: 64})
			for i := range 4 {
				c.Send(i + 1)
			}
			for range m.Messages(t.Context()) { // which takes all four
				if !before {
					subscribe(t, m, "y")
				}
				for i := range 200 {
					c.Send(i + 5)
				}
				if before {
					subscribe(t, m, "y")
				}
				break
			}
			var missed uint64
			last := uint64(1)
			for _, msg := range drain(m) {
				require.Equal(t, msg.Seq-last-1, msg.Missed, "seq %d after %d", msg.Seq, last)
				last = msg.Seq
				missed += msg.Missed
			}
			require.Equal(t, missed, m.Stats().Missed)
		})
	}
}

// TestReplayDeclaredLate: a channel declared with Replay while it was live replayed what had been
// received and cleared before, as zeros.
func TestReplayDeclaredLate(t *testing.T) {
	s := newServer(t)
	earshot.NewChannel[int](s, "x", nil)
	m, _ := listen[any](t, s, "x", nil)
	for i := range 4 {
		earshot.SendEvent(s, "x", i+1)
	}
	require.Len(t, drain(m), 4)
	c := earshot.NewChannel[int](s, "x", &earshot.ChannelOptions{Replay: 10})
	c.Send(5)
	late, _ := listen[int](t, s, "x", nil)
	require.Equal(t, []int{5}, drained(late))
}

// TestRingOfOneWakes: a ring whose only record is replaced looked empty in between, and its reader went
// to sleep with an event waiting: for good, since only an empty ring wakes its reader.
func TestRingOfOneWakes(t *testing.T) {
	for _, overflow := range []earshot.Overflow{earshot.Latest, earshot.DropOldest} {
		s := newServer(t)
		m, _ := listen[int](t, s, "x", &earshot.MailboxOptions{Overflow: overflow, Capacity: 1})
		subscribe(t, m, "y")
		last := often(1_000_000)
		go func() {
			for i := range last {
				earshot.SendEvent(s, "x", i+1)
			}
		}()
		for got := 0; got < last; got = receive(t, m).Event {
		}
	}
}

// TestRingCountsWhileLeaving: what a full ring dropped of a subscription that was just leaving was
// counted nowhere (P2).
func TestRingCountsWhileLeaving(t *testing.T) {
	for range often(20_000) {
		s := earshot.NewServer(nil)
		m := earshot.NewMailbox[int](t.Context(), s, &earshot.MailboxOptions{Capacity: 4})
		leaving := subscribe(t, m, "x")
		subscribe(t, m, "y")
		for i := range 4 {
			earshot.SendEvent(s, "x", i)
		}
		together(func() { m.Unsubscribe(leaving) }, func() {
			for i := range 20 {
				earshot.SendEvent(s, "y", i)
			}
		})
		st := m.Stats()
		require.Equal(t, st.Offered, st.Received+st.Missed+st.Discarded+uint64(st.Depth), "%+v", st)
		s.Close()
	}
}

// TestLoopGivesBackWhileEnding: what a loop gave back after somebody else had read on was counted twice,
// or received after all, if the subscription ended at that moment (P2, P4).
func TestLoopGivesBackWhileEnding(t *testing.T) {
	for i := range often(30_000) {
		s := earshot.NewServer(nil)
		m := earshot.NewMailbox[int](t.Context(), s, nil)
		ref := subscribe(t, m, "x")
		for i := range 200 {
			earshot.SendEvent(s, "x", i)
		}
		in, out := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for range m.Messages(t.Context()) {
				close(in)
				<-out
				break
			}
		})
		<-in
		m.TryReceive() // somebody else reads on
		together(func() { close(out) }, func() { m.Unsubscribe(ref) })
		wg.Wait()
		msg, ok := m.TryReceive()
		require.False(t, ok, "turn %d: received %+v after Unsubscribe had returned", i, msg)
		st := m.Stats()
		require.Equal(t, [3]uint64{200, 2, 198}, [3]uint64{st.Offered, st.Received, st.Discarded}, "turn %d: %+v", i, st)
		s.Close()
	}
}

// TestCloseOfOneThatIsEnding: Close returned at once if somebody else was about to end the mailbox, and
// messages were received after that (P4).
func TestCloseOfOneThatIsEnding(t *testing.T) {
	for i := range often(300) {
		s := earshot.NewServer(nil)
		m := earshot.NewMailbox[int](t.Context(), s, &earshot.MailboxOptions{Overflow: earshot.Unbounded})
		for name := range 2000 {
			subscribe(t, m, any(name))
		}
		for name := range 100 {
			earshot.SendEvent(s, name, name)
		}
		closeAndLook := func() {
			m.Close()
			if msg, ok := m.TryReceive(); ok {
				t.Errorf("turn %d: received %+v after Close had returned", i, msg)
			}
		}
		together(closeAndLook, closeAndLook, closeAndLook)
		s.Close()
		if t.Failed() {
			return
		}
	}
}

// TestNothingAfterAHole: of a subscription that was ending a loop discarded some and another way of
// receiving went on with the next ones (P1).
func TestNothingAfterAHole(t *testing.T) {
	for i := range often(20_000) {
		s := earshot.NewServer(nil)
		m := earshot.NewMailbox[int](t.Context(), s, &earshot.MailboxOptions{Overflow: earshot.Unbounded})
		ref := subscribe(t, m, "x")
		subscribe(t, m, "y")
		for i := range 60 {
			earshot.SendEvent(s, "x", i)
			earshot.SendEvent(s, "y", i)
		}
		var got []int
		note := func(msg earshot.Message[int]) {
			if msg.Ref == ref {
				got = append(got, msg.Event)
			}
		}
		together(func() { m.Unsubscribe(ref) }, func() {
			for range 20 {
				for msg := range m.Messages(t.Context()) {
					note(msg)
					break
				}
				if msg, ok := m.TryReceive(); ok {
					note(msg)
				}
			}
		})
		for want, e := range got {
			require.Equal(t, want, e, "turn %d: %v", i, got)
		}
		s.Close()
	}
}

// TestForgottenDuringASend: a send that found a name just before it was forgotten, one of too many that
// only patterns listen to, was lost for the patterns (P1).
func TestForgottenDuringASend(t *testing.T) {
	s := newServer(t)
	tap := newMailbox[int](t, s, &earshot.MailboxOptions{Overflow: earshot.Unbounded})
	many := newMailbox[int](t, s, &earshot.MailboxOptions{Overflow: earshot.DropOldest, Capacity: 1})
	_, err := tap.SubscribePattern("f.*")
	require.NoError(t, err)
	_, err = many.SubscribePattern("g.*")
	require.NoError(t, err)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(stop)
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				earshot.SendEvent(s, fmt.Sprint("g.", i), i)
			}
		}
	})
	for i := range often(2_000_000) {
		earshot.SendEvent(s, "f.x", i)
		if msg, ok := tap.TryReceive(); !ok || msg.Event != i {
			t.Fatalf("sent %d, received %v %v", i, msg.Event, ok)
		}
	}
}

// TestNamesLeftToAPattern: names that somebody had subscribed to and left were kept for ever while a
// pattern matched them (P12).
func TestNamesLeftToAPattern(t *testing.T) {
	s := newServer(t)
	tap := newMailbox[int](t, s, nil)
	_, err := tap.SubscribePattern("**")
	require.NoError(t, err)
	m := newMailbox[int](t, s, nil)
	for i := range 40_000 {
		ref := subscribe(t, m, fmt.Sprint("name.", i))
		require.NoError(t, m.Unsubscribe(ref))
	}
	n := 0
	for range s.Channels() {
		n++
	}
	require.Less(t, n, 20_000)
}

// together calls functions at the same time.
func together(calls ...func()) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for _, call := range calls {
		wg.Go(func() {
			<-start
			call()
		})
	}
	close(start)
	wg.Wait()
}
