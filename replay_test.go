package earshot_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// A late subscriber gets the last events first, numbered as they were, then what comes.
func TestReplay(t *testing.T) {
	for _, n := range []int{1, 3, 8, 9, 100, 1000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			s := newServer(t)
			c := earshot.NewChannel[int](s, "x", &earshot.ChannelOptions{Replay: n})
			require.True(t, c.Listening(), "somebody may come later")
			sent := 0
			for _, burst := range []int{0, 1, n, 17, 2*n + 1, 3000} {
				for range burst {
					sent++
					c.Send(sent)
				}
				oldest := max(1, sent-n+1)
				typed, _ := listen[int](t, s, "x", nil)
				untyped, _ := listen[any](t, s, "x", nil)
				ring := newMailbox[int](t, s, nil)
				subscribe(t, ring, "other")
				subscribe(t, ring, "x")
				newest, _ := listen[int](t, s, "x", &earshot.MailboxOptions{Capacity: 1 << 16, Overflow: earshot.DropNewest})
				tap, _ := listenPattern[int](t, s, "*", nil)
				for i, m := range []*earshot.Mailbox[int]{typed, ring, newest, tap} {
					sent, next := sent, oldest
					for _, msg := range drain(m) {
						require.Equal(t, next, msg.Event, "mailbox %d", i)
						require.Equal(t, uint64(next), msg.Seq, "mailbox %d", i)
						require.Zero(t, msg.Missed)
						next++
					}
					require.Equal(t, sent+1, next, "mailbox %d", i)
				}
				require.Len(t, drain(untyped), sent-oldest+1)
				sent++
				c.Send(sent)
				for i, m := range []*earshot.Mailbox[int]{typed, ring, newest, tap} {
					require.Equal(t, []int{sent}, drained(m), "mailbox %d", i)
				}
				typed.Close()
				untyped.Close()
				ring.Close()
				newest.Close()
				tap.Close()
			}
		})
	}
}

// P11: a subscriber with less room than is replayed gets the newest of it, and has missed nothing: it
// was not there.
func TestReplayWithLessRoom(t *testing.T) {
	for _, policy := range []earshot.Overflow{earshot.DropOldest, earshot.DropNewest, earshot.Latest, earshot.Evict, earshot.Block} {
		t.Run(policy.String(), func(t *testing.T) {
			s := newServer(t)
			c := earshot.NewChannel[int](s, "x", &earshot.ChannelOptions{Replay: 10, MayBlock: true})
			for i := range 20 {
				c.Send(i)
			}
			m, _ := listen[int](t, s, "x", &earshot.MailboxOptions{Capacity: 4, Overflow: policy})
			want := upTo(16, 19)
			if policy == earshot.Latest {
				want = upTo(19, 19)
			}
			msgs := drain(m)
			require.Len(t, msgs, len(want))
			for i, msg := range msgs {
				require.Equal(t, want[i], msg.Event)
				require.Zero(t, msg.Missed)
			}
			require.NoError(t, m.Err())
		})
	}
}

// P1, P3: joining while others send: the replayed events and the new ones meet without gap or double.
func TestReplayUnderFire(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[int](s, "x", &earshot.ChannelOptions{Replay: 50})
	const total = 20000
	var sending sync.WaitGroup
	sending.Go(func() {
		for i := 1; i <= total; i++ {
			c.Send(i)
			if i%8 == 0 {
				runtime.Gosched()
			}
		}
	})
	for round := 0; ; round++ {
		m := earshot.NewMailbox[int](t.Context(), s, &earshot.MailboxOptions{Overflow: earshot.Unbounded})
		if round%2 == 1 {
			subscribe(t, m, "other")
		}
		subscribe(t, m, "x")
		next, last := 0, 0
		for i := range 200 {
			msg, ok := m.TryReceive()
			if !ok {
				runtime.Gosched()
				continue
			}
			if next != 0 && msg.Event != next {
				t.Fatalf("round %d: event %d is number %d, want %d", round, i, msg.Event, next)
			}
			require.Equal(t, uint64(msg.Event), msg.Seq)
			next, last = msg.Event+1, msg.Event
		}
		m.Close()
		if last == total {
			break
		}
	}
	sending.Wait()
}

// The events are kept from the declaration on, also through the time in which nobody listens, and
// types may mix.
func TestReplayKeepsWhatNobodyHeard(t *testing.T) {
	s := newServer(t)
	m := newMailbox[any](t, s, nil)
	early := subscribe(t, m, "x")
	c := earshot.NewChannel[int](s, "x", nil)
	again := earshot.NewChannel[int](s, "x", &earshot.ChannelOptions{Replay: 3})
	require.Same(t, c, again)
	c.Send(1)
	require.NoError(t, m.Unsubscribe(early))
	require.True(t, c.Listening())
	c.Send(2)
	earshot.SendEvent(s, "x", "three")
	earshot.SendEvent(s, "x", 4)
	subscribe(t, m, "x")
	require.Equal(t, []any{2, "three", 4}, drained(m))
	st, _ := stats(s, "x")
	require.Equal(t, 3, st.Replay)
	require.Equal(t, uint64(4), st.Sent)
	s.Close()
	require.False(t, c.Listening(), "after Close")
}
