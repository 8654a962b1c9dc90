package tap

import (
	"context"
	"crypto/rand"
	"sync"
	"time"
)

// A session is one viewer's stream, which outlives its connection by a moment: a browser that loses the
// connection comes back with the number of the last record that it has, and gets what it has not.
type session struct {
	id     string
	key    string // of the request that it was made for
	stream *Stream
	sent   uint64 // records, which are numbered from 1
	kept   []keptRecord
	bytes  int

	token chan struct{} // taken by the connection that it belongs to

	mu   sync.Mutex         // guards the fields below
	kick context.CancelFunc // ends that connection
	left int                // how often a connection has left it
}

type keptRecord struct {
	n    uint64
	data []byte
}

const (
	keptRecords = 256
	keptBytes   = 64 << 10
	// linger is how long a session waits for its viewer to come back; a browser does after a second.
	linger = 3 * time.Second
)

func newSession(key string, st *Stream) *session {
	return &session{id: rand.Text()[:12], key: key, stream: st, token: make(chan struct{}, 1)}
}

// keep numbers a record that is being sent, and remembers it if it may have to be sent again.
func (s *session) keep(data []byte, again bool) (n uint64) {
	s.sent++
	if !again {
		return s.sent
	}
	s.kept = append(s.kept, keptRecord{s.sent, data})
	s.bytes += len(data)
	drop := 0
	for len(s.kept)-drop > keptRecords || s.bytes > keptBytes && len(s.kept)-drop > 1 {
		s.bytes -= len(s.kept[drop].data)
		drop++
	}
	if drop > 0 {
		kept := copy(s.kept, s.kept[drop:])
		clear(s.kept[kept:])
		s.kept = s.kept[:kept]
	}
	return s.sent
}

// after returns the records after number n, and how many of those it has not any more.
func (s *session) after(n uint64) (again []keptRecord, missed uint64) {
	if n >= s.sent {
		return nil, 0
	}
	again = s.kept
	for len(again) > 0 && again[0].n <= n {
		again = again[1:]
	}
	first := s.sent + 1
	if len(again) > 0 {
		first = again[0].n
	}
	return again, first - n - 1
}

// parked are the sessions of a page: those that have a connection, and those that wait for theirs.
type parked struct {
	most int // sessions there may be for one to be parked

	mu     sync.Mutex // guards the fields below
	all    map[string]*session
	closed bool
}

// attach makes a session belong to a connection, whose end cancel brings about if another comes for it.
func (p *parked) attach(s *session, cancel context.CancelFunc) {
	s.token <- struct{}{}
	s.mu.Lock()
	s.kick = cancel
	s.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = map[string]*session{}
	}
	p.all[s.id] = s
}

// claim returns the session with an id for the connection with cancel, if it is still there, was made for
// the same request, and the connection that it had until now lets go of it.
func (p *parked) claim(id, key string, cancel context.CancelFunc) *session {
	p.mu.Lock()
	s := p.all[id]
	p.mu.Unlock()
	if s == nil || s.key != key {
		return nil
	}
	s.mu.Lock()
	kick := s.kick
	s.mu.Unlock()
	kick()
	give := time.NewTimer(time.Second)
	defer give.Stop()
	select {
	case s.token <- struct{}{}:
	case <-give.C:
		return nil // it is stuck in a write, and knows better than anybody what it has sent
	}
	s.mu.Lock()
	s.kick = cancel
	s.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all[id] != s {
		return nil
	}
	return s
}

// release ends a connection's hold on its session. It waits a moment for the viewer to come back, if
// wait says so, and is closed then.
func (p *parked) release(s *session, wait bool) {
	defer func() { <-s.token }()
	p.mu.Lock()
	wait = wait && !p.closed && len(p.all) <= p.most
	p.mu.Unlock()
	if !wait {
		p.drop(s)
		return
	}
	s.mu.Lock()
	s.left++
	left := s.left
	s.mu.Unlock()
	time.AfterFunc(linger, func() {
		s.mu.Lock()
		stay := s.left != left
		s.mu.Unlock()
		if !stay {
			p.dropIdle(s)
		}
	})
}

// dropIdle drops a session that nobody has.
func (p *parked) dropIdle(s *session) {
	select {
	case s.token <- struct{}{}:
		p.drop(s)
		<-s.token
	default:
	}
}

func (p *parked) drop(s *session) {
	p.mu.Lock()
	delete(p.all, s.id)
	p.mu.Unlock()
	s.stream.Close()
}

// clear ends the sessions that nobody holds, for good.
func (p *parked) clear() {
	p.mu.Lock()
	p.closed = true
	var all []*session
	for _, s := range p.all {
		all = append(all, s)
	}
	p.mu.Unlock()
	for _, s := range all {
		p.dropIdle(s)
	}
}
