package bustest_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/bustest"
	"github.com/earshot-go/earshot/bus/membus"
)

// wireServer serves a membus over TCP. The membus is its disk: it outlives a restart.
type wireServer struct {
	store *membus.Bus
	addr  string

	mu    sync.Mutex // guards the fields below
	ln    net.Listener
	conns map[net.Conn]bool
	jobs  sync.WaitGroup
	end   context.CancelFunc
}

// wireStream is a stream on a server of its own.
func wireStream(t testing.TB) bustest.Stream {
	s := &wireServer{store: membus.New(&membus.Options{Name: rand.Text()}), addr: "127.0.0.1:0"}
	s.start(t)
	t.Cleanup(func() {
		s.stop()
		s.store.Close(context.Background())
	})
	return bustest.Stream{
		Server: s.addr,
		Open: func(_ testing.TB, via string) bus.Bus {
			if via == "" {
				via = s.addr
			}
			return newWireBus(via)
		},
		Restart: func(t testing.TB) {
			s.stop()
			s.start(t)
		},
		Recreate: func(testing.TB) { s.store.Reset() },
		Trim:     func(_ testing.TB, keep int) { s.store.Trim(keep) },
	}
}

func (s *wireServer) start(t testing.TB) {
	ln, err := net.Listen("tcp", s.addr)
	for end := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(end); {
		ln, err = net.Listen("tcp", s.addr)
	}
	if err != nil {
		t.Fatalf("server: %v", err)
	}
	ctx, end := context.WithCancel(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ln, s.addr, s.conns, s.end = ln, ln.Addr().String(), map[net.Conn]bool{}, end
	s.jobs.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.jobs.Go(func() { s.serve(ctx, c) })
		}
	})
}

func (s *wireServer) stop() {
	s.mu.Lock()
	s.end()
	s.ln.Close()
	for c := range s.conns {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	s.mu.Unlock()
	s.jobs.Wait()
}

func (s *wireServer) serve(ctx context.Context, c net.Conn) {
	s.mu.Lock()
	s.conns[c] = true
	s.mu.Unlock()
	ctx, end := context.WithCancel(ctx)
	defer func() {
		end()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
		c.Close()
	}()
	if ctx.Err() != nil {
		return
	}
	lines := bufio.NewScanner(c)
	lines.Buffer(nil, 8<<20)
	var r request
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &r) != nil {
		return
	}
	s.jobs.Go(func() { // a client says no more: what ends is the connection
		lines.Scan()
		end()
	})
	out := json.NewEncoder(c)
	caps := s.store.Caps()
	caps.Durable = true
	if r.Op == "publish" {
		if err := s.store.Publish(ctx, r.Events...); err != nil {
			out.Encode(reply{Error: kind(err)})
			return
		}
		out.Encode(reply{Caps: &caps})
		return
	}
	feed, err := s.store.Tail(ctx, bus.Tail{Hint: r.Hint, From: r.position(), Past: r.Past})
	if err != nil {
		out.Encode(reply{Error: kind(err)})
		return
	}
	defer feed.Close()
	out.Encode(reply{Caps: &caps, Token: feed.(bus.Positioned).Token()})
	for {
		wait, cancel := context.WithTimeout(ctx, beatEvery)
		d, err := feed.Next(wait)
		cancel()
		var gap *bus.GapError
		switch {
		case err == nil:
			err = out.Encode(reply{Event: &d.Event, Token: d.Token})
		case ctx.Err() != nil:
			return
		case errors.Is(err, context.DeadlineExceeded):
			err = out.Encode(reply{Beat: true})
		case errors.As(err, &gap):
			err = out.Encode(reply{Gap: gap})
		default:
			out.Encode(reply{Error: kind(err)})
			return
		}
		if err != nil {
			return
		}
	}
}

func (r request) position() bus.Position {
	switch r.From {
	case "start":
		return bus.Start
	case "at":
		return bus.At(r.Time)
	case "after":
		return bus.After(r.Token)
	}
	return bus.Now
}

// kind is how an error goes over the wire.
func kind(err error) string {
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			return kind.Error()
		}
	}
	return err.Error()
}
