package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var sigint = os.Interrupt

func TestHealth(t *testing.T) {
	f := newFake()
	url := serve(t, f)
	r := world{url: url}.run(t)
	assert.Equal(t, exitOK, r.code)
	assert.Empty(t, r.err)
	for _, want := range []string{"OK  All well.", url, "v1.2.3", "up 1h", "pid 4711", "read-only, payloads shown", "channels live 3", "sent 18,446,744,073,709,551,615", "rate 1,235", "Deepest", "warehouse"} {
		assert.Contains(t, r.out, want)
	}
	assert.NotContains(t, r.out, "Slow", "an empty table is no news")
	assert.LessOrEqual(t, strings.Count(r.out, "\n"), 24)
	assert.Equal(t, observe, f.last().URL.Query().Get("over"))

	f.set("overview.json", `{"title":"Overview","status":"bad","summary":"1 slow subscriber: orders.go:88"}`)
	r = world{url: url}.run(t)
	assert.Equal(t, exitFailed, r.code)
	assert.Equal(t, "BAD  1 slow subscriber: orders.go:88\n"+url+"\n", r.out)
	assert.Empty(t, r.err)
	assert.Equal(t, exitFailed, world{url: url}.run(t, "--json").code)
}

func TestLs(t *testing.T) {
	f := newFake()
	url := serve(t, f)
	r := world{url: url}.run(t, "ls")
	assert.Equal(t, exitOK, r.code)
	assert.Equal(t, 4, strings.Count(r.out, "\n"))
	assert.Contains(t, r.out, "18,446,744,073,709,551,615")
	assert.Equal(t, "[ls] 3 channels.\n", r.err)

	r = world{url: url}.run(t, "ls", "subscribers", "--sort", "-depth", "--match", "orders.")
	assert.Equal(t, exitOK, r.code)
	assert.Contains(t, r.out, "warehouse")
	q := f.first("subscribers.json").URL.Query()
	assert.Equal(t, "-depth", q.Get("sort"))
	assert.Equal(t, "orders.", q.Get("q"))

	// A panel that this command has never heard of.
	f.set("queues.json", `{"title":"Queues","status":"warn","summary":"Two queues.","queues":[{"queue":"mail","jobs":12345,"oldest_seconds":90.5,"next":"2026-11-20T10:00:00Z","more":{"a":[1,2]}},{"queue":"news","jobs":null}],
"workers":[{"name":"w1","memory_bytes":1048576,"busy":true}]}`)
	r = world{url: url}.run(t, "ls", "queues")
	assert.Equal(t, exitOK, r.code)
	for _, want := range []string{"Queues\nQUEUE ", "12,345", "1m31s", `{"a":[1,2]}`, "–", "\nWorkers\n", "1 MiB", "yes"} {
		assert.Contains(t, r.out, want)
	}
	r = world{url: url}.run(t, "ls", "nosuchpanel")
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.err, "there is no such page")
}

func TestShow(t *testing.T) {
	f := newFakeWithChannel()
	f.override = func(w http.ResponseWriter, r *http.Request) bool {
		q := r.URL.Query()
		if strings.HasSuffix(r.URL.Path, "/channel.json") && q.Get("name") != "orders.paid" && q.Get("name") != "8" {
			problem(w, 404, "there is no channel "+q.Get("name"), "")
			return true
		}
		return false
	}
	f.set("subscriber.json", `{"title":"ref#12","status":"ok","summary":"Keeps up.","subscriber":[{"ref":"ref#12","site":"shop/staff.go:28","oldest":0.75}]}`)
	url := serve(t, f)
	r := world{url: url}.run(t, "show", "orders.paid")
	assert.Equal(t, exitOK, r.code)
	assert.Equal(t, "orders.paid\n2 listen.\n  channel  orders.paid\n  type     shop.Order\n  doc      somebody has paid\n\nSubscribers\nREF    SUBSCRIBER\nref#1  mailer\n", r.out)

	for _, ref := range []string{"ref#12", "12"} { // 12 is no channel here
		r = world{url: url}.run(t, "show", ref)
		assert.Equal(t, exitOK, r.code, r.err)
		assert.Contains(t, r.out, "shop/staff.go:28")
		assert.Contains(t, r.out, "750ms")
	}
	assert.Equal(t, "ref#12", f.last().URL.Query().Get("ref"))
	assert.Contains(t, world{url: url}.run(t, "show", "8").out, "orders.paid", "a channel of that name comes first")

	r = world{url: url}.run(t, "show", "nope")
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.err, "there is no channel nope")
	assert.Contains(t, r.err, "earshot ls")
}

