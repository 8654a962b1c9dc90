package queue

import (
	"fmt"
	"strings"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/internal/scheme"
)

var openers scheme.Table[Store]

// Register makes a scheme known to Open. Stores call it when they are linked. To register one twice is a mistake in the
// program and panics.
func Register(scheme string, open func(url string) (Store, error)) {
	if !openers.Add(scheme, open) {
		panic("queue: scheme " + scheme + " registered twice")
	}
}

// Open returns the store of a URL, whose scheme names the engine: "sqlite:jobs.db". The program has to import the
// engine's package, which documents its URLs; "mem:" is known with package memstore. Open connects to nothing, so that a
// server may be absent at that time; its errors are mistakes in the URL: ErrScheme, or what the engine says.
// Passwords do not appear in errors.
func Open(address string) (Store, error) {
	scheme, _, ok := strings.Cut(address, ":")
	if !ok {
		return nil, fmt.Errorf("queue: open: %w: a URL begins with the name of its engine and a colon, as in sqlite:jobs.db", ErrScheme)
	}
	open, known := openers.Get(scheme)
	if open == nil {
		return nil, fmt.Errorf("queue: open %s: %w %q: this program knows %s; an engine is known when its package github.com/earshot-go/earshot/backend/… is imported",
			bus.Redact(address), ErrScheme, scheme, known)
	}
	return open(address)
}
