package tap_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/require"
)

// The wrappers that middleware puts around a ResponseWriter: one that net/http can look through, one
// that can flush and do nothing else, and one that hides everything.
type (
	unwraps struct{ http.ResponseWriter }
	flushes struct{ http.ResponseWriter }
	hides   struct{ http.ResponseWriter }
	zips    struct {
		http.ResponseWriter
		z *gzip.Writer
	}
)

func (w unwraps) Unwrap() http.ResponseWriter { return w.ResponseWriter }
func (w flushes) Flush()                      { w.ResponseWriter.(http.Flusher).Flush() }
func (w zips) Write(b []byte) (int, error)    { return w.z.Write(b) }
func (w zips) Flush()                         { w.z.Flush(); w.ResponseWriter.(http.Flusher).Flush() }

func wrapped(h http.Handler, wrap func(http.ResponseWriter) http.ResponseWriter) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(wrap(w), r) })
}

// UX-04: middleware that logs, or counts, wraps the writer; each event arrives when it is sent all the same.
func TestUX04_Wrapped(t *testing.T) {
	for name, wrap := range map[string]func(http.ResponseWriter) http.ResponseWriter{
		"unwraps":       func(w http.ResponseWriter) http.ResponseWriter { return unwraps{w} },
		"flushes":       func(w http.ResponseWriter) http.ResponseWriter { return flushes{w} },
		"unwraps twice": func(w http.ResponseWriter) http.ResponseWriter { return unwraps{unwraps{w}} },
		"both":          func(w http.ResponseWriter) http.ResponseWriter { return unwraps{flushes{w}} },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			e := serve(t, wrapped(newPage(t, s, nil), wrap))
			v := e.stream("/events?filter=chan:c")
			v.event("stats")
			for i := range 3 {
				sendInts(s, "c", i, i)
				require.Equal(t, uint64(i+1), v.record().Seq)
			}
		})
	}
}

// UX-04: through middleware that compresses, too.
func TestUX04_Gzip(t *testing.T) {
	s := newServer(t)
	p := newPage(t, s, nil)
	e := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		p.ServeHTTP(zips{w, z}, r)
	}))
	e.client.Transport.(*http.Transport).DisableCompression = true
	v := e.open("/events?filter=chan:c")
	z, err := gzip.NewReader(v.res.Body) // the header is there before the first event
	require.NoError(t, err)
	v.in = bufio.NewReader(z)
	for i := range 3 {
		sendInts(s, "c", i, i)
		require.Equal(t, uint64(i+1), v.record().Seq)
	}
}

// UX-04: where nothing can be flushed the stream would never arrive. It says so, and what to do.
func TestUX04_CannotFlush(t *testing.T) {
	s := newServer(t)
	p := newPage(t, s, nil)
	h := wrapped(p, func(w http.ResponseWriter) http.ResponseWriter { return hides{w} })
	w := ask(h, local("GET", "/events"))
	require.Equal(t, http.StatusNotImplemented, w.Code)
	require.Contains(t, w.Body.String(), "tap_test.hides")
	require.Contains(t, w.Body.String(), "Unwrap")
	w = ask(http.TimeoutHandler(p, time.Second, ""), local("GET", "/events"))
	require.Equal(t, http.StatusNotImplemented, w.Code)
	require.Equal(t, http.StatusOK, ask(h, local("GET", "/channels")).Code, "pages need no flush")
	require.False(t, s.Listening("c"))
}

