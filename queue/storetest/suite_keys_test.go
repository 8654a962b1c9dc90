package storetest_test

import (
	"context"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot-go/earshot/queue"
)

var faultsOfKeys = []fault{
	{
		name: "has no keys", found: []string{"KeyUntilDoneBlocksThenFrees", "KeyUntilLeased", "KeyWithinOneCall", "OnceEveryFirstWins", "ConcurrentKeyOneWinner", "KeyHold", "OnceEveryLastWins", "ReplaceOnlyPending"},
		spoil: oddly(odd{enqueue: enqueueing(func(it *queue.Item) { it.Key, it.Scope, it.Hold, it.Replace = "", 0, 0, false })}),
	},
	{
		name: "frees a key with the first lease", found: []string{"KeyUntilDoneBlocksThenFrees", "F10RandomHistory"},
		spoil: oddly(odd{enqueue: enqueueing(func(it *queue.Item) {
			if it.Key != "" {
				it.Scope = queue.UntilLeased
			}
		})}),
	},
	{
		name: "holds every key until it is done", found: []string{"KeyUntilLeased"},
		spoil: oddly(odd{enqueue: enqueueing(func(it *queue.Item) { it.Scope = queue.UntilDone })}),
	},
	{
		name: "has one space of keys for all queues", found: []string{"KeyUntilDoneBlocksThenFrees"},
		spoil: func(s able) queue.Store {
			held := sync.Map{}
			return &odd{able: s, enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
				if len(items) == 1 && items[0].Key == "k" {
					if id, there := held.LoadOrStore(items[0].Key, items[0].ID); there {
						return []queue.Enqueued{{ID: id.(string), Status: queue.Duplicate}}, nil
					}
				}
				return s.Enqueue(ctx, items)
			}}
		},
	},
	{
		name: "names the wrong holder", found: []string{"ConcurrentKeyOneWinner", "KeyUntilDoneBlocksThenFrees", "OnceEveryFirstWins", "DeadItemFreesKey"},
		spoil: oddly(odd{enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
			got, err := s.Enqueue(ctx, items)
			for i := range got {
				got[i].ID = items[i].ID
			}
			return got, err
		}}),
	},
	{
		name: "keeps the key of the dead", found: []string{"DeadItemFreesKey"},
		spoil: func(s able) queue.Store {
			dead := sync.Map{}
			return &odd{
				able: s,
				enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
					if _, there := dead.Load(items[0].Key); there {
						return nil, queue.ErrInvalid
					}
					return s.Enqueue(ctx, items)
				},
				settle: func(ctx context.Context, s able, ss []queue.Settlement) ([]error, error) {
					for _, one := range ss {
						if rs, _ := s.Find(ctx, queue.Query{ID: one.ID}); one.Action == queue.Bury && len(rs) > 0 {
							dead.Store(rs[0].Key, true)
						}
					}
					return s.Settle(ctx, ss)
				},
			}
		},
	},
	{
		name: "does not know Hold", found: []string{"KeyHold", "ReplaceOnlyPending"},
		spoil: oddly(odd{enqueue: enqueueing(func(it *queue.Item) { it.Hold = 0 })}),
	},
	{
		name: "holds too long", found: []string{"KeyHoldAgain"},
		spoil: oddly(odd{enqueue: enqueueing(func(it *queue.Item) {
			if it.Hold > 0 {
				it.Hold = time.Hour
			}
		})}),
	},
	{
		name: "prolongs Hold", found: []string{"ReplaceKeepsHold"},
		spoil: oddly(odd{enqueue: enqueueing(func(it *queue.Item) {
			if it.Key != "" && !it.Replace {
				it.Hold = time.Hour
			}
		})}),
	},
	{
		name: "replaces nothing", found: []string{"OnceEveryLastWins", "KeyWithinOneCall", "ReplaceOnlyPending", "ReplaceKeepsHold"},
		spoil: oddly(odd{enqueue: enqueueing(func(it *queue.Item) { it.Replace = false })}),
	},
	{
		name: "replaces the payload, and not the time", found: []string{"OnceEveryLastWins"},
		spoil: func(s able) queue.Store {
			first := sync.Map{}
			return &odd{able: s, enqueue: enqueueing(func(it *queue.Item) {
				if it.Key == "" {
					return
				}
				if at, there := first.LoadOrStore(it.Queue+it.Key, time.Now().Add(it.Delay)); there && it.Replace {
					it.Due, it.Delay = at.(time.Time), 0
				}
			})}
		},
	},
	{
		name: "replaces what is leased", found: []string{"ReplaceOnlyPending"},
		spoil: oddly(odd{enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
			got, err := s.Enqueue(ctx, items)
			for i := range got {
				if got[i].Status == queue.Duplicate && items[i].Replace {
					got[i].Status = queue.Replaced
				}
			}
			return got, err
		}}),
	},
	{
		name: "does not claim Unique", found: []string{"WithoutUnique"},
		spoil: oddly(odd{caps: func(c queue.Caps) queue.Caps { c.Unique = false; return c }}),
	},
}

