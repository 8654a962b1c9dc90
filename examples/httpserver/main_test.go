// An inside test: main is all that could be called from outside.
package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var anyPort = config{listen: "127.0.0.1:0", tour: 20 * time.Millisecond}

func TestTour(t *testing.T) {
	cfg := anyPort
	cfg.once = true
	var out, progress bytes.Buffer
	require.NoError(t, run(t.Context(), cfg, &out, &progress))
	text := out.String()

	for _, line := range []string{
		`(?m)^earshot: a web server at http://127\.0\.0\.1:\d+, `,
		`(?m)^  nobody listens +[\d,]+ +1\.00× +\d+\.\d +1\.0×$`,
		`(?m)^  one subscriber +[\d,]+ +\d+\.\d\d× +\d+\.\d +\d+\.\d×$`,
		`(?m)^  two, one of which never reads +[\d,]+ +\d+\.\d\d× +\d+\.\d +\d+\.\d×$`,
		`(?m)^  http\.request +GET +/hello/ann +200 +13 B `,
		`(?m)^  http\.request +POST +/hello/bob +200 +13 B `,
	} {
		require.Regexp(t, line, text)
	}
	require.Regexp(t, `^measuring for 20ms: requests \.+ sends \.+\n$`, progress.String())
	require.NotContains(t, text, "Playground")

	slow := regexp.MustCompile(`  earshot\.slow +httpserver/app\.go:(\d+) stuck for \d+ ms: \d waiting, \d missed`).FindStringSubmatch(text)
	require.NotNil(t, slow, "no slow notice in:\n%s", text)
	require.Contains(t, sourceLine(t, "app.go", slow[1]), "a.requests.Subscribe(m)")

	end := regexp.MustCompile(`of (\d+) events it missed (\d+), and (\d+) are still waiting`).FindStringSubmatch(text)
	require.NotNil(t, end, "no end in:\n%s", text)
	require.Equal(t, number(t, end[1]), number(t, end[2])+number(t, end[3]))
	require.Equal(t, 4, number(t, end[3]), "waiting: the capacity")
}

func TestPlayground(t *testing.T) {
	p := startPlayground(t)

	status, page := p.get(t, "/")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, page, "<title>earshot playground</title>")
	p.printed(t, `^  http\.request +GET +/ +200 `)

	// Looking makes no events: the next line is that of the next request.
	status, page = p.get(t, "/debug/earshot/channels")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, page, "http.request")

	status, _ = p.get(t, "/nowhere")
	require.Equal(t, http.StatusNotFound, status)
	p.printed(t, `^  http\.request +GET +/nowhere +404 `)

	// What is not heard is not printed: the next line is that of the next request after tap/on.
	_, answer := p.get(t, "/tap/off")
	require.Equal(t, "The tap is off.\n", answer)
	p.get(t, "/hello/unheard")
	_, answer = p.get(t, "/tap/on")
	require.Contains(t, answer, "The tap is on")
	p.get(t, "/hello/%1b%5b31m")
	p.printed(t, `^  http\.request +GET +/hello/%1b%5b31m +200 `)
	p.get(t, "/tap/on") // it is
	p.printed(t, `/tap/on +200 `)

	_, answer = p.get(t, "/stuck/off")
	require.Equal(t, "There is no stuck subscriber.\n", answer)
	p.printed(t, `/stuck/off `)
	p.get(t, "/stuck/on")
	p.printed(t, `/stuck/on `) // its response was sent to the stuck subscriber as well
	for range 5 {
		p.get(t, "/hello/you")
	}
	slow := ""
	for hellos := 0; hellos < 5 || slow == ""; {
		if line := p.line(t); strings.Contains(line, "/hello/you ") {
			hellos++
		} else {
			slow = line
		}
	}
	require.Regexp(t, `^  earshot\.slow +httpserver/app\.go:\d+ stuck for \d+ ms: \d waiting, \d missed$`, slow)
	_, stats := p.get(t, "/stats")
	require.Regexp(t, `(?m)^http\.request +main\.Request +2 +\d+ +one event per HTTP request`, stats)
	require.Regexp(t, `(?m)^stuck +http\.request +6 +0 +2 +4 +httpserver/app\.go:\d+$`, stats)
	require.Regexp(t, `(?m)^console +http\.\* `, stats)
	_, answer = p.get(t, "/stuck/off")
	require.Equal(t, "The stuck subscriber is gone. It was sent 7 events, of which it missed 3 and left 4 waiting.\n", answer)

	p.interrupt()
	require.NoError(t, <-p.ended)
	_, err := p.client.Get(p.url + "/")
	require.Error(t, err, "get after the end")
}

