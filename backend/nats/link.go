package nats

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot-go/earshot/bus"
)

// A link is one connection, from its dial to its end. It never comes back: the next call makes another one.
type link struct {
	bus   *Bus
	nc    *natsgo.Conn // set once, under mu
	js    jetstream.JetStream
	inbox string        // acknowledgements come to "<inbox>.<call>"
	done  chan struct{} // closed when the connection is
	ack   []byte        // how an acknowledgement of the stream begins
	ready atomic.Bool   // the stream is there, as far as this link knows

	mu    sync.Mutex // guards the fields below
	raw   []net.Conn // what was dialled; closing it ends writes that hang
	cause error      // why the link ended, if that is known
	calls map[uint64]call
	last  uint64 // the last key of calls

	hearings map[*hearing]struct{}
}

// A call waits for the server, which may say out of turn that a subject is not permitted.
type call interface {
	// concerns reports whether what the server says about a subject is about this call.
	concerns(text string) bool
	// fail ends the call.
	fail(err error)
}

// A dialing is an attempt to connect. All who need a connection meanwhile wait for the same.
type dialing struct {
	done chan struct{}
	link *link
	err  error
}

// connect returns the connection, which it makes if there is none.
func (b *Bus) connect(ctx context.Context) (*link, error) {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil, bus.ErrClosed
	}
	if l := b.link; l != nil && l.alive() {
		b.mu.Unlock()
		return l, nil
	}
	d := b.dial
	if d == nil {
		d = &dialing{done: make(chan struct{})}
		b.dial = d
		b.running.Add(1)
		go b.dialNow(d) // ends within the time for a dial, or with Close
	}
	b.mu.Unlock()
	select {
	case <-d.done:
		return d.link, d.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (b *Bus) dialNow(d *dialing) {
	defer b.running.Done()
	l, err := b.newLink()
	b.mu.Lock()
	b.dial = nil
	if err == nil && b.closed {
		defer l.part()
		l, err = nil, bus.ErrClosed
	}
	if err == nil {
		b.link = l
	}
	d.link, d.err = l, err
	b.mu.Unlock()
	close(d.done)
}

func (b *Bus) newLink() (*link, error) {
	l := &link{bus: b, done: make(chan struct{}), calls: map[uint64]call{}, hearings: map[*hearing]struct{}{}}
	o := natsgo.GetDefaultOptions()
	o.Name = "earshot " + b.opts.Stream
	o.Servers = b.addr.servers
	o.PingInterval = b.timing.ping
	o.MaxPingsOut = 2
	o.FlusherTimeout = b.timing.dial // of a single write
	o.IgnoreDiscoveredServers = true
	if u := b.addr.user; u != nil {
		if password, has := u.Password(); has {
			o.User, o.Password = u.Username(), password
		} else {
			o.Token = u.Username()
		}
	}
	options := b.opts.Connect
	if b.opts.Credentials != "" {
		options = append([]natsgo.Option{natsgo.UserCredentials(b.opts.Credentials)}, options...)
	}
	for _, set := range options {
		if err := set(&o); err != nil {
			return nil, fmt.Errorf("nats: options for %s: %w", b, err)
		}
	}
	o.Timeout = b.timing.dial / time.Duration(len(b.addr.servers))
	o.AllowReconnect = false // it would keep what is published for later, and nobody would know
	o.RetryOnFailedConnect = false
	o.SkipHostLookup = true // the dialer looks up, within its time
	o.CustomDialer = &dialer{link: l, next: o.CustomDialer, net: net.Dialer{Timeout: o.Timeout}}
	o.ClosedCB = func(*natsgo.Conn) { close(l.done) }
	o.AsyncErrorCB = l.heard
	o.DisconnectedErrCB, o.DisconnectedCB = nil, nil
	stop := context.AfterFunc(b.ctx, l.cut)
	nc, err := o.Connect()
	stop()
	if err != nil {
		return nil, b.explain("connect to", err)
	}
	l.mu.Lock()
	l.nc = nc
	l.mu.Unlock()
	b.limit.Store(min(int64(b.opts.MaxBytes), max(nc.MaxPayload()-headroom, 1)))
	if b.opts.Core {
		return l, nil
	}
	l.inbox = nc.NewInbox()
	l.ack = []byte(`{"stream":"` + b.opts.Stream + `",`)
	if l.js, err = jetstream.New(nc); err == nil {
		_, err = nc.Subscribe(l.inbox+".*", l.acknowledged)
	}
	if err != nil {
		l.end(err)
		return nil, b.explain("connect to", err)
	}
	return l, nil
}

// headroom is what the longest message ID and the rest of a header need of the server's max_payload.
const headroom = 320

// A dialer remembers its connections, and does not outlive the bus.
type dialer struct {
	link *link
	next natsgo.CustomDialer // of BusOptions.Connect
	net  net.Dialer
}

func (d *dialer) Dial(network, address string) (c net.Conn, err error) {
	if d.next != nil {
		c, err = d.next.Dial(network, address)
	} else {
		c, err = d.net.DialContext(d.link.bus.ctx, network, address)
	}
	if err == nil {
		d.link.mu.Lock()
		d.link.raw = append(d.link.raw, c)
		d.link.mu.Unlock()
	}
	return c, err
}

func (l *link) alive() bool {
	select {
	case <-l.done:
		return false
	default:
		return !l.nc.IsClosed()
	}
}

// heard takes what the client library says out of turn.
func (l *link) heard(_ *natsgo.Conn, _ *natsgo.Subscription, err error) {
	switch {
	case errors.Is(err, natsgo.ErrSlowConsumer), errors.Is(err, natsgo.ErrBadHeaderMsg):
		// A feed that loses something sees it itself, and so does one that reads garbage.
		l.mu.Lock()
		defer l.mu.Unlock()
		for h := range l.hearings {
			h.pass(err, nil)
		}
	case errors.Is(err, natsgo.ErrPermissionViolation):
		text := err.Error()
		denied := fmt.Errorf("nats: %s: %w: %s", l.bus, bus.ErrDenied, text)
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, c := range l.calls {
			if c.concerns(text) || l.inbox != "" && strings.Contains(text, `"`+l.inbox) {
				c.fail(denied)
			}
		}
		for h := range l.hearings {
			h.pass(err, denied)
		}
	default:
		// A failed write, a subscription over the limit, credentials that ended: what this connection has
		// promised does not hold any more.
		l.end(err)
	}
}

// end closes the connection for a reason. It does not block for long: nobody writes to a closed connection.
func (l *link) end(cause error) {
	l.mu.Lock()
	if l.cause == nil {
		l.cause = cause
	}
	nc := l.nc
	l.mu.Unlock()
	l.cut()
	if nc != nil { // it is nil while it connects
		nc.Close()
	}
}

// cut closes what was dialled, under the client library's feet: its own Close waits for a write that hangs.
func (l *link) cut() {
	l.mu.Lock()
	raw := l.raw
	l.mu.Unlock()
	for _, c := range raw {
		c.Close()
	}
}

// part closes the connection after what was written has left, and waits for that.
func (l *link) part() {
	if l.alive() {
		_ = l.nc.FlushTimeout(l.bus.timing.ping / 2)
	}
	l.end(bus.ErrClosed)
	<-l.done
}

// lost is the error of a call whose connection has ended.
func (l *link) lost(what string) error {
	l.mu.Lock()
	err := l.cause
	l.mu.Unlock()
	if err == nil {
		err = l.nc.LastError()
	}
	if err == nil {
		err = natsgo.ErrConnectionClosed
	}
	return l.bus.explain(what, err)
}

// add makes c hear of subjects that are not permitted.
func (l *link) add(c call) (key uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	l.calls[l.last] = c
	return l.last
}

func (l *link) remove(key uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.calls, key)
}

