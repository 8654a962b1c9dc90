package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot-go/earshot/queue"
)

var faultsOfEnqueue = []fault{
	{
		name: "promises less after a while", found: []string{"Caps"},
		spoil: func(s able) queue.Store {
			var n atomic.Int64
			return &odd{able: s, caps: func(c queue.Caps) queue.Caps { c.Durable = n.Add(1) == 1; return c }}
		},
	},
	{
		name: "turns batches round", found: []string{"EnqueueReturnsIDsInOrder", "LargeBatch", "LeaseOrderPriorityDueSeq", "EnqueueFindsItself"},
		spoil: oddly(odd{enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
			items = slices.Clone(items)
			slices.Reverse(items)
			got, err := s.Enqueue(ctx, items)
			slices.Reverse(got)
			return got, err
		}}),
	},
	{
		name: "cannot enqueue nothing", found: []string{"EnqueueEmptyBatch"},
		spoil: oddly(odd{enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
			if len(items) == 0 {
				return nil, errors.New("no items")
			}
			return s.Enqueue(ctx, items)
		}}),
	},
	{
		name: "knows IDs for each queue", found: []string{"EnqueueSameIDTwiceIsDuplicate"},
		spoil: oddly(odd{
			enqueue: enqueueing(func(it *queue.Item) { it.ID = it.Queue + "|" + it.ID }),
			lease:   leasing(func(l *queue.Leased) { _, l.ID, _ = strings.Cut(l.ID, "|") }),
		}),
	},
	{
		name: "calls a duplicate an error", found: []string{"EnqueueSameIDTwiceIsDuplicate", "EnqueueFindsItself"},
		spoil: oddly(odd{enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
			got, err := s.Enqueue(ctx, items)
			for _, e := range got {
				if e.Status == queue.Duplicate {
					return nil, errors.New("unique constraint")
				}
			}
			return got, err
		}}),
	},
	{
		name: "stores a batch item by item", found: []string{"EnqueueBatchAllOrNothing", "InvalidItemRefused"},
		spoil: oddly(odd{enqueue: func(ctx context.Context, s able, items []queue.Item) (all []queue.Enqueued, err error) {
			for i := range items {
				got, err := s.Enqueue(ctx, items[i:i+1])
				if err != nil {
					return nil, err
				}
				all = append(all, got...)
				if len(items) > 20 {
					<-time.After(50 * time.Microsecond)
				}
			}
			return all, nil
		}}),
	},
	{
		name: "has another error for what is not valid", found: []string{"InvalidItemRefused", "InvalidLeaseRefused", "InvalidBindingRefused"},
		spoil: oddly(odd{
			enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
				got, err := s.Enqueue(ctx, items)
				if err != nil {
					err = errors.New(err.Error())
				}
				return got, err
			},
			lease: func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error) {
				got, err := s.Lease(ctx, r)
				if err != nil {
					err = errors.New(err.Error())
				}
				return got, err
			},
			bind: func(ctx context.Context, s able, add, remove []queue.Binding) (queue.Rev, error) {
				for _, b := range add {
					if b.Validate() == nil {
						s.Bind(ctx, []queue.Binding{b}, nil)
					}
				}
				return s.Bind(ctx, nil, remove)
			},
		}),
	},
	{
		name: "takes less than MaxBytes", found: []string{"EnqueueMaxSizeAndTooLarge"},
		spoil: oddly(odd{caps: func(c queue.Caps) queue.Caps { c.MaxBytes++; return c }}),
	},
	{
		name: "takes more than MaxBytes", found: []string{"EnqueueMaxSizeAndTooLarge"},
		spoil: oddly(odd{caps: func(c queue.Caps) queue.Caps { c.MaxBytes--; return c }}),
	},
	{
		name: "cuts long batches", found: []string{"LargeBatch", "SettleManyOrNone"},
		spoil: oddly(odd{
			enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
				return s.Enqueue(ctx, items[:min(len(items), 1000)])
			},
			settle: func(ctx context.Context, s able, ss []queue.Settlement) ([]error, error) {
				errs, err := s.Settle(ctx, ss[:min(len(ss), 500)])
				return append(errs, make([]error, len(ss)-len(errs))...), err
			},
		}),
	},
	{
		name: "loses an item now and then", found: []string{"ConcurrentEnqueueNoLoss", "ConcurrentLeaseNoOverlap", "F10RandomHistory"},
		spoil: func(s able) queue.Store {
			var n atomic.Int64
			return &odd{able: s, enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
				if n.Add(1)%50 != 0 && len(items) < 100 {
					return s.Enqueue(ctx, items)
				}
				got, err := s.Enqueue(ctx, items[1:])
				return append([]queue.Enqueued{{ID: items[0].ID}}, got...), err
			}}
		},
	},
}

