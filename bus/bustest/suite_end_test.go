package bustest_test

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

// leaked ends the goroutines that a faulty engine has left.
var leaked chan struct{}

var faultsOfEnd = []fault{
	{
		name: "does not look at contexts", found: []string{"ContextEnds"},
		spoil: oddly(odd{publish: func(ctx context.Context, b bus.Bus, evs []event.Event) error {
			return b.Publish(context.WithoutCancel(ctx), evs...)
		}}),
	},
	{
		name: "does not tell the cause", found: []string{"ContextEnds"},
		spoil: oddly(odd{next: failing(func(_ *oddFeed, err error) error {
			if !isOurs(err) {
				return context.Canceled
			}
			return err
		})}),
	},
	{
		name: "ends feeds with the context of Tail", found: []string{"ContextEnds"},
		spoil: oddly(odd{tail: func(ctx context.Context, b bus.Bus, t bus.Tail) (bus.Feed, error) {
			f, err := b.Tail(ctx, t)
			if err == nil {
				context.AfterFunc(ctx, func() { f.Close() })
			}
			return f, err
		}}),
	},
	{
		name: "does not look at deadlines", found: []string{"DeadlineEnds", "ContextEnds"},
		spoil: oddly(odd{next: func(ctx context.Context, f *oddFeed) (bus.Delivery, error) {
			return f.Feed.Next(context.WithoutCancel(ctx))
		}}),
	},
	{
		name: "lets Next wait when its feed is closed", found: []string{"CloseUnblocksNext"},
		spoil: oddly(odd{closeFeed: func(*oddFeed) bool { return false }}),
	},
	{
		name: "ends Next with another error", found: []string{"CloseUnblocksNext", "CloseEndsFeeds"},
		spoil: oddly(odd{next: failing(func(_ *oddFeed, err error) error {
			if errors.Is(err, bus.ErrClosed) {
				return bus.ErrDisconnected
			}
			return err
		})}),
	},
	{
		name: "closes the bus with a feed", found: []string{"FeedCloseLeavesOthers"},
		spoil: oddly(odd{closeFeed: func(f *oddFeed) bool {
			f.odd.Bus.Close(context.Background())
			return true
		}}),
	},
	{
		name: "leaves feeds open", found: []string{"CloseEndsFeeds"},
		spoil: func(b bus.Bus) bus.Bus {
			return &odd{Bus: b, close: func(context.Context, bus.Bus) error { return nil }}
		},
	},
	{
		name: "works after Close", found: []string{"CloseIsFinal"},
		spoil: oddly(odd{close: func(context.Context, bus.Bus) error { return nil }}),
	},
	{
		name: "forgets that it is closed when asked for nothing", found: []string{"CloseIsFinal"},
		spoil: oddly(odd{publish: func(ctx context.Context, b bus.Bus, evs []event.Event) error {
			if len(evs) == 0 {
				return nil
			}
			return b.Publish(ctx, evs...)
		}}),
	},
	{
		name: "closes once", found: []string{"CloseIsFinal"},
		spoil: func(b bus.Bus) bus.Bus {
			var closed atomic.Bool
			return &odd{Bus: b, close: func(ctx context.Context, b bus.Bus) error {
				if closed.Swap(true) {
					return bus.ErrClosed
				}
				return b.Close(ctx)
			}}
		},
	},
	{
		name: "has another error after Close", found: []string{"CloseIsFinal"},
		spoil: oddly(odd{tail: func(ctx context.Context, b bus.Bus, t bus.Tail) (bus.Feed, error) {
			f, err := b.Tail(ctx, t)
			if errors.Is(err, bus.ErrClosed) {
				err = bus.ErrDisconnected
			}
			return f, err
		}}),
	},
	{
		name: "leaves goroutines", found: []string{"CloseLeavesNothing"},
		spoil: oddly(odd{tail: func(ctx context.Context, b bus.Bus, t bus.Tail) (bus.Feed, error) {
			end := leaked
			go func() { <-end }()
			return b.Tail(ctx, t)
		}}),
	},
}

// isOurs reports whether an error is one of package bus.
func isOurs(err error) bool {
	for _, known := range []error{bus.ErrClosed, bus.ErrDisconnected, bus.ErrForeignToken, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}
