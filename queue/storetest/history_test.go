package storetest_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/memstore"
	"github.com/earshot-go/earshot/queue/storetest"
)

// What another process tells is as good as what was watched here, and what it was killed in is not known.
func TestHistoryOfAnotherProcess(t *testing.T) {
	ctx := t.Context()
	s := memstore.New(nil)
	defer s.Close(context.Background())
	var told bytes.Buffer
	other := storetest.Tell(&told, s)
	_, err := other.Enqueue(ctx, []queue.Item{{ID: "a", Queue: "q", Name: "n"}, {ID: "b", Queue: "q", Name: "n"}})
	require.NoError(t, err)
	ls, err := other.Lease(ctx, queue.LeaseRequest{Queues: []string{"q"}, Max: 1, TTL: time.Minute})
	require.NoError(t, err)
	_, err = other.Settle(ctx, []queue.Settlement{ls[0].Ack()})
	require.NoError(t, err)

	check := func(lines string, left ...queue.Record) []string {
		h := storetest.NewHistory()
		require.NoError(t, h.Read(strings.NewReader(lines)))
		h.Left(left)
		return h.Check(s.Caps())
	}
	b := queue.Record{Item: queue.Item{ID: "b", Queue: "q", Name: "n"}, State: queue.StatePending}
	require.Empty(t, check(told.String(), b))
	require.Equal(t, []string{"b was enqueued, is not done, and is lost: 1 calls to enqueue it"}, check(told.String()))
	require.Equal(t, []string{"c is left in the store, and nobody has enqueued it"}, check(told.String(), b, queue.Record{Item: queue.Item{ID: "c"}}))
	a := queue.Record{Item: queue.Item{ID: "a", Queue: "q", Name: "n"}, State: queue.StateLeased}
	require.Equal(t, []string{"a was done, and is left in the store: 1 calls to enqueue it; lease 1 with 0 fails, Ack"},
		[]string{strings.Replace(check(told.String(), a, b)[0], ", ack", ", Ack", 1)})

	// Killed when Enqueue was begun: all of it is there, or none.
	begun, _, _ := strings.Cut(told.String(), "\n")
	require.Empty(t, check(begun+"\n"+`{"By":"torn`))
	require.Empty(t, check(begun+"\n", a, b))
	require.Equal(t, []string{"of one call of Enqueue without an answer b is stored and a is not"}, check(begun+"\n", b))
}

