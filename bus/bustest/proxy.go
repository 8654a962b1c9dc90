package bustest

import (
	"crypto/rand"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A Proxy is a bad wire: it stands before a server and passes bytes on, until it is told otherwise. Its methods may be
// called from many goroutines.
type Proxy struct {
	target string
	addr   string
	jobs   sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	ln      net.Listener
	links   map[*link]struct{}
	opened  int
	frozen  chan struct{} // closed by Thaw; nil: not frozen
	delay   time.Duration
	slice   int
	garbage bool
}

// A link is one connection of a client, and that to the server behind it.
type link struct {
	client, server *net.TCPConn
	cut            chan struct{} // closed with the link
	once           sync.Once
	half           atomic.Bool // the client has been told that no more comes
}

// NewProxy starts a proxy on a free port of the loopback interface. It ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	p := &Proxy{target: target, addr: "127.0.0.1:0", links: map[*link]struct{}{}}
	if err := p.listen(); err != nil {
		t.Fatalf("proxy: %v", err)
	}
	t.Cleanup(p.close)
	return p
}

// Addr returns the address, host:port, to which clients connect.
func (p *Proxy) Addr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addr
}

// Conns returns how many connections are open, and how many have been.
func (p *Proxy) Conns() (open, opened int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links), p.opened
}

// Cut resets all connections and refuses new ones, until Mend.
func (p *Proxy) Cut() {
	p.mu.Lock()
	if p.ln != nil {
		p.ln.Close()
		p.ln = nil
	}
	p.mu.Unlock()
	p.Drop()
}

// Mend ends Cut.
func (p *Proxy) Mend() {
	// The port was this proxy's a moment ago, and nobody asks for it by number. Should somebody have got it by chance,
	// for an outgoing connection, then not for long.
	for range 500 {
		if p.listen() == nil {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	panic("bustest: the port of a proxy is not to be had again: " + p.Addr())
}

// Drop resets all connections, and takes new ones.
func (p *Proxy) Drop() {
	for _, l := range p.all() {
		l.reset()
	}
}

// HalfClose ends the stream of bytes from the server to the client on all connections. The other direction stays open:
// what the client writes arrives, and nobody answers.
func (p *Proxy) HalfClose() {
	for _, l := range p.all() {
		l.half.Store(true)
		l.client.CloseWrite()
	}
}

// Freeze stops all bytes, in both directions, until Thaw. Connections stay open, and new ones are taken.
func (p *Proxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen == nil {
		p.frozen = make(chan struct{})
	}
}

// Thaw ends Freeze. What was held back is passed on.
func (p *Proxy) Thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen != nil {
		close(p.frozen)
		p.frozen = nil
	}
}

// Delay makes every piece of bytes wait before it is passed on. 0 ends it.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Slice passes bytes on in pieces of n. 0 ends it.
func (p *Proxy) Slice(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slice = n
}

// Garbage replaces what the server says by random bytes, as many.
func (p *Proxy) Garbage(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.garbage = on
}

func (p *Proxy) all() (links []*link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		links = append(links, l)
	}
	return links
}

func (p *Proxy) close() {
	p.Cut()
	p.jobs.Wait()
}

func (p *Proxy) listen() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ln != nil {
		return nil
	}
	ln, err := net.Listen("tcp", p.addr)
	if err != nil {
		return err
	}
	p.ln, p.addr = ln, ln.Addr().String()
	p.jobs.Go(func() { p.accept(ln) })
	return nil
}

func (p *Proxy) accept(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		p.jobs.Go(func() { p.serve(ln, c.(*net.TCPConn)) })
	}
}

func (p *Proxy) serve(ln net.Listener, client *net.TCPConn) {
	server, err := net.DialTimeout("tcp", p.target, time.Second)
	if err != nil { // no server: a refused connection, as late as that
		client.SetLinger(0)
		client.Close()
		return
	}
	l := &link{client: client, server: server.(*net.TCPConn), cut: make(chan struct{})}
	p.mu.Lock()
	p.opened++
	p.links[l] = struct{}{}
	gone := p.ln != ln // cut while the server was dialled, and perhaps mended since
	p.mu.Unlock()
	if gone {
		l.reset()
	}
	done := make(chan struct{})
	p.jobs.Go(func() {
		defer close(done)
		p.pass(l, l.server, l.client, false)
	})
	p.pass(l, l.client, l.server, true)
	<-done
	l.reset() // both directions have ended: nothing is lost by it
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

func (l *link) reset() {
	l.once.Do(func() {
		close(l.cut)
		for _, c := range []*net.TCPConn{l.client, l.server} {
			c.SetLinger(0)
			c.Close()
		}
	})
}

// pass passes bytes on in one direction, until that ends.
func (p *Proxy) pass(l *link, to, from *net.TCPConn, answers bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if !p.write(l, to, buf[:n], answers) {
			l.reset()
			return
		}
		if errors.Is(err, io.EOF) {
			p.hold(l)
			to.CloseWrite()
			return
		}
		if err != nil {
			l.reset()
			return
		}
	}
}

// write passes a piece on, and reports whether the link can be used further.
func (p *Proxy) write(l *link, to *net.TCPConn, data []byte, answers bool) bool {
	for len(data) > 0 {
		p.mu.Lock()
		delay, n, garbage := p.delay, p.slice, p.garbage
		p.mu.Unlock()
		if n <= 0 || n > len(data) {
			n = len(data)
		}
		if delay > 0 {
			wait := time.NewTimer(delay)
			select {
			case <-wait.C:
			case <-l.cut:
			}
			wait.Stop()
		}
		if !p.hold(l) {
			return false
		}
		if garbage && answers {
			rand.Read(data[:n])
		}
		if answers && l.half.Load() {
			return true // into the void
		}
		if _, err := to.Write(data[:n]); err != nil && !(answers && l.half.Load()) {
			return false
		}
		data = data[n:]
	}
	return true
}

// hold waits while the proxy is frozen, and reports whether the link is still there.
func (p *Proxy) hold(l *link) bool {
	for {
		p.mu.Lock()
		frozen := p.frozen
		p.mu.Unlock()
		select {
		case <-l.cut:
			return false
		default:
		}
		if frozen == nil {
			return true
		}
		select {
		case <-frozen:
		case <-l.cut:
		}
	}
}
