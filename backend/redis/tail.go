package redis

import (
	"context"
	"fmt"
	"time"

	"github.com/earshot-go/earshot/bus"
)

// Tail opens a feed, with a connection of its own. It blocks until the server has said where the feed begins, for
// 5 s at most, or ctx ends. Hint is not used: the server has all events in one stream. After Close: bus.ErrClosed.
//
// The first feed of a stream makes it, if it is not there, so that it has an identity.
func (b *Bus) Tail(ctx context.Context, t bus.Tail) (bus.Feed, error) {
	if !b.enter() {
		return nil, fmt.Errorf("redis: tail of %s: %w", b, bus.ErrClosed)
	}
	f, err := b.tail(ctx, t)
	if err != nil {
		b.running.Done()
		return nil, b.failed(ctx, "tail of", err)
	}
	go f.run() // ends with the connection, which Close of the feed or of the bus cuts
	return f, nil
}

func (b *Bus) tail(ctx context.Context, t bus.Tail) (f *feed, err error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	w, err := b.take(ctx, time.Now().Add(b.timing.answer))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, w.cut)
	f, err = b.open(ctx, w, t)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		w.drop()
		return nil, err
	}
	w.conn.until = time.Time{}
	return f, nil
}

// open asks the server where the feed begins.
func (b *Bus) open(ctx context.Context, w *wire, t bus.Tail) (*feed, error) {
	var s state
	var err error
	token, resumed := t.From.Token()
	if resumed {
		// A stream that is not there is not made: its tokens are foreign whoever makes it.
		if s, err = w.state(ctx, b.opts.Stream); err == nil && s.epoch == "" {
			err = errGone
		}
	} else {
		s, err = w.begin(ctx, b.opts.Stream)
	}
	if err != nil {
		return nil, err
	}
	f := &feed{bus: b, wire: w, epoch: s.epoch, batches: make(chan []item), closed: make(chan struct{}), ended: make(chan struct{})}
	m, g := s.end(), gap{}
	since, timed := t.From.Time()
	switch {
	case t.From.IsStart():
		m = s.start()
	case timed:
		m, err = b.find(ctx, w, s, uint64(max(since.UnixMilli(), 0)))
	case resumed:
		if m, err = parseMark(token, s.epoch); err != nil {
			break
		}
		if m.from != 0 {
			m, err = b.find(ctx, w, s, m.from)
			break
		}
		m, g = s.resume(m)
	}
	if err != nil {
		return nil, err
	}
	if t.Past {
		f.past, f.limit = true, s.last
	}
	f.reached, f.token = m, m.token(s.epoch)
	if g.here {
		// After is the token that was given: where the feed goes on is behind the gap.
		f.first = append(f.first, f.gap(token, g))
		f.token = token
	}
	return f, nil
}

// find returns the mark before the first entry of a time.
func (b *Bus) find(ctx context.Context, w *wire, s state, ms uint64) (mark, error) {
	first := id{ms: ms}
	switch {
	case s.length == 0 && !s.last.less(first):
		return s.end(), nil
	case s.length > 0 && !s.first.less(first):
		return s.start(), nil
	case s.last.less(first):
		// All entries are older. Those to come may be as well, if the time has not come yet.
		return mark{id: first.before(), n: unknown, from: max(ms, 1)}, nil
	}
	m := mark{id: first.before(), n: unknown}
	reply, err := w.ask(ctx, "xread", "count", 1, "streams", b.opts.Stream, m.id.String())
	if err != nil {
		return mark{}, err
	}
	entries, err := parseEntries(reply)
	if len(entries) > 0 { // or they were removed in between
		m.next = entries[0].id
	}
	return m, err
}
