package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
)

// A benched is an event of the usual size.
type benched struct {
	ID, Amount uint64
	Text       string
}

const benchName = "bench.events"

// benchSink keeps the compiler from leaving a loop out.
var benchSink atomic.Int64

// The loops are written out in each: a call around something that takes a nanosecond would double it.
var contests = []contest{
	{"send, nobody listens", "nil check of an atomic pointer", 1.1, idleSend(false), nilCheck},
	{"send, nobody listens, page mounted", "without the page", 1.1, idleSend(true), idleSend(false)},
	{"send, 1 subscriber", "mutex lock and unlock", 2, liveSend(1, 0, 0, idling), mutex},
	{"send, 100 subscribers", "mutex lock and unlock", 2, liveSend(100, 0, 0, idling), mutex},
	{"1 µs of work and a send, 1 viewer with few matches", "without the viewer", 1.05, liveSend(1, 1, 0, working), liveSend(1, 0, 0, working)},
	{"1 µs of work and a send, 100 viewers that never read", "without them", 1.05, liveSend(1, 0, 100, working), liveSend(1, 0, 0, working)},
}

// How much a program does besides sending: nothing, or about a microsecond, so that it sends a million
// events a second.
const (
	idling  = false
	working = true
)

// microsecond is how many turns of spin take about that long.
var microsecond = sync.OnceValue(func() int {
	const turns = 200_000
	least := time.Hour
	for range 5 {
		begin := time.Now()
		spin(turns)
		least = min(least, time.Since(begin))
	}
	return int(turns * time.Microsecond / max(least, 1))
})

//go:noinline
func spin(turns int) {
	for range turns {
	}
}

type side = func() (loop func(n int), end func())

func nilCheck() (func(int), func()) {
	p := new(atomic.Pointer[benched])
	return func(n int) {
		for i := range n {
			if p.Load() != nil {
				benchSink.Store(int64(i))
			}
		}
	}, func() {}
}

func mutex() (func(int), func()) {
	mu, held := new(sync.Mutex), 0
	return func(n int) {
		for range n {
			mu.Lock()
			held++
			mu.Unlock()
		}
	}, func() {}
}

// idleSend is a send to nobody; with a page that was looked at once and is closed.
//
// Not inlined: within the initialisation of contests the compiler would no longer inline Send.
//
//go:noinline
func idleSend(page bool) side {
	return func() (func(int), func()) {
		srv := earshot.NewServer(nil)
		ch := earshot.NewChannel[int](srv, benchName, nil)
		end := func() { srv.Close() }
		if page {
			p := tap.Handler(srv, nil)
			req := httptest.NewRequest(http.MethodGet, defaultURL+"channels.json", nil)
			req.RemoteAddr = "127.0.0.1:1"
			p.ServeHTTP(httptest.NewRecorder(), req)
			end = func() { p.Close(); srv.Close() }
		}
		return func(n int) {
			for i := range n {
				ch.Send(i)
			}
		}, end
	}
}

// liveSend is a send to mailboxes that nobody reads and that drop their oldest: what the sender alone
// pays. Readers are viewers whose filter matches one event in a million or so, stuck ones do not read.
//
//go:noinline
func liveSend(subs, readers, stuck int, work bool) side {
	return func() (func(int), func()) {
		turns := 0
		if work {
			turns = microsecond()
		}
		srv := earshot.NewServer(nil)
		ch := earshot.NewChannel[benched](srv, benchName, nil)
		boxes := make([]*earshot.Mailbox[benched], subs)
		for i := range boxes {
			boxes[i] = earshot.NewMailbox[benched](context.Background(), srv, nil)
			if _, err := ch.Subscribe(boxes[i]); err != nil {
				panic(fmt.Sprintf("bench: %v", err))
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		var streams []*tap.Stream
		for i := range readers + stuck {
			st, err := tap.Open(srv, "chan:bench.* ID=1000003")
			if err != nil {
				panic(fmt.Sprintf("bench: %v", err))
			}
			streams = append(streams, st)
			if i < readers {
				wg.Go(func() {
					for range st.Records(ctx) {
					}
				})
			}
		}
		loop := func(n int) {
			for i := range n {
				if turns > 0 {
					spin(turns)
				}
				ch.Send(benched{uint64(i), 0, "text"})
			}
		}
		loop(3 * earshot.DefaultCapacity) // mailboxes are full in the steady state
		return loop, func() {
			cancel()
			wg.Wait()
			for _, st := range streams {
				st.Close()
			}
			for _, b := range boxes { // also keeps them reachable until here
				b.Close()
			}
			srv.Close()
		}
	}
}
