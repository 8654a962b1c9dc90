package tap_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/require"
)

// SEC-02: by default the client has to be on this machine.
func TestSEC02_Client(t *testing.T) {
	p := newPage(t, newServer(t), nil)
	for remote, want := range map[string]int{
		"127.0.0.1:1": 200, "127.8.9.10:65535": 200, "[::1]:1": 200, "[::ffff:127.0.0.1]:1": 200,
		"192.0.2.1:1": 403, "10.0.0.1:1": 403, "[2001:db8::1]:1": 403, "[fe80::1%eth0]:1": 403, "0.0.0.0:1": 403, "[::]:1": 403,
		"[::ffff:192.0.2.1]:1": 403, "": 403, "127.0.0.1": 403, "localhost:1": 403, "@": 403, "pipe": 403, "127.0.0.1.example:1": 403,
	} {
		r := local("GET", "/")
		r.RemoteAddr = remote
		w := ask(p, r)
		require.Equal(t, want, w.Code, "from %q", remote)
		if want == 403 {
			require.Contains(t, w.Body.String(), "not on this machine")
			require.Contains(t, w.Body.String(), "tap.Options.Allow")
			require.Empty(t, w.Header().Get("Location"))
		}
	}
}

// SEC-02: a name that resolves to 127.0.0.1 lets a foreign page in a browser here reach the server.
func TestSEC02_Host(t *testing.T) {
	p := newPage(t, newServer(t), nil)
	for host, want := range map[string]int{
		"localhost": 200, "localhost:8125": 200, "LocalHost.": 200, "app.localhost:80": 200, "127.0.0.1:8125": 200, "127.0.0.2": 200,
		"[::1]:8125": 200, "[::1]": 200, "::1": 200,
		"example.com": 403, "rebind.example:8125": 403, "localhost.example": 403, "127.0.0.1.example": 403, "notlocalhost": 403,
		"192.0.2.1": 403, "0.0.0.0": 403, "": 403, ":8125": 403, "[": 403, "]": 403, "[]": 403, "a:b:c": 403, "2130706433": 403, "0x7f.1": 403,
		"127.0.0.1@example.com": 403, "\x00": 403, "localhost/": 403, "local\nhost": 403,
	} {
		r := local("GET", "/")
		r.Host = host
		require.Equal(t, want, ask(p, r).Code, "Host: %q", host)
	}
}

// SEC-02: what came through a proxy came from elsewhere, though the proxy is on this machine.
func TestSEC02_Proxies(t *testing.T) {
	s := newServer(t)
	p, open := newPage(t, s, nil), newPage(t, s, allow(tap.Look))
	for _, name := range []string{
		"Forwarded", "Via", "X-Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix",
		"X-Forwarded-Server", "X-Real-IP", "X-Client-IP", "X-Cluster-Client-IP", "X-Original-Forwarded-For", "X-Original-Host", "X-Original-URL",
		"X-Originating-IP", "X-Remote-IP", "X-Remote-Addr", "X-ProxyUser-IP", "X-Envoy-External-Address", "X-Envoy-Internal",
		"X-Appengine-User-IP", "X-Azure-ClientIP", "X-Azure-SocketIP", "True-Client-IP", "CF-Connecting-IP", "CF-Ray", "CDN-Loop",
		"Fastly-Client-IP", "Fly-Client-IP", "Client-IP", "Proxy-Client-IP", "WL-Proxy-Client-IP",
	} {
		for _, value := range []string{"127.0.0.1", "", "for=\"[::1]\""} {
			for _, path := range []string{"/", "/events", "/metrics", "/app.js", "/channels.json"} {
				w := ask(p, local("GET", path, name, value))
				require.Equal(t, http.StatusForbidden, w.Code, "%s: %s", name, value)
				require.Contains(t, w.Body.String(), http.CanonicalHeaderKey(name))
			}
		}
		r := local("GET", "/")
		r.Header[strings.ToLower(name)] = []string{"x"} // as a handler in front may have written it
		require.Equal(t, http.StatusForbidden, ask(p, r).Code, name)
		require.Equal(t, http.StatusOK, ask(open, local("GET", "/", name, "192.0.2.1")).Code, "the program says yes")
	}
}

// SEC-03: a request that a browser says another site makes is refused, for whoever may look: the
// browser would send that person's cookie along.
func TestSEC03_Origin(t *testing.T) {
	p := newPage(t, newServer(t), allow(all))
	for _, c := range []struct {
		want   int
		header []string
	}{
		{200, nil},
		{200, []string{"Origin", "http://localhost:8125"}},
		{200, []string{"Origin", "https://LOCALHOST:8125"}},
		{403, []string{"Origin", "null"}},
		{403, []string{"Origin", ""}},
		{403, []string{"Origin", "http://example.com"}},
		{403, []string{"Origin", "http://localhost"}},
		{403, []string{"Origin", "http://localhost:8126"}},
		{403, []string{"Origin", "http://localhost:8125@example.com"}},
		{403, []string{"Origin", "http://example.com/localhost:8125"}},
		{403, []string{"Origin", "localhost:8125"}},
		{403, []string{"Origin", "//localhost:8125"}},
		{403, []string{"Origin", "file://localhost:8125"}},
		{403, []string{"Origin", "chrome-extension://localhost:8125"}},
		{403, []string{"Origin", "http://[::1"}},
		{403, []string{"Origin", "%zz"}},
		{403, []string{"Origin", "\x00"}},
		{403, []string{"Origin", "http://localhost:8125 http://example.com"}},
		{403, []string{"Origin", "http://localhost:8125", "Origin", "http://localhost:8125"}},
		{403, []string{"Origin", "http://localhost:8125", "Origin", "http://example.com"}},
	} {
		for _, path := range []string{"/", "/channels.json", "/metrics", "/app.js", "/nothing"} {
			w := ask(p, local("GET", path, c.header...))
			require.Equal(t, c.want == 403, w.Code == 403, "GET %s %q: %d", path, c.header, w.Code)
			for name := range w.Header() {
				require.NotContains(t, name, "Access-Control-", "no other site may read an answer")
			}
		}
		if c.want == 403 {
			require.Equal(t, 403, ask(p, local("GET", "/events", c.header...)).Code)
			require.Equal(t, 403, ask(p, local("POST", "/emit?channel=x", append(c.header, "Content-Type", "application/json")...)).Code)
			require.Equal(t, 403, ask(p, local("OPTIONS", "/emit?channel=x", c.header...)).Code, "nor does it learn what there is")
		}
	}
}