func TestEmit(t *testing.T) {
	f := newFake()
	url := serve(t, f)
	r := world{url: url}.run(t, "emit", "orders.paid", `{"id":9007199254740993}`)
	assert.Equal(t, exitOK, r.code)
	assert.Equal(t, "sent shop.Order to orders.paid: 3 listeners\n", r.out)
	assert.Empty(t, r.err)
	req := f.last()
	assert.Equal(t, "POST", req.Method)
	assert.Equal(t, "application/json", req.Header.Get("Content-Type"))
	assert.Equal(t, "channel=orders.paid", req.URL.RawQuery)
	assert.Equal(t, `{"id":9007199254740993}`, f.bodies[len(f.bodies)-1])

	for _, event := range []string{"-5", "null", `"x"`} {
		r = world{url: url}.run(t, "emit", "x", event, "--undeclared")
		assert.Equal(t, exitOK, r.code, r.err)
		assert.Equal(t, event, f.bodies[len(f.bodies)-1])
		assert.Equal(t, "1", f.last().URL.Query().Get("undeclared"))
	}
	r = world{url: url, stdin: `{"from":"stdin"}`}.run(t, "emit", "x", "-")
	assert.Equal(t, exitOK, r.code)
	assert.Equal(t, `{"from":"stdin"}`, f.bodies[len(f.bodies)-1])
	assert.Equal(t, exitUsage, world{url: url, stdin: "oops"}.run(t, "emit", "x", "-").code)
}

func TestSlowWatch(t *testing.T) {
	f := newFake()
	url := serve(t, f)
	ctx, cancel := context.WithCancelCause(context.Background())
	var out, notes strings.Builder
	lines := make(chan string, 100)
	a := &app{now: time.Now, env: func(string) string { return "" }, url: url, term: terminal{}}
	a.out = io.MultiWriter(&out, writerFunc(func(b []byte) (int, error) { lines <- string(b); return len(b), nil }))
	a.err = &notes
	done := make(chan int)
	go func() { done <- a.run(ctx, []string{"slow", "--watch", "--every", "100ms"}) }()
	row := `{"title":"Slow","status":"warn","summary":"1 slow.","slow":[{"ref":"ref#9","channel":"orders.paid","subscriber":"fraud check","site":"shop/staff.go:88","depth":%s,"missed":0,"running":2.5}],"past":[]}`
	f.set("slow.json", strings.Replace(row, "%s", "3", 1))
	for text, end := "", time.After(patience); !strings.Contains(text, "shop/staff.go:88"); {
		select {
		case text = <-lines:
		case <-end:
			t.Fatal("nothing was said of a slow subscriber")
		}
	}
	f.set("slow.json", strings.Replace(row, "%s", "4", 1)) // deeper is no news
	n := len(f.snapshotRequests())
	require.Eventually(t, func() bool { return len(f.snapshotRequests()) > n+3 }, patience, 10*time.Millisecond)
	cancel(interrupted{sigint})
	assert.Equal(t, exitInterrupted, <-done)
	assert.Equal(t, 1, strings.Count(out.String(), "shop/staff.go:88"))
}

func TestTopSnapshot(t *testing.T) {
	url := serve(t, newFake())
	r := world{url: url}.run(t, "top", "-o", "-")
	assert.Equal(t, exitOK, r.code)
	assert.Empty(t, r.err)
	rows := strings.Split(strings.TrimSuffix(r.out, "\n"), "\n")
	assert.Contains(t, rows[0], "OK  All well.")
	assert.Contains(t, rows[3], "RATE▼")
	assert.Contains(t, rows[4], "db.query", "the busiest first")
	assert.Contains(t, rows[5], "orders.paid")
	assert.Contains(t, rows[6], "debug.cache", "what is not known comes last")

	file := filepath.Join(t.TempDir(), "top.txt")
	r = world{url: url}.run(t, "top", "subscribers", "--sort", "subscriber", "-o", file)
	assert.Equal(t, exitOK, r.code)
	assert.Empty(t, r.out)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Less(t, strings.Index(string(text), "mailer"), strings.Index(string(text), "warehouse"))
	assert.Equal(t, exitFailed, world{url: url}.run(t, "top", "-o", filepath.Join(file, "x")).code)
}

// A pipe that is closed is no failure; a disk that is full is one.
func TestOutputErrors(t *testing.T) {
	url := serve(t, newFakeWithChannel())
	for _, args := range [][]string{{}, {"ls"}, {"show", "orders.paid"}, {"slow", "--json"}, {"tap"}, {"tap", "--json"}, {"help"}, {"version"}, {"completion", "zsh"}, {"top", "-o", "-"}, {"emit", "x", "1"}} {
		for err, code := range map[error]int{syscall.EPIPE: exitOK, syscall.ENOSPC: exitFailed} {
			a := &app{out: writerFunc(func([]byte) (int, error) { return 0, err }), now: time.Now, env: func(string) string { return "" }, url: url}
			var notes strings.Builder
			a.err = &notes
			assert.Equal(t, code, a.run(context.Background(), args), "%v %v", args, err)
			assert.Equal(t, errors.Is(err, syscall.ENOSPC), strings.Contains(notes.String(), "no space left"), "%v: %s", args, notes.String())
		}
	}
}
