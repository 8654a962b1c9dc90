package bustest_test

import (
	"context"
	"errors"
	"strings"

	"github.com/earshot-go/earshot/bus"
)

var faultsOfResume = []fault{
	{
		name: "resumes one too late", found: []string{"ResumeAfterToken", "ConcurrentPublishersNoLoss", "RandomHistory", "TokenIsText"},
		spoil: elsewhere(func(t bus.Tail) bus.Tail { t.From = moved(t.From, 1); return t }),
	},
	{
		name: "resumes one too early", found: []string{"ResumeAfterToken", "TokenBeforeFirstEvent", "NoGapAtTheEdge", "PastEnds"},
		spoil: elsewhere(func(t bus.Tail) bus.Tail { t.From = moved(t.From, -1); return t }),
	},
	{
		name: "does not move its token", found: []string{"ResumeAfterToken"},
		spoil: func(b bus.Bus) bus.Bus {
			var first bus.Token
			return &odd{Bus: b, token: func(t bus.Token) bus.Token {
				if first == "" {
					first = t
				}
				return first
			}}
		},
	},
	{
		name: "has tokens that are no text", found: []string{"TokenIsText"},
		spoil: oddly(odd{
			next: changed(func(_ *oddFeed, d *bus.Delivery) { d.Token += "\x01" }),
			tail: func(ctx context.Context, b bus.Bus, t bus.Tail) (bus.Feed, error) {
				if token, ok := t.From.Token(); ok {
					t.From = bus.After(bus.Token(strings.TrimSuffix(string(token), "\x01")))
				}
				return b.Tail(ctx, t)
			},
		}),
	},
	{
		name: "takes any token for Start", found: []string{"ForeignTokenRejected", "RecreatedStreamRejected"},
		spoil: oddly(odd{tail: func(ctx context.Context, b bus.Bus, t bus.Tail) (bus.Feed, error) {
			f, err := b.Tail(ctx, t)
			if errors.Is(err, bus.ErrForeignToken) {
				t.From = bus.Start
				return b.Tail(ctx, t)
			}
			return f, err
		}}),
	},
	{
		name: "looks at positions alone", found: []string{"RecreatedStreamRejected", "ForeignTokenRejected"},
		spoil: oddly(odd{tail: func(ctx context.Context, b bus.Bus, t bus.Tail) (bus.Feed, error) {
			f, err := b.Tail(ctx, t)
			token, ok := t.From.Token()
			if !ok || !errors.Is(err, bus.ErrForeignToken) {
				return f, err
			}
			head, err := b.Tail(ctx, bus.Tail{})
			if err != nil {
				return nil, err
			}
			defer head.Close()
			mine := head.(bus.Positioned).Token()
			t.From = bus.After(mine[:strings.LastIndexByte(string(mine), ':')] + token[max(0, strings.LastIndexByte(string(token), ':')):])
			return b.Tail(ctx, t)
		}}),
	},
	{
		name: "calls a foreign token a broken wire", found: []string{"ForeignTokenRejected", "RecreatedStreamRejected"},
		spoil: oddly(odd{tail: func(ctx context.Context, b bus.Bus, t bus.Tail) (bus.Feed, error) {
			f, err := b.Tail(ctx, t)
			if errors.Is(err, bus.ErrForeignToken) {
				err = bus.ErrDisconnected
			}
			return f, err
		}}),
	},
	{
		name: "goes on with a new stream", found: []string{"RecreatedStreamRejected"},
		spoil: oddly(odd{next: func(ctx context.Context, f *oddFeed) (bus.Delivery, error) {
			d, err := f.Feed.Next(ctx)
			if errors.Is(err, bus.ErrForeignToken) {
				if f.Feed, err = f.odd.Bus.Tail(ctx, bus.Tail{From: bus.Start}); err != nil {
					return d, err
				}
				return f.Feed.Next(ctx)
			}
			return d, err
		}}),
	},
	{
		name: "waits on a stream that is gone", found: []string{"RecreatedStreamRejected"},
		spoil: oddly(odd{next: func(ctx context.Context, f *oddFeed) (bus.Delivery, error) {
			d, err := f.Feed.Next(ctx)
			if errors.Is(err, bus.ErrForeignToken) {
				<-ctx.Done()
				err = context.Cause(ctx)
			}
			return d, err
		}}),
	},
	{
		name: "swallows gaps", found: []string{"GapReported", "NoGapAtTheEdge"},
		spoil: oddly(odd{next: noGap}),
	},
	{
		name: "miscounts gaps", found: []string{"GapReported", "NoGapAtTheEdge"},
		spoil: oddly(odd{next: failing(func(_ *oddFeed, err error) error {
			if gap := (*bus.GapError)(nil); errors.As(err, &gap) {
				gap.Missed++
			}
			return err
		})}),
	},
	{
		name: "ends at gaps", found: []string{"GapReported"},
		spoil: oddly(odd{next: func(ctx context.Context, f *oddFeed) (bus.Delivery, error) {
			d, err := f.Feed.Next(ctx)
			if errors.As(err, new(*bus.GapError)) {
				f.Feed.Close()
			}
			return d, err
		}}),
	},
	{
		name: "reports gaps again and again", found: []string{"GapReported"},
		spoil: oddly(odd{next: func(ctx context.Context, f *oddFeed) (bus.Delivery, error) {
			d, err := f.Feed.Next(ctx)
			if errors.As(err, new(*bus.GapError)) {
				f.odd.next = func(context.Context, *oddFeed) (bus.Delivery, error) { return d, err }
			}
			return d, err
		}}),
	},
	{
		name: "reports gaps where there are none", found: []string{"NoGapAtTheEdge", "ResumeAfterToken", "TailStart"},
		spoil: oddly(odd{next: func(ctx context.Context, f *oddFeed) (bus.Delivery, error) {
			if f.n == 1 && !f.tail.From.IsNow() {
				return bus.Delivery{}, &bus.GapError{}
			}
			return f.Feed.Next(ctx)
		}}),
	},
}
