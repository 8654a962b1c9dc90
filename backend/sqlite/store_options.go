package sqlite

import (
	"flag"
	"fmt"

	"github.com/earshot-go/earshot/bus"
)

// StoreOptions are what the query of the URL can say as well; where both do, the URL counts. The zero value works.
type StoreOptions struct {
	// MaxBytes is the size of the largest payload that Enqueue takes. Default 1 MiB, at most 64 MiB. In the URL:
	// maxbytes=65536.
	MaxBytes int

	// Sync is SyncFull or SyncNormal. Default SyncFull. In the URL: sync=normal.
	Sync Sync

	// pages limits the size of the file, and vfs has the disk fail, for tests.
	pages int
	vfs   string
}

// parseStoreURL returns the absolute path of the file and the options that the address and opts make together.
func parseStoreURL(address string, opts *StoreOptions) (path string, o StoreOptions, err error) {
	if opts != nil {
		o = *opts
	}
	u, err := bus.ParseURL(address, engineName)
	if err != nil {
		return "", o, fmt.Errorf("sqlite: open %s: %w; a whole one is sqlite:jobs.db or sqlite:///var/lib/shop/jobs.db", bus.Redact(address), err)
	}
	if path, err = urlPath(u); err != nil {
		return "", o, err
	}
	fs := flag.NewFlagSet(engineName, flag.ContinueOnError)
	fs.IntVar(&o.MaxBytes, "maxbytes", o.MaxBytes, "")
	fs.StringVar((*string)(&o.Sync), "sync", string(o.Sync), "")
	if err := bus.ReadQuery(fs, u.Query()); err != nil {
		return "", o, fmt.Errorf("sqlite: open %s: %w", bus.Redact(address), err)
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.Sync == "" {
		o.Sync = SyncFull
	}
	switch {
	case o.MaxBytes < 0 || o.MaxBytes > largest:
		return "", o, fmt.Errorf("sqlite: maxbytes %d: it is between 1 and %d", o.MaxBytes, largest)
	case o.Sync != SyncFull && o.Sync != SyncNormal:
		return "", o, fmt.Errorf("sqlite: sync %q: it is full or normal", o.Sync)
	}
	return path, o, nil
}