func TestInterruptedTour(t *testing.T) {
	cfg := anyPort
	cfg.tour = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	require.NoError(t, run(ctx, cfg, io.Discard, onWrite(cancel)))
}

func TestListenFails(t *testing.T) {
	require.Error(t, run(t.Context(), config{listen: "127.0.0.1:nowhere"}, io.Discard, io.Discard))
}

func TestObserve(t *testing.T) {
	s := earshot.NewServer(nil)
	defer s.Close()
	requests := earshot.NewChannel[Request](s, "http.request", nil)
	recorded := false
	h := observe(requests, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, recorded = w.(*recorder)
		require.NoError(t, http.NewResponseController(w).Flush())
		http.Error(w, "no", http.StatusForbidden)
	}))

	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/a", nil))
	require.False(t, recorded, "recorded while nobody listens")

	m := earshot.NewMailbox[Request](t.Context(), s, nil)
	_, err := requests.Subscribe(m)
	require.NoError(t, err)
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("PUT", "/b?c=d", nil))
	require.True(t, recorded)
	msg, ok := m.TryReceive()
	require.True(t, ok)
	require.Positive(t, msg.Event.Took)
	msg.Event.Took = 0
	require.Equal(t, Request{Method: "PUT", Path: "/b", Status: http.StatusForbidden, Bytes: 3}, msg.Event)
}

// A playground is the program as its user sees it.
type playground struct {
	url       string
	client    *http.Client
	lines     chan string
	interrupt context.CancelFunc
	ended     chan error
}

func startPlayground(t *testing.T) *playground {
	ctx, cancel := context.WithCancel(t.Context())
	p := &playground{
		client:    &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second},
		lines:     make(chan string, 1000), // more than are printed: nobody waits for the test
		interrupt: cancel,
		ended:     make(chan error, 1),
	}
	r, w := io.Pipe()
	go func() {
		err := run(ctx, anyPort, w, io.Discard)
		w.Close()
		p.ended <- err
		close(p.ended)
	}()
	scanned := make(chan struct{})
	go func() {
		defer close(scanned)
		for sc := bufio.NewScanner(r); sc.Scan(); {
			p.lines <- sc.Text()
		}
	}()
	t.Cleanup(func() {
		cancel()
		p.client.CloseIdleConnections()
		<-p.ended
		<-scanned
	})
	playgroundAt := regexp.MustCompile(`^Playground at (http://.*)/ until Ctrl-C`)
	for p.url == "" {
		if m := playgroundAt.FindStringSubmatch(p.line(t)); m != nil {
			p.url = m[1]
		}
	}
	for !strings.HasPrefix(p.line(t), "  "+p.url+"/debug/earshot/") {
	}
	require.Empty(t, p.line(t))
	return p
}

func (p *playground) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	resp, err := p.client.Get(p.url + path)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

// printed checks that the next line is such and such.
func (p *playground) printed(t *testing.T, pattern string) {
	t.Helper()
	require.Regexp(t, pattern, p.line(t))
}

func (p *playground) line(t *testing.T) string {
	t.Helper()
	select {
	case line := <-p.lines:
		return line
	case err := <-p.ended:
		require.FailNow(t, "the program has ended", "%v", err)
	case <-time.After(10 * time.Second):
		require.FailNow(t, "nothing was printed for 10 s")
	}
	return ""
}

// onWrite is a writer that calls a function and forgets what is written.
type onWrite func()

func (f onWrite) Write(b []byte) (int, error) {
	f()
	return len(b), nil
}

func sourceLine(t *testing.T, file, line string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return strings.Split(string(text), "\n")[number(t, line)-1]
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	require.NoError(t, err)
	return n
}
