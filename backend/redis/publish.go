package redis

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
	client "github.com/redis/go-redis/v9"
)

// A transaction has this many events or bytes, whichever is reached first. More are no faster
// (BenchmarkPublish), and the server serves nobody else meanwhile.
const (
	chunkEvents = 512
	chunkBytes  = 1 << 20
)

// Publish hands events to the server, in this order, in transactions of some hundred. It returns nil when the server
// has accepted all. After an error the first some hundred may have been accepted, and all may be published again; the
// stream has copies then. It blocks until the server has answered, at most 5 s for each transaction, or ctx ends.
// At most 16 calls at a time are with the server; others wait for their turn. After Close: bus.ErrClosed.
//
// Without events it has the server check a command that would write, without writing.
func (b *Bus) Publish(ctx context.Context, events ...event.Event) error {
	if !b.enter() {
		return fmt.Errorf("redis: publish to %s: %w", b, bus.ErrClosed)
	}
	defer b.running.Done()
	if ctx.Err() != nil {
		return b.failed(ctx, "publish to", ctx.Err())
	}
	texts, err := b.encode(events)
	if err != nil {
		return fmt.Errorf("redis: publish to %s: %w", b, err)
	}
	select {
	case b.slots <- struct{}{}:
		defer func() { <-b.slots }()
	case <-ctx.Done():
		return b.failed(ctx, "publish to", ctx.Err())
	case <-b.life.Done():
		return b.failed(ctx, "publish to", bus.ErrClosed)
	}
	if err := b.publish(ctx, texts); err != nil {
		return b.failed(ctx, "publish to", err)
	}
	return nil
}

// encode writes all events before any is sent.
func (b *Bus) encode(events []event.Event) ([][]byte, error) {
	if len(events) == 0 {
		return nil, nil
	}
	var err error
	var buf []byte
	texts := make([][]byte, len(events))
	for i, ev := range events {
		begin := len(buf)
		if buf, err = ev.AppendJSON(buf); err != nil {
			return nil, fmt.Errorf("event %d of %d: %w", i+1, len(events), err)
		}
		if i == 0 { // the others are likely to be like the first
			buf = slices.Grow(buf, (len(buf)+len(buf)/16+16)*(len(events)-1))
		}
		// When buf grows, what was written before stays valid where it is.
		texts[i] = buf[begin:len(buf):len(buf)]
		if limit := b.opts.MaxBytes; limit > 0 && len(texts[i]) > limit || len(texts[i]) > maxBulk {
			return nil, fmt.Errorf("%w: event %d of %d, %s, has %d bytes of JSON, and the limit is %d",
				bus.ErrTooLarge, i+1, len(events), ev.ID, len(texts[i]), limit)
		}
	}
	return texts, nil
}

func (b *Bus) publish(ctx context.Context, texts [][]byte) error {
	w, err := b.take(ctx, time.Now().Add(b.timing.answer))
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, w.cut)
	defer stop()
	for {
		chunk := cut(texts)
		texts = texts[len(chunk):]
		if len(chunk) == 0 {
			err = b.probe(ctx, w)
		} else {
			err = b.send(ctx, w, chunk)
		}
		if err != nil {
			stop()
			w.drop()
			return err
		}
		if len(texts) == 0 {
			if stop() {
				b.give(w)
			} else {
				w.drop() // accepted in the moment in which ctx ended
			}
			return nil
		}
		w.conn.until = time.Now().Add(b.timing.answer)
	}
}

// cut returns the first chunk of texts.
func cut(texts [][]byte) [][]byte {
	size := 0
	for i, text := range texts {
		if size += len(text); i > 0 && (i == chunkEvents || size > chunkBytes) {
			return texts[:i]
		}
	}
	return texts
}

// send has the server accept a chunk as a whole.
func (b *Bus) send(ctx context.Context, w *wire, chunk [][]byte) error {
	due := b.trimDue()
	if len(chunk) == 1 && !due {
		return w.rdb.Process(ctx, b.add(ctx, chunk[0]))
	}
	p := w.rdb.TxPipeline()
	for _, text := range chunk {
		p.Process(ctx, b.add(ctx, text))
	}
	if due {
		oldest := time.Now().Add(time.Duration(b.ahead.Load())).Add(-b.opts.KeepFor).UnixMilli()
		p.Process(ctx, client.NewIntCmd(ctx, "xtrim", b.opts.Stream, "minid", "~", max(oldest, 0)))
	}
	cmds, err := p.Exec(ctx)
	if err == nil {
		return nil
	}
	// The transaction as a whole was refused because of one command, which says more.
	for _, cmd := range cmds {
		if e := cmd.Err(); e != nil && !client.HasErrorPrefix(e, "EXECABORT") {
			return e
		}
	}
	return err
}

// add is the command that adds an event.
func (b *Bus) add(ctx context.Context, text []byte) client.Cmder {
	args := make([]any, len(b.xadd)+1)
	args[copy(args, b.xadd)] = text
	return client.NewStringCmd(ctx, args...)
}

// addition is an XADD without its last argument, made once: that saves two allocations for each event (BenchmarkPublish).
func addition(o BusOptions) []any {
	if o.Keep > 0 {
		return []any{"xadd", o.Stream, "maxlen", "~", o.Keep, "*", "e"}
	}
	return []any{"xadd", o.Stream, "*", "e"}
}

// trimDue reports whether KeepFor has to be applied: once a second at most, by one of the calls.
func (b *Bus) trimDue() bool {
	if b.opts.KeepFor == 0 {
		return false
	}
	last, now := b.trimmed.Load(), time.Now().UnixNano()
	return now-last >= int64(min(time.Second, b.opts.KeepFor)) && b.trimmed.CompareAndSwap(last, now)
}

// probe sends an XADD that the server refuses for its id, after it has checked everything that would make it refuse
// others: memory, disk, permissions, role. XLEN tells whether the key is a stream.
func (b *Bus) probe(ctx context.Context, w *wire) error {
	p := w.rdb.Pipeline()
	add := p.Do(ctx, "xadd", b.opts.Stream, "nomkstream", "0-0", "e", "")
	length := p.XLen(ctx, b.opts.Stream)
	p.Exec(ctx)
	if err := length.Err(); err != nil {
		return err
	}
	if err := add.Err(); err != nil && !client.HasErrorPrefix(err, "The ID specified in XADD") {
		return err
	}
	return nil
}
