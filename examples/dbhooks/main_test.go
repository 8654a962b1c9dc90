// An inside test: main is all that could be called from outside.
package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRun(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, time.Millisecond, false))
	for _, line := range []string{
		`^A store with 20000 keys\n\n  listening to db\.get: false, to db\.stats: false; samples for db\.stats: 0\n`,
		`(?m)^  db\.get    user/0 +hit `,
		`(?m)^  db\.get    user/nobody +miss `,
		`(?m)^  db\.put    new/4 +21 B `,
		`(?m)^  db\.evict  user/1 +10 B$`,
		`(?m)^  db\.scan   user/77\* +111 keys `,
		`(?m)^  db\.stats  20000 keys, \d+ B, `,
		`(?m)^and goes\n\n  listening to db\.get: false, to db\.stats: false; samples for db\.stats: [1-9]\d*$`,
		`(?m)^  slow:   user/1\* .* of 11110 keys\n  failed: slow scans: .*divide by zero; starts again\n  slow:   user/\* .* of 19996 keys\n  slow:   user/777\* .* of 11 keys$`,
		`(?m)^  the store without its hooks +\d+ +1\.00×$`,
		`(?m)^  hooks, nobody listens +\d+ +\d+\.\d\d×$`,
		`(?m)^  hooks and a tap on "db\.\*\*" +\d+ +\d+\.\d\d×$`,
		`(?m)^  The tap received \d+ events, and was told of \d+ that it missed`,
	} {
		require.Regexp(t, line, out.String())
	}
}

func TestWatchUntilInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &until{text: "tap comes every other", then: cancel}
	require.ErrorIs(t, run(ctx, out, time.Millisecond, true), context.Canceled)
}

// until is a writer that calls a function when it has seen a text.
type until struct {
	text string
	then func()
}

func (u *until) Write(b []byte) (int, error) {
	if strings.Contains(string(b), u.text) {
		u.then()
	}
	return len(b), nil
}

func TestStore(t *testing.T) {
	s := earshot.NewServer(nil)
	defer s.Close()
	st := Open(s, 2)
	m := earshot.NewMailbox[any](t.Context(), s, nil)
	for _, name := range []string{"db.get", "db.put", "db.scan", "db.evict"} {
		_, err := m.Subscribe(name)
		require.NoError(t, err)
	}

	st.Put("a", "1")
	st.Put("b", "22")
	st.Put("b", "333")
	_, ok := st.Get("a")
	require.True(t, ok)
	st.Put("c", "4444")
	_, ok = st.Get("b")
	require.False(t, ok, "b was not used for longest")
	require.ElementsMatch(t, []string{"a"}, st.Scan("a"))
	require.Equal(t, Stats{Keys: 2, Bytes: 5, Hits: 1, Misses: 1}, st.Stats())
	require.Zero(t, st.samples.Load(), "samples while nobody listens to db.stats")

	var got []any
	for msg, ok := m.TryReceive(); ok; msg, ok = m.TryReceive() {
		switch e := msg.Event.(type) {
		case Get:
			e.Took = 0
			got = append(got, e)
		case Put:
			e.Took = 0
			got = append(got, e)
		case Scan:
			e.Took = 0
			got = append(got, e)
		default:
			got = append(got, e)
		}
	}
	require.Equal(t, []any{
		Put{Key: "a", Bytes: 1}, Put{Key: "b", Bytes: 2}, Put{Key: "b", Bytes: 3},
		Get{Key: "a", Hit: true},
		Evict{Key: "b", Bytes: 3}, Put{Key: "c", Bytes: 4},
		Get{Key: "b"}, Scan{Prefix: "a", Found: 1},
	}, got)
}

// An event is sent while the store's lock is held, and its handler calls the store.
func TestHandlerCallsStore(t *testing.T) {
	s := earshot.NewServer(nil)
	st := Open(s, 1)
	forgotten := make(chan bool, 1)
	_, err := st.onEvict.Handle(t.Context(), func(_ context.Context, msg earshot.Message[Evict]) error {
		_, ok := st.Get(msg.Event.Key)
		forgotten <- !ok
		return nil
	}, nil)
	require.NoError(t, err)
	st.Put("a", "")
	st.Put("b", "")
	require.NoError(t, s.Shutdown(t.Context()))
	require.True(t, <-forgotten)
}
