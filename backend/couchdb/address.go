package couchdb

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An address is a URL and the options, with the defaults filled in.
type address struct {
	BusOptions
	base string // http://host:port/…/db, without a slash at the end
	user *url.Userinfo
}

// nameOfDB is CouchDB's rule for the names of databases.
var nameOfDB = regexp.MustCompile(`^[a-z][a-z0-9_$()+/-]*$`)

var settings = map[string]func(o *BusOptions, value string) error{
	"max_bytes": func(o *BusOptions, value string) (err error) {
		o.MaxBytes, err = strconv.Atoi(value)
		if err == nil && o.MaxBytes <= 0 {
			err = errors.New("it has to be more than 0")
		}
		return err
	},
	"timeout":   func(o *BusOptions, value string) error { return duration(&o.Timeout, value) },
	"heartbeat": func(o *BusOptions, value string) error { return duration(&o.Heartbeat, value) },
}

func duration(to *time.Duration, value string) (err error) {
	*to, err = time.ParseDuration(value)
	if err == nil && *to < time.Millisecond {
		err = errors.New("it has to be 1ms at least")
	}
	return err
}

// parse reads a URL. Its errors have nothing of it but what cannot be secret.
func parse(text string, o BusOptions) (address, error) {
	u, err := url.Parse(text)
	if err != nil {
		return address{}, errors.New("this is no URL; one is couchdb://user:password@host:5984/db, with special characters in the password as %xx")
	}
	a := address{BusOptions: o, user: u.User}
	scheme, port := "http", "5984"
	switch u.Scheme {
	case "couchdb":
	case "couchdbs":
		scheme, port = "https", "6984"
	default:
		return address{}, fmt.Errorf("the scheme is %q: couchdb and couchdbs are known", u.Scheme)
	}
	if u.Hostname() == "" || u.Opaque != "" {
		return address{}, errors.New("the host is missing: couchdb://host:5984/db")
	}
	if u.Port() != "" {
		port = u.Port()
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return address{}, errors.New("the query, after the question mark, is none")
	}
	for key, values := range query {
		set := settings[key]
		if set == nil {
			return address{}, fmt.Errorf("the query has %q: known are %s", key, strings.Join(slices.Sorted(maps.Keys(settings)), ", "))
		}
		if err := set(&a.BusOptions, values[0]); err != nil {
			return address{}, fmt.Errorf("%s=%q: %w", key, values[0], err)
		}
	}
	a.defaults()

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
	if a.MaxBytes <= 0 {
		a.MaxBytes = defaultMaxBytes
	}
	if a.Timeout <= 0 {
		a.Timeout = defaultTimeout
	}
	if a.Heartbeat <= 0 {
		a.Heartbeat = defaultHeartbeat
	}
}
