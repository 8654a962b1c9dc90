package postgres

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"sync"
	"time"

	"github.com/earshot-go/earshot/internal/wake"
	"github.com/jackc/pgx/v5"
)

const (
	// soon is how soon an item has to be due that others are told of it. What is due later they find by themselves:
	// they look once a second.
	soon = 2 * time.Second
	// apart is how long it is at least from one notification of a store to its next.
	apart = 5 * time.Millisecond
	// lastTime is how long Close waits for the last one.
	lastTime = 100 * time.Millisecond
	// noteSize is what a notification may have: less than 8000 bytes.
	noteSize = 7000
)

// notes are what other processes are to be told.
type notes struct {
	from  string        // this store: it does not listen to itself
	some  chan struct{} // has room for one: there is something in due
	start sync.Once
	last  chan struct{} // closed when there will be no more
	sent  chan struct{} // closed when the last is sent

	mu  sync.Mutex // guards the field below
	due map[string]time.Duration
}

func (n *notes) init() {
	n.from, n.some, n.due = rand.Text(), make(chan struct{}, 1), map[string]time.Duration{}
	n.last, n.sent = make(chan struct{}), make(chan struct{})
}

// A note says in which time, in microseconds, there may be something to lease in which queues.
type note struct {
	From string           `json:"from,omitempty"`
	Due  map[string]int64 `json:"due"`
}

// channel is the name of the notifications.
func (s *Store) channel() string { return "earshot." + s.opts.Schema }

// earlier notes when something in a queue is due, if that is earlier than what is noted.
func earlier(due map[string]time.Duration, queue string, in time.Duration) {
	if old, ok := due[queue]; !ok || in < old {
		due[queue] = max(in, 0)
	}
}

// announce tells those who wait, here and elsewhere, in which time something is due. It does not block.
func (s *Store) announce(due map[string]time.Duration) {
	for queue, in := range due {
		s.bell.Ring(queue, in)
	}
	if s.opts.NoNotify {
		return
	}
	n, near := &s.notes, false
	n.mu.Lock()
	for queue, in := range due {
		if in < soon {
			earlier(n.due, queue, in)
			near = true
		}
	}
	n.mu.Unlock()
	if !near {
		return
	}
	n.start.Do(func() { s.goes(s.notify) })
	select {
	case n.some <- struct{}{}:
	default:
	}
}

// goes starts a goroutine that ends with the store.
func (s *Store) goes(f func()) {
	if s.enter() {
		go func() {
			defer s.running.Done()
			f()
		}()
	}
}

// notify sends notifications, for a while together. It is not done by the calls that have something to tell, since a
// commit with a notification has a lock that is for all databases of the server. What is lost by an error others find
// when they look.
func (s *Store) notify() {
	n := &s.notes
	defer close(n.sent)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-n.some:
		case <-n.last:
			s.sendLast()
			return
		}
		if c, others := s.pool.spare(); c != nil {
			s.send(c)
			s.pool.give(c)
		} else if others {
			select { // as soon as one of them is back
			case n.some <- struct{}{}:
			default:
			}
		} else { // they broke. To make a new one is for who calls
			n.mu.Lock()
			clear(n.due)
			n.mu.Unlock()
		}
		pause.Reset(apart)
		select {
		case <-pause.C:
		case <-n.last:
			s.sendLast()
			return
		}
	}
}

// sendLast sends what there is before the store is closed, on a connection for which it may have to wait.
func (s *Store) sendLast() {
	n := &s.notes
	n.mu.Lock()
	none := len(n.due) == 0
	n.mu.Unlock()
	if none {
		return
	}
	if c, err := s.pool.take(s.life); err == nil {
		s.send(c)
		s.pool.give(c)
	}
}

// finish has what there is to tell sent, and returns when that is done or has taken lastTime, or ctx ends.
func (s *Store) finish(ctx context.Context) {
	n, began := &s.notes, true
	n.start.Do(func() { began = false }) // and will not
	close(n.last)
	if !began {
		return
	}
	timeout := time.NewTimer(lastTime)
	defer timeout.Stop()
	select {
	case <-n.sent:
	case <-timeout.C:
	case <-ctx.Done():
	}
}

// send sends what there is.
func (s *Store) send(c *pgx.Conn) {
	n := &s.notes
	n.mu.Lock()
	texts := writeNotes(n.from, n.due)
	clear(n.due)
	n.mu.Unlock()
	if len(texts) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(s.life, callTime)
	defer cancel()
	c.Exec(ctx, `SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, text) FROM unnest($2::text[]) AS text`, s.channel(), texts)
}

// writeNotes returns notifications for queues, as many as are needed for their size.
func writeNotes(from string, due map[string]time.Duration) (texts []string) {
	n, size := note{From: from, Due: map[string]int64{}}, 0
	flush := func() {
		if len(n.Due) > 0 {
			text, _ := json.Marshal(n) // of strings and numbers
			texts = append(texts, string(text))
			clear(n.Due)
			size = 0
		}
	}
	for queue, in := range due {
		name, _ := json.Marshal(queue)
		if size += len(name) + 20; size > noteSize {
			flush()
			size = len(name) + 20
		}
		n.Due[queue] = in.Microseconds()
	}
	flush()
	return texts
}

// listen hears what other stores tell, while somebody waits. It has a connection of its own, since a session is needed
// for it, and makes it again once a second at most.
func (s *Store) listen() {
	again := time.NewTimer(time.Second)
	defer again.Stop()
	for {
		select {
		case <-s.wanted:
		case <-again.C:
		case <-s.life.Done():
			return
		}
		if s.waiters.Load() > 0 {
			if c, err := s.pool.dial(s.life); err == nil {
				s.hear(c)
				drop(c)
			}
			again.Reset(time.Second)
			select {
			case <-again.C:
			case <-s.life.Done():
				return
			}
		}
		again.Reset(time.Second)
	}
}

// hear rings for what comes over a connection, until that breaks.
func (s *Store) hear(c *pgx.Conn) {
	ctx, cancel := context.WithTimeout(s.life, callTime)
	_, err := c.Exec(ctx, `LISTEN "`+s.channel()+`"`)
	cancel()
	s.bell.RingAll() // something may have been told before
	for err == nil {
		said, broken := c.WaitForNotification(s.life)
		if err = broken; err != nil {
			break
		}
		var n note
		if json.Unmarshal([]byte(said.Payload), &n) != nil || n.From == s.notes.from {
			continue
		}
		for queue, in := range n.Due {
			s.bell.Ring(queue, wake.In(in))
		}
	}
}
