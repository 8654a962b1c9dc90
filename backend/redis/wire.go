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
}

var normal = timing{dial: 2 * time.Second, answer: 4500 * time.Millisecond, beat: time.Second, quiet: 2 * time.Second}

// connect makes a wire. It has said nothing yet.
func (b *Bus) connect(ctx context.Context) (*wire, error) {
	addr := b.whither()
	ctx, cancel := context.WithTimeout(ctx, b.timing.dial)
	defer cancel()
	defer context.AfterFunc(b.life, cancel)()
	var d net.Dialer
	conn, err := d.DialContext(ctx, b.at.network, addr)
	if err != nil {
		b.settle("") // a node that is not there any more must not keep us from the address that we were given
		return nil, err
	}
	if b.at.tls != nil {
		secure := tls.Client(conn, b.at.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		conn = secure
	}
	w := &wire{conn: &guard{Conn: conn, quiet: b.timing.beat + b.timing.quiet, most: b.most}}
	dialed := false
	w.rdb = client.NewClient(&client.Options{
		Network: b.at.network,
		Addr:    addr,
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			if dialed {
				return nil, net.ErrClosed
			}
			dialed = true
			return w.conn, nil
		},
		Username:                 b.at.user,
		Password:                 b.at.password,
		DB:                       b.at.db,
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
		b.mu.Lock()
		delete(b.wires, w)
		b.mu.Unlock()
	})
	b.mu.Lock()
	closed := b.closed
	if !closed {
		b.wires[w] = struct{}{}
	}
	b.mu.Unlock()
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
func (b *Bus) greet(ctx context.Context, w *wire) error {
	p := w.rdb.Pipeline()
	var (
		persistence = p.Info(ctx, "persistence")
		memory      = p.Info(ctx, "memory")
		replication = p.Info(ctx, "replication")
		fsync       = p.ConfigGet(ctx, "appendfsync")
		clock       = p.Time(ctx)
	)
	cmds, err := p.Exec(ctx)
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
	b.learn(persistence.Val(), memory.Val(), replication.Val(), fsync.Val()["appendfsync"])
	if t, err := clock.Result(); err == nil {
		b.ahead.Store(int64(time.Until(t)))
	}
	return nil
}
