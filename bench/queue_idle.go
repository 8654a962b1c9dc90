package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot-go/earshot/queue"
)

const (
	queueIdle    = 5 * time.Second
	idleRequests = "requests of an idle worker"
	idleCPU      = "processor time of an idle worker"
)

// idle measures what a worker costs that waits while nothing happens: what it sends to a server, and of what happens in
// this process the processor's time.
func (e *queueEngine) idle(r *runner, start func() (*queueServer, error)) error {
	path := e.path(idleRequests)
	if e.name == "SQLite" {
		path = e.path(idleCPU)
	}
	if e.name == "memory" || !r.wants(path) {
		return nil
	}
	s, err := start()
	if err != nil {
		return err
	}
	r.say(true, "queues, %s, idle", e.name)
	requests, used, err := idleWorker(s, r.budget(queueIdle))
	if s.address == "" {
		requests = float64(used)
	}
	r.add(path, requests)
	return err
}

// idleWorker returns how many requests a worker sends to the server in a second while it waits, and what it takes of the
// processor.
func idleWorker(s *queueServer, span time.Duration) (requests float64, used time.Duration, err error) {
	address, m := s.url("idle"), &meter{}
	if s.address != "" {
		if m, err = newMeter(address); err != nil {
			return 0, 0, err
		}
		defer m.close()
		address = m.url
	}
	rest := time.Duration(0) // what the process takes without a worker
	if s.address == "" {
		if rest, err = take(span); err != nil {
			return 0, 0, err
		}
	}
	c, err := newQueueCrew(address)
	if err != nil {
		return 0, 0, err
	}
	handled := make(chan bool, 1)
	stop, err := c.handle(func(queue.Leased) error { handled <- true; return nil })
	if err != nil {
		return 0, 0, errors.Join(err, c.close())
	}
	if err = c.add(1); err == nil { // so that everything is open that it takes
		<-handled
		time.Sleep(span / 2) // what it does after a job is over
		before := m.requests.Load()
		used, err = take(span)
		requests = float64(m.requests.Load()-before) / span.Seconds()
	}
	return requests, used - rest, errors.Join(err, stop(), c.close())
}

// take returns what this process takes of the processors in a second, for so long.
func take(span time.Duration) (time.Duration, error) {
	before, err := processorTime()
	time.Sleep(span)
	after, err2 := processorTime()
	return time.Duration(float64(after-before) / span.Seconds()), errors.Join(err, err2)
}

// processorTime is what all threads of this process have had of the processors so far. Without /proc it is 0.
func processorTime() (total time.Duration, err error) {
	threads, err := filepath.Glob("/proc/self/task/*/schedstat")
	for _, t := range threads {
		text, err := os.ReadFile(t)
		if errors.Is(err, os.ErrNotExist) {
			continue // it has ended
		}
		if err != nil {
			return 0, err
		}
		first, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseInt(strings.TrimSpace(first), 10, 64)
		if err != nil {
			return 0, err
		}
		total += time.Duration(ns)
	}
	return total, err
}

// A meter stands before a server and counts how often clients say something: each time is one request at least, unless
// they send several at once.
type meter struct {
	url      string
	target   string
	ln       net.Listener
	requests atomic.Int64
	running  sync.WaitGroup
	mu       sync.Mutex // guards the fields below
	conns    []net.Conn
	closed   bool
}

func newMeter(address string) (*meter, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the address of the server is no URL")
	}
	m := &meter{target: u.Host}
	if m.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	u.Host = m.ln.Addr().String()
	m.url = u.String()
	m.running.Go(m.accept) // ends with close
	return m, nil
}

func (m *meter) accept() {
	for {
		client, err := m.ln.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", m.target)
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			client.Close()
			continue
		}
		m.mu.Lock()
		m.conns = append(m.conns, client, server)
		if m.closed {
			client.Close()
			server.Close()
		}
		m.mu.Unlock()
		m.running.Go(func() { pass(server, client, &m.requests) })
		m.running.Go(func() { pass(client, server, new(atomic.Int64)) })
	}
}

// pass passes bytes on until one of the connections ends, and counts how often.
func pass(to, from net.Conn, count *atomic.Int64) {
	defer to.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			count.Add(1)
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (m *meter) close() {
	m.ln.Close()
	m.mu.Lock()
	m.closed = true
	for _, c := range m.conns {
		c.Close()
	}
	m.mu.Unlock()
	m.running.Wait()
}
