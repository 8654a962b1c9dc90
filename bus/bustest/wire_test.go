package bustest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

// wireBus is an engine with a wire, as small as it can be: a line of JSON asks, lines of JSON answer, and every call
// has a connection of its own. Its server is wireServer.
type wireBus struct {
	addr   string
	answer time.Duration // that a call may take
	beat   time.Duration // that may pass until a feed hears something
	split  bufio.SplitFunc

	life context.Context
	end  context.CancelCauseFunc

	mu   sync.Mutex // guards caps
	caps bus.Caps
}

const beatEvery = 250 * time.Millisecond

type request struct {
	Op     string        `json:"op"` // publish, tail
	Events []event.Event `json:"events,omitempty"`
	Hint   []string      `json:"hint,omitempty"`
	From   string        `json:"from,omitempty"` // now, start, at, after
	Time   time.Time     `json:"time,omitzero"`
	Token  bus.Token     `json:"token,omitempty"`
	Past   bool          `json:"past,omitempty"`
}

type reply struct {
	Caps  *bus.Caps     `json:"caps,omitempty"` // the call has succeeded
	Token bus.Token     `json:"token,omitempty"`
	Event *event.Event  `json:"event,omitempty"`
	Gap   *bus.GapError `json:"gap,omitempty"`
	Error string        `json:"error,omitempty"`
	Beat  bool          `json:"beat,omitempty"`
}

// kinds are the errors that go over the wire.
var kinds = []error{bus.ErrForeignToken, bus.ErrTooLarge, bus.ErrUnsupported, io.EOF}

func newWireBus(addr string) *wireBus {
	b := &wireBus{
		addr:   addr,
		answer: 5 * time.Second,
		beat:   16 * beatEvery,
		split:  bufio.ScanLines,
		caps:   bus.Caps{Engine: "mem"},
	}
	b.life, b.end = context.WithCancelCause(context.Background())
	return b
}

func (b *wireBus) Caps() bus.Caps {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.caps
}

func (b *wireBus) Publish(ctx context.Context, events ...event.Event) error {
	for _, ev := range events {
		if err := ev.Validate(); err != nil {
			return err
		}
	}
	c, _, err := b.call(ctx, request{Op: "publish", Events: events})
	if err != nil {
		return err
	}
	c.close()
	return nil
}

func (b *wireBus) Tail(ctx context.Context, t bus.Tail) (bus.Feed, error) {
	r := request{Op: "tail", Hint: t.Hint, From: "now", Past: t.Past}
	if t.From.IsStart() {
		r.From = "start"
	} else if at, ok := t.From.Time(); ok {
		r.From, r.Time = "at", at
	} else if token, ok := t.From.Token(); ok {
		r.From, r.Token = "after", token
	}
	c, first, err := b.call(ctx, r)
	if err != nil {
		return nil, err
	}
	return &wireFeed{bus: b, c: c, token: first.Token}, nil
}

func (b *wireBus) Close(context.Context) error {
	b.end(bus.ErrClosed)
	return nil
}

// call connects, asks, and reads the first answer.
func (b *wireBus) call(ctx context.Context, r request) (*wireConn, reply, error) {
	if b.life.Err() != nil { // what is sent after Close might still be accepted
		return nil, reply{}, bus.ErrClosed
	}
	ctx, cancel := b.within(ctx, b.answer)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", b.addr)
	if err != nil {
		return nil, reply{}, trouble(ctx, err)
	}
	c := &wireConn{Conn: conn, lines: bufio.NewScanner(conn)}
	c.lines.Buffer(nil, 8<<20)
	c.lines.Split(b.split)
	c.leave = context.AfterFunc(b.life, func() { conn.Close() })
	defer c.interrupt(ctx)()
	err = json.NewEncoder(conn).Encode(r)
	var first reply
	if err == nil {
		first, err = c.read()
	}
	if err != nil {
		c.close()
		return nil, reply{}, trouble(ctx, err)
	}
	if first.Caps == nil {
		c.close()
		return nil, reply{}, first.err()
	}
	b.mu.Lock()
	b.caps = *first.Caps
	b.mu.Unlock()
	return c, first, nil
}

// within is a context that ends with that of the caller, with the bus, or when the engine's patience does.
func (b *wireBus) within(ctx context.Context, d time.Duration) (context.Context, func()) {
	ctx, end := context.WithCancelCause(ctx)
	leave := context.AfterFunc(b.life, func() { end(context.Cause(b.life)) })
	patience := time.AfterFunc(d, func() { end(fmt.Errorf("%w: no answer within %v", bus.ErrDisconnected, d)) })
	return ctx, func() { leave(); patience.Stop(); end(nil) }
}

// trouble is the error of a call on a wire: what ended its context, or else the wire.
func trouble(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: %w", bus.ErrDisconnected, err)
}

func (r reply) err() error {
	for _, kind := range kinds {
		if r.Error == kind.Error() {
			return kind
		}
	}
	return fmt.Errorf("%w: the answer makes no sense: %.40q", bus.ErrDisconnected, r.Error)
}

type wireConn struct {
	net.Conn
	lines *bufio.Scanner
	leave func() bool
}

func (c *wireConn) read() (r reply, err error) {
	if !c.lines.Scan() {
		return r, cmpErr(c.lines.Err(), io.ErrUnexpectedEOF)
	}
	return r, json.Unmarshal(c.lines.Bytes(), &r)
}

func cmpErr(err, otherwise error) error {
	if err == nil {
		return otherwise
	}
	return err
}

// interrupt makes reading and writing end with ctx. The function it returns undoes that.
func (c *wireConn) interrupt(ctx context.Context) func() {
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	return func() { stop() }
}

func (c *wireConn) close() {
	c.leave()
	c.Close()
}

type wireFeed struct {
	bus    *wireBus
	c      *wireConn
	mu     sync.Mutex // guards the fields below
	closed bool
	token  bus.Token
}

func (f *wireFeed) Next(ctx context.Context) (bus.Delivery, error) {
	for {
		if f.isClosed() {
			return bus.Delivery{}, bus.ErrClosed
		}
		r, err := f.read(ctx)
		switch {
		case f.isClosed():
			return bus.Delivery{}, bus.ErrClosed
		case err != nil:
			return bus.Delivery{}, err
		case r.Event != nil:
			f.mu.Lock()
			f.token = r.Token
			f.mu.Unlock()
			return bus.Delivery{Event: *r.Event, Token: r.Token}, nil
		case r.Gap != nil:
			return bus.Delivery{}, r.Gap
		case !r.Beat:
			return bus.Delivery{}, r.err()
		}
	}
}

func (f *wireFeed) read(ctx context.Context) (reply, error) {
	ctx, cancel := f.bus.within(ctx, f.bus.beat)
	defer cancel()
	defer f.c.interrupt(ctx)()
	r, err := f.c.read()
	if err != nil {
		return r, trouble(ctx, err)
	}
	return r, nil
}

func (f *wireFeed) isClosed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed || f.bus.life.Err() != nil
}

func (f *wireFeed) Token() bus.Token {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.token
}

func (f *wireFeed) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.closed = true
		f.c.close()
	}
	return nil
}
