package earshot_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// COR-18: however the loop over Events is left, its subscription ends.
func TestCOR18_EventsUnsubscribes(t *testing.T) {
	for name, leave := range map[string]func(cancel func()) (goOn bool){
		"break":   func(func()) bool { return false },
		"context": func(cancel func()) bool { cancel(); return true },
		"panic":   func(func()) bool { panic("oh") },
		"Goexit":  func(func()) bool { runtime.Goexit(); return true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				c := earshot.NewChannel[int](s, "x", nil)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go func() {
					synctest.Wait()
					sendInts(s, "x", 1, 10)
				}()
				var got []int
				finishes(t, "the loop to end", func() {
					defer func() { recover() }()
					for n := range c.Events(ctx) {
						got = append(got, n)
						if n == 3 && !leave(cancel) {
							break
						}
					}
				})
				require.Equal(t, upTo(1, 3), got)
				require.False(t, c.Listening())
				for sub := range s.Subscriptions() {
					t.Errorf("left over: %+v", sub)
				}
			})
		})
	}
}

// Events subscribes when the loop starts, anew each time.
func TestEventsStartsWithTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := earshot.NewChannel[int](s, "x", nil)
		events := c.Events(t.Context())
		c.Send(1)
		require.False(t, c.Listening())
		for round := range 2 {
			go func() {
				synctest.Wait()
				c.Send(10 + round)
			}()
			for n := range events {
				require.Equal(t, 10+round, n)
				require.True(t, c.Listening())
				break
			}
			require.False(t, c.Listening())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range c.Events(ctx) {
			t.Error("an event")
		}
		for range c.Events(ctx) {
			t.Error("an event, with a context that had ended before")
		}
		go func() {
			time.Sleep(time.Second)
			s.Close()
		}()
		for range c.Events(t.Context()) {
			t.Error("an event")
		}
	})
}

// A loop over Messages that is left gives back what it has not seen, in order, however it is left.
func TestMessagesGivesBack(t *testing.T) {
	for name, leave := range map[string]func(cancel func()) (goOn bool){
		"break":   func(func()) bool { return false },
		"context": func(cancel func()) bool { cancel(); return true },
		"panic":   func(func()) bool { panic("oh") },
		"Goexit":  func(func()) bool { runtime.Goexit(); return true },
	} {
		t.Run(name, func(t *testing.T) {
			inPlaceAndInRing(t, earshot.MailboxOptions{}, func(t *testing.T, s *earshot.Server, m *earshot.Mailbox[int], ref earshot.Ref) {
				sendInts(s, "x", 1, 300)
				var got []int
				for _, limit := range []int{1, 2, 7, 70} {
					ctx, cancel := context.WithCancel(t.Context())
					n := 0
					finishes(t, "the loop to end", func() {
						defer func() { recover() }()
						for msg := range m.Messages(ctx) {
							got = append(got, msg.Event)
							if n++; n == limit && !leave(cancel) {
								break
							}
						}
					})
					require.Equal(t, limit, n)
					require.Equal(t, uint64(len(got)), m.Stats().Received)
					require.Equal(t, 300-len(got), m.Stats().Depth)
					cancel()
				}
				msg := receive(t, m)
				require.Equal(t, uint64(msg.Event), msg.Seq)
				got = append(append(got, msg.Event), drained(m)...)
				require.Equal(t, upTo(1, 300), got)
				require.Equal(t, uint64(300), m.Stats().Received)
			})
		})
	}
}

// What a loop was told to have missed is not told twice, and not lost when the loop gives back.
func TestMessagesGivesBackWhatWasMissed(t *testing.T) {
	inPlaceAndInRing(t, earshot.MailboxOptions{Capacity: 100}, func(t *testing.T, s *earshot.Server, m *earshot.Mailbox[int], ref earshot.Ref) {
		missed := uint64(0)
		for round := range 5 {
			sendInts(s, "x", 1, 150)
			for msg := range m.Messages(t.Context()) {
				missed += msg.Missed
				if msg.Seq%uint64(3+round) == 0 {
					break
				}
			}
		}
		for _, msg := range drain(m) {
			missed += msg.Missed
		}
		require.Equal(t, m.Stats().Missed, missed)
		require.Equal(t, uint64(750), m.Stats().Received+missed)
	})
}

// Receive and TryReceive go on where a loop has stopped, also while it is in its body.
func TestReceiveInsideALoop(t *testing.T) {
	inPlaceAndInRing(t, earshot.MailboxOptions{}, func(t *testing.T, s *earshot.Server, m *earshot.Mailbox[int], ref earshot.Ref) {
		sendInts(s, "x", 1, 200)
		seen := map[int]int{}
		for msg := range m.Messages(t.Context()) {
			seen[msg.Event]++
			if inner, ok := m.TryReceive(); ok {
				seen[inner.Event]++
			}
			if len(seen) == 200 {
				break
			}
		}
		for i := 1; i <= 200; i++ {
			require.Equal(t, 1, seen[i], "event %d", i)
		}
		require.Equal(t, uint64(200), m.Stats().Received)
	})
}

// Ready is for select: it says when TryReceive may find something, or never will.
func TestReady(t *testing.T) {
	for _, another := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t)
			m := newMailbox[int](t, s, nil)
			if another {
				subscribe(t, m, "y")
			}
			subscribe(t, m, "x")
			for round := range 3 {
				time.AfterFunc(time.Second, func() { sendInts(s, "x", 1, 3) })
				start, looks := time.Now(), 0
				msg, ok := m.TryReceive()
				for ; !ok; msg, ok = m.TryReceive() {
					<-m.Ready()
					looks++
				}
				require.Equal(t, time.Second, time.Since(start), "round %d", round)
				require.LessOrEqual(t, looks, 2, "Ready without anything to receive")
				require.Equal(t, 1, msg.Event)
				<-m.Ready() // two are left
				require.Equal(t, []int{2, 3}, drained(m))
			}
			sendInts(s, "x", 4, 4)
			<-m.Ready() // without looking first
			require.Equal(t, []int{4}, drained(m))
			time.AfterFunc(time.Second, func() { m.Close() })
			for m.Err() == nil {
				<-m.Ready()
				m.TryReceive()
			}
			<-m.Ready()
		})
	}
}

// Breaking off the views of the server leaves nothing behind, and others may use it inside the loop.
func TestCOR18_ViewsBreakOff(t *testing.T) {
	s := newServer(t)
	for i := range 5 {
		listen[int](t, s, i, nil)
	}
	for range s.Channels() {
		m, _ := listen[int](t, s, "during the loop", nil)
		m.Close()
		break
	}
	n := 0
	for sub := range s.Subscriptions() {
		require.NoError(t, s.Unsubscribe(sub.Ref))
		if n++; n == 2 {
			break
		}
	}
	left := 0
	for range s.Subscriptions() {
		left++
	}
	require.Equal(t, 3, left)
}
