package earshot

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"runtime/pprof"
	"sync/atomic"
	"time"
)

// A Process is a function that the server runs: see [Server.Spawn].
type Process struct {
	srv   *Server
	who   func() string
	on    any  // the channel's name, nil for Spawn
	box   *box // the mailbox that ends with it, nil for Spawn
	sub   *subscription
	run   func(context.Context) error
	turns atomic.Uint64 // calls of a handler, while the slow watch is on

	ctx     context.Context
	cancel  context.CancelCauseFunc
	restart Restart
	failed  []time.Time // the failures that count
	over    bool        // guarded by Server.mu
	done    chan struct{}
	err     error // set before done is closed
}

// Spawn has the server run fn in a goroutine, with a mailbox of its own on which fn subscribes to what
// it likes. When fn returns, fails, panics or calls runtime.Goexit, its mailbox ends with that reason,
// and so do its subscriptions. If it failed and opts.Restart allows it, it is called again, with a new
// mailbox, after a wait. The context ends with ctx, with Stop, and when the server stops.
//
// Spawn does not block. On a closed server, or with a nil fn, the Process has ended already: Err says
// why.
func (s *Server) Spawn(ctx context.Context, fn func(context.Context, *Mailbox[any]) error, opts *SpawnOptions) *Process {
	at := caller()
	who := func() string { return at.String() }
	if opts != nil && opts.Name != "" {
		who = func() string { return opts.Name }
	}
	var err error
	if fn == nil {
		err = siteError("spawn", nil, at, ErrNilFunc, "")
	} else if _, bad := opts.mailbox().resolve(); bad != nil {
		err = bad
		bad.(*Error).Site = at.String()
	}
	var p *Process
	if err == nil {
		p, err = s.newProcess(ctx, who, nil, opts)
	}
	if err != nil {
		p = &Process{srv: s, who: who, err: err, cancel: func(error) {}, done: make(chan struct{})}
		close(p.done)
		return p
	}
	p.run = func(ctx context.Context) (err error) {
		in := newInner[any](ctx, s, opts.mailbox(), at)
		reason := ErrGoexit
		defer func() {
			if v := recover(); v != nil {
				err = &PanicError{Value: v, Stack: debug.Stack()}
				reason = err
			}
			s.endBox(&in.box, reason)
		}()
		if err = fn(ctx, &Mailbox[any]{in: in}); err != nil {
			reason = err
		} else {
			reason = ErrClosed
		}
		return err
	}
	go p.attempt()
	return p
}

// Stop ends the process's context. It does not wait; Done tells when the function has returned.
func (p *Process) Stop() { p.cancel(ErrClosed) }

// Done returns a channel that is closed when the function has ended and will not be started again.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns nil until Done is closed, then the reason: ErrClosed if the function returned nil, its
// error, a *PanicError, ErrGoexit, an error that wraps ErrGaveUp and the last failure, or the cause of
// the context.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// newProcess makes a process that the server waits for when it shuts down.
func (s *Server) newProcess(ctx context.Context, who func() string, on any, opts *SpawnOptions) (*Process, error) {
	if err := causeIfEnded(ctx); err != nil {
		return nil, err
	}
	p := &Process{srv: s, who: who, on: on, done: make(chan struct{})}
	if opts != nil {
		p.restart = opts.Restart
	}
	labels := pprof.Labels("earshot_channel", label(on), "earshot_subscriber", who())
	p.ctx, p.cancel = context.WithCancelCause(pprof.WithLabels(ctx, labels))
	s.mu.Lock()
	defer s.unlock()
	if s.state != running {
		s.laterLocked(func() { p.cancel(ErrServerClosed) })
		return nil, ErrServerClosed
	}
	s.wg.Add(1)
	s.processes[p] = struct{}{}
	return p, nil
}

func label(name any) string {
	switch n := name.(type) {
	case nil:
		return ""
	case string:
		return n
	}
	return fmt.Sprintf("%T", name)
}

// attempt runs the function once.
func (p *Process) attempt() {
	pprof.SetGoroutineLabels(p.ctx)
	err := ErrGoexit
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
		p.exited(err)
	}()
	if p.ctx.Err() == nil {
		err = p.run(p.ctx)
	}
}

// exited decides what follows the end of an attempt: the process's end, or another attempt.
func (p *Process) exited(err error) {
	if p.ctx.Err() != nil || p.box != nil && p.box.ended.Load() || errors.Is(err, ErrServerClosed) {
		var panicked *PanicError
		if errors.As(err, &panicked) {
			p.report(err)
		}
		p.finish(nil)
		return
	}
	if err == nil {
		p.finish(ErrClosed)
		return
	}
	p.report(err)
	within := p.restart.Within
	if within <= 0 {
		within = time.Minute
	}
	now := time.Now()
	recent := p.failed[:0]
	for _, t := range p.failed {
		if now.Sub(t) < within {
			recent = append(recent, t)
		}
	}
	p.failed = append(recent, now)
	if len(p.failed) > p.restart.Max {
		if p.restart.Max > 0 {
			err = fmt.Errorf("%w after %d failures within %v: %w", ErrGaveUp, len(p.failed), within, err)
			p.report(err)
		}
		p.finish(err)
		return
	}
	wait := min(firstWait<<min(len(p.failed)-1, 16), longestWait)
	ready := make(chan struct{})
	var stop func() bool
	timer := time.AfterFunc(wait, func() {
		<-ready
		stop()
		p.attempt()
	})
	stop = context.AfterFunc(p.ctx, func() {
		if timer.Stop() {
			p.finish(nil)
		}
	})
	close(ready)
}

const (
	firstWait   = 10 * time.Millisecond
	longestWait = time.Second
)

// report tells the log and the lifecycle channel about a failure.
func (p *Process) report(err error) {
	s := p.srv
	if s.logger != nil {
		s.logger.Error("earshot: function failed", "channel", label(p.on), "subscriber", p.who(), "error", err)
	}
	s.mu.Lock()
	defer s.unlock()
	if !ownName(p.on) && s.lifecycle.Listening() {
		e := Lifecycle{Kind: Failed, Channel: p.on, Subscriber: p.who(), Reason: err}
		s.laterLocked(func() { s.lifecycle.Send(e) })
	}
}

// finish ends the process. A nil reason means that its context or its mailbox ended first, and why.
func (p *Process) finish(reason error) {
	s := p.srv
	if reason == nil && p.box != nil && p.box.ended.Load() {
		reason = p.box.failure()
	} else if reason == nil {
		reason = context.Cause(p.ctx)
	}
	if reason == nil {
		reason = ErrServerClosed // the end of the context is on its way
	}
	s.mu.Lock()
	if p.over {
		s.unlock()
		return
	}
	p.over = true
	delete(s.processes, p)
	if b := p.box; b != nil {
		s.endBoxLocked(b, reason)
		if p.sub != nil && !p.sub.told {
			s.tellLocked(p.sub) // it had ended while its handler was at work
		}
	}
	s.unlock()
	p.cancel(reason)
	p.err = reason
	close(p.done)
	s.wg.Done()
}