var faultsOfSerial = []fault{
	{
		name: "has no serials", found: []string{"SerialOneAtATime", "SerialInOrder", "SerialWaitsLikeOthers", "ConcurrentSerial", "SerialOfTenThousand", "F10RandomHistory"},
		spoil: func(s able) queue.Store {
			was := sync.Map{}
			return &odd{
				able: s,
				enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
					for _, it := range items {
						was.Store(it.ID, it.Serial)
					}
					return s.Enqueue(ctx, changed(items, func(it *queue.Item) { it.Serial = "" }))
				},
				lease: leasing(func(l *queue.Leased) {
					if serial, ok := was.Load(l.ID); ok {
						l.Serial = serial.(string)
					}
				}),
			}
		},
	},
	{
		name: "has one space of serials for all queues", found: []string{"SerialOneAtATime"},
		spoil: oddly(odd{lease: func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error) {
			if busy, _ := s.Find(ctx, queue.Query{State: queue.StateLeased}); len(r.Queues) == 1 && len(busy) > 0 && busy[0].Serial != "" && busy[0].Queue != r.Queues[0] {
				return nil, nil
			}
			return s.Lease(ctx, r)
		}}),
	},
	{
		name: "does not count what waits for its serial", found: []string{"SerialWaitsLikeOthers"},
		spoil: oddly(odd{stats: func(ctx context.Context, s able) (queue.Stats, error) {
			st, err := s.Stats(ctx)
			for i := range st.Queues {
				if st.Queues[i].Leased > 0 && st.Queues[i].Ready > 0 {
					st.Queues[i].Ready--
				}
			}
			return st, err
		}}),
	},
	{
		name: "looks at all that waits for a serial", found: []string{"SerialOfTenThousand"},
		spoil: oddly(odd{lease: func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error) {
			st, _ := s.Stats(ctx)
			if len(st.Queues) == 1 && st.Queues[0].Ready > 9000 {
				<-time.After(250 * time.Millisecond)
			}
			return s.Lease(ctx, r)
		}}),
	},
	{
		name: "does not claim Serial", found: []string{"WithoutSerial"},
		spoil: oddly(odd{caps: func(c queue.Caps) queue.Caps { c.Serial = false; return c }}),
	},
}

