package tap_test

import (
	"expvar"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/require"
)

var links = regexp.MustCompile(`(?:href|src)="([^"]*)"`)

// crawl follows every link from a page, and fails the test if one leads nowhere, or away.
func crawl(t *testing.T, e endpoint, start string) (pages []string) {
	t.Helper()
	todo := []string{e.url + start}
	for known := map[string]bool{todo[0]: true}; len(todo) > 0; {
		at := todo[0]
		todo = todo[1:]
		res, err := e.client.Get(at)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, res.StatusCode, "GET %s", at)
		pages = append(pages, strings.TrimPrefix(at, e.url))
		if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
			continue
		}
		for _, m := range links.FindAllStringSubmatch(string(body), -1) {
			u, err := res.Request.URL.Parse(strings.ReplaceAll(m[1], "&amp;", "&"))
			require.NoError(t, err, "%s on %s", m[1], at)
			u.Fragment = ""
			require.Equal(t, res.Request.URL.Host, u.Host, "%s on %s leads away", m[1], at)
			if strings.Contains(u.Path, "/events") || strings.Contains(u.RawQuery, "sort=-") {
				continue // would not end, or be the same again
			}
			if !known[u.String()] && len(known) < 60 {
				known[u.String()] = true
				todo = append(todo, u.String())
			}
		}
	}
	return pages
}

// UX-01, UX-02: under whatever path it is mounted, all pages and their links are there.
func TestUX01_Mount(t *testing.T) {
	strip := func(prefix string) func(http.Handler) http.Handler {
		return func(h http.Handler) http.Handler { return http.StripPrefix(prefix, h) }
	}
	inner := func(h http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/earshot/", h)
		return http.StripPrefix("/debug", mux)
	}
	for _, mount := range []struct {
		pattern, at string
		wrap        func(http.Handler) http.Handler
	}{
		{"/debug/earshot/", "/debug/earshot/", nil},
		{"GET /debug/earshot/", "/debug/earshot/", nil},
		{"127.0.0.1/debug/earshot/", "/debug/earshot/", nil},
		{"GET /", "/", nil},
		{"/", "/", nil},
		{"/{path...}", "/", nil},
		{"/x/{path...}", "/x/", nil},
		{"/tenant/{name}/debug/", "/tenant/blue/debug/", nil},
		{"/a/b/c/d/e/f/g/", "/a/b/c/d/e/f/g/", nil},
		{"/debug/earshot/", "/debug/earshot/", strip("/debug/earshot")},
		{"/debug/earshot/", "/debug/earshot/", strip("/debug/earshot/")},
		{"/", "/debug/earshot/", strip("/debug/earshot")},
		{"/debug/", "/debug/earshot/", inner},
	} {
		name := mount.pattern
		if mount.wrap != nil {
			name += " wrapped"
		}
		t.Run(strings.ReplaceAll(name, "/", "|"), func(t *testing.T) {
			s := newServer(t)
			earshot.NewChannel[order](s, "orders.paid", &earshot.ChannelOptions{Doc: "an order & its <price>"})
			newMailbox[order](t, s, "orders.paid", nil)
			newMailbox[int](t, s, "a/b?c=d&e#f", nil)
			var h http.Handler = newPage(t, s, nil)
			if mount.wrap != nil {
				h = mount.wrap(h)
			}
			mux := http.NewServeMux()
			mux.Handle(mount.pattern, h)
			pages := crawl(t, serve(t, mux), mount.at)
			for _, want := range []string{"", "channels", "subscribers", "slow", "tap", "help", "app.js", "style.css", "icon.svg",
				"overview.json", "channels.json", "metrics", "channel?name=" + url.QueryEscape("a/b?c=d&e#f")} {
				require.Contains(t, pages, mount.at+want)
			}
		})
	}
}

