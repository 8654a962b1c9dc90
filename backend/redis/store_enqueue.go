package redis

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// maxCall is how many bytes of payload one call may have: the server refuses a gigabyte.
const maxCall = 512 << 20

// Enqueue stores items, all or none, in one script: the server serves nobody else meanwhile, about 10 ms for 1,000
// items. It blocks until the server has answered, for 5 s at most, or ctx ends. After Close: queue.ErrClosed.
func (s *Store) Enqueue(ctx context.Context, items []queue.Item) ([]queue.Enqueued, error) {
	if len(items) == 0 {
		return nil, s.nothing(ctx, "enqueue to")
	}
	return s.enqueue(ctx, "", items)
}

// EnqueueAt is Enqueue, unless the bindings have another revision: then it stores nothing and returns
// queue.ErrStaleBindings.
func (s *Store) EnqueueAt(ctx context.Context, rev queue.Rev, items []queue.Item) ([]queue.Enqueued, error) {
	return s.enqueue(ctx, strconv.FormatInt(int64(rev), 10), items)
}

func (s *Store) enqueue(ctx context.Context, rev string, items []queue.Item) ([]queue.Enqueued, error) {
	const what = "enqueue to"
	args, err := s.load(rev, items)
	if err != nil {
		return nil, fmt.Errorf("redis: %s %s: %w", what, s, err)
	}
	v, err := s.call(ctx, what, enqueueScript, args...)
	if err != nil {
		return nil, err
	}
	if string(v.text) == "stale" {
		return nil, s.failed(ctx, what, queue.ErrStaleBindings)
	}
	now, err := v.int(0)
	if err != nil || len(v.list) != 1+len(items) {
		return nil, s.failed(ctx, what, errReply)
	}
	results := make([]queue.Enqueued, len(items))
	for i := range items {
		answer := string(v.at(i + 1))
		switch answer {
		case "i":
			results[i].ID = items[i].ID
		case "d":
			results[i] = queue.Enqueued{ID: items[i].ID, Status: queue.Duplicate}
			continue
		default:
			if len(answer) < 2 {
				return nil, s.failed(ctx, what, errReply)
			}
			results[i] = queue.Enqueued{ID: answer[1:], Status: queue.Duplicate}
			if answer[0] != 'R' {
				continue
			}
			results[i].Status = queue.Replaced
		}
		in := items[i].Delay
		if due := items[i].Due; !due.IsZero() {
			in = max(0, due.Sub(time.UnixMicro(now)))
		}
		s.bell.Ring(items[i].Queue, in)
	}
	return results, nil
}

// load checks items and writes them as the script reads them.
func (s *Store) load(rev string, items []queue.Item) ([]any, error) {
	size := 0
	for i := range items {
		if err := items[i].Validate(s.opts.MaxBytes); err != nil {
			return nil, err
		}
		size += len(items[i].Payload)
	}
	if size > maxCall {
		return nil, fmt.Errorf("%w: %d items have %d bytes, the limit of a call is %d: enqueue fewer at a time", queue.ErrTooLarge, len(items), size, maxCall)
	}
	args := append(make([]any, 0, 1+4*len(items)), rev)
	for i := range items {
		it := &items[i]
		due := later(it.Delay)
		if !it.Due.IsZero() {
			due = micros(it.Due)
		}
		buf := appendTail(make([]byte, 0, 128+len(it.Payload)), it)
		n := len(buf)
		buf = appendBody(buf, it)
		args = append(args, it.ID, due, buf[:n:n], buf[n:])
	}
	return args, nil
}

// nothing is the error of a call that has nothing to do.
func (s *Store) nothing(ctx context.Context, what string) error {
	if s.life.Err() != nil || ctx.Err() != nil {
		return s.failed(ctx, what, context.Cause(ctx))
	}
	return nil
}
