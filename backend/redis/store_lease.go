package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/earshot-go/earshot/internal/wake"
	"github.com/earshot-go/earshot/queue"
)

const (
	// A lease brings this many items at most, and their payloads have this many bytes unless it is one alone. What
	// the server reads for leases that it answers together, in one run, has no more either: it all is in its memory
	// at once, and nobody else is served meanwhile.
	leaseItems = 1000
	leaseBytes = 16 << 20
)

// Lease takes items that are due, at most 1,000 of them. It blocks until the server has answered, for 5 s at most, or
// ctx ends. After Close: queue.ErrClosed.
func (s *Store) Lease(ctx context.Context, r queue.LeaseRequest) ([]queue.Leased, error) {
	const what = "lease from"
	if err := r.Validate(); err != nil {
		return nil, fmt.Errorf("redis: %s %s: %w", what, s, err)
	}
	args := []any{r.Worker, min(r.Max, leaseItems), r.TTL.Microseconds(), leaseBytes}
	queues := make([]string, 0, len(r.Queues))
	for _, q := range r.Queues {
		if !slices.Contains(queues, q) {
			queues = append(queues, q)
			args = append(args, q)
		}
	}
	for {
		marks := s.bell.Mark(queues)
		v, err := s.call(ctx, what, leaseScript, args...)
		if err != nil {
			return nil, err
		}
		again, err := v.int(2)
		if err != nil || len(v.list)%3 != 0 {
			return nil, s.failed(ctx, what, errReply)
		}
		if again != 0 {
			s.bell.Sleep(marks, until(again))
		}
		found := make([]queue.Leased, 0, len(v.list)/3-1)
		for i := 3; i < len(v.list); i += 3 {
			// What cannot be read was not written by a store: it is hidden now, and dead after some fails.
			if r, ok := readRow(string(v.at(i)), v.at(i+1), v.at(i+2)); ok {
				found = append(found, queue.Leased{Item: r.Item, Receipt: r.receipt(), Until: r.Until, Deliveries: r.Deliveries, Fails: r.Fails})
			}
		}
		// Nothing, and there may be more: a thousand items had to wait for others of their serials, or calls that
		// the server answered together with this one had all that an answer has room for.
		if len(found) == 0 && again == 0 {
			continue
		}
		if len(found) > 0 && r.TTL <= s.timing.patrol {
			for _, q := range queues { // the patrol would see the end of these leases too late
				s.bell.Ring(q, r.TTL)
			}
		}
		return found, nil
	}
}

// Reap takes back all items whose lease has expired, and returns how many. It forgets queues that have no items, too.
func (s *Store) Reap(ctx context.Context) (total int, err error) {
	for {
		v, err := s.call(ctx, "reap in", leaseScript, "", 0, 0, leaseBytes)
		if err != nil {
			return total, err
		}
		n, err := v.int(1)
		if err != nil {
			return total, s.failed(ctx, "reap in", err)
		}
		total += int(n)
		if n == 0 {
			_, err = s.call(ctx, "reap in", forgetScript)
			return total, err
		}
		s.bell.RingAll()
	}
}

// Settle ends or prolongs leases, all in one script. It blocks until the server has answered, for 5 s at most, or ctx
// ends. It works while the memory of the server is full. After Close: queue.ErrClosed.
func (s *Store) Settle(ctx context.Context, list []queue.Settlement) ([]error, error) {
	const what = "settle in"
	if len(list) == 0 {
		return nil, s.nothing(ctx, what)
	}
	results := make([]error, len(list))
	sent := make([]int, 0, len(list)) // what is asked for, by its place in the list
	args := make([]any, 0, 6*len(list))
	for i := range list {
		t := &list[i]
		if results[i] = t.Validate(); results[i] == nil {
			sent = append(sent, i)
			action, when := encodeAction(t)
			args = append(args, t.Queue, t.ID, t.Receipt, action, when, queue.CutReason(t.Reason))
		}
	}
	if len(sent) == 0 {
		return results, s.nothing(ctx, what)
	}
	v, err := s.call(ctx, what, settleScript, args...)
	if err != nil {
		return nil, err
	}
	if len(v.list) != len(sent) {
		return nil, s.failed(ctx, what, errReply)
	}
	for j, i := range sent {
		switch answer := string(v.at(j)); answer {
		case "-":
			results[i] = fmt.Errorf("redis: %v of item %.40q: %w", list[i].Action, list[i].ID, queue.ErrLeaseLost)
		case "":
		default:
			in, err := strconv.ParseInt(answer, 10, 64)
			if err != nil {
				return nil, s.failed(ctx, what, errReply)
			}
			s.bell.Ring(list[i].Queue, wake.In(in))
		}
	}
	return results, nil
}

// encodeAction writes what a settlement does as the script reads it.
func encodeAction(t *queue.Settlement) (action, when string) {
	switch t.Action {
	case queue.Ack:
		return "a", ""
	case queue.Fail:
		if !t.At.IsZero() {
			return "f", micros(t.At)
		}
		return "f", later(t.Delay)
	case queue.Release:
		if t.Delay == 0 {
			return "r", ""
		}
		return "r", later(t.Delay)
	case queue.Bury:
		return "b", ""
	}
	return "e", later(t.TTL)
}
