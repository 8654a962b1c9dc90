package tap_test

import (
	"net/http"
	"testing"

	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/require"
)

// SEC-08: every answer carries the policy, errors and redirects too, whatever is asked.
func TestSEC08_Headers(t *testing.T) {
	s := newServer(t)
	newMailbox[int](t, s, "c", nil)
	p, closed := newPage(t, s, allow(all)), newPage(t, s, nil)
	closed.Close()
	const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	check := func(h http.Handler, want int, r *http.Request) {
		t.Helper()
		w := ask(h, r)
		require.Equal(t, want, w.Code, "%s %s", r.Method, r.URL)
		h2 := w.Header()
		require.Equal(t, []string{policy}, h2["Content-Security-Policy"])
		require.Equal(t, "nosniff", h2.Get("X-Content-Type-Options"))
		require.Equal(t, "DENY", h2.Get("X-Frame-Options"))
		require.Equal(t, "no-referrer", h2.Get("Referrer-Policy"))
		require.Equal(t, "same-origin", h2.Get("Cross-Origin-Resource-Policy"))
		require.Equal(t, "same-origin", h2.Get("Cross-Origin-Opener-Policy"))
		require.Contains(t, h2.Get("Cache-Control"), "no-")
		if want != http.StatusPermanentRedirect && want != http.StatusNotModified && r.Method != http.MethodHead {
			require.NotEmpty(t, h2.Get("Content-Type"))
		}
		for name := range h2 {
			require.NotEqual(t, "Set-Cookie", name)
		}
	}
	for _, path := range []string{"/", "/overview.json", "/channels", "/channels.json", "/channel?name=c", "/subscribers", "/slow", "/tap", "/help", "/metrics", "/app.js", "/style.css", "/icon.svg"} {
		check(p, 200, local("GET", path))
		check(p, 200, local("HEAD", path))
		check(p, 405, local("DELETE", path))
		check(newPage(t, s, allow(0)), 403, local("GET", path))
		check(closed, 503, local("GET", path))
	}
	for _, accept := range []string{"*/*", "text/html,*/*"} {
		check(p, 404, local("GET", "/nothing", "Accept", accept))
		check(p, 404, local("GET", "/channel?name=x", "Accept", accept))
		check(p, 400, local("GET", "/events?filter=a..b>>", "Accept", accept))
		check(p, 400, local("GET", "/channels?over=x", "Accept", accept))
		check(p, 405, local("GET", "/emit", "Accept", accept))
		check(p, 415, local("POST", "/emit", "Accept", accept))
		check(p, 403, local("GET", "/", "Accept", accept, "Origin", "null"))
	}
	check(http.StripPrefix("/p", p), http.StatusPermanentRedirect, local("GET", "/p"))
	check(p, 200, local("HEAD", "/events"))
	etag := ask(p, local("GET", "/app.js")).Header().Get("Etag")
	require.NotEmpty(t, etag)
	check(p, http.StatusNotModified, local("GET", "/app.js", "If-None-Match", etag))
	check(p, 200, local("GET", "/app.js", "If-None-Match", `"older"`))
}

// A stream that is only asked about opens nothing for long, and says what it would be.
func TestHead_Events(t *testing.T) {
	s := newServer(t)
	p := newPage(t, s, nil)
	for accept, want := range map[string]string{"text/event-stream": "text/event-stream", "*/*": "application/x-ndjson"} {
		w := ask(p, local("HEAD", "/events", "Accept", accept))
		require.Equal(t, want, w.Header().Get("Content-Type"))
		require.Equal(t, "no-store, no-transform", w.Header().Get("Cache-Control"))
		require.Empty(t, w.Body.String())
	}
	require.False(t, s.Listening("c"))
	require.Equal(t, "0", number(rows(t, view(t, p, "/overview.json"), "totals")[0]["viewers"]))
}

// SEC-09: there are only so many streams at a time. The next one is told to come again, and may when
// another has gone.
func TestSEC09_Viewers(t *testing.T) {
	s := newServer(t)
	p := newPage(t, s, &tap.Options{Viewers: 3})
	e := serve(t, p)
	var viewers []*viewer
	for range 3 {
		viewers = append(viewers, e.stream("/events"))
	}
	for range 2 {
		v := e.open("/events")
		require.Equal(t, http.StatusServiceUnavailable, v.res.StatusCode)
		require.Equal(t, "5", v.res.Header.Get("Retry-After"))
		body := parse(t, v.rest()[0].Data)
		require.Contains(t, body["error"], "3 streams are open")
		require.Contains(t, body["hint"], "tap.Options.Viewers")
	}
	require.Equal(t, "3", number(rows(t, view(t, p, "/overview.json"), "totals")[0]["viewers"]))
	require.Contains(t, look(t, p, "/metrics"), "\nearshot_tap_viewers 3\n")
	viewers[0].hang()
	eventually(t, "room for one more", func() bool {
		v := e.open("/events")
		defer v.hang()
		return v.res.StatusCode == http.StatusOK
	})
}

// SEC-09: senders pay for each set of channels that somebody looks at, so there are only so many of those,
// however many look at them.
func TestSEC09_Choices(t *testing.T) {
	s := newServer(t)
	e := serve(t, newPage(t, s, nil))
	for i := range 16 {
		e.stream("/events?filter=chan:c." + number(i) + "+-chan:d")
		e.stream("/events?filter=-chan:d+chan:c." + number(i) + "+type:int")
	}
	v := e.open("/events?filter=chan:e")
	require.Equal(t, http.StatusServiceUnavailable, v.res.StatusCode)
	require.Contains(t, v.rest()[0].Data, "16 different sets")
	require.False(t, s.Listening("e"))
	for i := range 16 {
		require.Equal(t, http.StatusOK, e.open("/events?filter=type:string+-chan:d+chan:c."+number(i)).res.StatusCode)
	}
}

// A choice is free again when the last who looks at it has gone.
func TestSEC09_ChoicesAreGivenBack(t *testing.T) {
	s := newServer(t)
	p := newPage(t, s, nil)
	for i := range 100 {
		require.Equal(t, http.StatusOK, ask(p, local("HEAD", "/events?filter=chan:c."+number(i))).Code)
	}
}

// SEC-09: 128 is the limit where none was chosen.
func TestSEC09_DefaultViewers(t *testing.T) {
	s := newServer(t)
	e := serve(t, newPage(t, s, nil))
	for range 128 {
		e.stream("/events")
	}
	require.Equal(t, http.StatusServiceUnavailable, e.open("/events").res.StatusCode)
}