// SEC-03, SEC-04: browsers say more in the fetch metadata. Who follows a link may see the page that it
// leads to, and nothing else of another site may reach anything.
func TestSEC03_FetchMetadata(t *testing.T) {
	p := newPage(t, newServer(t), allow(all))
	for _, c := range []struct {
		want                     int
		method, site, mode, dest string
	}{
		{200, "GET", "same-origin", "cors", "empty"},
		{200, "GET", "none", "navigate", "document"},
		{200, "GET", "cross-site", "navigate", "document"},
		{200, "HEAD", "cross-site", "navigate", "document"},
		{200, "GET", "same-site", "navigate", "document"},
		{403, "GET", "cross-site", "no-cors", "script"},
		{403, "GET", "cross-site", "no-cors", "image"},
		{403, "GET", "cross-site", "cors", "empty"},
		{403, "GET", "same-site", "cors", "empty"},
		{403, "GET", "cross-site", "navigate", "iframe"},
		{403, "GET", "cross-site", "navigate", "embed"},
		{403, "GET", "cross-site", "", ""},
		{403, "POST", "cross-site", "navigate", "document"},
		{403, "POST", "same-site", "navigate", "document"},
		{403, "POST", "cross-site", "no-cors", "empty"},
	} {
		r := local(c.method, "/", "Sec-Fetch-Site", c.site, "Sec-Fetch-Mode", c.mode, "Sec-Fetch-Dest", c.dest)
		if c.method == "POST" {
			r.URL.Path = "/emit"
		}
		require.Equal(t, c.want, ask(p, r).Code, "%+v", c)
	}
}

// SEC-04: who may only look cannot send, neither by a form of another site nor by hand.
func TestSEC04_Emit(t *testing.T) {
	s := newServer(t)
	m := newMailbox[any](t, s, "c", nil)
	post := func(a tap.Access, header ...string) int {
		r := local("POST", "/emit?channel=c&undeclared=1", header...)
		r.Body = http.NoBody
		return ask(newPage(t, s, allow(a)), r).Code
	}
	for _, a := range []tap.Access{0, tap.Look, tap.Payloads, tap.Look | tap.Payloads} {
		require.Equal(t, 403, post(a, "Content-Type", "application/json"), "%v", a)
	}
	for _, typ := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", "text/plain; application/json", "application/json; ;"} {
		require.Equal(t, 415, post(all, "Content-Type", typ), "%q", typ)
	}
	require.Equal(t, 415, post(all))
	require.Equal(t, 400, post(all, "Content-Type", "application/json; charset=utf-8"), "it has no body")
	_, ok := m.TryReceive()
	require.False(t, ok)
}

// Allow is the program's own code: when it panics the answer is no.
func TestAllow_Panics(t *testing.T) {
	p := newPage(t, newServer(t), &tap.Options{Allow: func(*http.Request) tap.Access { panic("no session") }})
	w := ask(p, local("GET", "/"))
	require.Equal(t, http.StatusForbidden, w.Code)
	require.NotContains(t, w.Body.String(), "session")
}

// Who may not look learns nothing of what there is: each path answers the same.
func TestAllow_No(t *testing.T) {
	s := newServer(t)
	newMailbox[int](t, s, "acquisition", nil)
	p := newPage(t, s, allow(0))
	for _, accept := range []string{"*/*", "text/html"} {
		want := ask(p, local("GET", "/", "Accept", accept)).Body.String()
		require.NotContains(t, want, "acquisition")
		for _, path := range []string{"/channels", "/channel?name=acquisition", "/channel?name=none", "/nothing", "/metrics", "/app.js", "/events", "/emit", "/a/b/c"} {
			w := ask(p, local("GET", path, "Accept", accept))
			require.Equal(t, http.StatusForbidden, w.Code, path)
			require.Equal(t, want, w.Body.String(), path)
		}
	}
}

// Who may do more may look, too.
func TestAccess_Implies(t *testing.T) {
	s := newServer(t)
	require.Equal(t, http.StatusOK, ask(newPage(t, s, allow(tap.Emit)), local("GET", "/")).Code)
	require.Contains(t, look(t, newPage(t, s, allow(tap.Payloads)), "/"), "read-only, payloads shown")
}

// What one may do is said on every page.
func TestAccess_String(t *testing.T) {
	for a, want := range map[tap.Access]string{
		0: "no access", tap.Payloads | tap.Emit: "no access", tap.Look: "read-only, payloads hidden", tap.Look | tap.Payloads: "read-only, payloads shown",
		tap.Look | tap.Emit: "may emit, payloads hidden", all: "may emit, payloads shown",
	} {
		require.Equal(t, want, a.String())
		if a&tap.Look != 0 {
			p := newPage(t, newServer(t), allow(a))
			for _, page := range []string{"/", "/channels", "/subscribers", "/slow", "/tap", "/help"} {
				require.Contains(t, look(t, p, page), want)
			}
		}
	}
}
