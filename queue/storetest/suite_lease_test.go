package storetest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot-go/earshot/queue"
)

var faultsOfTime = []fault{
	{
		name: "takes delays for none", found: []string{"DelayedNotLeasedEarly", "FarFutureDue", "F10RandomHistory"},
		spoil: oddly(odd{enqueue: enqueueing(func(it *queue.Item) {
			it.Delay = 0
			if it.Due.After(time.Now()) {
				it.Due = time.Time{}
			}
		})}),
	},
	{
		name: "has delays of whole seconds", found: []string{"DelayedLeasedWithin", "WakesWhenDue"},
		spoil: oddly(odd{enqueue: enqueueing(func(it *queue.Item) {
			if it.Delay > 0 {
				it.Delay = (it.Delay + 2*time.Second).Truncate(time.Second)
			}
		})}),
	},
	{
		name: "takes what is due in the past for due now", found: []string{"DueInPastIsImmediate", "LeaseOrderPriorityDueSeq", "LeaseOrderOverQueues"},
		spoil: oddly(odd{enqueue: enqueueing(func(it *queue.Item) {
			if it.Due.Before(time.Now()) {
				it.Due = time.Time{}
			}
		})}),
	},
	{
		name: "has another clock for Now", found: []string{"ClockTells", "StatsOfBindingsAndTimes"},
		spoil: oddly(odd{now: func(ctx context.Context, s able) (time.Time, error) {
			now, err := s.Now(ctx)
			return now.Add(-time.Minute), err
		}}),
	},
	{
		name: "counts months as 30 days", found: []string{"FarFutureDue"},
		spoil: oddly(odd{enqueue: enqueueing(func(it *queue.Item) {
			if it.Delay > 24*time.Hour {
				it.Delay -= it.Delay / 100
			}
		})}),
	},
}

