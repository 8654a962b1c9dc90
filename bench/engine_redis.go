package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"time"

	redisgo "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/earshot-go/earshot/backend/redis"
	earbus "github.com/earshot-go/earshot/bus"
)

// A redisStation is a server with its log on the disk.
type redisStation struct {
	own     *child // nil: somebody else's
	address string
	admin   *redisgo.Client
	prefix  string
}

// redisCommand runs the server, says when it has been started, and ends it when the standard input ends.
const redisCommand = `redis-server "$@" & server=$!; echo ready; cat >/dev/null; kill -9 $server; wait`

func openRedis() (station, error) {
	s, err := startRedisWith("everysec")
	if err != nil {
		return nil, err // not a nil pointer in an interface
	}
	return s, nil
}

// startRedisWith starts a server that has its log written to the disk as often as appendfsync says.
func startRedisWith(appendfsync string) (_ *redisStation, err error) {
	s := &redisStation{address: os.Getenv("EARSHOT_REDIS_URL"), prefix: fmt.Sprintf("earshot-bench-%d-", os.Getpid())}
	if s.address == "" {
		if _, err := exec.LookPath("redis-server"); err != nil {
			return nil, missingError{"set EARSHOT_REDIS_URL, or have redis-server in PATH"}
		}
		s.own, err = newChild(func(port, dir string) *exec.Cmd {
			return exec.Command("sh", "-c", redisCommand, "sh", "--port", port, "--bind", "127.0.0.1", "--dir", dir,
				"--save", "", "--appendonly", "yes", "--appendfsync", appendfsync, "--loglevel", "warning")
		})
		if err != nil {
			return nil, err
		}
		s.address = "redis://" + s.own.addr + "/0"
	}
	o, err := redisgo.ParseURL(s.address)
	if err != nil {
		return nil, errors.New("EARSHOT_REDIS_URL is no URL of Redis")
	}
	o.Protocol, o.MaintNotificationsConfig = 2, &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	s.admin = redisgo.NewClient(o)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial(o.Network, o.Addr) // first: the library logs what it cannot dial
		if err == nil {
			conn.Close()
			if err = s.admin.Ping(ctx).Err(); err == nil {
				return s, nil
			}
		}
		if time.Now().After(end) {
			return nil, errors.Join(err, s.close())
		}
	}
}

func (s *redisStation) bus(stream string) (earbus.Bus, error) {
	u, err := url.Parse(s.address)
	if err != nil {
		return nil, err
	}
	u.RawQuery = ""
	return redis.OpenBus(u.String(), &redis.BusOptions{Stream: s.prefix + stream})
}

func (s *redisStation) close() error {
	var err error
	if s.own == nil {
		var keys []string
		keys, err = s.admin.Keys(ctx, "*"+s.prefix+"*").Result() // streams, and the keys of stores of queues
		for some := range slices.Chunk(keys, 1000) {
			err = errors.Join(err, s.admin.Unlink(ctx, some...).Err())
		}
	}
	err = errors.Join(err, s.admin.Close())
	if s.own != nil {
		err = errors.Join(err, s.own.close())
	}
	return err
}

type redisClient struct {
	*redisgo.Client
	key   string
	ended chan struct{} // nil until somebody listens
}

func (s *redisStation) client(stream string) (client, error) {
	o := *s.admin.Options()
	return &redisClient{Client: redisgo.NewClient(&o), key: s.prefix + stream}, nil
}

func (c *redisClient) add(text []byte) *redisgo.XAddArgs {
	return &redisgo.XAddArgs{Stream: c.key, MaxLen: 100_000, Approx: true, Values: []any{"e", text}}
}

func (c *redisClient) publish(texts [][]byte) error {
	for len(texts) > 0 {
		n := min(1000, len(texts))
		p := c.Pipeline()
		for _, text := range texts[:n] {
			p.XAdd(ctx, c.add(text))
		}
		if _, err := p.Exec(ctx); err != nil {
			return err
		}
		texts = texts[n:]
	}
	return nil
}

func (c *redisClient) send(text []byte) error { return c.XAdd(ctx, c.add(text)).Err() }

func (c *redisClient) listen(heard func(int64, []byte)) error {
	c.ended = make(chan struct{})
	go func() { // until close
		defer close(c.ended)
		for last := "0-0"; ; {
			got, err := c.XRead(ctx, &redisgo.XReadArgs{Streams: []string{c.key, last}, Block: 10 * time.Second, Count: 100}).Result()
			switch {
			case errors.Is(err, redisgo.Nil):
				continue
			case errors.Is(err, redisgo.ErrClosed) || errors.Is(err, net.ErrClosed):
				return
			}
			must(err)
			for _, m := range got[0].Messages {
				text, _ := m.Values["e"].(string)
				if text == "" {
					return
				}
				heard(nanos(), []byte(text))
				last = m.ID
			}
		}
	}()
	return nil
}

func (c *redisClient) close() error {
	var err error
	if c.ended != nil {
		if err = c.send(nil); err == nil {
			<-c.ended
		}
	}
	return errors.Join(err, c.Client.Close())
}
