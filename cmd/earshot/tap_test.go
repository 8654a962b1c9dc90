package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func tapping(t *testing.T, stream func(http.ResponseWriter, *http.Request, func())) world {
	f := newFake()
	f.stream = stream
	return world{url: serve(t, f)}
}

func lastLine(s string) string {
	all := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	return all[len(all)-1]
}

func TestTapForPeople(t *testing.T) {
	r := tapping(t, nil).run(t, "tap")
	assert.Equal(t, exitOK, r.code)
	assert.Equal(t, 5, strings.Count(r.out, "\n"))
	assert.Contains(t, r.out, `orders.paid #1 shop.Order {"id":9007199254740993,"amount":100}`+"\n")
	assert.Equal(t, "[tap] the server ended the stream: server closed\n[tap] seen 9 = shown 5 + filtered 4 + shed 0\n", r.err)
}

func TestTapJSON(t *testing.T) {
	r := tapping(t, nil).run(t, "tap", "--json")
	assert.Equal(t, exitOK, r.code)
	assert.Equal(t, record(1)+"\n"+record(2)+"\n"+record(3)+"\n"+record(4)+"\n"+record(5)+"\n", r.out)
}

// Flags and filter arrive at the server as they were given.
func TestTapRequest(t *testing.T) {
	f := newFake()
	w := world{url: serve(t, f)}
	r := w.run(t, "tap", "chan:orders.* amount>100", "-chan:debug.*", "--rate", "50/s", "--count", "5")
	require.Equal(t, exitOK, r.code, r.err)
	req := f.first("events.ndjson")
	require.NotNil(t, req)
	q := req.URL.Query()
	assert.Equal(t, "chan:orders.* amount>100 -chan:debug.*", q.Get("filter"))
	assert.Equal(t, "50/s", q.Get("rate"))
	assert.Equal(t, "5", q.Get("count"))
	assert.Equal(t, "1", q.Get("stats"))
	assert.Equal(t, "application/x-ndjson", req.Header.Get("Accept"))
}

func TestTapTimes(t *testing.T) {
	r := tapping(t, nil).run(t, "tap", "-t", "-d", "--count", "2")
	require.Equal(t, exitOK, r.code)
	rows := strings.Split(r.out, "\n")
	local := time.Date(2026, 11, 21, 10, 0, 0, 2e6, time.UTC).Local().Format("15:04:05.000000")
	assert.Contains(t, rows[0], "       +0s orders.paid #1")
	assert.True(t, strings.HasPrefix(rows[1], local+"       +1ms orders.paid #2"), rows[1])
}

// It stops by itself after so many, so long, or when nothing comes any more, also if the server goes on.
func TestTapStops(t *testing.T) {
	for _, c := range []struct {
		args  []string
		lines func(n int) bool
	}{
		{[]string{"--count", "3"}, func(n int) bool { return n == 3 }},
		{[]string{"--for", "150ms"}, func(n int) bool { return n > 0 }},
	} {
		r := tapping(t, endlessStream(0)).run(t, append([]string{"tap"}, c.args...)...)
		assert.Equal(t, exitOK, r.code, c.args)
		assert.True(t, c.lines(strings.Count(r.out, "\n")), "%v: %s", c.args, r.out)
		assert.Regexp(t, `^\[tap\] seen .* = shown .* \+ filtered .* \+ shed 0$`, lastLine(r.err))
	}
	begin := time.Now()
	r := tapping(t, lines(record(1), record(2))).run(t, "tap", "--until-idle", "150ms")
	assert.Equal(t, exitOK, r.code)
	assert.Equal(t, 2, strings.Count(r.out, "\n"))
	assert.Less(t, time.Since(begin), 10*time.Second)
}

