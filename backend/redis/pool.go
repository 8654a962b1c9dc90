package redis

import (
	"context"
	"sync"
	"time"
)

// spare is how many connections are kept for the next calls.
const spare = 4

// A pool is the way to a server: what a Bus or a Store has in connections, and what runs over them.
type pool struct {
	at     address
	timing timing
	most   int64             // see guard
	met    func(facts) error // is told what a server says of itself, at every connection; its error ends that

	life    context.Context // ends with close
	end     context.CancelFunc
	running sync.WaitGroup // calls and all that goes on beside them; nobody adds after closed
	ended   chan struct{}  // closed when nothing runs any more

	mu     sync.Mutex // guards the fields below
	closed bool
	idle   []*wire
	wires  map[*wire]struct{} // all, to be cut by close
	node   string             // where a cluster has the key, if not at the address that we were given
}

func newPool(at address) *pool {
	p := &pool{at: at, timing: normal, ended: make(chan struct{}), wires: map[*wire]struct{}{}}
	p.life, p.end = context.WithCancel(context.Background())
	return p
}

// close ends all that runs and cuts the connections. It waits until that is done, or ctx ends. It is idempotent.
func (p *pool) close(ctx context.Context) error {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	wires := make([]*wire, 0, len(p.wires))
	for w := range p.wires {
		wires = append(wires, w)
	}
	p.mu.Unlock()
	if first {
		p.end()
		p.distrust()
		for _, w := range wires {
			w.cut()
		}
		go func() { // ends with all that runs, whose connections are gone
			p.running.Wait()
			close(p.ended)
		}()
	}
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// enter counts something that begins, unless the pool is closed. It ends with running.Done.
func (p *pool) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.running.Add(1)
	return true
}

// take returns a wire that is not in use, or makes one. What is asked over it has to be answered until then.
func (p *pool) take(ctx context.Context, until time.Time) (*wire, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		w := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		w.conn.until = until
		return w, nil
	}
	p.mu.Unlock()
	w, err := p.connect(ctx)
	if err != nil {
		return nil, err
	}
	w.conn.until = until
	defer context.AfterFunc(ctx, w.cut)()
	if err := p.greet(ctx, w); err != nil {
		w.drop()
		return nil, err
	}
	return w, nil
}

// give takes a wire back that has done its work well.
func (p *pool) give(w *wire) {
	p.mu.Lock()
	keep := !p.closed && len(p.idle) < spare
	if keep {
		p.idle = append(p.idle, w)
	}
	p.mu.Unlock()
	if !keep {
		w.drop()
	}
}

// distrust drops the connections that are not in use: one has just failed, and those that lay idle are likely to be
// as dead. Otherwise each of them would cost a call.
func (p *pool) distrust() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, w := range idle {
		w.drop()
	}
}

// redirect notes where the key is, empty for the address in the URL.
func (p *pool) redirect(node string) {
	p.mu.Lock()
	p.node = node
	p.mu.Unlock()
}

// whither is the address to connect to.
func (p *pool) whither() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.node != "" {
		return p.node
	}
	return p.at.addr
}
