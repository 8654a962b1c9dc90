package bustest_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/bustest"
	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/event"
)

// An odd bus is a right one with a fault. What is nil works as it should.
type odd struct {
	bus.Bus
	caps    func(c bus.Caps) bus.Caps
	publish func(ctx context.Context, b bus.Bus, evs []event.Event) error
	tail    func(ctx context.Context, b bus.Bus, t bus.Tail) (bus.Feed, error)
	next    func(ctx context.Context, f *oddFeed) (bus.Delivery, error)
	token   func(t bus.Token) bus.Token
	close   func(ctx context.Context, b bus.Bus) error
	// closeFeed ends a feed; the bus's own is ended as well when it returns true.
	closeFeed func(f *oddFeed) bool
}

// An oddFeed is a feed of an odd bus.
type oddFeed struct {
	bus.Feed
	odd  *odd
	tail bus.Tail
	n    int // calls of Next
	kept []bus.Delivery
}

func (o *odd) Caps() bus.Caps {
	if o.caps != nil {
		return o.caps(o.Bus.Caps())
	}
	return o.Bus.Caps()
}

func (o *odd) Publish(ctx context.Context, evs ...event.Event) error {
	if o.publish != nil {
		return o.publish(ctx, o.Bus, evs)
	}
	return o.Bus.Publish(ctx, evs...)
}

func (o *odd) Tail(ctx context.Context, t bus.Tail) (f bus.Feed, err error) {
	if o.tail != nil {
		f, err = o.tail(ctx, o.Bus, t)
	} else {
		f, err = o.Bus.Tail(ctx, t)
	}
	if err != nil {
		return nil, err
	}
	return &oddFeed{Feed: f, odd: o, tail: t}, nil
}

func (o *odd) Close(ctx context.Context) error {
	if o.close != nil {
		return o.close(ctx, o.Bus)
	}
	return o.Bus.Close(ctx)
}

func (f *oddFeed) Next(ctx context.Context) (bus.Delivery, error) {
	f.n++
	if f.odd.next != nil {
		return f.odd.next(ctx, f)
	}
	return f.Feed.Next(ctx)
}

func (f *oddFeed) Token() bus.Token {
	t := f.Feed.(bus.Positioned).Token()
	if f.odd.token != nil {
		return f.odd.token(t)
	}
	return t
}

func (f *oddFeed) Close() error {
	if f.odd.closeFeed != nil && !f.odd.closeFeed(f) {
		return nil
	}
	return f.Feed.Close()
}

// changed makes a next that changes what it delivers.
func changed(change func(f *oddFeed, d *bus.Delivery)) func(ctx context.Context, f *oddFeed) (bus.Delivery, error) {
	return func(ctx context.Context, f *oddFeed) (bus.Delivery, error) {
		d, err := f.Feed.Next(ctx)
		if err == nil {
			change(f, &d)
		}
		return d, err
	}
}

// failing makes a next that changes its errors.
func failing(change func(f *oddFeed, err error) error) func(ctx context.Context, f *oddFeed) (bus.Delivery, error) {
	return func(ctx context.Context, f *oddFeed) (bus.Delivery, error) {
		d, err := f.Feed.Next(ctx)
		if err != nil {
			err = change(f, err)
		}
		return d, err
	}
}

// memory is a stream in memory whose clients are made by spoil.
func memory(o membus.Options, spoil func(b bus.Bus) bus.Bus) func(t testing.TB) bustest.Stream {
	return func(t testing.TB) bustest.Stream {
		o := o
		o.Name = rand.Text()
		hold := membus.New(&o)
		t.Cleanup(func() { hold.Close(context.Background()) })
		buses := []*membus.Bus{hold}
		fresh := func() *membus.Bus {
			b := membus.New(&o)
			buses = append(buses, b)
			return b
		}
		fail := func(err error) {
			for _, b := range buses {
				b.Fail(err)
			}
		}
		return bustest.Stream{
			Open:     func(testing.TB, string) bus.Bus { return spoil(fresh()) },
			Recreate: func(testing.TB) { hold.Reset() },
			Trim:     func(_ testing.TB, keep int) { hold.Trim(keep) },
			Break: func(testing.TB) (mend func()) {
				fail(errors.New("the disk is full"))
				return func() { fail(nil) }
			},
			Deny: func(testing.TB) bus.Bus {
				b := fresh()
				b.Fail(bus.ErrDenied)
				return spoil(b)
			},
		}
	}
}
