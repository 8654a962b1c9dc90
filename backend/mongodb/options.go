package mongodb

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/earshot-go/earshot/bus"
)

// StoreOptions are what the query of the URL can say as well; where both do, the URL counts. Nil works.
type StoreOptions struct {
	// Prefix begins the names of the collections: those of "jobs" are jobs_items, jobs_keys, jobs_serials and
	// jobs_meta. It has small letters, digits and _, up to 32. Default "earshot". In the URL: prefix=jobs.
	Prefix string

	// MaxBytes is the length of the largest payload that Enqueue takes. Default 1 MiB, at most 15 MiB: a document of
	// MongoDB has 16. In the URL: maxbytes=65536.
	MaxBytes int
}

const (
	defaultPrefix   = "earshot"
	defaultDatabase = "earshot"
	defaultMaxBytes = 1 << 20
	largestPayload  = 15 << 20
)

// passed are the options of MongoDB's connection strings that go to the driver as they are. Others would undo what the
// store promises, like those for retries and write concerns, or do nothing for it.
var passed = []string{
	"appName", "authMechanism", "authMechanismProperties", "authSource", "compressors", "directConnection",
	"loadBalanced", "maxPoolSize", "replicaSet", "srvServiceName", "tls", "tlsCAFile", "tlsCertificateKeyFile",
	"tlsCertificateKeyFilePassword", "tlsInsecure",
}

// An address is where the server is and how to enter it.
type address struct {
	uri      string   // for the driver; it may have a password
	hosts    []string // "127.0.0.1:27017"; none for those that the DNS has to be asked for, and for sockets
	database string
	shown    string // a URL without the password
}

var prefixes = regexp.MustCompile(`^[a-z0-9_]{1,32}$`)

// settings reads a URL and options.
func settings(text string, opts *StoreOptions) (StoreOptions, address, error) {
	var o StoreOptions
	if opts != nil {
		o = *opts
	}
	single, hosts := firstHost(text)
	fault := func(err error) (StoreOptions, address, error) {
		return StoreOptions{}, address{}, fmt.Errorf("mongodb: open %s: %w", bus.Redact(single), err)
	}
	u, err := bus.ParseURL(single, "mongodb", "mongodb+srv")
	if err != nil {
		return fault(fmt.Errorf("%w; a whole one is mongodb://user:password@host:27017/database?prefix=jobs", err))
	}
	if u.Host == "" || u.Fragment != "" {
		return fault(errors.New("there is no host: a whole one is mongodb://user:password@host:27017/database?prefix=jobs"))
	}
	fs := flag.NewFlagSet("mongodb", flag.ContinueOnError)
	fs.StringVar(&o.Prefix, "prefix", o.Prefix, "")
	fs.IntVar(&o.MaxBytes, "maxbytes", o.MaxBytes, "")
	forDriver := url.Values{}
	for _, name := range passed {
		fs.Func(name, "", func(value string) error {
			forDriver.Set(name, value)
			return nil
		})
	}
	if err := bus.ReadQuery(fs, u.Query()); err != nil {
		return fault(err)
	}
	if err := o.complete(); err != nil {
		return fault(err)
	}
	a := address{database: strings.Trim(u.Path, "/")}
	if a.database == "" {
		a.database = defaultDatabase
	}
	if strings.ContainsAny(a.database, "/\\. \"$*<>:|?\x00") || len(a.database) > 63 {
		return fault(fmt.Errorf("%q is no name of a database", a.database))
	}
	shown := *u
	shown.RawQuery = url.Values{"prefix": {o.Prefix}}.Encode()
	shown.Path = "/" + a.database
	a.shown = strings.Replace(bus.Redact(shown.String()), u.Host, hosts, 1)
	whole := *u
	whole.Path, whole.RawPath = "/", ""
	// The database of the path is where users are looked up, unless authSource says otherwise.
	if u.User != nil && !forDriver.Has("authSource") && strings.Trim(u.Path, "/") != "" {
		forDriver.Set("authSource", a.database)
	}
	whole.RawQuery = forDriver.Encode()
	whole.Host = "host-list.invalid"
	a.uri = strings.Replace(whole.String(), whole.Host, hosts, 1)
	if u.Scheme == "mongodb" && !strings.Contains(hosts, "%") {
		for host := range strings.SplitSeq(hosts, ",") {
			if _, _, err := net.SplitHostPort(host); err != nil {
				host = net.JoinHostPort(strings.Trim(host, "[]"), "27017")
			}
			a.hosts = append(a.hosts, host)
		}
	}
	if u.Scheme == "mongodb" { // one with +srv asks the DNS, which is for the first call
		if err := options.Client().ApplyURI(a.uri).Validate(); err != nil {
			return fault(hide(err, u.User))
		}
	}
	return o, a, nil
}

// firstHost returns a URL with the first of its hosts only, as package url reads no more than one, and the list of them.
func firstHost(text string) (single, hosts string) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return text, ""
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	begin := strings.LastIndex(rest[:end], "@") + 1
	hosts = rest[begin:end]
	first, _, _ := strings.Cut(hosts, ",")
	return scheme + "://" + rest[:begin] + first + rest[end:], hosts
}

// hide takes the password out of what the driver says.
func hide(err error, user *url.Userinfo) error {
	text := err.Error()
	if password, ok := user.Password(); ok && password != "" {
		text = strings.ReplaceAll(text, password, "xxxxx")
		text = strings.ReplaceAll(text, url.QueryEscape(password), "xxxxx")
	}
	return errors.New(text)
}

// complete puts defaults for what is not said, and refuses what cannot be.
func (o *StoreOptions) complete() error {
	if o.Prefix == "" {
		o.Prefix = defaultPrefix
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if !prefixes.MatchString(o.Prefix) {
		return fmt.Errorf("the prefix %.40q: it has 1 to 32 small letters, digits and _", o.Prefix)
	}
	if o.MaxBytes < 1 || o.MaxBytes > largestPayload {
		return fmt.Errorf("maxbytes %d: it is between 1 and %d", o.MaxBytes, largestPayload)
	}
	return nil
}
