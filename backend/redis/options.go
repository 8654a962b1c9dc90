package redis

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"math"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/earshot-go/earshot/bus"
)

// BusOptions are the properties of a stream and of the way to it. What the URL's query says goes before them.
type BusOptions struct {
	// Stream is the key of the stream. Empty means "earshot". In a cluster it decides on the slot, as keys do.
	Stream string
	// Keep is about how many events are kept: some hundred more may be. 0 means 100000, or no limit if KeepFor is
	// set; a negative number means no limit.
	Keep int
	// KeepFor is about how long events are kept, by the server's clock. Older ones are removed when something is
	// published. 0 means no limit; it is rounded to milliseconds.
	KeepFor time.Duration
	// MaxBytes is the length of JSON that an event may have. 0 means 1 MiB, a negative number the server's own
	// limit of 512 MiB. Feeds hold as many events at once as are 64 MiB if each has that length: with a large limit,
	// reading is slower.
	MaxBytes int
	// TLS is for rediss. Nil means the system's certificates and the host's name.
	TLS *tls.Config
}

const (
	defaultKeep     = 100_000
	defaultMaxBytes = 1 << 20
)

// schemes are those of URLs.
var schemes = []string{"redis", "rediss", "redis+unix"}

// An address is where the server is and how to enter it.
type address struct {
	network, addr  string // "tcp", "127.0.0.1:6379"
	user, password string
	db             int
	tls            *tls.Config // nil: none
	shown          string      // a URL without the password
}

// settings reads a URL and options.
func settings(text string, opts *BusOptions) (BusOptions, address, error) {
	var o BusOptions
	if opts != nil {
		o = *opts
	}
	fault := func(format string, args ...any) (BusOptions, address, error) {
		return BusOptions{}, address{}, fmt.Errorf("redis: open %s: "+format, append([]any{bus.Redact(text)}, args...)...)
	}
	u, err := bus.ParseURL(text, schemes...)
	if err != nil {
		return fault("%w; a whole one is redis://user:password@host:6379/0?stream=name", err)
	}
	query := u.Query()
	a, err := locate(u, query, o.TLS)
	if err != nil {
		return fault("%w", err)
	}
	fs := flag.NewFlagSet("redis", flag.ContinueOnError)
	fs.StringVar(&o.Stream, "stream", o.Stream, "")
	fs.IntVar(&o.Keep, "keep", o.Keep, "")
	fs.DurationVar(&o.KeepFor, "keepfor", o.KeepFor, "")
	fs.IntVar(&o.MaxBytes, "maxbytes", o.MaxBytes, "")
	if err := bus.ReadQuery(fs, query); err != nil {
		return fault("%w", err)
	}
	if err := o.complete(); err != nil {
		return fault("%w", err)
	}
	a.shown = show(u, a, url.Values{"stream": {o.Stream}})
	return o, a, nil
}

// locate reads all of a URL but the options, and takes what it has read out of the query.
func locate(u *url.URL, query url.Values, config *tls.Config) (address, error) {
	a := address{network: "tcp", user: u.User.Username()}
	a.password, _ = u.User.Password()
	db := strings.TrimPrefix(u.Path, "/")
	switch u.Scheme {
	case "redis", "rediss":
		host, port := u.Hostname(), u.Port()
		if host == "" {
			host = "localhost"
		}
		if port == "" {
			port = "6379"
		}
		a.addr = net.JoinHostPort(host, port)
		if u.Scheme == "rediss" {
			if config == nil {
				config = &tls.Config{}
			}
			config = config.Clone()
			if config.ServerName == "" {
				config.ServerName = host
			}
			a.tls = config
		}
	case "redis+unix":
		if u.Host != "" || u.Path == "" {
			return a, errors.New("the path of a socket begins after three slashes: redis+unix:///run/redis.sock")
		}
		a.network, a.addr = "unix", u.Path
		db = query.Get("db")
		query.Del("db")
	}
	if db != "" {
		n, err := strconv.ParseUint(db, 10, 31)
		if err != nil {
			return a, fmt.Errorf("%q is not the number of a database, as in redis://host:6379/0", db)
		}
		a.db = int(n)
	}
	return a, nil
}

// complete puts defaults for what is not said, and refuses what cannot be.
func (o *BusOptions) complete() error {
	if o.Stream == "" {
		o.Stream = "earshot"
	}
	if o.KeepFor < 0 || o.KeepFor > 0 && o.KeepFor < time.Millisecond {
		return fmt.Errorf("events cannot be kept for %v: it is a millisecond or more, or 0 for no limit", o.KeepFor)
	}
	switch {
	case o.Keep < 0:
		o.Keep = 0 // from here on: no limit
	case o.Keep == 0 && o.KeepFor == 0:
		o.Keep = defaultKeep
	}
	switch {
	case o.MaxBytes == 0:
		o.MaxBytes = defaultMaxBytes
	case o.MaxBytes < 0:
		o.MaxBytes = 0 // from here on: no limit
	}
	if o.MaxBytes > math.MaxInt32 {
		return fmt.Errorf("events cannot have %d bytes: a value in Redis has 512 MiB at most", o.MaxBytes)
	}
	return nil
}

// show writes a URL without the password, and with the part of the query that says what it is of.
func show(u *url.URL, a address, query url.Values) string {
	s := url.URL{Scheme: u.Scheme}
	if a.user != "" {
		s.User = url.User(a.user)
	}
	if a.network == "unix" {
		s.Path = a.addr
		query.Set("db", strconv.Itoa(a.db))
	} else {
		s.Host, s.Path = a.addr, "/"+strconv.Itoa(a.db)
	}
	s.RawQuery = query.Encode()
	return s.String()
}
