package storetest_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// wires makes a spoil that changes a client.
func wires(change func(s *wireStore)) func(s able) queue.Store {
	return func(s able) queue.Store {
		change(s.(*wireStore))
		return s
	}
}

var faultsOfWire = []fault{
	{
		name: "connects when it is opened", found: []string{"AbsentThenPresent"},
		spoil: wires(func(s *wireStore) {
			if c, err := net.Dial("tcp", s.addr); err == nil {
				c.Write([]byte("{}\n"))
				c.Read(make([]byte, 1)) // until the proxy has met the server
				c.Close()
			}
		}),
	},
	{
		name: "waits for an answer for ever", found: []string{"FreezeEndsInErrDisconnected"},
		spoil: wires(func(s *wireStore) { s.answer = time.Hour }),
	},
	{
		name: "waits for an answer no time", found: []string{"SlowWire"},
		spoil: wires(func(s *wireStore) { s.answer = 10 * time.Millisecond }),
	},
	{
		name: "does not look at contexts", found: []string{"FrozenContextEnds"},
		spoil: oddly(odd{enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
			return s.Enqueue(context.WithoutCancel(ctx), items)
		}}),
	},
	{
		name: "has errors of its own", found: []string{"AbsentThenPresent", "CutAndMended", "FreezeEndsInErrDisconnected", "F4CutWireDuringEnqueue", "F6RestartServer"},
		spoil: oddly(odd{enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
			got, err := s.Enqueue(ctx, items)
			if errors.Is(err, queue.ErrDisconnected) {
				err = errors.New(err.Error())
			}
			return got, err
		}}),
	},
	{
		name: "rests after trouble", found: []string{"CutAndMended"},
		spoil: func(s able) queue.Store {
			var until atomic.Int64
			return &odd{able: s, enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
				if time.Now().UnixNano() < until.Load() {
					return nil, queue.ErrDisconnected
				}
				got, err := s.Enqueue(ctx, items)
				if errors.Is(err, queue.ErrDisconnected) {
					until.Store(time.Now().Add(2 * time.Second).UnixNano())
				}
				return got, err
			}}
		},
	},
	{
		name: "connects again by itself", found: []string{"CutAndMended"},
		spoil: oddly(odd{enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
			got, err := s.Enqueue(ctx, items)
			if errors.Is(err, queue.ErrDisconnected) {
				time.AfterFunc(50*time.Millisecond, func() { s.Now(context.Background()) })
			}
			return got, err
		}}),
	},
	{
		name: "does not wait again after trouble", found: []string{"WaitSurvivesCut"},
		spoil: oddly(odd{wait: func(ctx context.Context, s able, queues []string) error {
			err := s.Wait(ctx, queues)
			if errors.Is(err, queue.ErrDisconnected) {
				<-ctx.Done()
			}
			return err
		}}),
	},
	{
		name: "takes what makes no sense for yes", found: []string{"GarbageIsAnError", "F4CutWireDuringSettle"},
		spoil: oddly(odd{settle: func(ctx context.Context, s able, ss []queue.Settlement) ([]error, error) {
			errs, err := s.Settle(ctx, ss)
			if errors.Is(err, queue.ErrDisconnected) {
				return make([]error, len(ss)), nil
			}
			return errs, err
		}}),
	},
	{
		name: "takes what it has sent for stored", found: []string{"F4CutWireDuringEnqueue"},
		spoil: oddly(odd{enqueue: func(ctx context.Context, s able, items []queue.Item) (got []queue.Enqueued, _ error) {
			got, err := s.Enqueue(ctx, items)
			if errors.Is(err, queue.ErrDisconnected) {
				for _, it := range items {
					got = append(got, queue.Enqueued{ID: it.ID})
				}
				return got, nil
			}
			return got, err
		}}),
	},
	{
		name: "brings what it has brought before when the wire is cut", found: []string{"F4CutWireDuringLease"},
		spoil: func(s able) queue.Store {
			var last atomic.Pointer[[]queue.Leased]
			return &odd{able: s, lease: func(ctx context.Context, s able, r queue.LeaseRequest) ([]queue.Leased, error) {
				got, err := s.Lease(ctx, r)
				if errors.Is(err, queue.ErrDisconnected) && last.Load() != nil {
					return *last.Load(), nil
				}
				if len(got) > 0 {
					last.Store(&got)
				}
				return got, err
			}}
		},
	},
	{
		name: "is polite when it closes", found: []string{"CloseWhileFrozen"},
		spoil: oddly(odd{close: func(_ context.Context, s able) error {
			ctx := context.Background()
			for range 2 {
				s.Now(ctx)
			}
			return s.Close(ctx)
		}}),
	},
	{
		name: "calls a settlement without effect one with effect", found: []string{"F5FreezeConnection"},
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
}

var faultsOfKill = []fault{
	{
		name: "gives up what was leased once", found: []string{"F1KillWorkerMidHandler"},
		spoil: oddly(odd{lease: func(ctx context.Context, s able, r queue.LeaseRequest) (kept []queue.Leased, _ error) {
			got, err := s.Lease(ctx, r)
			for _, l := range got {
				if l.Deliveries == 1 {
					kept = append(kept, l)
				}
			}
			return kept, err
		}}),
	},
	{
		name: "does not know that it has an item", found: []string{"F2KillProducerAfterCommitBeforeReply"},
		spoil: oddly(odd{enqueue: func(ctx context.Context, s able, items []queue.Item) ([]queue.Enqueued, error) {
			got, err := s.Enqueue(ctx, items)
			for i := range got {
				got[i].Status = queue.Inserted
			}
			return got, err
		}}),
	},
	{
		name: "is empty when others were killed", found: []string{"F3KillStoreProcessLoop"},
		spoil: oddly(odd{
			lease: func(context.Context, able, queue.LeaseRequest) ([]queue.Leased, error) { return nil, nil },
			find:  func(context.Context, able, queue.Query) ([]queue.Record, error) { return nil, nil },
		}),
	},
}
