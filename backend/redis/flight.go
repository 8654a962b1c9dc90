package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/earshot-go/earshot/queue"
	client "github.com/redis/go-redis/v9"
)

const (
	// lanes is how many flights there are at the same time. Calls that come meanwhile go together in the next one:
	// the server reads and answers them at once, and syncs to disk once for all (BenchmarkStoreEnqueue).
	lanes = 2
	// A flight has this many calls or bytes at most.
	flightCalls = 256
	flightBytes = 8 << 20
	// Calls of one script are requests to one run of it, this many at most: to begin it costs as much as ten of the
	// commands in it. The server serves nobody else meanwhile.
	runCalls = 32
)

// A call is a script on its way to the server and back.
type call struct {
	script *script
	args   []any
	size   int
	left   bool // nobody waits for it any more; guarded by flights.mu

	// These are set before done is closed.
	reply value
	err   error
	done  chan struct{} // nil if it flies alone
}

func (c *call) finish(v value, err error) {
	c.reply, c.err = v, err
	if c.done != nil {
		close(c.done)
	}
}

// flights take calls to the server, many at a time.
type flights struct {
	*pool
	key    string // which all scripts are given
	sender string // who we are, to tell apart what we hear of ourselves

	waiting struct {
		sync.Mutex // guards the fields below
		calls      []*call
		flying     int
	}
}

// do has the server run a script. It blocks until that has answered, for 5 s at most, or ctx ends.
func (f *flights) do(ctx context.Context, c *call) (value, error) {
	if ctx.Err() != nil {
		return value{}, context.Cause(ctx)
	}
	if f.depart() {
		f.alone(ctx, c)
		return c.reply, c.err
	}
	c.done = make(chan struct{})
	timer := time.NewTimer(f.timing.answer)
	defer timer.Stop()
	if !f.check(c) {
		return value{}, queue.ErrClosed
	}
	select {
	case <-c.done:
		return c.reply, c.err
	case <-ctx.Done():
		f.leave(c)
		return value{}, context.Cause(ctx)
	case <-timer.C:
		f.leave(c)
		return value{}, fmt.Errorf("%w: the server has not answered for %v", queue.ErrDisconnected, f.timing.answer)
	case <-f.life.Done():
		f.leave(c)
		return value{}, queue.ErrClosed
	}
}

// depart takes a lane, if one is free and nobody waits.
func (f *flights) depart() bool {
	w := &f.waiting
	w.Lock()
	defer w.Unlock()
	if len(w.calls) > 0 || w.flying == lanes || !f.enter() {
		return false
	}
	w.flying++
	return true
}

// alone takes one call to the server, in the goroutine that wants it: there is less to wait for than with another one
// (BenchmarkStoreEnqueue, one producer: 60 µs in place of 100).
func (f *flights) alone(ctx context.Context, c *call) {
	defer f.land()
	w, err := f.take(ctx, time.Now().Add(f.timing.answer))
	if err != nil {
		f.suspect(ctx)
		c.finish(value{}, err)
		return
	}
	stop := context.AfterFunc(ctx, w.cut)
	err = f.run(w, []*call{c})
	if whole := stop(); err == nil && whole {
		f.give(w)
		return
	}
	w.drop()
	if err != nil {
		f.suspect(ctx)
	}
}

// suspect distrusts the connections after one has failed, unless that was because the caller went away.
func (f *flights) suspect(ctx context.Context) {
	if ctx.Err() == nil {
		f.distrust()
	}
}

// land gives a lane back, or to those that have come meanwhile.
func (f *flights) land() {
	w := &f.waiting
	w.Lock()
	defer w.Unlock()
	if len(w.calls) > 0 {
		go f.fly() // ends when no calls wait; close cuts its connection
		return
	}
	w.flying--
	f.running.Done()
}

// check puts a call into the queue, and sees to it that it is taken from there.
func (f *flights) check(c *call) bool {
	w := &f.waiting
	w.Lock()
	defer w.Unlock()
	if w.flying < lanes {
		if !f.enter() {
			return false
		}
		w.flying++
		go f.fly() // ends when no calls wait; close cuts its connection
	}
	w.calls = append(w.calls, c)
	return true
}

