package rethinkdb_test

import (
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	r "gopkg.in/rethinkdb/rethinkdb-go.v6"

	"github.com/earshot-go/earshot/backend/rethinkdb"
	"github.com/earshot-go/earshot/bus"
)

var aTime = regexp.MustCompile(`^{"t":1,"r":\[{[^{}]*"epoch_time":([0-9.]+)`)

// earlier makes a server that says what time it is say an earlier one.
func earlier(seconds float64) func(string) string {
	return func(reply string) string {
		at := aTime.FindStringSubmatchIndex(reply)
		if at == nil {
			return reply
		}
		now, _ := strconv.ParseFloat(reply[at[2]:at[3]], 64)
		return reply[:at[2]] + strconv.FormatFloat(now-seconds, 'f', 3, 64) + reply[at[3]:]
	}
}

// The server's clock is set forward while a feed is open, by more than the overlap. All that comes then is later than
// any time that the feed thought possible, and is delivered all the same.
func TestClockSetForward(t *testing.T) {
	for _, from := range []bus.Position{bus.Now, bus.Start} {
		plain, behind, p := tampered(t, rethinkdb.BusOptions{})
		p.set(earlier(60))
		f := tail(t, behind, bus.Tail{From: from})
		p.set(nil)
		evs := makeAll("later", 9)
		require.NoError(t, plain.Publish(within(t), evs[:3]...)) // from Start, this is read from the table
		ids, at := read(t, f, 3)
		require.ElementsMatch(t, idsOf(evs[:3]), ids, "from %v", from)
		require.NoError(t, plain.Publish(within(t), evs[3:]...))
		more, _ := read(t, f, 6)
		require.ElementsMatch(t, idsOf(evs[3:]), more, "from %v", from)
		require.Zero(t, behind.Garbage())
		require.ElementsMatch(t, more, rest(t, tail(t, behind, bus.Tail{From: bus.After(at), Past: true})))
	}
}

// What the server's clock has written before it is set back does not come from the future after it.
func TestClockSetBack(t *testing.T) {
	plain, behind, p := tampered(t, rethinkdb.BusOptions{})
	require.NoError(t, plain.Publish(within(t), make1("past")))
	f := tail(t, behind, bus.Tail{From: bus.Start})
	_, _ = read(t, f, 1)
	require.NoError(t, plain.Publish(within(t), makeAll("before", 3)...))
	p.set(earlier(60))
	_, _ = read(t, f, 3) // on the way to the changefeed it asks for the time
	run(t, plain, plain.TableTerm().Insert(map[string]any{"id": "future", "ts": r.Now().Add(3600), "n": 1, "event": "{}"}))
	require.NoError(t, plain.Publish(within(t), make1("after")))
	ids, _ := read(t, f, 1)
	require.Equal(t, []string{"after"}, ids)
	require.EqualValues(t, 1, behind.Garbage(), "an hour ahead is still impossible")
}
