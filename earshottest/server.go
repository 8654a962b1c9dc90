package earshottest

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot-go/earshot"
)

// Patience is how long this package waits, unless Watcher.Timeout says otherwise, for what does not
// come.
const Patience = 10 * time.Second

// NewServer returns a server that is closed when the test ends. A handler that does not return then,
// though its context has ended, fails the test, which names it after ten seconds. What handlers fail
// with is in the test's log.
func NewServer(t testing.TB) *earshot.Server {
	t.Helper()
	log := &testLog{t: t}
	s := earshot.NewServer(&earshot.Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	t.Cleanup(func() {
		defer log.end()
		s.Close()
		if err := s.Shutdown(context.Background()); err != nil {
			t.Errorf("earshottest: %v", err)
		}
	})
	return s
}

// testLog writes to a test's log until the test has ended: later it must not be written to.
type testLog struct {
	t testing.TB

	mu    sync.Mutex // guards ended
	ended bool
}

func (l *testLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.t.Logf("%s", strings.TrimSuffix(string(p), "\n"))
	}
	return len(p), nil
}

func (l *testLog) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
}

// Settle waits until all subscribers of the server have dealt with everything that was sent before the
// call, and with everything that they sent in turn. What other goroutines are about to send it cannot
// know about.
//
// It fails the test, and names the subscriber, if one does not receive what waits for it: a mailbox
// that the test itself has put aside, for instance.
func Settle(t testing.TB, s *earshot.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := settle(ctx, s); err != nil {
		t.Fatalf("earshottest: Settle: %v", err)
	}
}

// settle calls Sync until nobody has sent anything meanwhile: then no subscriber has anything in hand.
func settle(ctx context.Context, s *earshot.Server) error {
	for {
		before := sent(s)
		if err := s.Sync(ctx); err != nil {
			return err
		}
		if maps.Equal(before, sent(s)) {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("events keep coming: %w", context.Cause(ctx))
		}
	}
}

// sent returns how many events each live channel has had.
func sent(s *earshot.Server) map[any]uint64 {
	counts := map[any]uint64{}
	for c := range s.Channels() {
		if c.Live {
			counts[c.Name] = c.Sent
		}
	}
	return counts
}
