package earshot_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what has to happen before it calls that a deadlock. It is
// no measure of speed: a loaded machine may take seconds for what takes microseconds.
const patience = 30 * time.Second

// newServer returns a server that is stopped, and all of whose goroutines are awaited, at the test's end.
func newServer(t testing.TB) *earshot.Server {
	t.Helper()
	s := earshot.NewServer(nil)
	t.Cleanup(func() { stop(t, s) })
	return s
}

// stop ends a server without waiting for what nobody will receive.
func stop(t testing.TB, s *earshot.Server) {
	t.Helper()
	require.NoError(t, s.Close())
	require.NoError(t, s.Shutdown(context.Background()))
}

// newMailbox returns a mailbox that lives until the test's end.
func newMailbox[E any](t testing.TB, s *earshot.Server, opts *earshot.MailboxOptions) *earshot.Mailbox[E] {
	t.Helper()
	m := earshot.NewMailbox[E](context.Background(), s, opts)
	require.NoError(t, m.Err())
	t.Cleanup(func() { m.Close() }) // also keeps it reachable
	return m
}

// listen returns a mailbox that subscribes to one name.
func listen[E any](t testing.TB, s *earshot.Server, name any, opts *earshot.MailboxOptions) (*earshot.Mailbox[E], earshot.Ref) {
	t.Helper()
	m := newMailbox[E](t, s, opts)
	return m, subscribe(t, m, name)
}

func subscribe[E any](t testing.TB, m *earshot.Mailbox[E], name any) earshot.Ref {
	t.Helper()
	ref, err := m.Subscribe(name)
	require.NoError(t, err)
	return ref
}

// receive returns the next message and fails the test if none comes.
func receive[E any](t testing.TB, m *earshot.Mailbox[E]) earshot.Message[E] {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	msg, err := m.Receive(ctx)
	require.NoError(t, err, "Receive")
	return msg
}

// drain returns the messages that are there.
func drain[E any](m *earshot.Mailbox[E]) (all []earshot.Message[E]) {
	for msg, ok := m.TryReceive(); ok; msg, ok = m.TryReceive() {
		all = append(all, msg)
	}
	return all
}

// drained returns the events that are there.
func drained[E any](m *earshot.Mailbox[E]) (all []E) {
	for _, msg := range drain(m) {
		all = append(all, msg.Event)
	}
	return all
}

// await returns what ch delivers and fails the test if it is silent.
func await[T any](t testing.TB, ch <-chan T, what string) (v T) {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case v = <-ch:
	case <-timeout.C:
		t.Fatalf("waited %v for %s", patience, what)
	}
	return v
}

// finishes runs f and fails the test if it does not return.
func finishes(t testing.TB, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	await(t, done, what)
}

// isClosed reports whether ch is closed or has something to receive, which it takes.
func isClosed[T any](ch <-chan T) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// settle waits until every subscriber has dealt with what was sent.
func settle(t testing.TB, s *earshot.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, s.Sync(ctx))
}

// upTo returns from, from+1, …, to.
func upTo(from, to int) (all []int) {
	for i := from; i <= to; i++ {
		all = append(all, i)
	}
	return all
}

// stats returns what Channels says about a name.
func stats(s *earshot.Server, name any) (earshot.ChannelStats, bool) {
	for c := range s.Channels() {
		if c.Name == name {
			return c, true
		}
	}
	return earshot.ChannelStats{}, false
}

// serverGoroutines counts the goroutines that earshot has started.
func serverGoroutines() int {
	for size := 1 << 16; ; size *= 2 {
		stacks := make([]byte, size)
		if n := runtime.Stack(stacks, true); n < size {
			return bytes.Count(stacks[:n], []byte("created by github.com/earshot-go/earshot."))
		}
	}
}

// nextLine returns the place of the line after its call, as earshot writes it.
func nextLine() string {
	_, file, line, _ := runtime.Caller(1)
	return fmt.Sprintf("/%s:%d", filepath.Base(file), line+1)
}

// scaled makes a number of repetitions smaller where each takes longer: with the race detector, and
// with -short.
func scaled(n int) int {
	if testing.Short() {
		n /= 10
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "-race" && setting.Value == "true" {
				n /= 10
			}
		}
	}
	return n
}