// Events of two seconds ago are on the screen although nothing has come since.
func TestTapFlushes(t *testing.T) {
	f := newFake()
	f.stream = lines(record(1))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	seen := make(chan string, 1)
	w := &app{out: writerFunc(func(b []byte) (int, error) { seen <- string(b); return len(b), nil }), err: writerFunc(func(b []byte) (int, error) { return len(b), nil })}
	w.env, w.now, w.url = func(string) string { return "" }, time.Now, serve(t, f)
	done := make(chan int)
	go func() { done <- w.run(ctx, []string{"tap"}) }()
	select {
	case line := <-seen:
		assert.Contains(t, line, "orders.paid #1")
	case <-time.After(silence / 2): // after silence it ends by itself
		t.Error("nothing was written")
	}
	cancel()
	<-done
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestTapTellsWhatWasShed(t *testing.T) {
	shedding := lines(
		`{"channel":"a","seq":1,"time":"2026-11-21T10:00:00Z","type":"int","size":8,"event":1}`,
		`{"channel":"a","seq":1000,"time":"2026-11-21T10:00:01Z","type":"int","size":8,"missed":998,"event":2}`,
		`{"stats":{"seen":1050,"shown":2,"filtered":0,"shed":1048}}`,
		`{"channel":"a","seq":2000,"time":"2026-11-21T10:00:01Z","type":"int","size":8,"missed":1060,"event":2}`,
	)
	r := tapping(t, shedding).run(t, "tap", "--count", "3")
	assert.Equal(t, exitOK, r.code)
	assert.Contains(t, r.err, "[tap] 998 shed so far\n")
	assert.Equal(t, "[tap] seen 2,061 = shown 3 + filtered 0 + shed 2,058", lastLine(r.err))
	assert.Equal(t, 1, strings.Count(r.err, "so far"), "no more than one notice a second")

	r = tapping(t, shedding).run(t, "tap", "--count", "3", "--strict")
	assert.Equal(t, exitIncomplete, r.code)
	assert.Contains(t, r.err, "incomplete: 2,058 events were shed")
	assert.Equal(t, exitOK, tapping(t, nil).run(t, "tap", "--strict").code, "nothing was shed")
}

func TestTapGap(t *testing.T) {
	s := lines(`{"gap":{"reason":"the server was \u001b[31mrestarted","missed":null}}`, record(1))
	r := tapping(t, s).run(t, "tap", "--count", "1")
	assert.Equal(t, exitOK, r.code)
	assert.Contains(t, r.err, `[tap] gap, an unknown number of events: the server was \x1b[31mrestarted`)
	assert.Contains(t, r.err, "[tap] 1 gap not counted there")
	assert.Equal(t, exitIncomplete, tapping(t, s).run(t, "tap", "--count", "1", "--strict").code)
}

func TestTapHiddenPayloads(t *testing.T) {
	s := lines(`{"stats":{"seen":0,"shown":0,"filtered":0,"shed":0,"payloads":false}}`,
		`{"channel":"a","seq":1,"time":"2026-11-21T10:00:00Z","type":"shop.Order","size":2048}`,
		`{"stats":{"seen":1,"shown":1,"filtered":0,"shed":0,"payloads":false}}`)
	r := tapping(t, s).run(t, "tap", "--count", "1")
	assert.Equal(t, "a #1 shop.Order (2 KiB)\n", r.out)
	assert.Equal(t, 1, strings.Count(r.err, "payloads are hidden"))
}

// What ends a stream in a way that it should not end is said, and not with exit code 0.
func TestTapBroken(t *testing.T) {
	for name, c := range map[string]struct {
		stream func(http.ResponseWriter, *http.Request, func())
		says   string
	}{
		"cut":           {cut(record(1) + "\n"), "broke"},
		"cut in a line": {cut(record(1) + "\n" + `{"channel":"ord`), "broke"},
		"no reason":     {func(w http.ResponseWriter, _ *http.Request, _ func()) { fmt.Fprintln(w, record(1)) }, "without saying why"},
		"no JSON":       {lines(record(1), "oops \x1b[31m"), "the stream is broken"},
		"a web page":    {lines("<!doctype html>"), "not as a tap page"},
		"wrong types":   {lines(record(1), `{"channel":7}`), "the stream is broken"},
		"a long line":   {lines(record(1), `{"channel":"`+strings.Repeat("x", maxLine+100_000)+`"}`), "longer than 8 MiB"},
		"too few":       {nil, "only 5 events of 6 came: the server ended the stream: server closed"},
	} {
		t.Run(name, func(t *testing.T) {
			r := tapping(t, c.stream).run(t, "tap", "--count", "6")
			assert.Equal(t, exitFailed, r.code)
			assert.Contains(t, r.err, c.says)
			assert.Contains(t, r.err, "[tap] seen")
			for line := range strings.SplitSeq(r.err, "\n") {
				assertSafe(t, line)
			}
		})
	}
}

func TestTapCut(t *testing.T) {
	big := `{"channel":"a","seq":1,"time":"2026-11-21T10:00:00Z","type":"string","size":60000,"event":"` + strings.Repeat("x", 60000) + `"}`
	w := tapping(t, lines(big))
	w.width = 80
	r := w.run(t, "tap", "--count", "1")
	assert.Less(t, len(r.out), 9*80)
	assert.Contains(t, r.out, "58.6 KiB; --json has all")
	w.width = 0 // no terminal: nobody is helped by less
	assert.Greater(t, len(w.run(t, "tap", "--count", "1").out), 60000)
}

func TestAccountAlwaysAddsUp(t *testing.T) {
	var a account
	a.record(3)
	assert.Equal(t, "seen 4 = shown 1 + filtered 0 + shed 3", a.String())
	a.stats(tapStats{Seen: 10, Shown: 1, Filtered: 4, Shed: 5})
	assert.Equal(t, "seen 10 = shown 1 + filtered 4 + shed 5", a.String())
	a.record(2) // these have been counted
	assert.Equal(t, "seen 11 = shown 2 + filtered 4 + shed 5", a.String())
	a.record(7)
	assert.Equal(t, "seen 19 = shown 3 + filtered 4 + shed 12", a.String())
}

func TestNagger(t *testing.T) {
	var n nagger
	at := time.Now()
	assert.False(t, n.now(0, at))
	told := 0
	for i := range 3600 { // an hour in which something is shed each second
		if n.now(uint64(i+1), at.Add(time.Duration(i)*time.Second)) {
			told++
		}
	}
	assert.InDelta(t, 64, told, 4)
	n.now(3600, at.Add(5*time.Hour))
	assert.False(t, n.now(3600, at.Add(9*time.Hour)), "nothing new")
}

// A stream that never pauses must not keep a tap from ending, by its time or by Ctrl-C.
func TestTapEndsInAFlood(t *testing.T) {
	name := "orders.paid"
	f := frame{Channel: &name, Seq: "1", Event: []byte(`{"note":"` + strings.Repeat("x", 2000) + `"}`)}
	flood := func(ctx context.Context, limit time.Duration) error {
		l := &listener{app: &app{out: io.Discard, err: io.Discard, now: time.Now}, limit: limit}
		l.print = newPrinter(l)
		s := &stream{frames: make(chan frame, 256)}
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for end := time.Now().Add(patience); time.Now().Before(end); { // then it pauses after all
				select {
				case s.frames <- f:
				case <-stop:
					return
				}
			}
			close(s.frames)
		})
		defer wg.Wait()
		defer close(stop)
		return l.follow(ctx, s)
	}
	begin := time.Now()
	require.NoError(t, flood(t.Context(), 50*time.Millisecond))
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(interrupted{sigint}) })
	require.ErrorIs(t, flood(ctx, 0), interrupted{sigint})
	assert.Less(t, time.Since(begin), patience)
}
