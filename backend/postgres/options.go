package postgres

import (
	"flag"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/jackc/pgx/v5"
)

// StoreOptions are the properties of a store and of the way to it. What the URL's query says goes before them. The zero
// value works.
type StoreOptions struct {
	// Schema has the tables: small letters, digits and _, up to 48, the first one no digit. Default "earshot". In
	// the URL: schema=jobs.
	Schema string
	// NoNotify is not to tell other processes with NOTIFY, nor to hear them: they see what was enqueued within a
	// second. It saves a connection, and is for PgBouncer in transaction mode. In the URL: notify=off.
	NoNotify bool
	// Conns is how many connections there are at most, one for notifications apart; calls wait for their turn.
	// Default 16. In the URL: conns=40.
	Conns int
	// MaxBytes is how long a payload may be. Default 16 MiB, at most 128 MiB. All payloads of a call may have 256 MiB
	// together. In the URL: maxbytes=65536.
	MaxBytes int

	// clock is how the server is asked for its time, for tests whose server has another.
	clock string
}

const (
	defaultConns    = 16
	defaultMaxBytes = 16 << 20
	largest         = 128 << 20
	largestCall     = 256 << 20 // a message of the protocol is a gigabyte at most
)

var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,47}$`)

// theirs is what pgx reads of a query.
var theirs = []string{"sslmode", "sslrootcert", "sslcert", "sslkey", "host", "target_session_attrs", "passfile", "application_name"}

// settings reads a URL and options.
func settings(address string, opts *StoreOptions) (o StoreOptions, config *pgx.ConnConfig, err error) {
	if opts != nil {
		o = *opts
	}
	fault := func(err error) (StoreOptions, *pgx.ConnConfig, error) {
		return o, nil, fmt.Errorf("postgres: open %s: %w", bus.Redact(address), err)
	}
	u, err := bus.ParseURL(address, "postgres", "postgresql")
	if err != nil {
		return fault(fmt.Errorf("%w; a whole one is postgres://user:password@host:5432/database?schema=name", err))
	}
	fs := flag.NewFlagSet("postgres", flag.ContinueOnError)
	fs.StringVar(&o.Schema, "schema", o.Schema, "")
	fs.IntVar(&o.Conns, "conns", o.Conns, "")
	fs.IntVar(&o.MaxBytes, "maxbytes", o.MaxBytes, "")
	fs.Func("notify", "", func(text string) error {
		if text != "on" && text != "off" {
			return fmt.Errorf("it is on or off")
		}
		o.NoNotify = text == "off"
		return nil
	})
	rest := url.Values{}
	for _, key := range theirs {
		fs.Func(key, "", func(text string) error { rest.Set(key, text); return nil })
	}
	if err := bus.ReadQuery(fs, u.Query()); err != nil {
		return fault(err)
	}
	if err := o.complete(); err != nil {
		return fault(err)
	}
	at := *u
	at.RawQuery = rest.Encode()
	if config, err = pgx.ParseConfig(at.String()); err != nil {
		return fault(err) // it has no passwords
	}
	config.ConnectTimeout = dialTime
	// What a statement returns is remembered here; the server has nothing to remember.
	config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	return o, config, nil
}

// complete puts defaults for what is not said, and refuses what cannot be.
func (o *StoreOptions) complete() error {
	if o.Schema == "" {
		o.Schema = "earshot"
	}
	if o.clock == "" {
		o.clock = "clock_timestamp()"
	}
	if o.Conns == 0 {
		o.Conns = defaultConns
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	switch {
	case !schemaName.MatchString(o.Schema) || strings.HasPrefix(o.Schema, "pg_"):
		return fmt.Errorf("the schema %.60q: a name has 1 to 48 small letters, digits and _, the first is no digit, and it does not begin with pg_", o.Schema)
	case o.Conns < 1 || o.Conns > 10_000:
		return fmt.Errorf("conns %d: it is between 1 and 10000", o.Conns)
	case o.MaxBytes < 1 || o.MaxBytes > largest:
		return fmt.Errorf("maxbytes %d: it is between 1 and %d", o.MaxBytes, largest)
	}
	return nil
}

// shown is the URL of a store without the password.
func shown(o StoreOptions, config *pgx.ConnConfig) string {
	u := url.URL{Scheme: "postgres", Path: "/" + config.Database, RawQuery: url.Values{"schema": {o.Schema}}.Encode()}
	if config.User != "" {
		u.User = url.User(config.User)
	}
	if strings.HasPrefix(config.Host, "/") {
		u.RawQuery = url.Values{"host": {config.Host}, "schema": {o.Schema}}.Encode()
	} else {
		u.Host = fmt.Sprintf("%s:%d", config.Host, config.Port)
	}
	return u.String()
}

const (
	dialTime = 2 * time.Second
	callTime = 5 * time.Second
)
