package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A program that can be ended and started again on the same address.
type program struct {
	t    *testing.T
	addr string
	srv  *earshot.Server
	page *tap.Page
	web  *http.Server
	done chan struct{}
}

func (g *program) start() {
	g.t.Helper()
	if g.addr == "" {
		g.addr = "127.0.0.1:0"
	}
	l := listenOn(g.t, g.addr)
	g.addr = l.Addr().String()
	g.srv = earshot.NewServer(nil)
	g.page = tap.Handler(g.srv, &tap.Options{Allow: tap.Loopback(tap.Look | tap.Payloads)})
	g.web = &http.Server{Handler: mount(prefix, g.page)}
	g.done = make(chan struct{})
	go func() {
		defer close(g.done)
		g.web.Serve(l)
	}()
}

func (g *program) end() {
	g.srv.Close()
	g.page.Close()
	g.web.Close()
	<-g.done
}

// A program that was restarted is found again. What was missed is said in a
// row, what was there stays, and no event is there twice.
func TestUX20Restart(t *testing.T) {
	g := &program{t: t}
	g.start()
	defer func() { g.end() }()
	s := &site{t: t, srv: g.srv, page: "http://" + g.addr + prefix}
	p := newTab(t, "http://"+g.addr)
	p.expect(`ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|status 502|ERR_SOCKET_NOT_CONNECTED`)
	p.open(s.page + tapPath("chan:orders.*", "all"))
	p.until(isLive)
	p.watchSum()
	send(s, "orders.paid", 1, 20)
	p.until(fmt.Sprintf(`(%s).Rows === 20`, readCounts))

	g.end()
	p.until(`!` + isLive)
	assert.Regexp(t, `ended|reconnect`, p.text("#conn"))
	assert.Len(t, p.seqs(), 20, "what was there stays")
	g.start()
	s.srv = g.srv
	p.until(isLive)
	send(s, "orders.paid", 101, 120)
	p.until(`document.querySelectorAll('#rows tr[data-seq]').length === 40`)
	ids := eval[[]string](p, `[...document.querySelectorAll('#rows tr[data-seq]')].map(r => (r.textContent.match(/"id":\s*(\d+)/) || [])[1])`)
	slices.Sort(ids)
	assert.Len(t, slices.Compact(ids), 40, "events that are there twice")
	assert.Regexp(t, `(?i)gap|missed|restart|ended`, eval[string](p, `[...document.querySelectorAll('#rows tr:not([data-seq])')].map(r => r.textContent).join(' | ')`))
	c := p.counts()
	assert.Equal(t, c.Seen, c.Shown+c.Filtered+c.Shed)
	assert.Empty(t, p.sums().Wrong)
}

// A connection that breaks, while the program lives on, is made again, and the
// page gets what it missed meanwhile, or says that it is missing. Nothing is
// there twice.
func TestUX43Resume(t *testing.T) {
	s := newSite(t, tap.Look|tap.Payloads)
	cut := newCutter(t, s.web.Listener.Addr().String())
	p := newTab(t, "http://"+cut.addr)
	p.expect(`ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_CONNECTION_CLOSED`)
	p.open("http://" + cut.addr + prefix + tapPath("chan:orders.*", "all"))
	p.until(isLive)
	next := 1
	for round := range 3 {
		send(s, "orders.paid", next, next+9)
		next += 10
		p.until(fmt.Sprintf(`document.querySelector('#rows tr[data-seq="%d"]')`, next-1))
		streams := p.streams()
		cut.cut()
		send(s, "orders.paid", next, next+9)
		next += 10
		back := poll(patience, func() bool { return p.streams() != streams })
		require.True(t, back, "round %d: the page does not come back", round)
		p.until(isLive)
	}
	send(s, "orders.paid", next, next)
	p.until(fmt.Sprintf(`document.querySelector('#rows tr[data-seq="%d"]')`, next))
	seqs := p.seqs()
	slices.Sort(seqs)
	assert.Len(t, slices.Compact(slices.Clone(seqs)), len(seqs), "twice: %v", seqs)
	if gaps := eval[int](p, `document.querySelectorAll('#rows tr:not([data-seq])').length`); gaps == 0 {
		assert.Len(t, seqs, next, "events are missing and no gap is shown")
	}
	c := p.counts()
	assert.Equal(t, c.Seen, c.Shown+c.Filtered+c.Shed)
}

// The stream ends with the server of events, at once, and the page says so.
func TestUX46Shutdown(t *testing.T) {
	s := newSite(t, tap.Look|tap.Payloads)
	p := s.tap("chan:orders.*", "all")
	p.expect(`503|502|410`)
	send(s, "orders.paid", 1, 3)
	p.until(fmt.Sprintf(`(%s).Rows === 3`, readCounts))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	began := time.Now()
	require.NoError(t, s.srv.Shutdown(ctx))
	t.Logf("Shutdown took %v", time.Since(began))
	p.untilIn(3*time.Second, `document.getElementById('conn').textContent.includes('ended')`)
	assert.Len(t, p.seqs(), 3)
}

// A cutter stands between browser and server and cuts all wires when told.
type cutter struct {
	addr string

	mu    sync.Mutex
	conns map[net.Conn]bool
	wg    sync.WaitGroup
}

func newCutter(t *testing.T, target string) *cutter {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &cutter{addr: l.Addr().String(), conns: make(map[net.Conn]bool)}
	c.wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				in.Close()
				continue
			}
			c.keep(in, out)
			for _, d := range []struct{ to, from net.Conn }{{in, out}, {out, in}} {
				c.wg.Go(func() {
					io.Copy(d.to, d.from)
					d.to.Close()
					d.from.Close()
				})
			}
		}
	})
	t.Cleanup(func() { l.Close(); c.cut(); c.wg.Wait() })
	return c
}

func (c *cutter) keep(conns ...net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		c.conns[conn] = true
	}
}

func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		conn.Close()
	}
	clear(c.conns)
}
