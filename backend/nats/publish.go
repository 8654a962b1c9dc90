package nats

import (
	"context"
	"errors"
	"fmt"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

// A message is an event on its way.
type message struct {
	subject string
	id      string // for the server to recognise a copy; "" with Core
	data    []byte
}

// Publish hands events to the server and waits until it has stored all of them: in its files, or on most of the
// replicas. With Core it waits until the server has read them.
//
// Events of one call are sent without waiting in between, and the server judges them one after the other. What a
// broken connection loses is the end of a batch and nothing from its middle. When the batch comes again, what is
// there already is recognised by its source and ID, for as long as the stream remembers them, and the rest follows
// in its order. One case is left: if the server refuses an event and takes a later one, because the disk was full
// for a moment or the later one is smaller, the repeated event comes after that. BusOptions.Atomic closes it.
func (b *Bus) Publish(ctx context.Context, events ...event.Event) error {
	if b.ctx.Err() != nil {
		return bus.ErrClosed
	}
	messages, err := b.encode(events)
	if err != nil {
		return err
	}
	_, err = do(ctx, b, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.publish(ctx, messages)
	}, nil)
	return err
}

func (b *Bus) encode(events []event.Event) ([]message, error) {
	messages := make([]message, len(events))
	var all []byte
	ends := make([]int, len(events))
	var err error
	for i := range events {
		ev := &events[i]
		if err := ev.Validate(); err != nil {
			return nil, fmt.Errorf("nats: publish event %d of %d: %w", i+1, len(events), err)
		}
		from := len(all)
		if all, err = ev.AppendJSON(all); err != nil {
			return nil, fmt.Errorf("nats: publish event %d of %d: %w", i+1, len(events), err)
		}
		ends[i] = len(all)
		if i == 0 {
			all = append(make([]byte, 0, (len(all)+16)*len(events)), all...) // the others are much alike
		}
		m := &messages[i]
		if i > 0 && ev.Type == events[i-1].Type {
			m.subject = messages[i-1].subject
		} else {
			m.subject = subject(b.opts.Prefix, ev.Type)
		}
		if len(m.subject) > maxSubject {
			return nil, fmt.Errorf("nats: publish event %d of %d to %s: %w: its name makes a subject of %d bytes, and %d fit", i+1, len(events), b, bus.ErrTooLarge, len(m.subject), maxSubject)
		}
		if !b.opts.Core {
			m.id = messageID(ev.Source, ev.ID)
		}
		if err := b.fits(i, len(events), ends[i]-from); err != nil {
			return nil, err
		}
	}
	from := 0
	for i, to := range ends {
		messages[i].data = all[from:to:to]
		from = to
	}
	return messages, nil
}

func (b *Bus) fits(i, n, size int) error {
	if most := b.limit.Load(); int64(size) > most {
		return fmt.Errorf("nats: publish event %d of %d to %s: %w: %d bytes of JSON, and %d are the limit", i+1, n, b, bus.ErrTooLarge, size, most)
	}
	return nil
}

func (b *Bus) publish(ctx context.Context, messages []message) error {
	l, err := b.connect(ctx)
	if err != nil {
		return err
	}
	if b.opts.Core {
		return l.publishCore(ctx, messages)
	}
	if len(messages) == 0 {
		info, err := l.stream(ctx)
		if err != nil {
			return err
		}
		if why := refuses(info); why != "" {
			return fmt.Errorf("nats: stream %q of %s accepts nothing: %s", b.opts.Stream, b, why)
		}
		return l.tryOut(ctx)
	}
	if !l.ready.Load() {
		if _, err := l.stream(ctx); err != nil {
			return err
		}
	}
	for i := range messages { // again: now the server's own limit is known
		if err := b.fits(i, len(messages), len(messages[i].data)); err != nil {
			return err
		}
	}
	return l.publishStream(ctx, messages)
}

// tryOut sees whether the server would let an event through to the stream, which refuses this one for its header.
func (l *link) tryOut(ctx context.Context) error {
	m := l.bus.probe()
	p := newPublishing(l, []message{{subject: m.Subject}}, 1)
	key := l.add(p)
	defer l.remove(key)
	m.Reply = p.reply(key)
	if err := l.nc.PublishMsg(m); err != nil {
		l.end(err)
		return l.lost("publish to")
	}
	err := p.wait(ctx)
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		return nil
	}
	return err
}

// publishCore publishes without a stream. The answer to a ping says that the server has read all before it.
func (l *link) publishCore(ctx context.Context, messages []message) error {
	for i := range messages {
		if err := l.bus.fits(i, len(messages), len(messages[i].data)); err != nil {
			return err
		}
	}
	var probe *natsgo.Msg
	about := messages
	if len(messages) == 0 && l.nc.HeadersSupported() {
		probe = l.bus.probe()
		about = []message{{subject: probe.Subject}}
	}
	h := l.hear(newPublishing(l, about, 0).concerns)
	defer h.dismiss()
	if probe != nil {
		if err := l.nc.PublishMsg(probe); err != nil {
			l.end(err)
			return l.lost("publish to")
		}
	}
	for i := range messages {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := l.nc.Publish(messages[i].subject, messages[i].data); err != nil {
			l.end(err)
			return l.lost("publish to")
		}
	}
	if err := l.flush(ctx, "publish to"); err != nil {
		return err
	}
	return h.verdict(ctx, "publish to")
}

// flush waits until the server has read all that was written.
func (l *link) flush(ctx context.Context, what string) error {
	bounded, stop := context.WithTimeoutCause(ctx, l.bus.timing.answer, errNoAnswer)
	defer stop()
	err := l.nc.FlushWithContext(bounded)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !l.alive():
		return l.lost(what)
	default:
		l.end(errNoAnswer)
		return l.bus.explain(what, errNoAnswer)
	}
}

// refused is the error of an event that the server did not store.
func (l *link) refused(n int, err error) error {
	var api jetstream.JetStreamError
	switch {
	case errors.Is(err, natsgo.ErrNoResponders):
		// The stream is gone. It is made again by the next call, which by that knows about it.
		l.ready.Store(false)
		err = fmt.Errorf("%w: no stream takes the event", bus.ErrDisconnected)
	case errors.As(err, &api) && api.APIError().ErrorCode == jetstream.JSErrCodeStreamMessageExceedsMaximum:
		err = fmt.Errorf("%w: %w", bus.ErrTooLarge, err)
	}
	return fmt.Errorf("nats: publish %d events to %s: %w", n, l.bus, err)
}
