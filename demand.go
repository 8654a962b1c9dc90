package earshot

import (
	"context"
	"runtime/debug"
	"sync"
)

// A producer is a function that runs while somebody listens. What it should do follows from the
// topic's state alone, not from notices about it, so a subscriber that crashes and one that leaves
// politely are the same to it. All fields are guarded by Server.mu.
type producer struct {
	topic   *topic
	run     func(context.Context)
	running bool
	removed bool
	ran     uint64 // the topic's interval of the last run
	cancel  context.CancelFunc
}

func (s *Server) addProducer(t *topic, run func(context.Context)) (stop func()) {
	p := &producer{topic: t, run: run}
	s.mu.Lock()
	defer s.unlock()
	t.producers = append(t.producers, p)
	p.startLocked()
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.unlock()
		t.producers = without(append([]*producer(nil), t.producers...), p)
		p.removed = true
		p.stopLocked()
	})
}

// startLocked begins a run if somebody listens and there has been none in this interval.
func (p *producer) startLocked() {
	t := p.topic
	l := t.live.Load()
	if l == nil || l.listeners() == 0 || p.running || p.removed || p.ran == t.interval {
		return
	}
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(context.Background())
	p.running, p.ran = true, t.interval
	t.srv.wg.Add(1)
	go p.work(ctx)
}

func (p *producer) stopLocked() {
	if p.running {
		p.topic.srv.laterLocked(p.cancel)
	}
}

func (p *producer) work(ctx context.Context) {
	s := p.topic.srv
	defer s.wg.Done()
	defer func() {
		if v := recover(); v != nil {
			err := &PanicError{Value: v, Stack: debug.Stack()}
			(&Process{srv: s, who: func() string { return "OnDemand" }, on: p.topic.name}).report(err)
		}
		p.cancel()
		s.mu.Lock()
		defer s.unlock()
		p.running = false
		p.startLocked() // somebody may have come back meanwhile
	}()
	p.run(ctx)
}