// UX-07: behind a reverse proxy that does not ask to be flushed for each event they arrive at once too.
// Who may look is the program's to say then: by default nobody who comes through a proxy may.
func TestUX07_ReverseProxy(t *testing.T) {
	s := newServer(t)
	page := newPage(t, s, &tap.Options{Allow: func(r *http.Request) tap.Access {
		if r.Header.Get("X-Forwarded-For") == "" {
			return 0
		}
		return tap.Look
	}})
	mux := http.NewServeMux()
	mux.Handle("/inner/", page)
	inner := serve(t, mux)
	to, err := url.Parse(inner.url)
	require.NoError(t, err)
	outer := serve(t, http.StripPrefix("/out/er", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.URL.Path = to.Scheme, to.Host, "/inner"+r.In.URL.Path
		r.Out.Host = r.In.Host
		r.SetXForwarded()
	}}))
	for _, accept := range []string{"text/event-stream", "*/*"} {
		v := outer.open("/out/er/events?filter=chan:c", "Accept", accept, "Origin", outer.url)
		require.Equal(t, "no", v.res.Header.Get("X-Accel-Buffering"), "or nginx collects events")
		require.Contains(t, v.res.Header.Get("Cache-Control"), "no-transform", "or a proxy compresses, and collects events")
		sendInts(s, "c", 1, 1)
		require.Equal(t, "c", v.record().Channel)
		v.hang()
		eventually(t, "the viewer to go", func() bool { return !s.Listening("c") })
	}
	require.Contains(t, crawl(t, outer, "/out/er/"), "/out/er/channels")
}

// UX-08: timeouts of the web server that are meant for requests do not end a stream, nor an observation
// that takes longer.
func TestUX08_Timeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		e := serveBubble(t, newPage(t, s, nil), func(srv *http.Server) {
			srv.ReadTimeout, srv.WriteTimeout, srv.IdleTimeout = time.Second, time.Second, time.Second
		})
		v := e.stream("/events?filter=chan:c")
		lines := e.open("/events?filter=chan:c")
		for i := range 20 {
			time.Sleep(700 * time.Millisecond)
			sendInts(s, "c", i, i)
			require.Equal(t, uint64(i+1), v.record().Seq)
			require.Equal(t, uint64(i+1), lines.record().Seq)
		}
		go v.rest()
		go lines.rest()
		over := e.open("/overview.json?over=5s")
		require.NotEmpty(t, over.rest())
		require.NotEmpty(t, e.open("/overview.json").rest(), "and the server's timeouts hold again")
	})
}

// UX-08: a slow viewer is waited for ten seconds, and is taken to be gone then.
func TestUX08_NeverReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		e := serveBubble(t, newPage(t, s, nil))
		v := e.open("/events?filter=chan:c")
		start := time.Now()
		for s.Listening("c") { // until the buffers on the way are full, and then until its time is up
			sendInts(s, "c", 1, 1000)
			time.Sleep(100 * time.Millisecond)
		}
		took := time.Since(start)
		require.GreaterOrEqual(t, took, 10*time.Second)
		require.Less(t, took, 13*time.Second)
		v.hang()
	})
}

// UX-09: HTTP/2 needs no flush of its own, has no limit of six streams, and shows the same.
func TestUX09_HTTP2(t *testing.T) {
	s := newServer(t)
	e := serve(t, newPage(t, s, nil), func(ts *httptest.Server) { ts.EnableHTTP2 = true })
	var viewers []*viewer
	for range 10 {
		v := e.stream("/events?filter=chan:c")
		require.Equal(t, 2, v.res.ProtoMajor)
		viewers = append(viewers, v)
	}
	for i := range 3 {
		sendInts(s, "c", i, i)
		for _, v := range viewers {
			require.Equal(t, uint64(i+1), v.record().Seq)
		}
	}
}

// UX-09: on a Unix socket everybody who may open it is on this machine, whatever the Host says.
func TestUX09_UnixSocket(t *testing.T) {
	s := newServer(t)
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	e := serve(t, newPage(t, s, nil), func(ts *httptest.Server) {
		ts.Listener.Close()
		ts.Listener = l
	})
	tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", path) }}
	t.Cleanup(tr.CloseIdleConnections)
	e.url, e.client = "http://earshot.example", &http.Client{Transport: tr}
	v := e.open("/events?filter=chan:c")
	require.Equal(t, http.StatusOK, v.res.StatusCode)
	sendInts(s, "c", 1, 1)
	require.Equal(t, "c", v.record().Channel)
	proxied := e.open("/events", "X-Forwarded-For", "192.0.2.1")
	require.Equal(t, http.StatusForbidden, proxied.res.StatusCode)
	io.Copy(io.Discard, proxied.res.Body)
}
