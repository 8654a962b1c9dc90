package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type order struct {
	ID     uint64 `json:"id"`
	Amount int64  `json:"amount"`
	Note   string `json:"note"`
	Card   string `json:"card" earshot:"secret"`
}

const canary = "canary-5105105105105100"

// A program is one with a real page.
type program struct {
	world
	srv    *earshot.Server
	page   *tap.Page
	orders *earshot.Channel[order]
	opened chan struct{} // receives when a stream has begun, and so misses nothing from then on
}

// An opening tells of the first thing that is written to a response.
type opening struct {
	http.ResponseWriter
	tell func()
}

func (o *opening) Write(b []byte) (int, error) {
	o.tell()
	return o.ResponseWriter.Write(b)
}

func (o *opening) Unwrap() http.ResponseWriter { return o.ResponseWriter }

func newProgram(t testing.TB, opts *tap.Options) *program {
	t.Helper()
	p := &program{srv: earshot.NewServer(nil), opened: make(chan struct{}, 1000)}
	p.page = tap.Handler(p.srv, opts)
	mux := http.NewServeMux()
	mux.HandleFunc(defaultPath, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/events.ndjson") {
			w = &opening{w, sync.OnceFunc(func() { p.opened <- struct{}{} })}
		}
		p.page.ServeHTTP(w, r)
	})
	web := httptest.NewServer(mux)
	p.world.url = web.URL + defaultPath
	p.orders = earshot.NewChannel[order](p.srv, "orders.paid", &earshot.ChannelOptions{Doc: "somebody has paid"})
	t.Cleanup(func() {
		require.NoError(t, p.page.Close())
		web.Close()
		require.NoError(t, p.srv.Close())
		require.NoError(t, p.srv.Shutdown(context.Background()))
	})
	return p
}

var permitted = &tap.Options{Allow: tap.Loopback(tap.Look | tap.Payloads | tap.Emit)}

// tapWhile runs a tap, sends when it is there, and returns what came of it.
func (p *program) tapWhile(t testing.TB, send func(), args ...string) result {
	t.Helper()
	done := make(chan result)
	go func() { done <- p.run(t, append([]string{"tap"}, args...)...) }()
	select {
	case <-p.opened:
	case <-time.After(patience):
		t.Fatal("the tap has not come")
	}
	send()
	select {
	case r := <-done:
		return r
	case <-time.After(patience):
		t.Fatal("the tap does not end")
		return result{}
	}
}

func TestRealTap(t *testing.T) {
	p := newProgram(t, permitted)
	r := p.tapWhile(t, func() {
		for i := range 10 {
			p.orders.Send(order{ID: 1<<64 - 1, Amount: int64(i), Note: "a\x1b[31m\u202eb\n", Card: canary})
		}
	}, "chan:orders.* amount>=5", "--count", "5", "--json")
	require.Equal(t, exitOK, r.code, r.err)
	rows := strings.Split(strings.TrimSuffix(r.out, "\n"), "\n")
	require.Len(t, rows, 5)
	for _, row := range rows {
		assertSafe(t, row)
		assert.Contains(t, row, `"id":18446744073709551615`)
		assert.NotContains(t, row, canary)
	}
	assert.Contains(t, r.err, "[tap] seen 10 = shown 5 + filtered 5 + shed 0\n")
}

// What the command says at the end is what the program has sent: nothing is counted twice or forgotten.
func TestRealAccount(t *testing.T) {
	p := newProgram(t, permitted)
	const n = 20_000
	r := p.tapWhile(t, func() {
		for i := range n {
			p.orders.Send(order{ID: uint64(i), Amount: int64(i % 100)})
		}
		require.NoError(t, p.srv.Sync(t.Context()))
		time.AfterFunc(1500*time.Millisecond, func() { p.page.Close() })
	}, "amount<50", "--rate", "200/s")
	require.Equal(t, exitOK, r.code, r.err)
	var seen, shown, filtered, shed int
	_, err := fmt.Sscanf(strings.ReplaceAll(lastLine(r.err), ",", ""), "[tap] seen %d = shown %d + filtered %d + shed %d", &seen, &shown, &filtered, &shed)
	require.NoError(t, err, r.err)
	assert.Equal(t, n, seen)
	assert.Equal(t, seen, shown+filtered+shed)
	assert.Equal(t, strings.Count(r.out, "\n"), shown)
	assert.Positive(t, shed)
	assert.Contains(t, r.err, "shed so far")
	assert.Contains(t, r.err, "the server ended the stream")
}

