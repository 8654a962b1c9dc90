package sqlite

import (
	"flag"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/earshot-go/earshot/bus"
)

// Sync says when a commit is safe.
type Sync string

const (
	// SyncFull: on disk before Publish returns. Nothing that was accepted is lost with the power.
	SyncFull Sync = "full"
	// SyncNormal: handed to the operating system. It survives the end of the process, by kill -9 too, but the
	// loss of power or a crash of the system takes what was accepted since the last checkpoint of the WAL. The
	// file stays sound. Events that are published one by one are several times as fast.
	SyncNormal Sync = "normal"
)

// BusOptions are what the query of the URL can say as well; where both do, the URL counts. The zero value works.
type BusOptions struct {
	// Stream is the name of the stream in the file: small letters, digits, and . _ - up to 64. Default "earshot".
	// In the URL: stream=shop.
	Stream string

	// Keep is how many events the stream keeps at least; up to a sixteenth more, but no more than 1,000, are
	// there until the next pruning. Default 0: all. In the URL: keep=100000.
	Keep int64

	// KeepFor is how long an event is kept at least. Pruning happens when something is published, so that a
	// stream without new events keeps the old ones. Default 0: for ever. In the URL: keepfor=720h.
	// With Keep as well, an event goes as soon as one of the two lets it.
	KeepFor time.Duration

	// MaxBytes is the size, in bytes of its JSON, of the largest event that Publish takes. Default 1 MiB, at
	// most 64 MiB. In the URL: maxbytes=65536.
	MaxBytes int

	// Sync is SyncFull or SyncNormal. Default SyncFull. In the URL: sync=normal.
	Sync Sync

	// pages limits the size of the file, for tests that want a full disk.
	pages int
}

const (
	defaultStream   = "earshot"
	defaultMaxBytes = 1 << 20
	// largest is what a feed reads at most, whatever Publish was allowed to write: a row that is larger is
	// garbage. So the limit of one process never hides the events of another.
	largest = 64 << 20
)

// Small letters, because names of tables do not tell them from capitals.
var streamName = regexp.MustCompile(`^[a-z0-9._-]{1,64}$`)

// parseURL returns the absolute path of the file and the options that the address and opts make together.
func parseURL(address string, opts *BusOptions) (path string, o BusOptions, err error) {
	if opts != nil {
		o = *opts
	}
	u, err := bus.ParseURL(address, "sqlite")
	if err != nil {
		return "", o, fmt.Errorf("sqlite: open %s: %w; a whole one is sqlite:events.db or sqlite:///var/lib/shop/events.db", bus.Redact(address), err)
	}
	if path, err = urlPath(u); err != nil {
		return "", o, err
	}
	fs := flag.NewFlagSet("sqlite", flag.ContinueOnError)
	fs.StringVar(&o.Stream, "stream", o.Stream, "")
	fs.Int64Var(&o.Keep, "keep", o.Keep, "")
	fs.DurationVar(&o.KeepFor, "keepfor", o.KeepFor, "")
	fs.IntVar(&o.MaxBytes, "maxbytes", o.MaxBytes, "")
	fs.StringVar((*string)(&o.Sync), "sync", string(o.Sync), "")
	if err := bus.ReadQuery(fs, u.Query()); err != nil {
		return "", o, fmt.Errorf("sqlite: open %s: %w", bus.Redact(address), err)
	}
	return path, o, o.check()
}

func urlPath(u *url.URL) (string, error) {
	shown := bus.Redact(u.String())
	if u.Host != "" || u.User != nil || u.Fragment != "" {
		return "", fmt.Errorf("sqlite: %q has more than a path: write sqlite:events.db, or three slashes as in sqlite:///var/lib/shop/events.db", shown)
	}
	path := u.Path
	if u.Opaque != "" {
		var err error
		if path, err = url.PathUnescape(u.Opaque); err != nil {
			return "", fmt.Errorf("sqlite: the path in %q: %w", shown, err)
		}
	}
	switch {
	case path == "" || path == "/":
		return "", fmt.Errorf("sqlite: %q names no file: write sqlite:events.db", shown)
	case strings.HasPrefix(path, ":"):
		return "", fmt.Errorf("sqlite: %q is no file: package membus has a bus in memory", shown)
	case strings.ContainsRune(path, 0):
		return "", fmt.Errorf("sqlite: the path in %q has a NUL in it", shown)
	}
	// Absolute from the beginning: the file stays the same one when the program changes its directory.
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("sqlite: the path in %q: %w", shown, err)
	}
	return abs, nil
}

// check fills in the defaults.
func (o *BusOptions) check() error {
	if o.Stream == "" {
		o.Stream = defaultStream
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.Sync == "" {
		o.Sync = SyncFull
	}
	switch {
	case !streamName.MatchString(o.Stream):
		return fmt.Errorf("sqlite: the stream %.70q: a name has 1 to 64 small letters, digits, and . _ -", o.Stream)
	case o.Keep < 0:
		return fmt.Errorf("sqlite: keep %d: it is a number of events, or 0 for all", o.Keep)
	case o.KeepFor < 0:
		return fmt.Errorf("sqlite: keepfor %v: it is a duration, or 0 for ever", o.KeepFor)
	case o.MaxBytes < 0 || o.MaxBytes > largest:
		return fmt.Errorf("sqlite: maxbytes %d: it is between 1 and %d", o.MaxBytes, largest)
	case o.Sync != SyncFull && o.Sync != SyncNormal:
		return fmt.Errorf("sqlite: sync %q: it is full or normal", o.Sync)
	}
	return nil
}
