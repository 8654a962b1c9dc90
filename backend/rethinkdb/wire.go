package rethinkdb

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	r "gopkg.in/rethinkdb/rethinkdb-go.v6"
	"gopkg.in/rethinkdb/rethinkdb-go.v6/ql2"

	"github.com/earshot-go/earshot/bus"
)

// Variables for tests.
var (
	dialTimeout   = 2 * time.Second // until there is a connection, and again until the log-in is done
	answerTimeout = 4 * time.Second // for one query; also for a write that does not go out
	maxReply      = 128 << 20       // bytes of one reply
)

// A large frame may take a slow wire longer than an answer may take the server, so the time of an answer begins anew
// with every piece that moves. What the system holds has left this process and has not moved: it is kept small, and
// allowed the time that it takes at the slowest rate.
const (
	piece   = 64 << 10
	held    = 256 << 10
	slowest = 128 << 10 // bytes in a second
)

// A conn is one connection after the log-in. Queries of many goroutines share it; the server answers them in any
// order. At the first trouble it is closed for good.
type conn struct {
	nc      net.Conn
	version string        // of the server, from the log-in
	writing chan struct{} // holds a value while somebody writes
	done    chan struct{}
	wg      sync.WaitGroup // the reader

	born  time.Time
	moved atomic.Int64 // when a piece came of a reply that is not there as a whole, after born; 0: there is none

	mu      sync.Mutex // guards the fields below
	waiting map[uint64]waiter
	last    uint64
	err     error // why done is closed
}

// A waiter is a query whose reply is due.
type waiter struct {
	to   chan reply
	size int // of the query
}

// A reply is what a server answers to one query: rows, or a message of what is wrong.
type reply struct {
	Type ql2.Response_ResponseType `json:"t"`
	Rows []json.RawMessage         `json:"r"`
	Kind ql2.Response_ErrorType    `json:"e"`
	size int
}

// dial connects and logs in, within the time limits and ctx.
func dial(ctx context.Context, address string, who login) (*conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	nc, err := d.DialContext(ctx, "tcp", address)
	if ctx.Err() != nil {
		if err == nil {
			nc.Close()
		}
		return nil, context.Cause(ctx)
	} else if err != nil {
		return nil, lost("connect", err)
	}
	_ = nc.SetDeadline(time.Now().Add(dialTimeout))
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	in := bufio.NewReaderSize(nc, 64<<10)
	version, err := who.handshake(nc, in)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	_ = nc.SetDeadline(time.Time{})
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(held) // a wish
	}
	c := &conn{
		nc: nc, version: version, born: time.Now(),
		writing: make(chan struct{}, 1), done: make(chan struct{}),
		waiting: map[uint64]waiter{},
	}
	c.wg.Go(func() { c.read(in) })
	return c, nil
}

// fail ends the connection; the first reason stands.
func (c *conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		close(c.done)
		c.nc.Close()
	}
}

// close ends the connection and waits for its goroutine.
func (c *conn) close() {
	c.fail(fmt.Errorf("rethinkdb: %w", bus.ErrClosed))
	c.wg.Wait()
}

// failed is why the connection has ended, nil while it lives.
func (c *conn) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// write sends a frame in the goroutine of its caller: handing it to another one costs a third of a quick answer. A
// context that ends in the middle of it ends the connection, which has half a frame then.
func (c *conn) write(ctx context.Context, frame []byte) error {
	select {
	case c.writing <- struct{}{}:
		defer func() { <-c.writing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.done:
		return c.failed()
	}
	stop := context.AfterFunc(ctx, func() { c.fail(lost("write", context.Cause(ctx))) })
	var err error
	for part := range slices.Chunk(frame, piece) {
		_ = c.nc.SetWriteDeadline(time.Now().Add(answerTimeout))
		if _, err = c.nc.Write(part); err != nil {
			break
		}
	}
	switch {
	case !stop():
		return context.Cause(ctx)
	case err != nil:
		c.fail(lost("write", err))
		return c.failed()
	}
	return nil
}

func (c *conn) read(in *bufio.Reader) {
	for {
		token, rep, err := readReply(pieces{in, c})
		c.moved.Store(0)
		if err != nil {
			c.fail(lost("read", err))
			return
		}
		c.mu.Lock()
		w := c.waiting[token]
		delete(c.waiting, token)
		c.mu.Unlock()
		if w.to != nil {
			w.to <- rep // has room: a token waits for one reply at a time
		}
	}
}

// pieces are the replies of a connection, which notes when something comes.
type pieces struct {
	in io.Reader
	c  *conn
}

func (p pieces) Read(to []byte) (int, error) {
	n, err := p.in.Read(to)
	if n > 0 {
		p.c.moved.Store(int64(time.Since(p.c.born)))
	}
	return n, err
}

// moves reports for how long a reply, whoever's it is, that comes in pieces gives reason to wait on.
func (c *conn) moves(limit time.Duration) time.Duration {
	at := c.moved.Load()
	if at == 0 {
		return 0
	}
	return max(0, limit-(time.Since(c.born)-time.Duration(at)))
}

// patience is how long to wait for an answer after a query was written.
func (c *conn) patience() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	size := 0
	for _, w := range c.waiting {
		size += w.size
	}
	return answerTimeout + time.Duration(min(size, 2*held))*time.Second/slowest // systems may hold twice
}