var faultsOfLease = []fault{
	{
		name: "waits for items", found: []string{"LeaseEmptyReturnsNone"},
		spoil: oddly(odd{lease: func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error) {
			got, err := s.Lease(ctx, r)
			if len(got) == 0 && err == nil {
				<-time.After(500 * time.Millisecond)
			}
			return got, err
		}}),
	},
	{
		name: "brings two at least", found: []string{"LeaseRespectsMax"},
		spoil: oddly(odd{lease: func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error) {
			r.Max = max(r.Max, 2)
			return s.Lease(ctx, r)
		}}),
	},
	{
		name: "brings none if Max is large", found: []string{"LeaseRespectsMax"},
		spoil: oddly(odd{lease: func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error) {
			if r.Max > 1<<40 {
				return nil, nil
			}
			return s.Lease(ctx, r)
		}}),
	},
	{
		name: "takes a prefix for a queue", found: []string{"LeaseOnlyRequestedQueues"},
		spoil: func(s able) queue.Store {
			seen := sync.Map{}
			return &odd{
				able: s,
				enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
					for _, it := range items {
						seen.Store(it.Queue, true)
					}
					return s.Enqueue(ctx, items)
				},
				lease: func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error) {
					var queues []string
					seen.Range(func(q, _ any) bool {
						for _, want := range r.Queues {
							if strings.HasPrefix(q.(string), want) {
								queues = append(queues, q.(string))
							}
						}
						return true
					})
					if len(queues) > 0 {
						r.Queues = queues
					}
					return s.Lease(ctx, r)
				},
			}
		},
	},
	{
		name: "makes up for what is missing in a request", found: []string{"InvalidLeaseRefused"},
		spoil: oddly(odd{lease: func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error) {
			if r.TTL <= 0 {
				r.TTL = time.Minute
			}
			return s.Lease(ctx, r)
		}}),
	},
	{
		name: "does not know priorities", found: []string{"LeaseOrderPriorityDueSeq", "LeaseOrderOverQueues", "SerialInOrder"},
		spoil: func(s able) queue.Store {
			was := sync.Map{}
			return &odd{
				able: s,
				enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
					for _, it := range items {
						was.Store(it.ID, it.Priority)
					}
					return s.Enqueue(ctx, changed(items, func(it *queue.Item) { it.Priority = 0 }))
				},
				lease: leasing(func(l *queue.Leased) {
					if p, ok := was.Load(l.ID); ok {
						l.Priority = p.(int8)
					}
				}),
			}
		},
	},
	{
		name: "takes the queues one after the other", found: []string{"LeaseOrderOverQueues"},
		spoil: oddly(odd{lease: func(ctx context.Context, s able, r queue.LeaseRequest) (all []queue.Leased, err error) {
			names := slices.Compact(slices.Sorted(slices.Values(r.Queues)))
			if r.Max < 1 || len(names) == 0 {
				return s.Lease(ctx, r)
			}
			for _, q := range names {
				if r.Queues = []string{q}; r.Max > 0 {
					got, err := s.Lease(ctx, r)
					if err != nil {
						return all, err
					}
					all, r.Max = append(all, got...), r.Max-len(got)
				}
			}
			return all, nil
		}}),
	},
	{
		name: "looks before it takes", found: []string{"ConcurrentLeaseNoOverlap"},
		spoil: func(s able) queue.Store {
			var mu sync.Mutex
			var last []queue.Leased
			var n int
			return &odd{able: s, lease: func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error) {
				got, err := s.Lease(ctx, r)
				mu.Lock()
				defer mu.Unlock()
				if n++; n%10 == 0 && len(got) == 0 && len(last) > 0 && slices.Contains(r.Queues, last[0].Queue) {
					return last[:1], err
				}
				if len(got) > 0 {
					last = got
				}
				return got, err
			}}
		},
	},
	{
		name: "has leases that do not end", found: []string{"LeaseExpiresAndRedelivers", "LeaseLasts", "WakesOnExpiry", "ExpiryCountsFail", "DeadByExpiry", "F7ReaperRacesAck"},
		spoil: oddly(odd{lease: func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error) {
			if r.TTL > 0 {
				r.TTL = time.Hour
			}
			return s.Lease(ctx, r)
		}}),
	},
	{
		name: "has leases of half the time", found: []string{"LeaseLasts"},
		spoil: oddly(odd{lease: func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error) {
			if r.TTL > time.Millisecond {
				r.TTL /= 2
			}
			return s.Lease(ctx, r)
		}}),
	},
	{
		name: "takes back some calls later", found: []string{"LeaseExpiresAndRedelivers"},
		spoil: func(s able) queue.Store {
			var skipped atomic.Int64
			return &odd{able: s, lease: func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error) {
				if skipped.Add(1)%2 == 0 {
					return nil, nil
				}
				return s.Lease(ctx, r)
			}}
		},
	},
	{
		name: "does not look at contexts", found: []string{"CancelledContextLeasesNothing", "EndedContextHasNoEffect"},
		spoil: oddly(odd{lease: func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error) {
			return s.Lease(context.WithoutCancel(ctx), r)
		}}),
	},
	{
		name: "looks at contexts when it is done", found: []string{"CancelledContextLeasesNothing", "EndedContextHasNoEffect"},
		spoil: oddly(odd{lease: func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error) {
			got, err := s.Lease(context.WithoutCancel(ctx), r)
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return got, err
		}}),
	},
}

