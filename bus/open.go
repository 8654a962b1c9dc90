package bus

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/earshot-go/earshot/internal/scheme"
)

var openers scheme.Table[Bus]

// Register makes a scheme known to Open. Engines call it when they are linked. To register one twice is a
// mistake in the program and panics.
func Register(scheme string, open func(url string) (Bus, error)) {
	if !openers.Add(scheme, open) {
		panic("bus: scheme " + scheme + " registered twice")
	}
}

// Open returns the bus of a URL, whose scheme names the engine: "redis://127.0.0.1:6379/0?stream=shop". The
// program has to import the engine's package, which documents its URLs. Open connects to nothing, so that a
// server may be absent at that time; its errors are mistakes in the URL: ErrScheme, or what the engine says.
// Passwords do not appear in errors.
func Open(address string) (Bus, error) {
	scheme, _, ok := strings.Cut(address, ":")
	if !ok {
		return nil, fmt.Errorf("bus: open %.40q: %w: a URL begins with the name of its engine and a colon, as in sqlite:events.db", upToQuery(address), ErrScheme)
	}
	open, known := openers.Get(scheme)
	if open == nil {
		return nil, fmt.Errorf("bus: open %s: %w %q: this program knows %s; an engine is known when its package github.com/earshot-go/earshot/backend/… is imported",
			Redact(address), ErrScheme, scheme, known)
	}
	return open(address)
}

// upToQuery is what may be shown of a text that has no scheme.
func upToQuery(address string) string {
	path, _, _ := strings.Cut(address, "?")
	if strings.Contains(path, "@") {
		return "…"
	}
	return path
}

// Redact returns a URL without its passwords, for logs and errors: that of the user; a user without a password, which
// may be a token; the values of query keys that sound like one; and what is behind a "#". Of a text that is no URL, or
// may have been taken apart in the wrong place, as by a "#" or "/" in a password, it returns the scheme alone.
func Redact(address string) string {
	scheme, _, _ := strings.Cut(address, ":")
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "" || misplaced(u) {
		return scheme + ":…"
	}
	if password, _ := u.User.Password(); u.User != nil && u.User.String() != ":" && password == "" {
		u.User = url.User("xxxxx")
	}
	if u.Fragment != "" {
		u.Fragment, u.RawFragment = "xxxxx", ""
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		u.RawQuery = "…" // what cannot be read may be anything
		return u.Redacted()
	}
	found := false
	for key := range q {
		if isSecret(strings.ToLower(key)) {
			q.Set(key, "xxxxx")
			found = true
		}
	}
	if found {
		u.RawQuery = q.Encode()
	}
	return u.Redacted()
}

// misplaced reports whether a URL has an "@" where no user can be: the one that ends the user may be meant, and what is
// before it a part of the password.
func misplaced(u *url.URL) bool {
	return strings.Contains(u.Opaque+u.EscapedPath()+u.RawQuery+u.EscapedFragment(), "@")
}

func isSecret(key string) bool {
	for _, part := range []string{"pass", "pwd", "token", "auth", "secret", "cred", "sig", "jwt", "seed"} {
		if strings.Contains(key, part) {
			return true
		}
	}
	return strings.HasSuffix(key, "key")
}