func readReply(in io.Reader) (token uint64, rep reply, err error) {
	var head [12]byte
	if _, err = io.ReadFull(in, head[:]); err != nil {
		return 0, rep, err
	}
	size := int64(binary.LittleEndian.Uint32(head[8:]))
	if size > int64(maxReply) {
		return 0, rep, fmt.Errorf("a reply of %d bytes, more than %d: this is no RethinkDB, or its documents are too large", size, maxReply)
	}
	// The buffer grows with what really comes: the header may lie.
	var body bytes.Buffer
	if size <= 64<<10 {
		body.Grow(int(size))
	}
	if n, err := io.CopyN(&body, in, size); err != nil {
		return 0, rep, fmt.Errorf("a reply ends after %d of %d bytes: %w", n, size, err)
	}
	if err = json.Unmarshal(body.Bytes(), &rep); err != nil {
		return 0, rep, fmt.Errorf("a reply that is no RethinkDB's: %w", err)
	}
	rep.size = int(size)
	return binary.LittleEndian.Uint64(head[:8]), rep, nil
}

// ask sends a query and returns where its reply comes to.
func (c *conn) ask(ctx context.Context, token uint64, query []byte) (<-chan reply, error) {
	frame := make([]byte, 12, 12+len(query))
	frame = append(frame, query...)
	binary.LittleEndian.PutUint64(frame, token)
	binary.LittleEndian.PutUint32(frame[8:], uint32(len(query)))
	to := make(chan reply, 1)
	c.mu.Lock()
	c.waiting[token] = waiter{to, len(frame)}
	c.mu.Unlock()
	if err := c.write(ctx, frame); err != nil {
		c.forget(token)
		return nil, err
	}
	return to, nil
}

func (c *conn) forget(token uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, token)
}

func (c *conn) newToken() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	return c.last
}

// roundTrip waits for the reply, within ctx and the time limit of an answer. A connection that does not answer
// in time is not used again.
func (c *conn) roundTrip(ctx context.Context, token uint64, query []byte) (reply, error) {
	to, err := c.ask(ctx, token, query)
	if err != nil {
		return reply{}, err
	}
	limit := time.NewTimer(c.patience())
	defer limit.Stop()
	for waits := true; waits; {
		select {
		case rep := <-to:
			return rep, rep.err()
		case <-ctx.Done():
			c.forget(token)
			return reply{}, context.Cause(ctx)
		case <-limit.C:
			more := c.moves(answerTimeout)
			if waits = more > 0; waits {
				limit.Reset(more)
			} else {
				c.fail(lost("query", fmt.Errorf("no answer in %v", answerTimeout)))
			}
		case <-c.done:
			waits = false
		}
	}
	select {
	case rep := <-to: // it came just before the end
		return rep, rep.err()
	default:
		return reply{}, c.failed()
	}
}

// all runs a query and returns every row of its answer, or about as many as fit into most bytes, 0 for no limit;
// more says that there are others.
func (c *conn) all(ctx context.Context, term r.Term, most int) (rows []json.RawMessage, more bool, err error) {
	query, err := start(term)
	if err != nil {
		return nil, false, err
	}
	token := c.newToken()
	rep, err := c.roundTrip(ctx, token, query)
	for size := rep.size; err == nil; size += rep.size {
		rows = append(rows, rep.Rows...)
		if rep.Type != ql2.Response_SUCCESS_PARTIAL {
			break
		}
		if most > 0 && size > most {
			return rows, true, c.stop(ctx, token)
		}
		rep, err = c.roundTrip(ctx, token, queryContinue)
	}
	if err != nil {
		return nil, false, err
	}
	if len(rows) == 1 && rep.Type == ql2.Response_SUCCESS_ATOM && len(rows[0]) > 0 && rows[0][0] == '[' {
		// An array in place of a stream.
		var inner []json.RawMessage
		if err := json.Unmarshal(rows[0], &inner); err != nil {
			return nil, false, err
		}
		rows = inner
	}
	return rows, false, nil
}

// one runs a query that answers a single value, and decodes it.
func (c *conn) one(ctx context.Context, term r.Term, into any) error {
	query, err := start(term)
	if err != nil {
		return err
	}
	return c.oneRaw(ctx, query, into)
}

func (c *conn) oneRaw(ctx context.Context, query []byte, into any) error {
	rep, err := c.roundTrip(ctx, c.newToken(), query)
	if err != nil {
		return err
	}
	if len(rep.Rows) != 1 {
		return fmt.Errorf("rethinkdb: %d values in place of one", len(rep.Rows))
	}
	if err := json.Unmarshal(rep.Rows[0], into); err != nil {
		return fmt.Errorf("rethinkdb: an answer of another form: %w", err)
	}
	return nil
}

// stop ends a stream on the server. Nobody waits for its answer.
func (c *conn) stop(ctx context.Context, token uint64) error {
	_, err := c.ask(ctx, token, queryStop)
	c.forget(token)
	return err
}

var (
	queryContinue = fmt.Appendf(nil, "[%d]", ql2.Query_CONTINUE)
	queryStop     = fmt.Appendf(nil, "[%d]", ql2.Query_STOP)
)

// start is the text of a query.
func start(term r.Term) ([]byte, error) {
	built, err := term.Build()
	if err != nil {
		return nil, fmt.Errorf("rethinkdb: build a query: %w", err)
	}
	return json.Marshal([]any{int(ql2.Query_START), built})
}

// lost wraps what the network said.
func lost(what string, err error) error {
	if errors.Is(err, bus.ErrDisconnected) {
		return err
	}
	return fmt.Errorf("rethinkdb: %s: %w: %w", what, bus.ErrDisconnected, err)
}
