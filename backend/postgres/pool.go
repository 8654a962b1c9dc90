package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/jackc/pgx/v5"
)

// A pool has the connections of a store. It mends nothing by itself: after one has failed, those that lay idle are
// dropped too, as they are likely to be as dead, and the next call dials. pgx's own pool would keep them.
type pool struct {
	config *pgx.ConnConfig
	slots  chan struct{} // one for each connection in use

	mu     sync.Mutex // guards the fields below
	closed bool
	idle   []*pgx.Conn
	wires  map[*wire]struct{} // all, to be cut by close
	open   sync.WaitGroup     // of them
}

// A wire is the socket of a connection. pgx closes it in the background after a context has ended, and may take long
// over it; so the pool knows of it until then.
type wire struct {
	net.Conn
	once sync.Once
	pool *pool
}

func newPool(config *pgx.ConnConfig, n int) *pool {
	p := &pool{config: config, slots: make(chan struct{}, n), wires: map[*wire]struct{}{}}
	dialer := net.Dialer{Timeout: dialTime, KeepAlive: 15 * time.Second}
	config.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if ctx.Value(ours{}) == nil {
			// pgx asks the server to cancel a call whose connection it gives up, over another one. The store makes
			// no connection that nobody has asked for, and where the wire is broken it would be one more.
			return nil, net.ErrClosed
		}
		c, err := dialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return p.watch(c)
	}
	return p
}

func (p *pool) watch(c net.Conn) (net.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		c.Close()
		return nil, net.ErrClosed
	}
	w := &wire{Conn: c, pool: p}
	p.wires[w] = struct{}{}
	p.open.Add(1)
	return w, nil
}

// Close closes the socket. What is under way on it ends with an error.
func (w *wire) Close() error {
	err := net.ErrClosed
	w.once.Do(func() {
		err = w.Conn.Close()
		w.pool.mu.Lock()
		delete(w.pool.wires, w)
		w.pool.mu.Unlock()
		w.pool.open.Done()
	})
	return err
}

// take returns a connection that nobody uses, or makes one. It waits for its turn, and as long as dialling takes.
func (p *pool) take(ctx context.Context) (*pgx.Conn, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: no connection was free in time: raise conns", queue.ErrDisconnected)
	}
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()
	c, err := p.dial(ctx)
	if err != nil {
		<-p.slots
	}
	return c, err
}

// spare returns a connection that nobody uses, or nil, and whether others are in use.
func (p *pool) spare() (c *pgx.Conn, others bool) {
	select {
	case p.slots <- struct{}{}:
	default:
		return nil, true
	}
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		c = p.idle[n-1]
		p.idle = p.idle[:n-1]
	}
	p.mu.Unlock()
	if c == nil {
		<-p.slots
	}
	return c, len(p.slots) > 0
}

func (p *pool) dial(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, dialTime, errors.New("the server did not answer in time"))
	defer cancel()
	return pgx.ConnectConfig(context.WithValue(ctx, ours{}, true), p.config)
}

// ours marks the contexts of dial.
type ours struct{}

// give takes a connection back.
func (p *pool) give(c *pgx.Conn) {
	p.mu.Lock()
	keep := !p.closed && !c.IsClosed() && c.PgConn().TxStatus() == 'I'
	if keep {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !keep {
		drop(c)
	}
	<-p.slots
}

// distrust drops the connections that are not in use.
func (p *pool) distrust() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, c := range idle {
		drop(c)
	}
}

// drop says good-bye to the server, if that goes at once.
func drop(c *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	c.Close(ctx)
}

// close cuts all connections. What is under way on them ends with an error.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.distrust()
	p.mu.Lock()
	wires := make([]*wire, 0, len(p.wires))
	for w := range p.wires {
		wires = append(wires, w)
	}
	p.mu.Unlock()
	for _, w := range wires {
		w.Close()
	}
}