var faultsOfSettle = []fault{
	{
		name: "keeps what is acknowledged", found: []string{"AckRemoves", "F10RandomHistory"},
		spoil: oddly(odd{settle: settling(func(s *queue.Settlement) {
			if s.Action == queue.Ack && strings.HasSuffix(s.ID, "3") {
				s.Action = queue.Release
			}
		})}),
	},
	{
		name: "has errors of its own for stale receipts", found: []string{"AckTwiceIsHarmless", "StaleReceiptRejected", "ConcurrentSettleOneWinner"},
		spoil: oddly(odd{settle: func(ctx context.Context, s able, ss []queue.Settlement) ([]error, error) {
			errs, err := s.Settle(ctx, ss)
			for i := range errs {
				if errors.Is(errs[i], queue.ErrLeaseLost) {
					errs[i] = errors.New("not found")
				}
			}
			return errs, err
		}}),
	},
	{
		name:  "calls a settlement without effect one with effect",
		found: []string{"StaleReceiptRejected", "StaleAfterEachEnd", "MixedSettlements", "SameLeaseInOneCall", "ConcurrentSettleOneWinner", "F7ReaperRacesAck", "F10RandomHistory"},
		spoil: oddly(odd{settle: func(ctx context.Context, s able, ss []queue.Settlement) ([]error, error) {
			errs, err := s.Settle(ctx, ss)
			for i := range errs {
				if errors.Is(errs[i], queue.ErrLeaseLost) {
					errs[i] = nil
				}
			}
			return errs, err
		}}),
	},
	{
		name: "knows no receipts", found: []string{"StaleReceiptRejected", "StaleExtendRejected"},
		spoil: func(s able) queue.Store {
			present := sync.Map{}
			return &odd{
				able:  s,
				lease: leasing(func(l *queue.Leased) { present.Store(l.ID, l.Receipt) }),
				settle: settling(func(s *queue.Settlement) {
					if r, ok := present.Load(s.ID); ok && s.Receipt != "" {
						s.Receipt = r.(string)
					}
				}),
			}
		},
	},
	{
		name: "has one receipt for each item", found: []string{"StaleReceiptRejected", "LeaseExpiresAndRedelivers", "F10RandomHistory"},
		spoil: func(s able) queue.Store {
			present := sync.Map{}
			return &odd{
				able: s,
				lease: leasing(func(l *queue.Leased) {
					present.Store("r"+l.ID, l.Receipt)
					l.Receipt = "r" + l.ID
				}),
				settle: settling(func(s *queue.Settlement) {
					if r, ok := present.Load(s.Receipt); ok {
						s.Receipt = r.(string)
					}
				}),
			}
		},
	},
	{
		name: "takes back before it settles", found: []string{"ExpiredNotTakenBackCanBeSettled"},
		spoil: oddly(odd{settle: func(ctx context.Context, s able, ss []queue.Settlement) ([]error, error) {
			s.Reap(ctx)
			return s.Settle(ctx, ss)
		}}),
	},
	{
		name: "does not extend", found: []string{"ExtendKeepsLease"},
		spoil: oddly(odd{settle: settling(func(s *queue.Settlement) {
			if s.Action == queue.Extend {
				s.TTL = time.Millisecond
			}
		})}),
	},
	{
		name: "extends for anybody", found: []string{"StaleExtendRejected"},
		spoil: oddly(odd{settle: func(ctx context.Context, s able, ss []queue.Settlement) ([]error, error) {
			errs, err := s.Settle(ctx, ss)
			for i := range errs {
				if ss[i].Action == queue.Extend {
					errs[i] = nil
				}
			}
			return errs, err
		}}),
	},
	{
		name: "gives up a call at its first mistake", found: []string{"MixedSettlements"},
		spoil: oddly(odd{settle: func(ctx context.Context, s able, ss []queue.Settlement) ([]error, error) {
			errs, err := s.Settle(ctx, ss)
			return errs, errors.Join(append(errs, err)...)
		}}),
	},
	{
		name: "takes the last settlement of a lease", found: []string{"SameLeaseInOneCall"},
		spoil: oddly(odd{settle: func(ctx context.Context, s able, ss []queue.Settlement) ([]error, error) {
			ss = slices.Clone(ss)
			slices.Reverse(ss)
			errs, err := s.Settle(ctx, ss)
			slices.Reverse(errs)
			return errs, err
		}}),
	},
	{
		name: "cannot settle nothing", found: []string{"SettleManyOrNone"},
		spoil: oddly(odd{settle: func(ctx context.Context, s able, ss []queue.Settlement) ([]error, error) {
			if len(ss) == 0 {
				return nil, errors.New("nothing to settle")
			}
			return s.Settle(ctx, ss)
		}}),
	},
	{
		name: "does not claim Extend", found: []string{"WithoutExtend"},
		spoil: oddly(odd{caps: func(c queue.Caps) queue.Caps { c.Extend = false; return c }}),
	},
}