var faultsOfForm = []fault{
	{
		name: "forgets headers", found: []string{"Fidelity"},
		spoil: oddly(odd{enqueue: enqueueing(func(it *queue.Item) { it.Headers = nil })}),
	},
	{
		name: "keeps text in place of bytes", found: []string{"EnqueueBinaryAndUnicodePayload"},
		spoil: oddly(odd{enqueue: enqueueing(func(it *queue.Item) { it.Payload = []byte(strings.ToValidUTF8(string(it.Payload), "?")) })}),
	},
	{
		name: "cuts long names", found: []string{"OddNames"},
		spoil: oddly(odd{enqueue: enqueueing(func(it *queue.Item) { it.TID = it.TID[:min(len(it.TID), 200)] })}),
	},
	{
		name: "takes letters of either case for the same", found: []string{"NamesAreExact", "LeaseOnlyRequestedQueues"},
		spoil: func(s able) queue.Store {
			original := sync.Map{}
			lower := func(q string) string { return strings.ToLower(q) }
			return &odd{
				able: s,
				enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
					for _, it := range items {
						original.Store(it.ID, it.Queue)
					}
					return s.Enqueue(ctx, changed(items, func(it *queue.Item) { it.Queue = lower(it.Queue) }))
				},
				lease: func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error) {
					r.Queues = slices.Clone(r.Queues)
					for i := range r.Queues {
						r.Queues[i] = lower(r.Queues[i])
					}
					got, err := s.Lease(ctx, r)
					for i := range got {
						if q, ok := original.Load(got[i].ID); ok {
							got[i].Queue = q.(string)
						}
					}
					return got, err
				},
			}
		},
	},
	{
		name: "has milliseconds", found: []string{"OddTimes", "Fidelity"},
		spoil: oddly(odd{enqueue: enqueueing(func(it *queue.Item) { it.Due = it.Due.Truncate(time.Millisecond) })}),
	},
	{
		name: "has times from 1970 on", found: []string{"OddTimes"},
		spoil: oddly(odd{enqueue: enqueueing(func(it *queue.Item) {
			if !it.Due.IsZero() && it.Due.Year() < 1970 {
				it.Due = time.Unix(0, 0)
			}
		})}),
	},
	{
		name: "keeps what is the caller's", found: []string{"AnswersAreCopies"},
		spoil: func(s able) queue.Store {
			kept := sync.Map{}
			return &odd{
				able: s,
				enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
					for _, it := range items {
						kept.Store(it.ID, it.Payload)
					}
					return s.Enqueue(ctx, items)
				},
				lease: leasing(func(l *queue.Leased) {
					if p, ok := kept.Load(l.ID); ok {
						l.Payload = p.([]byte)
					}
				}),
			}
		},
	},
}

var faultsOfBind = []fault{
	{
		name: "has one revision for ever", found: []string{"BindUnbindList"},
		spoil: oddly(odd{
			bind: func(ctx context.Context, s able, add, remove []queue.Binding) (queue.Rev, error) {
				_, err := s.Bind(ctx, add, remove)
				return 7, err
			},
			bindings: func(ctx context.Context, s able, since queue.Rev) ([]queue.Binding, queue.Rev, error) {
				got, _, err := s.Bindings(ctx, 0)
				if since == 7 {
					got = nil
				}
				return got, 7, err
			},
		}),
	},
	{
		name: "has a new revision for each Bind", found: []string{"BindIsIdempotent"},
		spoil: func(s able) queue.Store {
			var n atomic.Int64
			return &odd{able: s, bind: func(ctx context.Context, s able, add, remove []queue.Binding) (queue.Rev, error) {
				rev, err := s.Bind(ctx, add, remove)
				return rev + queue.Rev(n.Add(1)), err
			}}
		},
	},
	{
		name: "keeps the text of selectors only", found: []string{"WildcardAndRegexpBindings", "BindUnbindList"},
		spoil: oddly(odd{bindings: func(ctx context.Context, s able, since queue.Rev) ([]queue.Binding, queue.Rev, error) {
			got, rev, err := s.Bindings(ctx, since)
			for i := range got {
				if got[i].Selector.Kind == queue.KindPattern {
					got[i].Selector.Kind = queue.KindName
				}
			}
			return got, rev, err
		}}),
	},
	{
		name: "fans out by itself", found: []string{"FanOutOneItemPerQueue", "NoQueueNoItem", "FailDoesNotFanOutAgain"},
		spoil: func(s able) queue.Store {
			var n atomic.Int64
			copyTo := func(ctx context.Context, s able, q string, event string) {
				s.Enqueue(ctx, []queue.Item{{ID: fmt.Sprint("copy", n.Add(1)), Queue: q, Name: event}})
			}
			return &odd{
				able: s,
				enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
					copyTo(ctx, s, "crm", "user.added")
					return s.Enqueue(ctx, items)
				},
				settle: func(ctx context.Context, s able, ss []queue.Settlement) ([]error, error) {
					if len(ss) > 0 && ss[0].Action == queue.Fail {
						copyTo(ctx, s, "mail", "user.added")
					}
					return s.Settle(ctx, ss)
				},
			}
		},
	},
	{
		name: "does not look at the revision of nothing", found: []string{"EnqueueAtStaleBindings"},
		spoil: oddly(odd{enqueueAt: func(ctx context.Context, s able, rev queue.Rev, items []queue.Item) ([]queue.Enqueued, error) {
			if len(items) == 0 {
				return nil, nil
			}
			return s.EnqueueAt(ctx, rev, items)
		}}),
	},
	{
		name: "does not look at the revision", found: []string{"EnqueueAtStaleBindings"},
		spoil: oddly(odd{enqueueAt: func(ctx context.Context, s able, _ queue.Rev, items []queue.Item) ([]queue.Enqueued, error) {
			return s.Enqueue(ctx, items)
		}}),
	},
}
