package nats

import (
	"flag"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/earshot-go/earshot/bus"
	natsgo "github.com/nats-io/nats.go"
)

// BusOptions say how a bus uses its server. What the query of the URL says goes before them.
type BusOptions struct {
	// Stream is the name of the stream. Default "earshot".
	Stream string
	// Prefix begins the subjects of the stream, which takes all below it: "<prefix>.>". Default: the stream's
	// name.
	Prefix string
	// Core does without JetStream ("mode=core"): at most once, and nothing is kept.
	Core bool
	// Memory keeps the stream in the server's memory ("storage=memory"): it does not survive the server.
	Memory bool
	// Replicas is on how many servers of a cluster a new stream is kept. Default 1.
	Replicas int

	// Keep, KeepFor and KeepBytes bound what a new stream keeps; the oldest events go first. Default: no
	// bound, which fills the server's disk sooner or later.
	Keep      int64
	KeepFor   time.Duration
	KeepBytes int64

	// MaxBytes is the longest event that is published, as JSON. Default 1,000,000, which a server with the
	// usual max_payload of 1 MiB takes. The server may take less, which is bus.ErrTooLarge as well.
	MaxBytes int
	// Duplicates is for how long a new stream recognises an event that is published again. Default 2 minutes.
	// The server keeps every ID in memory for that long. Under a minute, Caps.Dedupe is false.
	Duplicates time.Duration

	// Atomic stores the events of one Publish as one ("atomic=true"), up to 1000 or 4 MiB at a time: all or
	// nothing, so that their order holds even if the server refuses some and takes them later. It needs a
	// server of version 2.12 and a stream that allows it, as a new one does then. A server with its stream in
	// files takes batches a fifth as fast this way, so the default is false.
	Atomic bool

	// Credentials is a file with a user's JWT and seed ("creds=/etc/earshot.creds").
	Credentials string
	// Connect is for what has no name here, such as TLS certificates: options of the client library, which
	// are applied last. Reconnecting stays off whatever they say: whoever uses the bus decides on retries.
	Connect []natsgo.Option
}

const (
	defaultStream     = "earshot"
	defaultMaxBytes   = 1_000_000
	defaultDuplicates = 2 * time.Minute
	minDuplicates     = time.Minute // what Caps.Dedupe promises
)

// An address is where a bus connects to, and as whom.
type address struct {
	servers []string // without user and password, which the client library would show in errors
	user    *url.Userinfo
	shown   string // what may be seen of the URL
}

// settings returns o and what the URL says, with defaults filled in.
func settings(text string, o *BusOptions) (BusOptions, address, error) {
	var s BusOptions
	if o != nil {
		s = *o
		s.Connect = slices.Clone(o.Connect)
	}
	const form = "no URL of the form nats://user:password@host:4222?stream=earshot"
	shown := bus.Redact(text)
	u, err := bus.ParseURL(text, "nats", "tls")
	if err != nil {
		return s, address{}, fmt.Errorf("nats: open %s: "+form+": %w", shown, err)
	}
	if u.Host == "" || strings.Trim(u.Path, "/") != "" || u.Fragment != "" {
		// What is wrong is not shown: it may be a part of the password.
		return s, address{}, fmt.Errorf("nats: open %s:…: "+form+"; in a password, write / as %%2F", u.Scheme)
	}
	a := address{user: u.User, shown: shown}
	for host := range strings.SplitSeq(u.Host, ",") {
		if host == "" {
			return s, a, fmt.Errorf("nats: open %s: an empty host between the commas", a.shown)
		}
		a.servers = append(a.servers, u.Scheme+"://"+host)
	}
	if err := bus.ReadQuery(s.flags(), u.Query()); err != nil {
		return s, a, fmt.Errorf("nats: open %s: %w", a.shown, err)
	}
	if err := s.complete(); err != nil {
		return s, a, fmt.Errorf("nats: open %s: %w", a.shown, err)
	}
	return s, a, nil
}

// flags are what the query of a URL may say.
func (o *BusOptions) flags() *flag.FlagSet {
	fs := flag.NewFlagSet("nats", flag.ContinueOnError)
	fs.StringVar(&o.Stream, "stream", o.Stream, "")
	fs.StringVar(&o.Prefix, "prefix", o.Prefix, "")
	fs.StringVar(&o.Credentials, "creds", o.Credentials, "")
	fs.Func("mode", "", choice(&o.Core, "jetstream", "core"))
	fs.Func("storage", "", choice(&o.Memory, "file", "memory"))
	fs.BoolVar(&o.Atomic, "atomic", o.Atomic, "")
	fs.IntVar(&o.Replicas, "replicas", o.Replicas, "")
	fs.Int64Var(&o.Keep, "keep", o.Keep, "")
	fs.Int64Var(&o.KeepBytes, "keepbytes", o.KeepBytes, "")
	fs.IntVar(&o.MaxBytes, "maxbytes", o.MaxBytes, "")
	fs.DurationVar(&o.KeepFor, "keepfor", o.KeepFor, "")
	fs.DurationVar(&o.Duplicates, "duplicates", o.Duplicates, "")
	return fs
}

// choice is the function of a flag that has two values.
func choice(to *bool, no, yes string) func(string) error {
	return func(value string) error {
		if value != no && value != yes {
			return fmt.Errorf("there are %s and %s", no, yes)
		}
		*to = value == yes
		return nil
	}
}

func (o *BusOptions) complete() error {
	if o.Stream == "" {
		o.Stream = defaultStream
	}
	if o.Prefix == "" {
		o.Prefix = o.Stream
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.Duplicates == 0 {
		o.Duplicates = defaultDuplicates
	}
	if o.Replicas == 0 {
		o.Replicas = 1
	}
	if len(o.Stream) > 200 || strings.ContainsAny(o.Stream, ".*>/\\%") || !allPlain(o.Stream) {
		return fmt.Errorf("stream %q: a name of up to 200 letters, digits, - and _ is needed", o.Stream)
	}
	for token := range strings.SplitSeq(o.Prefix, ".") {
		if token == "" || len(o.Prefix) > 500 || !allPlain(token) {
			return fmt.Errorf("prefix %q: a subject without wildcards and spaces is needed, as in shop.events", o.Prefix)
		}
	}
	if o.Prefix[0] == '$' || strings.HasPrefix(o.Prefix, "_INBOX") {
		return fmt.Errorf("prefix %q: NATS keeps these subjects for itself", o.Prefix)
	}
	if o.MaxBytes < 0 || o.MaxBytes > math.MaxInt32 || o.Keep < 0 || o.KeepFor < 0 || o.KeepBytes < 0 || o.Replicas < 0 || o.Duplicates < 0 {
		return fmt.Errorf("keep, keepfor, keepbytes, maxbytes, duplicates and replicas are not negative")
	}
	if o.KeepFor > 0 && o.Duplicates > o.KeepFor {
		o.Duplicates = o.KeepFor // the server refuses to remember an ID for longer than its event
	}
	return nil
}

func allPlain(s string) bool {
	for i := range len(s) {
		if !plain(s[i]) {
			return false
		}
	}
	return true
}