var faultsOfFail = []fault{
	{
		name: "retries at once", found: []string{"FailReschedulesAndCountsFail", "StatsMatchGroundTruth"},
		spoil: oddly(odd{settle: settling(func(s *queue.Settlement) {
			if s.Action == queue.Fail {
				s.Delay, s.At = 0, time.Time{}
			}
		})}),
	},
	{
		name: "does not count fails", found: []string{"FailReschedulesAndCountsFail", "DeadAfterMaxFails", "F10RandomHistory"},
		spoil: oddly(odd{settle: settling(func(s *queue.Settlement) {
			if s.Action == queue.Fail {
				s.Action = queue.Release
			}
		})}),
	},
	{
		name: "counts a release", found: []string{"ReleaseDoesNotCountFail", "F9DrainReleasesAll", "F10RandomHistory"},
		spoil: oddly(odd{settle: settling(func(s *queue.Settlement) {
			if s.Action == queue.Release {
				s.Action = queue.Fail
			}
		})}),
	},
	{
		name: "puts what is released at the end", found: []string{"LeaseOrderPriorityDueSeq"},
		spoil: oddly(odd{settle: settling(func(s *queue.Settlement) {
			if s.Action == queue.Release && s.Delay == 0 {
				s.Delay = time.Microsecond
			}
		})}),
	},
	{
		name: "does not count what has expired", found: []string{"ExpiryCountsFail", "LeaseExpiresAndRedelivers", "F10RandomHistory"},
		spoil: oddly(odd{
			lease: leasing(func(l *queue.Leased) { l.Fails = max(0, l.Fails-1) }),
			find:  finding(func(r *queue.Record) { r.Fails = max(0, r.Fails-1) }),
		}),
	},
	{
		name: "has no limit of fails", found: []string{"DeadAfterMaxFails", "DeadByExpiry", "ReapKillsAfterMaxFails"},
		spoil: oddly(odd{enqueue: enqueueing(func(it *queue.Item) { it.MaxFails = -1 })}),
	},
	{
		name: "acknowledges what is buried", found: []string{"BuryMovesToDeadWithReason", "StaleAfterEachEnd"},
		spoil: oddly(odd{settle: settling(func(s *queue.Settlement) {
			if s.Action == queue.Bury {
				s.Action = queue.Ack
			}
		})}),
	},
	{
		name: "forgets reasons", found: []string{"BuryMovesToDeadWithReason", "FindTellsHowItStands"},
		spoil: oddly(odd{settle: settling(func(s *queue.Settlement) { s.Reason = "" })}),
	},
	{
		name: "redrives a copy", found: []string{"RedriveKeepsIDAndResetsFails"},
		spoil: oddly(odd{redrive: func(ctx context.Context, s able, q queue.Query) (int, error) {
			rs, err := s.Find(ctx, q)
			if err != nil {
				return 0, err
			}
			n := 0
			for _, r := range rs {
				if r.State != queue.StateLeased {
					s.Remove(ctx, queue.Query{ID: r.ID})
					r.Item.ID += "-again"
					r.Item.Due = time.Time{}
					s.Enqueue(ctx, []queue.Item{r.Item})
					n++
				}
			}
			return n, nil
		}}),
	},
	{
		name: "redrives everything", found: []string{"RedriveByQuery"},
		spoil: oddly(odd{redrive: func(ctx context.Context, s able, q queue.Query) (int, error) {
			if err := q.Validate(false); err != nil {
				return 0, err
			}
			return s.Redrive(ctx, queue.Query{State: queue.StateDead})
		}}),
	},
	{
		name: "acknowledges all of a TID", found: []string{"AckDoesNotTouchSiblingsSameNameTID"},
		spoil: func(s able) queue.Store {
			return &odd{able: s, settle: func(ctx context.Context, s able, ss []queue.Settlement) ([]error, error) {
				if len(ss) > 0 {
					rs, err := s.Find(ctx, queue.Query{ID: ss[0].ID})
					errs, err2 := s.Settle(ctx, ss)
					if err == nil && len(rs) > 0 && ss[0].Action == queue.Release {
						s.Remove(ctx, queue.Query{TID: rs[0].TID})
					}
					return errs, err2
				}
				return s.Settle(ctx, ss)
			}}
		},
	},
	{
		name: "reaps a hundred", found: []string{"ReapTakesBack"},
		spoil: oddly(odd{reap: func(ctx context.Context, s able) (int, error) {
			n, err := s.Reap(ctx)
			return min(n, 100), err
		}}),
	},
	{
		name: "does not reap", found: []string{"ReapTakesBack", "ReapKillsAfterMaxFails", "F8TwoReapers"},
		spoil: oddly(odd{reap: func(context.Context, able) (int, error) { return 0, nil }}),
	},
}
