package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	client "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// A wire is one connection. It is never mended: after the first error it is cut, and another one is made by the call
// that needs it. So it is a client of the library with a pool of one, which the bus dials itself: the library's own
// pool keeps dead connections after a server was away, and refuses to dial for a while.
type wire struct {
	conn *guard
	rdb  *client.Client
	cut  func() // closes it, at any time, from any goroutine: what is under way ends with an error
}

// drop cuts a wire that is not in use any more.
func (w *wire) drop() {
	w.cut()
	w.rdb.Close() // not earlier: the library logs when that is done to a connection in use
}

// timing is how long things may take. Tests shorten it.
type timing struct {
	dial   time.Duration // to connect
	answer time.Duration // a call without progress, from its beginning
	beat   time.Duration // a feed that waits asks again
	quiet  time.Duration // a server that has to answer may be silent, in addition to beat
	patrol time.Duration // a store asks what is due while somebody waits
}

var normal = timing{dial: 2 * time.Second, answer: 4500 * time.Millisecond, beat: time.Second, quiet: 2 * time.Second, patrol: time.Second}

// connect makes a wire. It has said nothing yet.
func (p *pool) connect(ctx context.Context) (*wire, error) {
	addr := p.whither()
	ctx, cancel := context.WithTimeout(ctx, p.timing.dial)
	defer cancel()
	defer context.AfterFunc(p.life, cancel)()
	var d net.Dialer
	conn, err := d.DialContext(ctx, p.at.network, addr)
	if err != nil {
		p.redirect("") // a node that is not there any more must not keep us from the address that we were given
		return nil, err
	}
	if p.at.tls != nil {
		secure := tls.Client(conn, p.at.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		conn = secure
	}
	w := &wire{conn: &guard{Conn: conn, quiet: p.timing.beat + p.timing.quiet, most: p.most}}
	dialed := false
	w.rdb = client.NewClient(&client.Options{
		Network: p.at.network,
		Addr:    addr,
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			if dialed {
				return nil, net.ErrClosed
			}
			dialed = true
			return w.conn, nil
		},
		Username:                 p.at.user,
		Password:                 p.at.password,
		DB:                       p.at.db,
		Protocol:                 2,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		MaxRetries:               -1,
		DialerRetries:            1,
		PoolSize:                 1,
		PipelinePoolSize:         -1,
		ConnMaxIdleTime:          -1,
		WriteBufferSize:          64 << 10,
		ReadBufferSize:           64 << 10,
	})
	w.cut = sync.OnceFunc(func() {
		w.conn.Conn.Close()
		p.mu.Lock()
		delete(p.wires, w)
		p.mu.Unlock()
	})
	p.mu.Lock()
	closed := p.closed
	if !closed {
		p.wires[w] = struct{}{}
	}
	p.mu.Unlock()
	if closed {
		w.drop()
		return nil, net.ErrClosed
	}
	return w, nil
}

// ask sends one command and returns the reply as it came. An error that the server answers is in the reply.
func (w *wire) ask(ctx context.Context, args ...any) ([]byte, error) {
	cmd := client.NewRawCmd(ctx, args...)
	if err := w.rdb.Process(ctx, cmd); err != nil {
		return nil, err
	}
	return cmd.Bytes()
}

// greet logs in and asks the server what it does with what it accepts. It may have changed since the last wire.
func (p *pool) greet(ctx context.Context, w *wire) error {
	ask := w.rdb.Pipeline()
	var (
		persistence = ask.Info(ctx, "persistence")
		memory      = ask.Info(ctx, "memory")
		replication = ask.Info(ctx, "replication")
		fsync       = ask.ConfigGet(ctx, "appendfsync")
		clock       = ask.Time(ctx)
	)
	cmds, err := ask.Exec(ctx)
	refused := 0
	for _, cmd := range cmds {
		var said client.Error
		if err := cmd.Err(); err != nil {
			if !errors.As(err, &said) {
				return err
			}
			refused++
		}
	}
	// A user who may not ask can still publish and read. But if all was refused it was the login, of which the
	// library may tell the commands nothing.
	if err != nil && (refused == 0 || refused == len(cmds) && !client.HasErrorPrefix(err, "NOPERM")) {
		return err
	}
	if field(persistence.Val(), "loading") == "1" {
		// Meanwhile it says that it has no append-only file.
		return refusal("LOADING the server reads what it has on its disk")
	}
	return p.met(facts{persistence.Val(), memory.Val(), replication.Val(), fsync.Val()["appendfsync"], clock.Val()})
}
