package tap_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
)

// SEC-03: no header, however malformed, makes the page panic, and none of them opens it to others: what
// is let in is judged again here, by simpler rules.
func FuzzSEC03_Headers(f *testing.F) {
	for _, host := range []string{"localhost", "127.0.0.1:80", "[::1]:80", "example.com", "", "[", "::", "[::1%25lo]:1", "localhost:99999", "a\x00b", strings.Repeat("[", 1000)} {
		f.Add("GET", "/", host, "http://"+host, "127.0.0.1:1", "same-origin", "", "")
		f.Add("GET", "/channels", "localhost", host, "127.0.0.1:1", "cross-site", "X-Forwarded-For", "a-1")
	}
	f.Add("POST", "/emit?channel=x", "localhost", "null", "[::1]:1", "none", "Accept", "text/html")
	f.Add("HEAD", "/events?filter=%zz&count=-1", "localhost", "", "@", "", "Last-Event-Id", "-")
	s := earshot.NewServer(nil)
	page, open := tap.Handler(s, nil), tap.Handler(s, allow(all))
	f.Cleanup(func() { page.Close(); open.Close(); s.Close(); s.Shutdown(f.Context()) })
	f.Fuzz(func(t *testing.T, method, target, host, origin, remote, site, name, value string) {
		u, err := url.Parse(target)
		if err != nil || !strings.HasPrefix(u.Path, "/") || method == "" {
			return
		}
		if path := u.Path[strings.LastIndexByte(u.Path, '/'):]; method == http.MethodGet && (path == "/events" || path == "/events.ndjson") || u.Query().Has("over") {
			return // would not end
		}
		request := func() *http.Request {
			r := local("GET", "/", "Origin", origin, "Sec-Fetch-Site", site)
			r.Method, r.URL, r.RequestURI, r.Host, r.RemoteAddr = method, u, target, host, remote
			r.Header[name] = append(r.Header[name], value)
			if origin == "" {
				r.Header.Del("Origin")
			}
			return r
		}
		w := ask(page, request())
		if w.Code != http.StatusForbidden {
			from, err := netip.ParseAddrPort(remote)
			if err != nil || !from.Addr().Unmap().IsLoopback() {
				t.Errorf("%d to a client at %q", w.Code, remote)
			}
			if !strings.Contains(strings.ToLower(host), "localhost") && !strings.Contains(host, "127.") && !strings.Contains(host, ":1") {
				t.Errorf("%d for Host: %q", w.Code, host)
			}
			if strings.HasPrefix(strings.ToLower(name), "x-forwarded") || strings.EqualFold(name, "via") {
				t.Errorf("%d with %s", w.Code, name)
			}
		}
		w = ask(open, request())
		if w.Code == http.StatusForbidden {
			return
		}
		if origin != "" {
			if o, err := url.Parse(origin); err != nil || o.Scheme+"://"+strings.ToLower(o.Host) != strings.ToLower(o.Scheme+"://"+host) || o.Host == "" {
				t.Errorf("%d for Host: %q from Origin: %q", w.Code, host, origin)
			}
		}
		if method == http.MethodPost && (site == "cross-site" || site == "same-site") {
			t.Errorf("%d to a POST of another site", w.Code)
		}
	})
}
