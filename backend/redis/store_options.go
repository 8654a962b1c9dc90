package redis

import (
	"crypto/tls"
	"flag"
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"github.com/earshot-go/earshot/bus"
)

// StoreOptions are the properties of a store and of the way to it. What the URL's query says goes before them.
type StoreOptions struct {
	// Namespace is the name of the store: queues of one name in two namespaces have nothing to do with each other.
	// Empty means "earshot". In a cluster it decides on the slot, in which all of the store is.
	Namespace string
	// MaxBytes is how large a payload may be. 0 means 1 MiB; 256 MiB is the most.
	MaxBytes int
	// Durable is the promise that nothing is lost by a kill -9 of the server, in Caps. A server that is not configured
	// to keep it (appendonly yes, appendfsync always, maxmemory-policy noeviction) is refused then, with
	// queue.ErrDenied. False, the default, takes every server, and promises nothing.
	Durable bool
	// TLS is for rediss. Nil means the system's certificates and the host's name.
	TLS *tls.Config
}

const (
	defaultPayload = 1 << 20
	maxPayload     = 256 << 20
)

// storeSettings reads a URL and options.
func storeSettings(text string, opts *StoreOptions) (StoreOptions, address, error) {
	var o StoreOptions
	if opts != nil {
		o = *opts
	}
	fault := func(format string, args ...any) (StoreOptions, address, error) {
		return StoreOptions{}, address{}, fmt.Errorf("redis: open %s: "+format, append([]any{bus.Redact(text)}, args...)...)
	}
	u, err := bus.ParseURL(text, schemes...)
	if err != nil {
		return fault("%w; a whole one is redis://user:password@host:6379/0?namespace=name", err)
	}
	query := u.Query()
	a, err := locate(u, query, o.TLS)
	if err != nil {
		return fault("%w", err)
	}
	fs := flag.NewFlagSet("redis", flag.ContinueOnError)
	fs.StringVar(&o.Namespace, "namespace", o.Namespace, "")
	fs.IntVar(&o.MaxBytes, "maxbytes", o.MaxBytes, "")
	fs.BoolVar(&o.Durable, "durable", o.Durable, "")
	if err := bus.ReadQuery(fs, query); err != nil {
		return fault("%w", err)
	}
	if o.Namespace == "" {
		o.Namespace = "earshot"
	}
	if len(o.Namespace) > 255 || strings.ContainsAny(o.Namespace, "{}") || strings.ContainsFunc(o.Namespace, unicode.IsControl) {
		return fault("the namespace %.40q has braces, control characters, or more than 255 bytes", o.Namespace)
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultPayload
	}
	if o.MaxBytes < 0 || o.MaxBytes > maxPayload {
		return fault("payloads cannot have %d bytes: 256 MiB, %d, is the most", o.MaxBytes, maxPayload)
	}
	a.shown = show(u, a, url.Values{"namespace": {o.Namespace}})
	return o, a, nil
}