var faultsOfFind = []fault{
	{
		name: "finds in the order of leasing", found: []string{"FindByIDNameTIDQueue"},
		spoil: oddly(odd{find: func(ctx context.Context, s able, q queue.Query) ([]queue.Record, error) {
			got, err := s.Find(ctx, q)
			sort.SliceStable(got, func(i, j int) bool { return got[i].Priority > got[j].Priority })
			return got, err
		}}),
	},
	{
		name: "finds what fits in one field", found: []string{"FindByIDNameTIDQueue"},
		spoil: oddly(odd{find: func(ctx context.Context, s able, q queue.Query) ([]queue.Record, error) {
			if q.TID != "" {
				q.Name = ""
			}
			return s.Find(ctx, q)
		}}),
	},
	{
		name: "does not say who has it", found: []string{"FindTellsHowItStands"},
		spoil: oddly(odd{find: finding(func(r *queue.Record) { r.Worker = "" })}),
	},
	{
		name: "does not know Created", found: []string{"FindTellsHowItStands"},
		spoil: oddly(odd{find: finding(func(r *queue.Record) { r.Created = time.Time{} })}),
	},
	{
		name: "has pages by number", found: []string{"FindPages"},
		spoil: oddly(odd{find: func(ctx context.Context, s able, q queue.Query) ([]queue.Record, error) {
			limit, after := q.Limit, len(q.After)
			q.Limit, q.After = 10_000, ""
			got, err := s.Find(ctx, q)
			if err != nil {
				return got, err
			}
			for i := range got {
				got[i].Cursor = string(make([]byte, i+1))
			}
			if limit == 0 {
				limit = 100
			}
			got = got[min(after, len(got)):]
			return got[:min(limit, len(got))], nil
		}}),
	},
	{
		name: "has no limit", found: []string{"FindPages"},
		spoil: oddly(odd{find: func(ctx context.Context, s able, q queue.Query) ([]queue.Record, error) {
			if q.Limit == 0 {
				q.Limit = 10_000
			}
			return s.Find(ctx, q)
		}}),
	},
	{
		name: "removes what is leased", found: []string{"RemovePendingOnly"},
		spoil: oddly(odd{remove: func(ctx context.Context, s able, q queue.Query) (int, error) {
			n, err := s.Remove(ctx, q)
			rs, _ := s.Find(ctx, q)
			if err == nil && q.ID != "" {
				n += len(rs)
			}
			return n, err
		}}),
	},
	{
		name: "removes everything", found: []string{"RemoveByQuery"},
		spoil: oddly(odd{remove: func(ctx context.Context, s able, q queue.Query) (int, error) {
			if q.Validate(true) == nil && q.Validate(false) != nil {
				return 0, nil
			}
			return s.Remove(ctx, q)
		}}),
	},
	{
		name: "removes more than the limit", found: []string{"RemoveByQuery"},
		spoil: oddly(odd{remove: func(ctx context.Context, s able, q queue.Query) (int, error) {
			q.Limit = min(q.Limit, 0)
			return s.Remove(ctx, q)
		}}),
	},
	{
		name: "keeps the key of what is removed", found: []string{"RemoveFreesKey"},
		spoil: func(s able) queue.Store {
			var removed atomic.Bool
			return &odd{
				able: s,
				remove: func(ctx context.Context, s able, q queue.Query) (int, error) {
					removed.Store(true)
					return s.Remove(ctx, q)
				},
				enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
					if i := slices.IndexFunc(items, func(it queue.Item) bool { return it.Key == "held" }); i >= 0 && removed.Load() {
						return slices.Repeat([]queue.Enqueued{{ID: "gone", Status: queue.Duplicate}}, len(items)), nil
					}
					return s.Enqueue(ctx, items)
				},
			}
		},
	},
	{
		name: "counts the delayed as ready", found: []string{"StatsMatchGroundTruth", "StatsOfBindingsAndTimes"},
		spoil: oddly(odd{stats: func(ctx context.Context, s able) (queue.Stats, error) {
			st, err := s.Stats(ctx)
			for i := range st.Queues {
				st.Queues[i].Ready += st.Queues[i].Delayed
				st.Queues[i].Delayed = 0
			}
			return st, err
		}}),
	},
	{
		name: "forgets queues without items", found: []string{"StatsOfBindingsAndTimes"},
		spoil: oddly(odd{stats: func(ctx context.Context, s able) (queue.Stats, error) {
			st, err := s.Stats(ctx)
			st.Queues = slices.DeleteFunc(st.Queues, func(q queue.QueueStats) bool { return q.Ready+q.Delayed+q.Leased+q.Dead == 0 })
			return st, err
		}}),
	},
}
