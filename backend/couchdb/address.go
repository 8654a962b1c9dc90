package couchdb

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/earshot-go/earshot/bus"
)

// An address is a URL and the options, with the defaults filled in.
type address struct {
	BusOptions
	base string // http://host:port/…/db, without a slash at the end
	user *url.Userinfo
}

// nameOfDB is CouchDB's rule for the names of databases.
var nameOfDB = regexp.MustCompile(`^[a-z][a-z0-9_$()+/-]*$`)

// parse reads a URL. Its errors have nothing of it but what cannot be secret.
func parse(text string, o BusOptions) (address, error) {
	u, err := bus.ParseURL(text, "couchdb", "couchdbs")
	if err != nil {
		return address{}, fmt.Errorf("%w; a whole one is couchdb://user:password@host:5984/db", err)
	}
	a := address{BusOptions: o, user: u.User}
	scheme, port := "http", "5984"
	if u.Scheme == "couchdbs" {
		scheme, port = "https", "6984"
	}
	if u.Hostname() == "" || u.Opaque != "" {
		return address{}, errors.New("the host is missing: couchdb://host:5984/db")
	}
	if u.Port() != "" {
		port = u.Port()
	}
	fs := flag.NewFlagSet("couchdb", flag.ContinueOnError)
	fs.IntVar(&a.MaxBytes, "maxbytes", a.MaxBytes, "")
	fs.DurationVar(&a.Timeout, "timeout", a.Timeout, "")
	fs.DurationVar(&a.Heartbeat, "heartbeat", a.Heartbeat, "")
	if err := bus.ReadQuery(fs, u.Query()); err != nil {
		return address{}, err
	}
	a.defaults()
	if a.MaxBytes < 0 || a.Timeout < time.Millisecond || a.Heartbeat < time.Millisecond {
		return address{}, fmt.Errorf("maxbytes %d, timeout %v and heartbeat %v: no size is negative, and no time shorter than 1ms", a.MaxBytes, a.Timeout, a.Heartbeat)
	}

	// The name of a database may contain a slash, which is then written as %2F.
	prefix := strings.Trim(u.EscapedPath(), "/")
	if prefix != "" {
		db := prefix[strings.LastIndex(prefix, "/")+1:]
		prefix = strings.TrimSuffix(strings.TrimSuffix(prefix, db), "/")
		if a.DB, err = url.PathUnescape(db); err != nil {
			return address{}, errors.New("the path is none")
		}
	}
	if !nameOfDB.MatchString(a.DB) {
		return address{}, fmt.Errorf("%q is no name of a database: it begins with a small letter, and has a-z, 0-9 and _$()+-/", a.DB)
	}
	if prefix != "" {
		prefix = "/" + prefix
	}
	a.base = scheme + "://" + net.JoinHostPort(u.Hostname(), port) + prefix + "/" + url.PathEscape(a.DB)
	return a, nil
}

func (a *address) defaults() {
	if a.DB == "" {
		a.DB = defaultDB
	}
	if a.MaxBytes == 0 {
		a.MaxBytes = defaultMaxBytes
	}
	if a.Timeout == 0 {
		a.Timeout = defaultTimeout
	}
	if a.Heartbeat == 0 {
		a.Heartbeat = defaultHeartbeat
	}
}
