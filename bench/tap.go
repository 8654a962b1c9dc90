package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
)

// order is what a tapped program sends.
type order struct {
	ID     int64   `json:"id"`
	Amount float64 `json:"amount"`
	Item   string  `json:"item"`
}

// The situations that a program may be in, which its own work must not notice. The events go to one
// handler, and one in ten thousand passes the filter.
var tapPaths = []string{
	"tap/idle, without a page", "tap/idle, page closed",
	"tap/at work, without a page", "tap/at work, page closed", "tap/at work, one viewer", "tap/at work, 100 viewers that never read",
	"tap/flat out, without a page", "tap/flat out, one viewer", "tap/flat out, 100 viewers that never read",
}

const rareFilter = "chan:orders.* amount>=9999"

// tapped measures what taps cost a program: one that does a microsecond of work for each event, so that it
// sends about a million a second, and one that does nothing but send.
func tapped(r *runner) {
	turns := turnsOf(time.Microsecond)
	r.each("tap", tapPaths, func(i int) {
		path := tapPaths[i]
		p := newTappedProgram(!strings.Contains(path, "idle"), !strings.Contains(path, "without a page"))
		defer p.close()
		switch {
		case strings.Contains(path, "one viewer"):
			p.view(1, true)
		case strings.Contains(path, "100 viewers"):
			p.view(100, false)
		}
		n, work := r.size(500_000, 50_000), turns
		if !strings.Contains(path, "at work") {
			n, work = r.size(5_000_000, 500_000), 0
		}
		r.add(path, p.run(n, work))
		if strings.Contains(path, "100 viewers") {
			r.add(path+"/MiB", p.grown())
		}
	})
}

// turnsOf returns how many turns of spin take so long.
func turnsOf(d time.Duration) int {
	best := time.Hour
	const turns = 1_000_000
	for range 5 {
		start := time.Now()
		spin(turns)
		best = min(best, time.Since(start))
	}
	return int(turns * d / best)
}

//go:noinline
func spin(turns int) {
	for range turns {
	}
}

// A tappedProgram is a server with a page on a real listener.
type tappedProgram struct {
	srv    *earshot.Server
	orders *earshot.Channel[order]
	http   *http.Server
	url    string
	conns  []net.Conn
	before float64
}

func newTappedProgram(heard, page bool) *tappedProgram {
	p := &tappedProgram{srv: earshot.NewServer(nil)}
	p.orders = earshot.NewChannel[order](p.srv, "orders.paid", nil)
	if heard {
		_, err := p.orders.Handle(context.Background(), func(context.Context, earshot.Message[order]) error { return nil }, nil)
		must(err)
	}
	if page {
		h := tap.Handler(p.srv, &tap.Options{Allow: tap.Loopback(tap.Look | tap.Payloads)})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(err)
		p.http = &http.Server{Handler: h}
		p.url = "http://" + l.Addr().String() + "/"
		go p.http.Serve(l)
	}
	p.before = inUse()
	return p
}

// view opens streams. Viewers that read have a filter that little passes; those that do not ask for all.
func (p *tappedProgram) view(n int, read bool) {
	filter := rareFilter
	if !read {
		filter = ""
	}
	for range n {
		c, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(p.url, "http://"), "/"))
		must(err)
		p.conns = append(p.conns, c)
		if !read {
			must(c.(*net.TCPConn).SetReadBuffer(4 << 10))
		}
		_, err = fmt.Fprintf(c, "GET /events?filter=%s HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n",
			strings.NewReplacer(" ", "%20", ">", "%3E").Replace(filter))
		must(err)
		in := bufio.NewReaderSize(c, 64)
		status, err := in.ReadString('\n')
		must(err)
		if !strings.Contains(status, "200") {
			must(fmt.Errorf("the viewer is told %s", status))
		}
		if read {
			go io.Copy(io.Discard, in)
		}
	}
	if read {
		return
	}
	// Send until their connections are full, which is when nothing is taken from their taps any more.
	for start := time.Now(); time.Since(start) < time.Second; {
		for i := range 1000 {
			p.orders.Send(order{int64(i), 1, "warming up"})
		}
		time.Sleep(time.Millisecond)
	}
}

// run sends n events, works so many turns for each, and returns the nanoseconds for one.
func (p *tappedProgram) run(n, work int) float64 {
	start := time.Now()
	for i := range n {
		spin(work)
		p.orders.Send(order{int64(i), float64(i % 10_000), "a book"})
	}
	return float64(time.Since(start)) / float64(n)
}

// grown returns by how many MiB what the process holds has grown since the program began.
func (p *tappedProgram) grown() float64 { return (inUse() - p.before) / (1 << 20) }

func (p *tappedProgram) close() {
	for _, c := range p.conns {
		c.Close()
	}
	must(p.srv.Close())
	if p.http != nil {
		must(p.http.Close())
	}
}

func tapTables(r *runner) []table {
	t := newTable("Tap: ns per event of the program that is watched", "program", "ns per event", "ratio")
	base := ""
	for _, path := range tapPaths {
		if strings.HasSuffix(path, "without a page") {
			base = path
		}
		t.add(strings.TrimPrefix(path, "tap/"), nanosText(r.min(path)), ratioText(r.min(path), r.min(base)))
	}
	ratio := func(a, b string) float64 { return r.min("tap/"+a) / r.min("tap/"+b) }
	r.judge("tap page closed / no page, idle send", ratio("idle, page closed", "idle, without a page"), 1.1, "")
	r.judge("tap page closed / no page, a microsecond of work an event", ratio("at work, page closed", "at work, without a page"), 1.02, "")
	r.judge("one viewer, few matches / no page, a microsecond of work an event", ratio("at work, one viewer", "at work, without a page"), 1.05, "")
	r.judge("100 viewers that never read / no page, a microsecond of work an event", ratio("at work, 100 viewers that never read", "at work, without a page"), 1.05, "")
	m := newTable("Tap: memory of 100 viewers that never read", "what", "MiB")
	if mib := r.median("tap/at work, 100 viewers that never read/MiB"); !absent(mib) {
		m.add("heap and stacks, against before they came", fmt.Sprintf("%.1f", mib))
	}
	r.judge("MiB for 100 viewers that never read", r.median("tap/at work, 100 viewers that never read/MiB"), 24, "0.65 MiB of references and their events once, 0.1 MiB a viewer")
	return []table{t, m}
}
