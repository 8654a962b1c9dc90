package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/storetest"
)

var faultsOfWait = []fault{
	{
		name: "polls each second", found: []string{"LeaseWakesOnEnqueue"},
		spoil: oddly(odd{wait: func(ctx context.Context, s able, queues []string) error {
			select {
			case <-time.After(time.Second):
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}}),
	},
	{
		name: "tells late", found: []string{"LeaseWakesOnEnqueue", "WakesWhenDue", "WakesOnExpiry"},
		spoil: oddly(odd{wait: func(ctx context.Context, s able, queues []string) error {
			err := s.Wait(ctx, queues)
			<-time.After(120 * time.Millisecond)
			return err
		}}),
	},
	{
		name: "waits for what comes from now on", found: []string{"WaitMissesNothing"},
		spoil: func(s able) queue.Store {
			o := &odd{able: s}
			var mu sync.Mutex
			changed := make(chan struct{})
			ring := func() {
				mu.Lock()
				defer mu.Unlock()
				close(changed)
				changed = make(chan struct{})
			}
			o.enqueue = func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
				defer ring()
				return s.Enqueue(ctx, items)
			}
			o.wait = func(ctx context.Context, s able, queues []string) error {
				mu.Lock()
				ch := changed
				mu.Unlock()
				select {
				case <-ch:
					return nil
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			return o
		},
	},
	{
		name: "wakes one worker", found: []string{"WaitersAreMany"},
		spoil: func(s able) queue.Store {
			woken := make(chan struct{}, 1)
			return &odd{
				able: s,
				enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
					select {
					case woken <- struct{}{}:
					default:
					}
					return s.Enqueue(ctx, items)
				},
				wait: func(ctx context.Context, s able, queues []string) error {
					select {
					case <-woken:
						return nil
					case <-ctx.Done():
						return context.Cause(ctx)
					}
				},
			}
		},
	},
	{
		name: "does not know when items become due", found: []string{"WakesWhenDue", "WakesOnExpiry"},
		spoil: func(s able) queue.Store {
			return &odd{able: s, wait: func(ctx context.Context, s able, queues []string) error {
				st, err := s.Stats(ctx)
				if err != nil {
					return err
				}
				for _, q := range st.Queues {
					if q.Ready > 0 && q.Leased == 0 {
						return nil
					}
				}
				<-ctx.Done()
				return context.Cause(ctx)
			}}
		},
	},
	{
		name: "waits for ever", found: []string{"WaitEnds", "EndedContextHasNoEffect"},
		spoil: oddly(odd{wait: func(ctx context.Context, s able, queues []string) error {
			return s.Wait(context.WithoutCancel(ctx), queues)
		}}),
	},
	{
		name: "does not wait", found: []string{"IdleWaitersRest"},
		spoil: oddly(odd{wait: func(ctx context.Context, s able, queues []string) error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return nil
		}}),
	},
}

var faultsOfEnd = []fault{
	{
		name: "does not look at contexts in Bind", found: []string{"EndedContextHasNoEffect"},
		spoil: oddly(odd{bind: func(ctx context.Context, s able, add, remove []queue.Binding) (queue.Rev, error) {
			return s.Bind(context.WithoutCancel(ctx), add, remove)
		}}),
	},
	{
		name: "says what the engine says when it is closed", found: []string{"ClosedIsFinal", "CloseEndsCalls"},
		spoil: oddly(odd{lease: func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error) {
			got, err := s.Lease(ctx, r)
			if errors.Is(err, queue.ErrClosed) {
				err = errors.New("sql: database is closed")
			}
			return got, err
		}}),
	},
	{
		name: "cannot be closed twice", found: []string{"ClosedIsFinal"},
		spoil: func(s able) queue.Store {
			var n atomic.Int64
			return &odd{able: s, close: func(ctx context.Context, s able) error {
				if n.Add(1) > 1 {
					return queue.ErrClosed
				}
				return s.Close(ctx)
			}}
		},
	},
	{
		name: "answers when it is closed", found: []string{"ClosedIsFinal"},
		spoil: oddly(odd{reap: func(ctx context.Context, s able) (int, error) {
			n, err := s.Reap(ctx)
			if errors.Is(err, queue.ErrClosed) {
				return 0, nil
			}
			return n, err
		}}),
	},
	{
		name: "calls everything a broken wire", found: []string{"Denied", "Broken"},
		spoil: oddly(odd{enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
			got, err := s.Enqueue(ctx, items)
			if err != nil {
				err = fmt.Errorf("%w: %w", queue.ErrDisconnected, err)
			}
			return got, err
		}}),
	},
	{
		name: "calls a refusal an acceptance", found: []string{"Broken"},
		spoil: oddly(odd{enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
			got, err := s.Enqueue(ctx, items)
			if errors.Is(err, queue.ErrFull) {
				return make([]queue.Enqueued, len(items)), nil
			}
			return got, err
		}}),
	},
}

