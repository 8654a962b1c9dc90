package bus

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
)

var openers struct {
	mu sync.Mutex
	by map[string]func(url string) (Bus, error)
}

// Register makes a scheme known to Open. Engines call it when they are linked. To register one twice is a
// mistake in the program and panics.
func Register(scheme string, open func(url string) (Bus, error)) {
	openers.mu.Lock()
	defer openers.mu.Unlock()
	if openers.by == nil {
		openers.by = map[string]func(string) (Bus, error){}
	}
	if openers.by[scheme] != nil {
		panic("bus: scheme " + scheme + " registered twice")
	}
	openers.by[scheme] = open
}

// Open returns the bus of a URL, whose scheme names the engine: "redis://127.0.0.1:6379/0?stream=shop". The
// program has to import the engine's package, which documents its URLs. Open connects to nothing, so that a
// server may be absent at that time; its errors are mistakes in the URL: ErrScheme, or what the engine says.
// Passwords do not appear in errors.
func Open(address string) (Bus, error) {
	scheme, _, ok := strings.Cut(address, ":")
	if !ok {
		return nil, fmt.Errorf("bus: open %q: %w: a URL begins with the name of its engine and a colon, as in sqlite:events.db", Redact(address), ErrScheme)
	}
	openers.mu.Lock()
	open, known := openers.by[scheme], slices.Sorted(maps.Keys(openers.by))
	openers.mu.Unlock()
	if open == nil {
		return nil, fmt.Errorf("bus: open %s: %w %q: this program knows %s; an engine is known when its package github.com/earshot-go/earshot/backend/… is imported",
			Redact(address), ErrScheme, scheme, strings.Join(known, ", "))
	}
	return open(address)
}

// Redact returns a URL without its password, for logs and errors. Of a text that is no URL it returns the
// scheme alone.
func Redact(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		scheme, _, _ := strings.Cut(address, ":")
		return scheme + ":…"
	}
	q := u.Query()
	for _, secret := range []string{"password", "token", "auth"} {
		if q.Has(secret) {
			q.Set(secret, "xxxxx")
			u.RawQuery = q.Encode()
		}
	}
	return u.Redacted()
}
