package earshot_test

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// collect runs the garbage collector until done says so.
func collect(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%s is still not collected", what)
		}
		runtime.GC()
	}
}

// P12, P5: a mailbox that nobody refers to any more ends, with its subscriptions, and its monitors are told.
func TestP12_AbandonedMailbox(t *testing.T) {
	for what, prepare := range map[string]func(*earshot.Server, *earshot.Mailbox[any]){
		"idle":    func(*earshot.Server, *earshot.Mailbox[any]) {},
		"unread":  func(s *earshot.Server, _ *earshot.Mailbox[any]) { sendInts(s, "x", 1, 10) },
		"pattern": func(_ *earshot.Server, m *earshot.Mailbox[any]) { m.SubscribePattern("**") },
		"waited for": func(_ *earshot.Server, m *earshot.Mailbox[any]) {
			m.Done()
			m.Ready()
			m.TryReceive()
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := newServer(t)
			ctx, cancel := context.WithCancel(context.Background()) // refers to what it ends, but not to the handle
			defer cancel()
			var down <-chan earshot.Down
			var done <-chan struct{}
			func() {
				m := earshot.NewMailbox[any](ctx, s, nil)
				down = s.Monitor(subscribe(t, m, "x"))
				done = m.Done()
				prepare(s, m)
			}()
			collect(t, "an abandoned mailbox", func() bool { return isClosed(done) })
			require.Equal(t, earshot.ErrAbandoned, oneDown(t, down).Reason)
			require.False(t, s.Listening("x"))
		})
	}
}

// P12: a mailbox that somebody waits on is not abandoned, though nobody else refers to it.
func TestP12_WaitedOnIsNotAbandoned(t *testing.T) {
	s := newServer(t)
	got := make(chan any, 1)
	for what, wait := range map[string]func(*earshot.Mailbox[any]){
		"Receive": func(m *earshot.Mailbox[any]) {
			msg, _ := m.Receive(context.Background())
			got <- msg.Event
		},
		"Messages": func(m *earshot.Mailbox[any]) {
			for msg := range m.Messages(context.Background()) {
				got <- msg.Event
				return
			}
		},
	} {
		func() {
			m := earshot.NewMailbox[any](context.Background(), s, nil)
			subscribe(t, m, "x")
			go wait(m)
		}()
		heapInUse()
		require.True(t, s.Listening("x"), what)
		earshot.SendEvent(s, "x", what)
		require.Equal(t, what, await(t, got, what))
		collect(t, what, func() bool { return !s.Listening("x") })
	}
}

// A server that nobody subscribes to need not be closed.
func TestP12_ForgottenServer(t *testing.T) {
	var server weak.Pointer[earshot.Server]
	func() {
		s := earshot.NewServer(nil)
		server = weak.Make(s)
		c := earshot.NewChannel[int](s, "x", nil)
		c.OnDemand(func(ctx context.Context) { <-ctx.Done() })
		m := earshot.NewMailbox[int](t.Context(), s, nil)
		subscribe(t, m, "x")
		c.Send(1)
		m.Close()
	}()
	collect(t, "a server that nobody refers to", func() bool { return server.Value() == nil })
}

// A mailbox that a synctest bubble has left behind must not take the program down when it is collected,
// which happens outside the bubble.
func TestP12_AbandonedInABubble(t *testing.T) { abandonInABubble(t, 0) }

func TestP12_AbandonedInABubbleYearsLater(t *testing.T) {
	abandonInABubble(t, 100*365*24*time.Hour)
}

func abandonInABubble(t *testing.T, later time.Duration) {
	if os.Getenv("EARSHOT_ABANDON") == "" { // the fatal error cannot be recovered from: let a child have it
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), "EARSHOT_ABANDON=1")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(later)
		s := earshot.NewServer(nil)
		m := earshot.NewMailbox[int](context.Background(), s, nil)
		subscribe(t, m, "x")
		sendInts(s, "x", 1, 3)
		receive(t, m)
	})
	heapInUse()
	heapInUse()
}
