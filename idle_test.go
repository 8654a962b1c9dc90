package earshot_test

import (
	"context"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// Names and events of the kinds that programs use. None is a constant: the compiler must not box them
// ahead of time.
type (
	namedString string
	namedStruct struct {
		kind string
		id   int
	}
	request struct {
		method, path string
		status       int
	}
)

// idleSends are all the ways to send to nobody.
func idleSends(s *earshot.Server) map[string]func() {
	id := len(strconv.Itoa(runtime.NumCPU()))
	name := "http.request." + strconv.Itoa(id)
	event := request{"GET", name, 200 + id}
	ctx := context.Background()
	c := earshot.NewChannel[request](s, "idle", nil)
	constant := earshot.NewChannel[int](s, namedStruct{"idle", 1}, nil)
	return map[string]func(){
		"Channel.Send":           func() { c.Send(event) },
		"Channel.Send of an int": func() { constant.Send(1000 + id) },
		"Channel.SendFunc":       func() { c.SendFunc(func() request { panic("nobody listens") }) },
		"Channel.SendContext": func() {
			if c.SendContext(ctx, event) != nil {
				panic("an error from nobody")
			}
		},
		"Channel.Listening":       func() { listening(c.Listening()) },
		"SendEvent, string":       func() { earshot.SendEvent(s, name, event) },
		"SendEvent, int":          func() { earshot.SendEvent(s, 1000+id, event) },
		"SendEvent, named string": func() { earshot.SendEvent(s, namedString(name), event) },
		"SendEvent, struct":       func() { earshot.SendEvent(s, namedStruct{name, id}, event) },
		"SendEvent, array":        func() { earshot.SendEvent(s, [2]int{id, id}, event) },
		"Server.Listening":        func() { listening(s.Listening("a constant")) },
	}
}

func listening(yes bool) {
	if yes {
		panic("nobody listens")
	}
}

func allocsNothing(t *testing.T, s *earshot.Server, when string) {
	t.Helper()
	for what, send := range idleSends(s) {
		require.Zero(t, testing.AllocsPerRun(200, send), "allocations of %s %s", what, when)
	}
}

// P8, COR-06: with no listener nothing is allocated, neither before the first subscribe nor after the
// last leave.
func TestP8_IdleAllocatesNothing(t *testing.T) {
	s := newServer(t)
	allocsNothing(t, s, "on a new server")
	for range 2 {
		m := newMailbox[any](t, s, nil)
		for _, name := range []any{"idle", namedStruct{"idle", 1}, "http.request.1", 1001, namedString("http.request.1"), namedStruct{"http.request.1", 1}, [2]int{1, 1}} {
			subscribe(t, m, name)
		}
		_, err := m.SubscribePattern("**")
		require.NoError(t, err)
		for _, send := range []string{"Channel.Send", "SendEvent, string", "SendEvent, struct"} {
			idleSends(s)[send]() // not idle now
		}
		require.Len(t, drain(m), 2+2+1)
		m.Close()
		allocsNothing(t, s, "after the last leave")
	}
	s.Close()
	allocsNothing(t, s, "on a closed server")
}

// P8: that others listen to other names changes nothing.
func TestP8_IdleBesideLiveChannels(t *testing.T) {
	s := newServer(t)
	m := newMailbox[any](t, s, nil)
	for i := range 16 {
		subscribe(t, m, "live."+strconv.Itoa(i))
	}
	allocsNothing(t, s, "beside 16 live names")
}

// P8: not even names that share a cell of the filter in front of the registry, nor patterns that do
// not match.
func TestP8_IdleBehindTheFilter(t *testing.T) {
	many, tapped := newServer(t), newServer(t)
	m := newMailbox[any](t, many, nil)
	for i := range 5000 {
		subscribe(t, m, "live."+strconv.Itoa(i))
	}
	listenPattern[any](t, tapped, "elsewhere.*", nil)
	for what := range idleSends(many) {
		t.Run(what, func(t *testing.T) {
			require.Zero(t, testing.AllocsPerRun(200, idleSends(many)[what]), "allocations beside 5000 live names")
			require.Zero(t, testing.AllocsPerRun(200, idleSends(tapped)[what]), "allocations beside a pattern")
		})
	}
}

// P8: no goroutine: not for a server, nor a subscription, nor a send, nor what is left of them.
func TestP8_NoGoroutine(t *testing.T) {
	before := serverGoroutines()
	s := newServer(t)
	sends := idleSends(s)
	for _, send := range sends {
		send()
	}
	requireGoroutines(t, before, "goroutines of a new server")
	m := newMailbox[any](t, s, nil)
	subscribe(t, m, "idle")
	subscribe(t, m, "x")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tap := earshot.NewMailbox[any](ctx, s, nil)
	_, err := tap.SubscribePattern("**")
	require.NoError(t, err)
	for range 100 {
		sends["Channel.Send"]()
	}
	requireGoroutines(t, before, "goroutines of a live channel with mailboxes")
	cancel()
	await(t, tap.Done(), "the end of the tap")
	m.Close()
	for _, send := range sends {
		send()
	}
	requireGoroutines(t, before, "goroutines after the last leave")
}

// requireGoroutines fails the test if there are more than want goroutines of earshot's own. Those that
// wake subscribers may take a moment to end.
func requireGoroutines(t *testing.T, want int, when string) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); serverGoroutines() > want; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d %s, want %d", serverGoroutines(), when, want)
		}
	}
}

// P8, COR-06: no lock. Senders that shared one would get in each other's way, and the runtime's profile
// of that would name this package.
func TestP8_NoLock(t *testing.T) {
	s := newServer(t)
	m := newMailbox[any](t, s, nil)
	subscribe(t, m, "idle")
	m.Close()
	defer runtime.SetMutexProfileFraction(runtime.SetMutexProfileFraction(1))
	before := contention(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			sends := idleSends(s)
			runtime.Gosched()
			for range scaled(200_000) {
				for _, send := range sends {
					send()
				}
			}
		})
	}
	all.Wait()
	require.Equal(t, before, contention(t), "contention in idle sends")
}

// contention counts the places in the mutex profile where idleSends waited.
func contention(t *testing.T) int {
	var profile strings.Builder
	require.NoError(t, pprof.Lookup("mutex").WriteTo(&profile, 1))
	return strings.Count(profile.String(), "earshot_test.idleSends.")
}

// P8: what a channel was costs nothing afterwards: a server on which a million names have come and
// gone holds what it held before.
func TestP8_MillionShortLivedNames(t *testing.T) {
	names := scaled(1_000_000)
	s := newServer(t)
	m := newMailbox[int](t, s, nil)
	subscribe(t, m, "stays")
	heap := heapInUse()
	for i := range names {
		name := "short-lived " + strconv.Itoa(i)
		ref, err := m.Subscribe(name)
		if err != nil {
			t.Fatal(err)
		}
		earshot.SendEvent(s, name, i)
		if msg, ok := m.TryReceive(); !ok || msg.Event != i || msg.Ref != ref {
			t.Fatalf("name %d: got %+v, %v", i, msg, ok)
		}
		if err := m.Unsubscribe(ref); err != nil {
			t.Fatal(err)
		}
	}
	require.Less(t, heapInUse(), heap+64<<10)
	n := 0
	for range s.Channels() {
		n++
	}
	require.Equal(t, 3, n, "channels: the server's own two, and one that stays")
	allocsNothing(t, s, "after all these names")
}
