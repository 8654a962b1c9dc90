package nats

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot-go/earshot/bus"
)

// forgotten is after how long without a request the server removes a feed's consumer. The feed of a reader that
// pauses for longer ends with bus.ErrDisconnected, and nothing is lost. It is also for how long a process that
// died burdens the server.
const forgotten = time.Minute

// Tail opens a feed. It waits for the server to have it open.
//
// The position of bus.At is by the server's clock. The Missed of a *bus.GapError counts all events of the stream,
// also those that a Hint leaves out, and is zero where a Hint makes it unknown. A stream from which single events were
// removed, or that removes some by itself before older ones, is read without the Hint, whose gaps could not be told.
// With Core there is only bus.Now.
func (b *Bus) Tail(ctx context.Context, t bus.Tail) (bus.Feed, error) {
	if b.ctx.Err() != nil {
		return nil, bus.ErrClosed
	}
	if b.opts.Core {
		if !t.From.IsNow() || t.Past {
			return nil, fmt.Errorf("nats: tail of %s: %w: without a stream (mode=core) a feed can only begin now", b, bus.ErrUnsupported)
		}
		return do(ctx, b, func(ctx context.Context) (bus.Feed, error) { return b.tailCore(ctx, t.Hint) }, drop)
	}
	return do(ctx, b, func(ctx context.Context) (bus.Feed, error) { return b.tail(ctx, t) }, drop)
}

func drop(f bus.Feed) { f.Close() }

const opening = "open a feed of"

func (b *Bus) tail(ctx context.Context, t bus.Tail) (bus.Feed, error) {
	l, err := b.connect(ctx)
	if err != nil {
		return nil, err
	}
	info, err := l.stream(ctx)
	if err != nil {
		return nil, err
	}
	b.bury(l)
	f := &feed{bus: b, link: l, epoch: epoch(info), closed: make(chan struct{}), filtered: false, last: info.State.LastSeq, past: t.Past}
	config := jetstream.ConsumerConfig{
		AckPolicy:         jetstream.AckNonePolicy,
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: forgotten,
	}
	if !holed(info) {
		config.FilterSubjects = filters(b.opts.Prefix, t.Hint)
	}
	f.filtered = config.FilterSubjects != nil
	first := max(info.State.FirstSeq, 1)
	if token, ok := t.From.Token(); ok {
		if f.pos, err = f.resume(token, info); err != nil {
			return nil, err
		}
		if f.pos+1 < first {
			f.gap = &bus.GapError{After: token, Missed: first - 1 - f.pos, Reason: kept(info.Config)}
			f.pos, f.lost = first-1, token
		}
	} else if at, ok := t.From.Time(); ok {
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &at
		f.at = at
	} else if t.From.IsStart() {
		f.pos = first - 1
	} else {
		f.pos = f.last
	}
	if t.Past && f.at.IsZero() && f.pos >= f.last {
		f.finished = true
		return f, f.hold(nil)
	}
	if f.at.IsZero() {
		config.OptStartSeq = f.pos + 1
	}
	consumer, err := f.consume(ctx, config)
	if err != nil {
		return nil, err
	}
	if !f.at.IsZero() {
		f.pos = consumer.Delivered.Stream
	}
	if t.Past && (consumer.NumPending == 0 || f.pos >= f.last) {
		f.finished = true
	}
	return f, nil
}

// holed reports whether events may be missing between others.
func holed(info *jetstream.StreamInfo) bool {
	return info.State.NumDeleted > 0 || info.Config.MaxMsgsPerSubject > 0 || info.Config.AllowMsgTTL
}

// consume makes the consumer, and sees to it that it is one of the stream that f is about.
func (f *feed) consume(ctx context.Context, config jetstream.ConsumerConfig) (*jetstream.ConsumerInfo, error) {
	l, b := f.link, f.bus
	consumer, err := ask(ctx, l, opening, func(ctx context.Context) (*jetstream.ConsumerInfo, error) {
		c, err := l.js.CreateConsumer(ctx, b.opts.Stream, config)
		if err != nil {
			return nil, err
		}
		return c.CachedInfo(), nil
	})
	if err != nil {
		return nil, err
	}
	f.consumer = consumer.Name
	f.inbox = l.nc.NewInbox()
	f.messages = make(chan *natsgo.Msg, feedWindow+statusRoom)
	f.credit.head = consumer.NumPending == 0
	sub, err := l.nc.ChanSubscribe(f.inbox, f.messages)
	if err != nil {
		return nil, l.lost(opening)
	}
	if err := f.hold(sub); err != nil {
		return nil, err
	}
	if err := f.request(); err != nil {
		f.Close()
		return nil, err
	}
	// The stream may have been made anew between the two requests above.
	if err := f.same(ctx); err != nil {
		f.Close()
		return nil, err
	}
	return consumer, nil
}

// hold registers the feed, so that Close of the bus ends it.
func (f *feed) hold(sub *natsgo.Subscription) error {
	f.sub = sub
	if !f.bus.keep(f) {
		f.release()
		return bus.ErrClosed
	}
	return nil
}

// resume returns the sequence in a token.
func (f *feed) resume(token bus.Token, info *jetstream.StreamInfo) (uint64, error) {
	text, err := token.Position(engine, f.epoch)
	if err != nil {
		return 0, fmt.Errorf("nats: %s %s: %w", opening, f.bus, err)
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("nats: %s %s: %w: its position is no number: %.40q", opening, f.bus, bus.ErrForeignToken, text)
	}
	if n > info.State.LastSeq {
		return 0, fmt.Errorf("nats: %s %s: %w: it is of event %d, and the stream ends at %d: the server has lost its newest events, or has an older copy",
			opening, f.bus, bus.ErrForeignToken, n, info.State.LastSeq)
	}
	return n, nil
}

// same returns bus.ErrForeignToken if the stream is not the one that the feed began with.
func (f *feed) same(ctx context.Context) error {
	info, err := f.look(ctx)
	if err != nil {
		return err
	}
	if now := epoch(info); now != f.epoch {
		return fmt.Errorf("nats: feed of %s: %w: the stream was made anew (epoch %s, now %s)", f.bus, bus.ErrForeignToken, f.epoch, now)
	}
	return nil
}

// look asks for the stream. That it is gone is bus.ErrForeignToken: whoever makes it again makes another one.
func (f *feed) look(ctx context.Context) (*jetstream.StreamInfo, error) {
	return ask(ctx, f.link, "look at the stream of", func(ctx context.Context) (*jetstream.StreamInfo, error) {
		s, err := f.link.js.Stream(ctx, f.bus.opts.Stream)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil, fmt.Errorf("nats: feed of %s: %w: the stream was removed", f.bus, bus.ErrForeignToken)
		}
		if err != nil {
			return nil, err
		}
		return s.CachedInfo(), nil
	})
}

// kept says in words why a stream does not have an old event any more.
func kept(c jetstream.StreamConfig) string {
	switch {
	case c.MaxMsgs > 0:
		return fmt.Sprintf("the stream keeps %d events", c.MaxMsgs)
	case c.MaxBytes > 0:
		return fmt.Sprintf("the stream keeps %d bytes", c.MaxBytes)
	case c.MaxAge > 0:
		return fmt.Sprintf("the stream keeps events for %v", c.MaxAge)
	}
	return "they were removed from the stream"
}
