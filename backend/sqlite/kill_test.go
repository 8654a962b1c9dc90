package sqlite

import (
	"database/sql"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/bus"
)

// kills is how often a child is killed; EARSHOT_KILLS says otherwise.
func kills() int {
	if n, err := strconv.Atoi(os.Getenv("EARSHOT_KILLS")); err == nil && n > 0 {
		return n
	}
	if testing.Short() {
		return 5
	}
	return 50
}

// killing returns when a child is to be killed, and prints the seed of that.
func killing(t testing.TB) func(c *child) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	return func(c *child) {
		time.AfterFunc(time.Duration(r.Int64N(int64(60*time.Millisecond))), func() { _ = c.cmd.Process.Kill() })
	}
}

// All that was accepted is there after each kill, and the file is sound.
func TestKilledPublisherLosesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	kill := killing(t)
	stored := map[string]bool{}
	var position = bus.Start
	accepted := 0
	for i := range kills() {
		c := startChild(t, "publish", path, nil, strconv.Itoa(i))
		first := c.line(t) // it is at it
		kill(c)
		acked := append(c.rest(), first)
		c.kill()
		b := openBus(t, path, nil)
		f := openTail(t, b, bus.Tail{From: position, Past: true})
		for {
			d, err := next(t, f)
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			require.False(t, stored[d.Event.ID], "%s is there twice", d.Event.ID)
			stored[d.Event.ID] = true
			position = bus.After(d.Token)
		}
		for _, id := range acked {
			require.False(t, strings.HasPrefix(id, "error"), id)
			require.True(t, stored[id], "round %d: %s was accepted and is not there", i, id)
		}
		accepted += len(acked)
		require.NoError(t, b.Close(t.Context()))
		sound(t, path)
	}
	t.Logf("%d kills, %d events accepted, %d stored", kills(), accepted, len(stored))
}

// sound asks SQLite whether a file is in order.
func sound(t testing.TB, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", dsn(path, "busy_timeout(5000)"))
	require.NoError(t, err)
	defer db.Close()
	var answer string
	require.NoError(t, db.QueryRow("PRAGMA integrity_check").Scan(&answer))
	require.Equal(t, "ok", answer)
}

// A spill has, after each kill, all that was pushed and not dropped, in its order.
func TestKilledSpillLosesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "spill.db")
	kill := killing(t)
	pushed, dropped := 0, 0 // all before these numbers certainly were
	for i := range kills() {
		c := startChild(t, "spill", path, nil, strconv.Itoa(pushed))
		lines := []string{c.line(t)}
		kill(c)
		lines = append(lines, c.rest()...)
		c.kill()
		mayDrop := dropped
		for _, line := range lines {
			n, err := strconv.Atoi(line[1:])
			if err != nil && line[0] != 'e' {
				continue // cut in the middle
			}
			require.NoError(t, err, line)
			switch line[0] {
			case '+':
				pushed = n
			case '?':
				mayDrop = n
			case '-':
				dropped = n
			}
		}
		s, err := OpenSpill(path, nil)
		require.NoError(t, err)
		evs, err := s.Peek(t.Context(), 1_000_000)
		require.NoError(t, err)
		require.Len(t, evs, s.Len())
		for k, ev := range evs {
			n, err := strconv.Atoi(ev.ID)
			require.NoError(t, err)
			if k == 0 {
				require.True(t, n == dropped || n == mayDrop, "round %d: the first is %d, dropped were %d or %d", i, n, dropped, mayDrop)
				dropped = n
			}
			require.Equal(t, dropped+k, n, "round %d", i)
		}
		if end := dropped + len(evs); len(evs) > 0 {
			require.GreaterOrEqual(t, end, pushed, "round %d", i)
			pushed = end // one push more than was said
		} else {
			dropped = mayDrop
			pushed = max(pushed, dropped)
		}
		require.NoError(t, s.Close())
		sound(t, path)
	}
	t.Logf("%d kills, %d events pushed, %d dropped", kills(), pushed, dropped)
}
