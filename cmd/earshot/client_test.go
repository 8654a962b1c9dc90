package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseTarget(t *testing.T) {
	for in, want := range map[string]string{
		"http://h:1/debug/x/":     "http://h:1/debug/x/",
		"http://h:1/debug/x":      "http://h:1/debug/x/",
		"http://h/":               "http://h/", // mounted at the root
		"https://h":               "https://h/debug/earshot/",
		"h:1":                     "http://h:1/debug/earshot/",
		"h:1/":                    "http://h:1/debug/earshot/",
		"h:1/x":                   "http://h:1/x/",
		":8125":                   "http://127.0.0.1:8125/debug/earshot/",
		"8125":                    "http://127.0.0.1:8125/debug/earshot/",
		"[::1]:8125":              "http://[::1]:8125/debug/earshot/",
		"http://[fe80::1%25lo]/x": "http://[fe80::1%25lo]/x/",
	} {
		u, err := parseTarget(in)
		if assert.NoError(t, err, in) {
			assert.Equal(t, want, u.String(), in)
		}
	}
}

// Where the command looks: the flag, then the environment, then the default.
func TestTargetOrder(t *testing.T) {
	url := serve(t, newFake())
	assert.Equal(t, exitOK, world{url: url}.run(t, "ls").code)
	assert.Equal(t, exitOK, world{url: "http://127.0.0.1:1/"}.run(t, "ls", "--url", url).code)
	assert.Equal(t, exitConnect, world{url: url}.run(t, "--url", "http://127.0.0.1:1/", "ls").code)
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	url := "http://" + l.Addr().String() + "/debug/earshot/"
	require.NoError(t, l.Close())
	for _, args := range [][]string{{}, {"health"}, {"ls"}, {"tap"}, {"show", "x"}, {"slow"}, {"slow", "--watch"}, {"emit", "x", "1"}, {"top", "-o", "-"}} {
		r := world{url: url}.run(t, args...)
		assert.Equal(t, exitConnect, r.code, args)
		assert.Contains(t, r.err, "cannot connect to "+url+": nothing listens there", args)
		assert.Contains(t, r.err, "--url", args)
		assert.Empty(t, r.out)
	}
}

// A server that takes the connection and says nothing, or hangs up, or speaks TLS, or none.
func TestOddServers(t *testing.T) {
	hangsUp := newFake()
	hangsUp.override = func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }
	r := world{url: serve(t, hangsUp)}.run(t, "ls")
	assert.Equal(t, exitConnect, r.code, r.err)

	plain := serve(t, newFake())
	r = world{url: strings.Replace(plain, "http:", "https:", 1)}.run(t, "ls")
	assert.Equal(t, exitConnect, r.code)
	assert.Contains(t, r.err, "try http://")

	silent := newFake()
	silent.override = func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true }
	ctx, cancel := context.WithCancelCause(context.Background())
	w := world{url: serve(t, silent), ctx: ctx}
	done := make(chan result)
	go func() { done <- w.run(t, "ls") }()
	cancel(interrupted{sigint})
	r = <-done
	assert.Equal(t, exitInterrupted, r.code)
	assert.Empty(t, r.err, "whoever pressed Ctrl-C knows")
}

func TestStatuses(t *testing.T) {
	for status, code := range map[int]int{
		401: exitRefused, 403: exitRefused, 400: exitUsage, 404: exitFailed, 405: exitFailed, 500: exitFailed, 503: exitFailed, 502: exitFailed,
	} {
		f := newFake()
		f.override = func(w http.ResponseWriter, _ *http.Request) bool {
			problem(w, status, "what \x1b[31mhappened", "what to do")
			return true
		}
		url := serve(t, f)
		for _, args := range [][]string{{"health"}, {"tap"}, {"emit", "x", "1"}} {
			r := world{url: url}.run(t, args...)
			assert.Equal(t, code, r.code, "%d %v", status, args)
			assert.Contains(t, r.err, `what \x1b[31mhappened`, "%d %v", status, args)
			assert.Contains(t, r.err, "what to do", "%d %v", status, args)
		}
		// And from something that is no tap page at all.
		f.override = func(w http.ResponseWriter, _ *http.Request) bool {
			http.Error(w, "go away", status)
			return true
		}
		r := world{url: url}.run(t, "ls")
		assert.Equal(t, code, r.code, status)
		assert.Contains(t, r.err, "go away", status)
	}
}