var faultsOfRaces = []fault{
	{
		name: "counts a lease twice when two take it back", found: []string{"F8TwoReapers"},
		spoil: func(s able) queue.Store {
			var last atomic.Int64
			return &odd{able: s, reap: func(ctx context.Context, s able) (int, error) {
				n, err := s.Reap(ctx)
				if n == 0 {
					return int(last.Swap(0)), err
				}
				last.Store(int64(n))
				return n, err
			}}
		},
	},
	{
		name: "acknowledges what it has taken back", found: []string{"F7ReaperRacesAck", "F10RandomHistory"},
		spoil: oddly(odd{settle: func(ctx context.Context, s able, ss []queue.Settlement) ([]error, error) {
			errs, err := s.Settle(ctx, ss)
			for i := range errs {
				if errors.Is(errs[i], queue.ErrLeaseLost) && ss[i].Action == queue.Ack {
					if rs, _ := s.Find(ctx, queue.Query{ID: ss[i].ID}); len(rs) > 0 {
						errs[i] = nil
					}
				}
			}
			return errs, err
		}}),
	},
}

// What only the account of all items tells.
var faultsOfAccount = []fault{
	{
		name: "buries out of the blue", found: []string{"F10RandomHistory"},
		spoil: oddly(odd{lease: func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error) {
			got, err := s.Lease(ctx, r)
			if len(got) < 2 || got[len(got)-1].Key != "" {
				return got, err
			}
			last := len(got) - 1
			s.Settle(ctx, []queue.Settlement{got[last].Bury("")})
			return got[:last], err
		}}),
	},
	{
		name: "kills one fail too early", found: []string{"F10RandomHistory"},
		spoil: func(s able) queue.Store {
			var max sync.Map
			return &odd{
				able: s,
				enqueue: enqueueing(func(it *queue.Item) {
					if max.Store(it.ID, it.MaxFails); it.MaxFails > 1 {
						it.MaxFails--
					}
				}),
				lease: leasing(func(l *queue.Leased) {
					n, _ := max.Load(l.ID)
					l.MaxFails = n.(int)
				}),
				find: finding(func(r *queue.Record) {
					n, _ := max.Load(r.ID)
					r.MaxFails = n.(int)
				}),
			}
		},
	},
	{
		name: "stores duplicates", found: []string{"F10RandomHistory"},
		spoil: func(s able) queue.Store {
			var keys sync.Map
			return &odd{
				able: s,
				enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
					got, err := s.Enqueue(ctx, items)
					for i := range got {
						if it := items[i]; got[i].ID != it.ID {
							keys.Store(it.ID, it.Key)
							it.Key = ""
							s.Enqueue(ctx, []queue.Item{it})
						}
					}
					return got, err
				},
				lease: leasing(func(l *queue.Leased) {
					if key, ok := keys.Load(l.ID); ok {
						l.Key = key.(string)
					}
				}),
				find: finding(func(r *queue.Record) {
					if key, ok := keys.Load(r.ID); ok {
						r.Key = key.(string)
					}
				}),
			}
		},
	},
}