func (f *flights) leave(c *call) {
	f.waiting.Lock()
	c.left = true
	f.waiting.Unlock()
}

// board returns the calls of the next flight, or none if there are none: then this was the last one.
func (f *flights) board() (batch []*call) {
	w := &f.waiting
	w.Lock()
	defer w.Unlock()
	size := 0
	for len(w.calls) > 0 {
		c := w.calls[0]
		if size += c.size; len(batch) > 0 && (len(batch) == flightCalls || size > flightBytes) {
			return batch
		}
		w.calls[0] = nil
		w.calls = w.calls[1:]
		if !c.left {
			batch = append(batch, c)
		}
	}
	w.calls = nil
	if len(batch) == 0 {
		w.flying--
	}
	return batch
}

// fly takes calls to the server until there are no more.
func (f *flights) fly() {
	defer f.running.Done()
	var w *wire
	for {
		batch := f.board()
		if len(batch) == 0 {
			break
		}
		var err error
		if w == nil {
			w, err = f.take(f.life, time.Now().Add(f.timing.answer))
		} else {
			w.conn.until = time.Now().Add(f.timing.answer)
		}
		if err == nil {
			err = f.run(w, batch)
		} else {
			for _, c := range batch {
				c.finish(value{}, err)
			}
		}
		if err != nil {
			f.distrust()
			if w != nil {
				w.drop()
				w = nil
			}
		}
	}
	if w != nil {
		f.give(w)
	}
}

// run has the server run the scripts of calls, and answers them. An error means that the wire, or the server at its other
// end, is not to be used any more.
func (f *flights) run(w *wire, batch []*call) error {
	unknown, err := f.send(w, gather(batch), "evalsha")
	if len(unknown) > 0 && err == nil {
		// The server has forgotten its scripts, or never had them. These calls had no effect.
		_, err = f.send(w, unknown, "eval")
		return err
	}
	for _, group := range unknown {
		finish(group, value{}, err)
	}
	return err
}

// gather makes groups of calls of the same script.
func gather(batch []*call) (groups [][]*call) {
	open := map[*script]int{}
	for _, c := range batch {
		i, ok := open[c.script]
		if !ok || len(groups[i]) == runCalls {
			i = len(groups)
			open[c.script] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], c)
	}
	return groups
}

// send runs each group as one script. It returns those that the server has not run, because it does not know it.
func (f *flights) send(w *wire, groups [][]*call, command string) (unknown [][]*call, err error) {
	cmds := make([]client.Cmder, len(groups))
	for i, group := range groups {
		n := 5
		for _, c := range group {
			n += 1 + len(c.args)
		}
		name := group[0].script.sha
		if command == "eval" {
			name = group[0].script.text
		}
		args := append(make([]any, 0, n), command, name, 1, f.key, f.sender)
		for _, c := range group {
			args = append(append(args, len(c.args)), c.args...)
		}
		cmds[i] = client.NewRawCmd(f.life, args...)
	}
	if len(cmds) == 1 {
		w.rdb.Process(f.life, cmds[0])
	} else {
		w.rdb.Pipelined(f.life, func(p client.Pipeliner) error { return p.BatchProcess(f.life, cmds...) })
	}
	for i, group := range groups {
		reply, e := cmds[i].(*client.RawCmd).Bytes()
		var v value
		if e == nil {
			v, e = read(reply)
		}
		var said client.Error
		switch {
		case e == nil:
		case !errors.As(e, &said):
			err = e
		case strings.HasPrefix(e.Error(), "NOSCRIPT") && command == "evalsha":
			unknown = append(unknown, group)
			continue
		case begins(e, absences) || begins(e, []string{"READONLY"}):
			if addr := moved(e); addr != "" {
				f.redirect(addr)
			}
			err = e
		}
		finish(group, v, e)
	}
	return unknown, err
}

// finish gives each call of a group its part of the reply.
func finish(group []*call, v value, err error) {
	if err == nil && len(v.list) != len(group) {
		err = errReply
	}
	for i, c := range group {
		if err != nil {
			c.finish(value{}, err)
		} else {
			c.finish(v.list[i], nil)
		}
	}
}