// ask runs a request to the server's API, and explains what goes wrong.
func ask[T any](ctx context.Context, l *link, what string, f func(context.Context) (T, error)) (T, error) {
	bounded, stop := context.WithTimeoutCause(ctx, l.bus.timing.answer, errNoAnswer)
	defer stop()
	inner, cancel := context.WithCancelCause(bounded)
	defer cancel(nil)
	key := l.add(request(cancel))
	defer l.remove(key)
	v, err := f(inner)
	switch {
	case err == nil:
		return v, nil
	case ctx.Err() != nil:
		return v, context.Cause(ctx)
	case inner.Err() != nil:
		err = context.Cause(inner)
		if errors.Is(err, errNoAnswer) {
			l.end(err) // or the next call would wait as long
		}
		return v, l.bus.explain(what, err)
	case !l.alive():
		return v, l.lost(what)
	}
	if errors.Is(err, natsgo.ErrNoResponders) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
		if enabled, _ := l.nc.ConnectedServerJetStream(); !enabled || !errors.Is(err, natsgo.ErrNoResponders) {
			err = errNoJetStream
		}
	}
	return v, l.bus.explain(what, err)
}

// A request is a call of the server's API.
type request context.CancelCauseFunc

func (r request) concerns(text string) bool { return strings.Contains(text, `"$JS.`) }
func (r request) fail(err error)            { r(err) }
