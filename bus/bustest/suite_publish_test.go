package bustest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/event"
)

var faultsOfPublish = []fault{
	{
		name: "drops an event", found: []string{"LargeBatch", "ConcurrentPublishersNoLoss", "OrderPerPublisher", "RandomHistory", "SlowConsumerBackpressure"},
		spoil: func(b bus.Bus) bus.Bus {
			var n atomic.Int64
			return &odd{Bus: b, publish: func(ctx context.Context, b bus.Bus, evs []event.Event) error {
				if n.Add(1) > 4 || len(evs) > 1000 {
					evs = evs[:max(0, len(evs)-1)]
				}
				return b.Publish(ctx, evs...)
			}}
		},
	},
	{
		name: "turns batches round", found: []string{"PublishThenTail", "OrderPerPublisher", "LargeBatch"},
		spoil: oddly(odd{publish: func(ctx context.Context, b bus.Bus, evs []event.Event) error {
			evs = slices.Clone(evs)
			slices.Reverse(evs)
			return b.Publish(ctx, evs...)
		}}),
	},
	{
		name: "publishes later", found: []string{"OrderPerPublisher"},
		spoil: oddly(odd{publish: func(ctx context.Context, b bus.Bus, evs []event.Event) error {
			if len(evs) < 2 {
				return b.Publish(ctx, evs...)
			}
			if err := b.Publish(ctx, evs[1:]...); err != nil {
				return err
			}
			return b.Publish(ctx, evs[0])
		}}),
	},
	{
		name: "publishes twice", found: []string{"SelfEchoOnce"},
		spoil: oddly(odd{next: func(ctx context.Context, f *oddFeed) (bus.Delivery, error) {
			if len(f.kept) > 0 {
				d := f.kept[0]
				f.kept = nil
				return d, nil
			}
			d, err := f.Feed.Next(ctx)
			if err == nil {
				f.kept = append(f.kept, d)
			}
			return d, err
		}}),
	},
	{
		name: "invents an event", found: []string{"RandomHistory", "PublishThenTail"},
		spoil: oddly(odd{next: changed(func(f *oddFeed, d *bus.Delivery) {
			if f.n == 3 {
				d.Event.ID = "of nobody"
			}
		})}),
	},
	{
		name: "claims Dedupe", found: []string{"DuplicateCarriesSameID"},
		spoil: oddly(odd{caps: func(c bus.Caps) bus.Caps { c.Dedupe = true; return c }}),
	},
	{
		name: "gives copies another ID", found: []string{"DuplicateCarriesSameID"},
		spoil: func(b bus.Bus) bus.Bus {
			seen := sync.Map{}
			return &odd{Bus: b, publish: func(ctx context.Context, b bus.Bus, evs []event.Event) error {
				evs = slices.Clone(evs)
				for i := range evs {
					if _, again := seen.LoadOrStore(evs[i].ID, true); again {
						evs[i].ID += "-copy"
					}
				}
				return b.Publish(ctx, evs...)
			}}
		},
	},
	{
		name: "sends a batch before it is checked", found: []string{"InvalidEventRefused", "MaxBytes"},
		spoil: oddly(odd{publish: oneByOne}),
	},
	{
		name: "calls an invalid event a broken wire", found: []string{"InvalidEventRefused"},
		spoil: oddly(odd{publish: func(ctx context.Context, b bus.Bus, evs []event.Event) error {
			if err := b.Publish(ctx, evs...); err != nil {
				return fmt.Errorf("%w: %w", bus.ErrDisconnected, err)
			}
			return nil
		}}),
	},
	{
		name: "takes more than MaxBytes", found: []string{"MaxBytes"}, opts: membus.Options{MaxBytes: 1 << 10},
		spoil: oddly(odd{caps: func(c bus.Caps) bus.Caps { c.MaxBytes--; return c }}),
	},
	{
		name: "takes less than MaxBytes", found: []string{"MaxBytes"}, opts: membus.Options{MaxBytes: 1 << 10},
		spoil: oddly(odd{caps: func(c bus.Caps) bus.Caps { c.MaxBytes++; return c }}),
	},
	{
		name: "has another error for large events", found: []string{"MaxBytes"},
		spoil: oddly(odd{publish: func(ctx context.Context, b bus.Bus, evs []event.Event) error {
			if err := b.Publish(ctx, evs...); err != nil {
				return errors.New(err.Error())
			}
			return nil
		}}),
	},
	{
		name: "cuts long batches", found: []string{"LargeBatch"},
		spoil: oddly(odd{publish: func(ctx context.Context, b bus.Bus, evs []event.Event) error {
			return b.Publish(ctx, evs[:min(len(evs), 1000)]...)
		}}),
	},
	{
		name: "cannot publish nothing", found: []string{"PublishNothing", "Caps"},
		spoil: oddly(odd{publish: func(ctx context.Context, b bus.Bus, evs []event.Event) error {
			if len(evs) == 0 {
				return errors.New("no events")
			}
			return b.Publish(ctx, evs...)
		}}),
	},
	{
		name: "publishes something for nothing", found: []string{"PublishNothing"},
		spoil: oddly(odd{publish: func(ctx context.Context, b bus.Bus, evs []event.Event) error {
			if len(evs) == 0 {
				evs = []event.Event{{ID: "ping", Source: "/", Type: "ping"}}
			}
			return b.Publish(ctx, evs...)
		}}),
	},
	{
		name: "has another engine in its tokens", found: []string{"Caps"},
		spoil: oddly(odd{caps: func(c bus.Caps) bus.Caps { c.Engine = "other"; return c }}),
	},
	{
		name: "promises less after a while", found: []string{"Caps"},
		spoil: func(b bus.Bus) bus.Bus {
			var n atomic.Int64
			return &odd{Bus: b, caps: func(c bus.Caps) bus.Caps { c.Durable = n.Add(1) == 1; return c }}
		},
	},
	{
		name: "goes on without credentials", found: []string{"Denied"},
		spoil: oddly(odd{publish: func(ctx context.Context, b bus.Bus, evs []event.Event) error {
			if err := b.Publish(ctx, evs...); !errors.Is(err, bus.ErrDenied) {
				return err
			}
			return nil
		}}),
	},
	{
		name: "tells the password", found: []string{"Denied"},
		spoil: oddly(odd{tail: func(ctx context.Context, b bus.Bus, t bus.Tail) (bus.Feed, error) {
			f, err := b.Tail(ctx, t)
			if errors.Is(err, bus.ErrDenied) {
				err = fmt.Errorf("mem://user:wr0ng-secret@host: %w", err)
			}
			return f, err
		}}),
	},
	{
		name: "calls everything a broken wire", found: []string{"Denied", "Broken"},
		spoil: oddly(odd{publish: func(ctx context.Context, b bus.Bus, evs []event.Event) error {
			if err := b.Publish(ctx, evs...); err != nil {
				return fmt.Errorf("%w: %w", bus.ErrDisconnected, err)
			}
			return nil
		}}),
	},
	{
		name: "calls a refusal an acceptance", found: []string{"Broken"},
		spoil: oddly(odd{publish: func(ctx context.Context, b bus.Bus, evs []event.Event) error {
			b.Publish(ctx, evs...)
			return nil
		}}),
	},
}

func oneByOne(ctx context.Context, b bus.Bus, evs []event.Event) error {
	for _, ev := range evs {
		if err := b.Publish(ctx, ev); err != nil {
			return err
		}
	}
	if len(evs) == 0 {
		return b.Publish(ctx)
	}
	return nil
}
