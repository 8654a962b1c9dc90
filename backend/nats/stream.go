package nats

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
)

// errStream is in errors about a stream that is there and does not keep what Caps promises.
var errStream = errors.New("the stream does not do")

// stream returns what the server says about the stream, which it makes if it is absent.
func (l *link) stream(ctx context.Context) (*jetstream.StreamInfo, error) {
	return ask(ctx, l, "use the stream of", func(ctx context.Context) (*jetstream.StreamInfo, error) {
		name := l.bus.opts.Stream
		s, err := l.js.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			s, err = l.js.CreateStream(ctx, l.bus.config())
			if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
				s, err = l.js.Stream(ctx, name) // another process was faster, with other limits
			}
		}
		if err != nil {
			return nil, err
		}
		info := s.CachedInfo()
		if err := l.bus.check(info.Config); err != nil {
			return nil, err
		}
		if most := int64(info.Config.MaxMsgSize); most > 0 {
			l.bus.limit.Store(min(l.bus.limit.Load(), max(most-headroom, 1)))
		}
		l.ready.Store(true)
		return info, nil
	})
}

// config is what a new stream is made with.
func (b *Bus) config() jetstream.StreamConfig {
	o := b.opts
	c := jetstream.StreamConfig{
		Name:        o.Stream,
		Description: "events of earshot",
		Subjects:    []string{o.Prefix + ".>"},
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardOld,
		MaxMsgs:     -1,
		MaxBytes:    -1,
		MaxAge:      o.KeepFor,
		Storage:     jetstream.FileStorage,
		Replicas:    o.Replicas,
		Duplicates:  o.Duplicates,
		AllowDirect: true,

		AllowAtomicPublish: o.Atomic,
	}
	if o.Keep > 0 {
		c.MaxMsgs = o.Keep
	}
	if o.KeepBytes > 0 {
		c.MaxBytes = o.KeepBytes
	}
	if o.Memory {
		c.Storage = jetstream.MemoryStorage
	}
	return c
}

// check says why a stream that is there cannot be used. Its limits are its owner's business; what Caps promises
// and how events get into it is not.
func (b *Bus) check(c jetstream.StreamConfig) error {
	o := b.opts
	covered := false
	for _, s := range c.Subjects {
		covered = covered || covers(s, o.Prefix+".>")
	}
	why := ""
	switch {
	case c.Mirror != nil:
		why = "it is a mirror, which nothing can be published to: name the original"
	case !covered:
		why = fmt.Sprintf("its subjects %q do not include %q: say prefix=", c.Subjects, o.Prefix+".>")
	case c.Retention != jetstream.LimitsPolicy:
		why = fmt.Sprintf("its retention is %q and must be \"Limits\", or events vanish before feeds have them", c.Retention)
	case c.SubjectTransform != nil:
		why = "it transforms subjects"
	case o.Atomic && !c.AllowAtomicPublish:
		why = "it does not take batches as one, or the server is older than 2.12: set its allow_atomic, or do without atomic=true"
	case c.NoAck:
		why = "it has no_ack, so that nobody knows what it has accepted"
	case !o.Memory && c.Storage != jetstream.FileStorage:
		why = "it is kept in memory: say storage=memory if that is wanted"
	case !o.Memory && c.PersistMode == jetstream.AsyncPersistMode:
		why = "its persist_mode is async: say storage=memory if events may be lost with the server"
	case c.Duplicates < min(o.Duplicates, minDuplicates):
		why = fmt.Sprintf("it recognises duplicates for %v, less than the %v asked for: say duplicates=%[1]v, or raise its duplicate_window", c.Duplicates, o.Duplicates)
	}
	if why == "" {
		return nil
	}
	return fmt.Errorf("nats: stream %q of %s: %w: %s; or choose another one with stream=", o.Stream, b, errStream, why)
}

// epoch identifies a stream: the nanosecond in which it was made, which stays with it over restarts, and which
// nobody who makes another one of the same name and settings can repeat.
func epoch(info *jetstream.StreamInfo) string {
	return strconv.FormatInt(info.Created.UnixNano(), 36)
}

// refuses says why a stream would not accept an event now. "" means that it would.
func refuses(info *jetstream.StreamInfo) string {
	c, s := info.Config, info.State
	switch {
	case c.Sealed:
		return "it is sealed"
	case c.Discard == jetstream.DiscardNew && c.MaxMsgs > 0 && s.Msgs >= uint64(c.MaxMsgs):
		return fmt.Sprintf("it has its %d messages and discards new ones", c.MaxMsgs)
	case c.Discard == jetstream.DiscardNew && c.MaxBytes > 0 && s.Bytes >= uint64(c.MaxBytes):
		return fmt.Sprintf("it has its %d bytes and discards new ones", c.MaxBytes)
	}
	return ""
}