// Each of these histories has something in it that must not be, and the same without it has not.
func TestHistoryFinds(t *testing.T) {
	const (
		item  = `{"ID":"a","Queue":"q","Name":"n","MaxFails":2}`
		added = `{"By":"p","N":1,"Begin":1,"End":2,"Enqueue":[` + item + `],"Enqueued":[{"ID":"a","Status":0}]}`
		lease = `{"By":"p","N":%d,"Begin":%d,"End":%d,"Lease":{"Queues":["q"],"Max":1,"TTL":60000000000},"Leased":[{"ID":"%s","Queue":"q","Name":"n","MaxFails":2,"Receipt":"r%d","Until":"2026-01-01T0%d:01:00Z","Deliveries":%d,"Fails":%d%s}]}`
		told  = `{"By":"p","N":%d,"Begin":%d,"End":%d,"Settle":[{"Queue":"q","ID":"%s","Receipt":"r%d","Action":%d}],"Settled":[""]}`
	)
	had := func(n int, id, more string) string { // its number n, after n-1 fails
		return fmt.Sprintf(lease, 10*n, 10*n, 10*n+1, id, n, n, n, n-1, more)
	}
	did := func(n int, id string, action queue.Action) string {
		return fmt.Sprintf(told, 10*n+2, 10*n+2, 10*n+3, id, n, action)
	}
	dead := func(fails int) []queue.Record {
		return []queue.Record{{Item: queue.Item{ID: "a", Queue: "q", Name: "n", MaxFails: 2}, State: queue.StateDead, Fails: fails}}
	}
	const noAnswer = `{"By":"p","N":90,"Begin":90,"Lease":{"Queues":["q"],"Max":1,"TTL":60000000000}}`
	other := `{"By":"p","N":2,"Begin":3,"End":4,"Enqueue":[{"ID":"b","Queue":"q","Name":"n","MaxFails":2,"Key":"k"}],"Enqueued":[{"ID":"c","Status":1}]}`
	keyed := strings.ReplaceAll(other, `"c","Status":1`, `"b","Status":0`)
	delayed := strings.ReplaceAll(added, `"MaxFails":2`, `"MaxFails":2,"Delay":%d`)
	for name, c := range map[string]struct {
		lines []string
		left  []queue.Record
		wrong string // a part of it; empty if nothing is
	}{
		"dead at once":               {[]string{added}, dead(0), "a is dead without a cause"},
		"dead with fails it had not": {[]string{added, had(1, "a", ""), did(1, "a", queue.Fail)}, dead(2), "a is dead without a cause"},
		"dead too early":             {[]string{added, had(1, "a", ""), did(1, "a", queue.Fail)}, dead(1), "a is dead without a cause"},
		"dead by a release":          {[]string{added, had(1, "a", ""), did(1, "a", queue.Fail), had(2, "a", ""), did(2, "a", queue.Release)}, dead(2), "a is dead without a cause"},
		"dead by fails":              {[]string{added, had(1, "a", ""), did(1, "a", queue.Fail), had(2, "a", ""), did(2, "a", queue.Fail)}, dead(2), ""},
		"dead by expiry":             {[]string{added, had(1, "a", ""), had(2, "a", "")}, dead(2), ""},
		"dead by lost answers":       {[]string{added, had(1, "a", ""), noAnswer}, dead(2), ""},
		"buried":                     {[]string{added, had(1, "a", ""), did(1, "a", queue.Bury)}, dead(0), ""},
		"immortal":                   {[]string{strings.ReplaceAll(added, `"MaxFails":2`, `"MaxFails":-1`), noAnswer, noAnswer}, []queue.Record{{Item: queue.Item{ID: "a", Queue: "q", Name: "n", MaxFails: -1}, State: queue.StateDead, Fails: 2}}, "a is dead without a cause"},
		"duplicate and leased":       {[]string{other, had(1, "b", `,"Key":"k"`), did(1, "b", queue.Ack)}, nil, "b was answered with Duplicate of another item"},
		"stored and leased":          {[]string{keyed, had(1, "b", `,"Key":"k"`), did(1, "b", queue.Ack)}, nil, ""},
		"duplicate without a key":    {[]string{strings.ReplaceAll(other, `,"Key":"k"`, "")}, nil, "b without a key"},
		"leased before its Due":      {[]string{added, had(1, "a", `,"Due":"2026-01-01T01:00:01Z"`), did(1, "a", queue.Ack)}, nil, "a was leased at"},
		"leased when due":            {[]string{added, had(1, "a", `,"Due":"2026-01-01T01:00:00Z"`), did(1, "a", queue.Ack)}, nil, ""},
		"leased within its Delay":    {[]string{fmt.Sprintf(delayed, 20*time.Millisecond), had(1, "a", ""), did(1, "a", queue.Ack)}, nil, "a was leased 10ns after"},
		"leased after its Delay":     {[]string{fmt.Sprintf(delayed, 10), had(1, "a", ""), did(1, "a", queue.Ack)}, nil, ""},
	} {
		h := storetest.NewHistory()
		require.NoError(t, h.Read(strings.NewReader(strings.Join(c.lines, "\n")+"\n")), name)
		h.Left(c.left)
		wrongs := h.Check(queue.Caps{Fenced: true, Unique: true, Serial: true, AtomicBatch: true})
		if c.wrong == "" {
			require.Empty(t, wrongs, name)
		} else {
			require.Len(t, wrongs, 1, name)
			require.Contains(t, wrongs[0], c.wrong, name)
		}
	}
}
