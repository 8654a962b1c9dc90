package rethinkdb

import (
	"flag"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/earshot-go/earshot/bus"
)

// BusOptions say which table a bus has and what is kept there. Nil means the defaults. What the URL says stands
// above them: rethinkdb://user:password@host:28015/db/table?persist=…&keep=…&keepfor=…&overlap=…&maxbytes=….
type BusOptions struct {
	// DB is the database; "earshot" if empty. It is made when it is not there.
	DB string
	// Table is the table; "events" if empty. It is made when it is not there, and is for events alone.
	Table string

	// Keep is how many events are kept, about: publishers delete older ones now and then, when a tenth more
	// has come. 0 keeps all. A feed that misses deleted ones has a *bus.GapError.
	Keep int
	// KeepFor is how long events are kept, about a tenth more. 0 keeps them for ever.
	KeepFor time.Duration

	// NoPersist deletes every event as soon as it is written, so that only open feeds see it ("persist=false").
	// The bus has neither Replay nor Durable then, and cannot tell a copy of an ID.
	NoPersist bool

	// Overlap is how far before its last event a resumed feed looks for such as have become visible late. It has
	// to be longer than a write can take at the server and longer than its clocks are apart. 10 seconds if 0.
	Overlap time.Duration

	// MaxBytes is the largest JSON of an event that is accepted. 1 MiB if 0; RethinkDB advises against
	// documents of more than 16 MiB, and more is refused here.
	MaxBytes int
}

const largest = 16 << 20

// config is what URL and options say together.
type config struct {
	BusOptions
	address string
	login   login
	shown   string // the URL without its password
}

var nameOf = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func parse(address string, opts *BusOptions) (c config, err error) {
	if opts != nil {
		c.BusOptions = *opts
	}
	const form = "this is no URL like rethinkdb://user:password@127.0.0.1:28015/db/table"
	u, err := bus.ParseURL(address, "rethinkdb")
	if err != nil {
		return c, fmt.Errorf("rethinkdb: "+form+": %w", err)
	}
	if u.Host == "" || u.Opaque != "" {
		return c, fmt.Errorf("rethinkdb: " + form)
	}
	host, port := u.Hostname(), u.Port()
	if host == "" {
		host = "127.0.0.1"
	}
	if port == "" {
		port = "28015"
	}
	c.address = net.JoinHostPort(host, port)
	c.login.user = u.User.Username()
	c.login.password, _ = u.User.Password()

	switch path := strings.Split(strings.Trim(u.Path, "/"), "/"); {
	case len(path) > 2:
		return c, fmt.Errorf("rethinkdb: the path of %s is more than /db/table", bus.Redact(address))
	case len(path) == 2:
		c.Table = path[1]
		fallthrough
	default:
		if path[0] != "" {
			c.DB = path[0]
		}
	}
	q := u.Query()
	if err := bus.ReadQuery(c.flags(), q); err != nil {
		return c, fmt.Errorf("rethinkdb: open %s: %w", bus.Redact(address), err)
	}
	if err := c.check(); err != nil {
		return c, err
	}
	whole := url.URL{Scheme: "rethinkdb", User: u.User, Host: c.address, Path: "/" + c.DB + "/" + c.Table, RawQuery: q.Encode()}
	c.shown = bus.Redact(whole.String())
	return c, nil
}

// flags are what the query of a URL may say.
func (c *config) flags() *flag.FlagSet {
	fs := flag.NewFlagSet("rethinkdb", flag.ContinueOnError)
	fs.BoolFunc("persist", "", func(value string) error {
		persist, err := strconv.ParseBool(value)
		c.NoPersist = !persist
		return err
	})
	fs.IntVar(&c.Keep, "keep", c.Keep, "")
	fs.DurationVar(&c.KeepFor, "keepfor", c.KeepFor, "")
	fs.DurationVar(&c.Overlap, "overlap", c.Overlap, "")
	fs.IntVar(&c.MaxBytes, "maxbytes", c.MaxBytes, "")
	return fs
}

func (c *config) check() error {
	if c.DB == "" {
		c.DB = "earshot"
	}
	if c.Table == "" {
		c.Table = "events"
	}
	if c.Overlap == 0 {
		c.Overlap = 10 * time.Second
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 1 << 20
	}
	switch {
	case !nameOf.MatchString(c.DB) || !nameOf.MatchString(c.Table):
		return fmt.Errorf("rethinkdb: database %q, table %q: names have up to 64 of A-Z, a-z, 0-9, _ and -", c.DB, c.Table)
	case c.DB == "rethinkdb":
		return fmt.Errorf("rethinkdb: the database rethinkdb is the server's own")
	case c.Keep < 0 || c.KeepFor < 0:
		return fmt.Errorf("rethinkdb: keep %d, keepfor %v: neither can be negative", c.Keep, c.KeepFor)
	case c.Overlap < parts*time.Millisecond || c.Overlap > time.Hour:
		return fmt.Errorf("rethinkdb: overlap %v is not between %v and %v", c.Overlap, parts*time.Millisecond, time.Hour)
	case c.MaxBytes < 0 || c.MaxBytes > largest:
		return fmt.Errorf("rethinkdb: maxbytes %d is not between 1 and %d", c.MaxBytes, largest)
	}
	return nil
}