func TestFilterErrorHasCaret(t *testing.T) {
	f := newFake()
	f.override = func(w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(400)
		w.Write([]byte(`{"error":"the filter does not parse","status":400,"filter":{"pos":7,"len":1,"message":"no number","hint":"as in amount>100","caret":"no number:\n  amount>x\u001b[2J\n         ^"}}`))
		return true
	}
	r := world{url: serve(t, f)}.run(t, "tap", "amount>x")
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.err, "no number:\n  amount>x\\x1b[2J\n         ^\n  as in amount>100\n")
}

func TestNotATapPage(t *testing.T) {
	for _, body := range []string{"<!doctype html><p>hello", "", "[]", "{}", `{"title":1}`, `{"title":"x"} more`, "null", `{"title":"x","a":[1]}`} {
		f := newFake()
		f.override = func(w http.ResponseWriter, _ *http.Request) bool { w.Write([]byte(body)); return true }
		r := world{url: serve(t, f)}.run(t, "ls")
		assert.Equal(t, exitFailed, r.code, body)
		assert.Contains(t, r.err, "not as a tap page", body)
		assert.Empty(t, r.out, body)
	}
}

// The token goes where it belongs and nowhere else, and is never shown.
func TestToken(t *testing.T) {
	const secret = "canary-token-4711"
	f := newFake()
	url := serve(t, f)
	env := map[string]string{"EARSHOT_TOKEN": secret}
	r := world{url: url, env: env}.run(t, "ls")
	require.Equal(t, exitOK, r.code)
	assert.Equal(t, "Bearer "+secret, f.last().Header.Get("Authorization"))

	elsewhere := newFake()
	other := httptest.NewServer(elsewhere)
	defer other.Close()
	f.override = func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusFound)
		return true
	}
	for _, args := range [][]string{{"ls"}, {"tap"}, {"doctor"}, {"health", "--json"}} {
		r = world{url: url, env: env}.run(t, args...)
		assert.NotEqual(t, exitOK, r.code)
		assert.Contains(t, r.out+r.err, "redirects to another place")
		assert.NotContains(t, r.out+r.err, secret)
	}
	assert.Empty(t, elsewhere.requests)

	f.override = nil
	r = world{url: url}.run(t, "ls")
	require.Equal(t, exitOK, r.code)
	assert.Empty(t, f.last().Header.Get("Authorization"))

	r = world{url: "http://192.0.2.1:1/", env: env, ctx: ended()}.run(t, "ls")
	assert.Contains(t, r.err, "unencrypted")
	assert.NotContains(t, r.err, secret)
	r = world{url: url, env: map[string]string{"EARSHOT_TOKEN": "a\r\nX: y"}}.run(t, "ls")
	assert.Equal(t, exitUsage, r.code)
}

func ended() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("planted"))
	return ctx
}

// A page that has lost its slash is found, within its host.
func TestRedirectWithinHost(t *testing.T) {
	f := newFake()
	mux := http.NewServeMux()
	mux.Handle(defaultPath, f)
	mux.HandleFunc("/old/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, defaultPath+strings.TrimPrefix(r.URL.Path, "/old/"), http.StatusMovedPermanently)
	})
	s := httptest.NewServer(mux)
	defer s.Close()
	assert.Equal(t, exitOK, world{url: s.URL + "/old/"}.run(t, "ls").code)
}
