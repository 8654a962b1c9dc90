package tap_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// A frame is what a stream sends at a time: an event of the server-sent ones, or a line.
type frame struct{ ID, Event, Data string }

// A viewer reads a stream over a connection.
type viewer struct {
	t    testing.TB
	res  *http.Response
	in   *bufio.Reader
	sse  bool
	hang context.CancelFunc // hangs up
	peek chan struct{}      // closed when waiting, which has returned, has something after all
}

// An endpoint is a page that is served, and a client that reaches it.
type endpoint struct {
	t      testing.TB
	url    string // without a slash at its end
	client *http.Client
}

// serve mounts a handler on a server of its own, on the loopback network.
func serve(t testing.TB, h http.Handler, configure ...func(*httptest.Server)) endpoint {
	t.Helper()
	ts := httptest.NewUnstartedServer(h)
	for _, f := range configure {
		f(ts)
	}
	if !ts.EnableHTTP2 {
		ts.Start()
	} else {
		ts.StartTLS()
	}
	t.Cleanup(ts.Close)
	return endpoint{t, ts.URL, ts.Client()}
}

// open begins to read a stream, or whatever the answer is.
func (e endpoint) open(target string, header ...string) *viewer {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r, err := http.NewRequestWithContext(ctx, "GET", e.url+target, nil)
	require.NoError(e.t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	res, err := e.client.Do(r)
	if err != nil {
		cancel()
		require.NoError(e.t, err)
	}
	v := &viewer{t: e.t, res: res, in: bufio.NewReader(res.Body), sse: strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream")}
	v.hang = func() { cancel(); res.Body.Close() }
	e.t.Cleanup(v.hang)
	return v
}

// stream opens a stream of server-sent events, and waits until it has begun.
func (e endpoint) stream(target string, header ...string) *viewer {
	e.t.Helper()
	v := e.open(target, append(header, "Accept", "text/event-stream")...)
	require.Equal(e.t, http.StatusOK, v.res.StatusCode)
	return v
}

// next returns the next frame; ok is false when there is none any more. What is not as the standard
// has it fails the test.
func (v *viewer) next() (f frame, ok bool) {
	v.t.Helper()
	if v.peek != nil {
		<-v.peek
	}
	for {
		line, err := v.in.ReadString('\n')
		if err != nil {
			if line != "" || f != (frame{}) {
				v.t.Errorf("the stream ends within a frame: %+v %q", f, line)
			}
			return f, false
		}
		line = strings.TrimSuffix(line, "\n")
		if !v.sse {
			if line == "" {
				continue // a heartbeat
			}
			return frame{Data: line}, true
		}
		field, value, _ := strings.Cut(line, ": ")
		switch {
		case line == "":
			if f != (frame{}) {
				return f, true
			}
		case field == "id":
			f.ID = value
		case field == "event":
			f.Event = value
		case field == "data" && f.Data == "":
			f.Data = value
		case field == "retry" && value == "1000":
		default:
			v.t.Fatalf("not a line of server-sent events: %q", line)
		}
	}
}

// event returns the next frame of a kind, and passes over statistics on the way.
func (v *viewer) event(kind string) frame {
	v.t.Helper()
	for {
		f, ok := v.next()
		if !ok {
			v.t.Fatalf("the stream ended before there was a %s", kind)
		}
		if f.Event == kind {
			require.True(v.t, json.Valid([]byte(f.Data)), "%s", f.Data)
			return f
		}
		require.Equal(v.t, "stats", f.Event, "on the way to a %s: %s", kind, f.Data)
	}
}

// A record is what a stream says about an event.
type record struct {
	id      string
	Channel string
	Kind    string
	Seq     uint64
	Time    string
	Type    string
	Size    int
	Missed  uint64
	Event   json.RawMessage
}

func (v *viewer) record() (r record) {
	v.t.Helper()
	var f frame
	if v.sse {
		f = v.event("record")
	} else {
		var ok bool
		f, ok = v.next()
		require.True(v.t, ok, "the stream has ended")
	}
	require.NoError(v.t, json.Unmarshal([]byte(f.Data), &r), "%s", f.Data)
	r.id = f.ID
	return r
}

// counts is the equation of a stream.
type counts struct {
	Seen, Shown, Filtered, Shed, Waiting uint64
	Payloads                             bool
}

func (v *viewer) stats(f frame) (c counts) {
	v.t.Helper()
	require.NoError(v.t, json.Unmarshal([]byte(f.Data), &c), "%s", f.Data)
	require.Equal(v.t, c.Seen, c.Shown+c.Filtered+c.Shed, "seen = shown + filtered + shed: %+v", c)
	return c
}

// rest reads to the end of the stream.
func (v *viewer) rest() (all []frame) {
	v.t.Helper()
	for f, ok := v.next(); ok; f, ok = v.next() {
		all = append(all, f)
	}
	return all
}

// pipes is a network that synctest understands: its connections wait on channels, and their deadlines
// are of the bubble's time.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	close func()
}

// serveBubble is serve for a synctest bubble.
func serveBubble(t testing.TB, h http.Handler, configure ...func(*http.Server)) endpoint {
	t.Helper()
	n := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	n.close = sync.OnceFunc(func() { close(n.done) })
	srv := &http.Server{Handler: h}
	for _, f := range configure {
		f(srv)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); srv.Serve(n) }()
	tr := &http.Transport{DialContext: n.dial}
	t.Cleanup(func() { srv.Close(); tr.CloseIdleConnections(); <-ended })
	return endpoint{t, "http://localhost", &http.Client{Transport: tr}}
}

type loopback struct{ net.Conn }

var loopbackAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000}

func (loopback) RemoteAddr() net.Addr { return loopbackAddr }
func (loopback) LocalAddr() net.Addr  { return loopbackAddr }

func (n *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case n.conns <- loopback{there}:
		return here, nil
	case <-n.done:
		return nil, fmt.Errorf("connection refused")
	}
}

func (n *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.done:
		return nil, net.ErrClosed
	}
}

func (n *pipes) Close() error { n.close(); return nil }

func (n *pipes) Addr() net.Addr { return loopbackAddr }

// waiting reports whether there is something to read in a bubble, in which nothing else is to happen.
func (v *viewer) waiting() bool {
	v.peek = make(chan struct{})
	go func() {
		defer close(v.peek)
		_, _ = v.in.Peek(1)
	}()
	synctest.Wait()
	select {
	case <-v.peek:
		return v.in.Buffered() > 0
	default:
		return false
	}
}
