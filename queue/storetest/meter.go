package storetest

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// A meter passes on what clients and a server have to say to each other, and counts how often clients say something.
type meter struct {
	ln    net.Listener
	said  atomic.Int64
	jobs  sync.WaitGroup
	mu    sync.Mutex // guards conns
	conns []net.Conn // nil when it is closed
}

// newMeter returns a meter in front of a server, until the test ends.
func newMeter(t testing.TB, server string) *meter {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("storetest: a port for a proxy: %v", err)
	}
	m := &meter{ln: ln, conns: []net.Conn{}}
	t.Cleanup(func() {
		ln.Close()
		m.mu.Lock()
		for _, c := range m.conns {
			c.Close()
		}
		m.conns = nil
		m.mu.Unlock()
		m.jobs.Wait()
	})
	m.jobs.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			m.jobs.Go(func() { m.serve(client, server) })
		}
	})
	return m
}

func (m *meter) addr() string { return m.ln.Addr().String() }

// times returns how often clients have sent something. It may be called when there is no meter.
func (m *meter) times() int64 {
	if m == nil {
		return 0
	}
	return m.said.Load()
}

func (m *meter) serve(client net.Conn, server string) {
	defer client.Close()
	conn, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer conn.Close()
	m.mu.Lock()
	if m.conns == nil {
		m.mu.Unlock()
		return
	}
	m.conns = append(m.conns, client, conn)
	m.mu.Unlock()
	m.jobs.Go(func() {
		defer client.Close()
		io.Copy(client, conn)
	})
	data := make([]byte, 64<<10)
	for {
		n, err := client.Read(data)
		if n > 0 {
			m.said.Add(1)
			if _, err := conn.Write(data[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
