package tap_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/require"
)

// A rate is exact in the long run, whatever the sender does, and lets a burst of as many through.
func TestOpen_Rate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		second, minute, hour := open(t, s, "chan:c rate:10/s"), open(t, s, "chan:c rate:30/m"), open(t, s, "chan:c rate:3600/h")
		for range 60_000 {
			sendInts(s, "c", 1, 1)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Minute)
		take(t, second, 10+10*60-1)
		take(t, minute, 30+30-1)
		take(t, hour, 3600)
		for _, st := range []*tap.Stream{second, minute} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			for range st.Records(ctx) {
				t.Error("one more")
			}
			cancel()
			require.Equal(t, uint64(60_000), st.Stats().Seen)
		}
	})
}

// The loop may be left and taken up again: nothing is lost in between.
func TestOpen_TakenUpAgain(t *testing.T) {
	s := newServer(t)
	st := open(t, s, "")
	next := 1
	for i := range 100 {
		sendInts(s, "c", i*10+1, i*10+10)
		for _, r := range take(t, st, 10) {
			require.Equal(t, next, r.Event())
			next++
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	sendInts(s, "c", 1001, 1001)
	for range st.Records(ctx) {
		t.Error("a record after the end of the context")
	}
	require.Equal(t, 1001, take(t, st, 1)[0].Event())
}

// Records waits without spinning, and ends with its context, the stream, or the server.
func TestOpen_Waits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, end := range map[string]func(*earshot.Server, *tap.Stream, context.CancelFunc){
			"context": func(_ *earshot.Server, _ *tap.Stream, cancel context.CancelFunc) { cancel() },
			"close":   func(_ *earshot.Server, st *tap.Stream, _ context.CancelFunc) { st.Close() },
			"server":  func(s *earshot.Server, _ *tap.Stream, _ context.CancelFunc) { s.Close() },
		} {
			s := newServer(t)
			st := open(t, s, "")
			ctx, cancel := context.WithCancel(t.Context())
			var got []any
			var over time.Time
			done := make(chan struct{})
			go func() {
				defer close(done)
				for r := range st.Records(ctx) {
					got = append(got, r.Event())
					require.LessOrEqual(t, time.Since(r.Time), 10*time.Millisecond, "it wakes up when there is something")
				}
				over = time.Now()
			}()
			for i := range 3 {
				time.Sleep(time.Hour)
				earshot.SendEvent(s, "c", i)
			}
			time.Sleep(time.Hour)
			ended := time.Now()
			end(s, st, cancel)
			<-done
			require.Equal(t, []any{0, 1, 2}, got, name)
			require.Equal(t, ended, over, name)
			cancel()
		}
	})
}

// A filter that lets next to nothing through keeps up with as much as the tap holds, without pauses.
func TestOpen_RareMatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		st := open(t, s, "chan:c amount=1")
		for i := range 60_000 {
			earshot.SendEvent(s, "c", order{Amount: i / 59_999})
		}
		start := time.Now()
		take(t, st, 1)
		require.Zero(t, time.Since(start))
		require.Equal(t, uint64(59_999), st.Stats().Filtered)
	})
}