// Hidden payloads are hidden from every command.
func TestRealCanary(t *testing.T) {
	p := newProgram(t, nil)
	mb := earshot.NewMailbox[order](t.Context(), p.srv, nil)
	defer mb.Close()
	_, err := p.orders.Subscribe(mb)
	require.NoError(t, err)
	p.orders.Send(order{Note: canary})
	for _, args := range [][]string{{}, {"ls"}, {"ls", "subscribers"}, {"show", "orders.paid"}, {"slow"}, {"top", "-o", "-"}, {"doctor"}} {
		for _, more := range [][]string{nil, {"--json"}} {
			r := p.run(t, append(args, more...)...)
			assert.Equal(t, exitOK, r.code, "%v: %s", args, r.err)
			assert.NotContains(t, r.out+r.err, canary, args)
		}
	}
	r := p.tapWhile(t, func() {}, "--until-idle", "100ms")
	require.Equal(t, exitOK, r.code)
	done := make(chan result)
	go func() { done <- p.run(t, "tap", "--count", "1", "--json") }()
	stop := make(chan struct{})
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			p.orders.Send(order{Note: canary})
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	r = <-done
	close(stop)
	require.Equal(t, exitOK, r.code, r.err)
	assert.Contains(t, r.out, `"channel":"orders.paid"`)
	assert.NotContains(t, r.out+r.err, canary)
	assert.Contains(t, r.err, "payloads are hidden")

	r = p.run(t, "tap", "note="+canary)
	assert.Equal(t, exitRefused, r.code, r.err)
	r = p.run(t, "emit", "orders.paid", "{}")
	assert.Equal(t, exitRefused, r.code, r.err)
	assert.Empty(t, r.out)
}

func TestRealEmit(t *testing.T) {
	p := newProgram(t, permitted)
	mb := earshot.NewMailbox[order](t.Context(), p.srv, nil)
	defer mb.Close()
	_, err := p.orders.Subscribe(mb)
	require.NoError(t, err)
	r := p.run(t, "emit", "orders.paid", `{"id":18446744073709551615,"note":"by hand"}`)
	require.Equal(t, exitOK, r.code, r.err)
	assert.Contains(t, r.out, "sent main.order to orders.paid: 1 listener")
	msg, err := mb.Receive(t.Context())
	require.NoError(t, err)
	assert.Equal(t, order{ID: 1<<64 - 1, Note: "by hand"}, msg.Event)

	assert.Equal(t, exitUsage, p.run(t, "emit", "orders.paid", `{"id":"x"}`).code)
	r = p.run(t, "emit", "no.such", `1`)
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.err, "no.such")
	assert.Equal(t, exitOK, p.run(t, "emit", "no.such", `1`, "--undeclared").code)
}

func TestRealPages(t *testing.T) {
	p := newProgram(t, permitted)
	mb := earshot.NewMailbox[order](t.Context(), p.srv, &earshot.MailboxOptions{Name: "mailer"})
	defer mb.Close()
	ref, err := p.orders.Subscribe(mb)
	require.NoError(t, err)
	for range 7 {
		p.orders.Send(order{})
	}
	health := p.run(t)
	assert.Equal(t, exitOK, health.code)
	assert.Contains(t, health.out, "mailer")
	assert.Contains(t, health.out, "payloads shown")
	assert.NotContains(t, health.out, "build info")

	for _, name := range []string{"orders.paid", ref.String(), strings.TrimPrefix(ref.String(), "ref#")} {
		r := p.run(t, "show", name)
		assert.Equal(t, exitOK, r.code, r.err)
		assert.Contains(t, r.out, "mailer", name)
		assert.Contains(t, r.out, "real_test.go:", name)
	}
	r := p.run(t, "show", "no.such")
	assert.Equal(t, exitFailed, r.code)

	r = p.run(t, "ls", "subscribers", "--match", "mailer", "--json")
	var page struct {
		Subscribers []struct {
			Subscriber     string
			Depth, Offered int
		}
	}
	require.NoError(t, json.Unmarshal([]byte(r.out), &page))
	require.Len(t, page.Subscribers, 1)
	assert.Equal(t, 7, page.Subscribers[0].Depth)
	assert.Equal(t, 7, page.Subscribers[0].Offered)
	for _, c := range []string{"channels", "subscribers", "slow"} {
		assert.Equal(t, exitOK, p.run(t, "ls", c).code)
		assert.Equal(t, exitOK, p.run(t, "top", c, "-o", "-").code)
	}
	r = p.run(t, "doctor")
	assert.Equal(t, exitOK, r.code, r.out)
}

// A subscriber that hangs is found in one command, with the line where it subscribed.
func TestRealSlow(t *testing.T) {
	p := newProgram(t, permitted)
	free := make(chan struct{})
	_, err := p.orders.Handle(t.Context(), func(context.Context, earshot.Message[order]) error { <-free; return nil }, &earshot.SpawnOptions{Name: "hangs"})
	require.NoError(t, err)
	p.orders.Send(order{})
	assert.Eventually(t, func() bool {
		r := p.run(t, "slow")
		return strings.Contains(r.out, "hangs") && strings.Contains(r.out, "real_test.go:")
	}, patience, 10*time.Millisecond)
	assert.Contains(t, p.run(t, "doctor").out, "warn slow subscribers: hangs (")
	close(free)
}
