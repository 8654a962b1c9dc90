package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/earshot-go/earshot/internal/wake"
	"github.com/earshot-go/earshot/queue"
)

// earQuiet is how long the connection over which we are woken may be silent before the server has to show that it is
// there; half open, it is missed for twice that time, and the patrol wakes.
const earQuiet = 5 * time.Second

// Wait blocks until Lease may have something for one of the queues, ctx ends, or the store is closed. The server
// publishes what becomes due: one connection listens as long as somebody waits now and then. That is a hint, which may
// be lost: besides, the store asks the server once a second while somebody waits.
func (s *Store) Wait(ctx context.Context, queues []string) error {
	if !s.enter() {
		return fmt.Errorf("redis: wait for %s: %w", s, queue.ErrClosed)
	}
	defer s.running.Done()
	s.patrol.Do(func() {
		s.running.Add(1) // we have entered
		go func() {      // ends with the store
			defer s.running.Done()
			s.bell.Patrol(s.life, s.timing.patrol, s.ask)
		}()
		s.listen()
	})
	err := s.bell.Wait(ctx, queues)
	if err == nil || ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		return err
	}
	return fmt.Errorf("redis: wait for %s: %w", s, err)
}

// ask tells in which time something is due in queues that somebody waits for.
func (s *Store) ask(ctx context.Context, queues []string) (time.Duration, error) {
	s.listen() // again, if it had to end
	args := make([]any, len(queues))
	for i, q := range queues {
		args[i] = q
	}
	v, err := s.call(ctx, "wait for", nextScript, args...)
	if err != nil {
		return 0, err
	}
	in, err := v.int(1)
	return until(in), err
}

// until is what a script says of the time until something is due: -1 is never.
func until(micros int64) time.Duration {
	if micros < 0 {
		return -1
	}
	return wake.In(micros)
}

// listen begins to listen for what other processes do, if nobody does.
func (s *Store) listen() {
	s.ear.Lock()
	defer s.ear.Unlock()
	if s.ear.open || !s.enter() {
		return
	}
	s.ear.open = true
	go func() { // ends with its connection, which Close cuts
		defer s.running.Done()
		s.hear() // an error is what the next call meets too
		s.ear.Lock()
		s.ear.open = false
		s.ear.Unlock()
	}()
}

// hear rings for what is published, until its connection ends.
func (s *Store) hear() error {
	w, err := s.connect(s.life)
	if err != nil {
		return err
	}
	defer w.drop()
	w.conn.until = time.Now().Add(s.timing.answer)
	if err := s.greet(s.life, w); err != nil {
		return err
	}
	w.conn.until, w.conn.quiet = time.Time{}, earQuiet
	channel := strings.TrimSuffix(s.key, "meta") + "wake"
	if _, err := fmt.Fprintf(w.conn, "*2\r\n$9\r\nSUBSCRIBE\r\n$%d\r\n%s\r\n", len(channel), channel); err != nil {
		return err
	}
	r := bufio.NewReader(w.conn)
	asked := false
	for {
		if _, err := r.Peek(1); err != nil {
			var silent net.Error
			if asked || !errors.As(err, &silent) || !silent.Timeout() {
				return err
			}
			asked = true
			if _, err := w.conn.Write([]byte("*1\r\n$4\r\nPING\r\n")); err != nil {
				return err
			}
			continue
		}
		asked = false
		m, err := readMessage(r)
		if err != nil {
			return err
		}
		switch {
		case len(m) == 3 && m[0] == "message":
			s.heard(m[2])
		case len(m) == 3 && m[0] == "subscribe":
			s.bell.RingAll() // what was published before was missed
		case len(m) == 1:
			return errors.New(m[0]) // what the server refuses
		}
	}
}

// heard rings for "<sender> <in microseconds> <queue>".
func (s *Store) heard(message string) {
	part := strings.SplitN(message, " ", 3)
	if len(part) != 3 || part[0] == s.sender {
		return
	}
	in, err := strconv.ParseInt(part[1], 10, 64)
	if err != nil {
		in = 0
	}
	s.bell.Ring(part[2], wake.In(in))
}

// readMessage reads an array of texts and numbers, or one line. The guard has looked at the lengths.
func readMessage(r *bufio.Reader) (m []string, err error) {
	line := func() (string, error) {
		s, err := r.ReadString('\n')
		return strings.TrimRight(s, "\r\n"), err
	}
	head, err := line()
	if err != nil || head == "" || head[0] != '*' {
		return []string{head}, err
	}
	n, err := strconv.Atoi(head[1:])
	if err != nil || n < 0 || n > 8 {
		return nil, errReply
	}
	for range n {
		head, err := line()
		if err != nil {
			return nil, err
		}
		if head == "" || head[0] != '$' {
			m = append(m, head)
			continue
		}
		n, err := strconv.Atoi(head[1:])
		if err != nil || n < 0 {
			return nil, errReply
		}
		text := make([]byte, n+len("\r\n"))
		if _, err := io.ReadFull(r, text); err != nil {
			return nil, err
		}
		m = append(m, string(text[:n]))
	}
	return m, nil
}