// golang/go#69951: the handler registers nothing itself, so a program that has "GET /" can choose
// patterns that do not conflict with it.
func TestUX01_BesideOtherPatterns(t *testing.T) {
	s := newServer(t)
	p := newPage(t, s, allow(all))
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "app") })
	mux := http.NewServeMux()
	mux.Handle("GET /", app)
	mux.Handle("GET /debug/earshot/", p)
	mux.Handle("POST /debug/earshot/", p)
	require.Contains(t, look(t, mux, "/debug/earshot/channels"), "<!DOCTYPE html>")
	require.Equal(t, "app", look(t, mux, "/channels"))
	require.Equal(t, http.StatusUnsupportedMediaType, ask(mux, local("POST", "/debug/earshot/emit?channel=x")).Code, "it is the page that answers")
}

// UX-02: without the slash at the end the way leads to where the links hold.
func TestUX02_Slash(t *testing.T) {
	s := newServer(t)
	p := newPage(t, s, nil)
	mux := http.NewServeMux()
	mux.Handle("/plain/", p)
	mux.Handle("/strip/tap", http.StripPrefix("/strip/tap", p)) // no mux redirect: it has the exact path
	mux.Handle("/strip/tap/", http.StripPrefix("/strip/tap", p))
	e := serve(t, mux)
	for _, at := range []string{"/plain", "/strip/tap"} {
		res, err := e.client.Get(e.url + at)
		require.NoError(t, err)
		res.Body.Close()
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Equal(t, at+"/", res.Request.URL.Path)
	}
	w := ask(mux, local("GET", "/strip/tap"))
	require.Equal(t, http.StatusPermanentRedirect, w.Code)
	require.Equal(t, "./tap/", w.Header().Get("Location"), "relative, for a proxy may call the rest of the path otherwise")
}

// Routers other than ServeMux say what they like in Request.Pattern.
func TestUX02_ForeignPatterns(t *testing.T) {
	p := newPage(t, newServer(t), nil)
	for _, pattern := range []string{"", "*", "earshot", "GET", "/debug/*", "/{path:.*}"} {
		r := local("GET", "/channels.json")
		r.Pattern = pattern
		require.Equal(t, http.StatusOK, ask(p, r).Code, "%q", pattern)
	}
}

// UX-05: the pages of two servers know nothing of each other.
func TestUX05_TwoServers(t *testing.T) {
	one, two := newServer(t), newServer(t)
	mux := http.NewServeMux()
	mux.Handle("/one/", newPage(t, one, nil))
	mux.Handle("/two/", newPage(t, two, nil))
	newMailbox[int](t, one, "of one", nil)
	newMailbox[int](t, two, "of two", nil)
	require.Contains(t, look(t, mux, "/one/channels.json"), `"of one"`)
	require.NotContains(t, look(t, mux, "/one/channels.json"), `"of two"`)
	require.Contains(t, look(t, mux, "/two/channels.json"), `"of two"`)
	require.NotContains(t, look(t, mux, "/two/channels.json"), `"of one"`)
}

// UX-06, SEC-01: the package has been imported, and a page made; no other handler knows of it.
func TestUX06_RegistersNothing(t *testing.T) {
	newPage(t, newServer(t), nil)
	for _, path := range []string{"/", "/debug/", "/debug/earshot/", "/debug/pprof/", "/earshot", "/metrics", "/events"} {
		_, pattern := http.DefaultServeMux.Handler(local("GET", path))
		require.Empty(t, pattern, "%s is served by http.DefaultServeMux", path)
	}
	var vars []string
	expvar.Do(func(kv expvar.KeyValue) { vars = append(vars, kv.Key) })
	require.Equal(t, []string{"cmdline", "memstats"}, vars, "what expvar itself brings")
}

// A nil server is the default one, for the page as for everything else.
func TestDefaultServer(t *testing.T) {
	earshot.NewChannel[int](nil, "tap_test.default", nil)
	require.Contains(t, look(t, newPage(t, nil, nil), "/channels.json"), `"tap_test.default"`)
	st, err := tap.Open(nil, "chan:tap_test.default")
	require.NoError(t, err)
	require.True(t, earshot.Default().Listening("tap_test.default"))
	require.NoError(t, st.Close())
}