// What clients of one server do to each other.
var faultsOfClients = []fault{
	{
		name: "remembers bindings", found: []string{"BindingChangeSeenByOtherProcessWithin"},
		spoil: func(s able) queue.Store {
			var mu sync.Mutex
			var kept []queue.Binding
			var rev queue.Rev
			var until time.Time
			return &odd{able: s, bindings: func(ctx context.Context, s able, since queue.Rev) (bs []queue.Binding, _ queue.Rev, err error) {
				mu.Lock()
				defer mu.Unlock()
				if time.Now().After(until) {
					if kept, rev, err = s.Bindings(ctx, 0); err != nil {
						return nil, 0, err
					}
					until = time.Now().Add(200 * time.Millisecond)
				}
				if since == rev {
					return nil, rev, nil
				}
				return kept, rev, nil
			}}
		},
	},
	{
		name: "hears of its own items only", found: []string{"WakesOnEnqueueOfOthers", "WaitSurvivesCut"},
		spoil: oddly(odd{wait: func(ctx context.Context, s able, queues []string) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}}),
	},
	{
		name: "asks its engine all the time", found: []string{"IdleWaitersRest"},
		spoil: oddly(odd{wait: func(ctx context.Context, s able, queues []string) error {
			for range 20 {
				select {
				case <-time.After(50 * time.Millisecond):
				case <-ctx.Done():
					return context.Cause(ctx)
				}
				if _, err := s.Now(ctx); err != nil {
					return err
				}
			}
			return nil
		}}),
	},
	{
		name: "takes back what it has leased when it is closed", found: []string{"ClosedIsFinal", "KeptWhenOpenedAgain"},
		spoil: func(s able) queue.Store {
			var mu sync.Mutex
			var held []queue.Settlement
			return &odd{
				able: s,
				lease: func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error) {
					got, err := s.Lease(ctx, r)
					mu.Lock()
					defer mu.Unlock()
					for _, l := range got {
						held = append(held, l.Release(0))
					}
					return got, err
				},
				close: func(ctx context.Context, s able) error {
					mu.Lock()
					defer mu.Unlock()
					s.Settle(ctx, held)
					return s.Close(ctx)
				},
			}
		},
	},
	{
		name: "knows its own receipts only", found: []string{"TwoClients"},
		spoil: func(s able) queue.Store {
			mine := sync.Map{}
			return &odd{
				able:  s,
				lease: leasing(func(l *queue.Leased) { mine.Store(l.Receipt, true) }),
				settle: settling(func(s *queue.Settlement) {
					if _, ok := mine.Load(s.Receipt); !ok && s.Receipt != "" {
						s.Receipt = "of somebody else"
					}
				}),
			}
		},
	},
	{
		name: "makes its tables alone", found: []string{"FirstUseByMany"},
		spoil: func() func(s able) queue.Store {
			var inside atomic.Int64
			return func(s able) queue.Store {
				return &odd{able: s, enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
					defer inside.Add(-1)
					if inside.Add(1) > 1 {
						return nil, errors.New("table exists")
					}
					<-time.After(20 * time.Millisecond)
					return s.Enqueue(ctx, items)
				}}
			}
		}(),
	},
	{
		name: "forgets when it is closed", found: []string{"KeptWhenOpenedAgain"},
		spoil: oddly(odd{close: func(ctx context.Context, s able) error {
			s.Remove(ctx, queue.Query{State: queue.StatePending})
			return s.Close(ctx)
		}}),
	},
	{
		name: "tells the password", found: []string{"Denied"},
		spoil: oddly(odd{lease: func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error) {
			got, err := s.Lease(ctx, r)
			if errors.Is(err, queue.ErrDenied) {
				err = fmt.Errorf("wire://user:wr0ng-secret@host: %w", err)
			}
			return got, err
		}}),
	},
	{
		name: "leaves a goroutine", found: []string{"CloseLeavesNothing"},
		spoil: func(s able) queue.Store {
			end := leaked
			go func() { <-end }()
			return &odd{able: s}
		},
	},
}

// leaked ends what stores have left behind, at the end of a test.
var leaked chan struct{}

// engineTries are faults of the engine, not of its clients.
var engineTries = []try{
	{"sees transactions before they are committed", "EnqueueTxCommitVisibleRollbackInvisible", func(t testing.TB) storetest.Engine {
		e := wireEngine(nil)(t)
		e.Begin = func(_ testing.TB, s queue.Store) storetest.Tx {
			nothing := func() error { return nil }
			return storetest.Tx{Enqueue: s.Enqueue, Commit: nothing, Rollback: nothing}
		}
		return e
	}},
	{"goes by the clock of the client", "ClientClockSkewIgnored", func(t testing.TB) storetest.Engine {
		e := wireEngine(nil)(t)
		skew := e.Skew
		e.Skew = func(t testing.TB) queue.Store {
			o := skew(t).(*odd)
			o.enqueue = enqueueing(func(it *queue.Item) {
				if it.Delay > 0 {
					it.Due, it.Delay = time.Now().Add(it.Delay).Add(time.Hour), 0
				}
			})
			return o
		}
		return e
	}},
	{"forgets when it is killed", "F6RestartServer", func(t testing.TB) storetest.Engine {
		e := wireEngine(nil)(t)
		restart := e.Restart
		e.Restart = func(t testing.TB) {
			restart(t)
			c := newWireStore(e.Server)
			defer c.Close(context.Background())
			c.Remove(context.Background(), queue.Query{State: queue.StatePending})
		}
		return e
	}},
	{"has children that begin with nothing", "F3KillStoreProcessLoop", func(t testing.TB) storetest.Engine {
		e := wireEngine(nil)(t)
		e.URL = "nowhere://"
		return e
	}},
}
