package bustest_test

import (
	"context"
	"errors"
	"hash/fnv"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/membus"
)

// elsewhere is an engine that opens its feeds elsewhere than it was told.
func elsewhere(move func(t bus.Tail) bus.Tail) func(b bus.Bus) bus.Bus {
	return oddly(odd{tail: func(ctx context.Context, b bus.Bus, t bus.Tail) (bus.Feed, error) {
		moved := move(t)
		f, err := b.Tail(ctx, moved)
		if moved.From != t.From && errors.Is(err, bus.ErrForeignToken) { // moved too far
			return b.Tail(ctx, t)
		}
		return f, err
	}})
}

// moved is a token some events further.
func moved(p bus.Position, by int) bus.Position {
	token, ok := p.Token()
	i := strings.LastIndexByte(string(token), ':')
	n, err := strconv.Atoi(string(token)[i+1:])
	if !ok || err != nil || n+by < 0 {
		return p
	}
	return bus.After(token[:i+1] + bus.Token(strconv.Itoa(n+by)))
}

// A lazy feed is opened when it is read.
type lazy struct {
	bus.Feed
	open func(ctx context.Context) (bus.Feed, error)
}

func (l *lazy) Next(ctx context.Context) (d bus.Delivery, err error) {
	if l.Feed == nil {
		if l.Feed, err = l.open(ctx); err != nil {
			return d, err
		}
	}
	return l.Feed.Next(ctx)
}

func (l *lazy) Close() error { return nil }

var faultsOfTail = []fault{
	{
		name: "begins when it is read", found: []string{"TailNowSeesOnlyLater", "PublishThenTail"},
		spoil: oddly(odd{tail: func(ctx context.Context, b bus.Bus, t bus.Tail) (bus.Feed, error) {
			return &lazy{open: func(ctx context.Context) (bus.Feed, error) { return b.Tail(ctx, t) }}, nil
		}}),
	},
	{
		name: "takes Now for Start", found: []string{"TailNowSeesOnlyLater"},
		spoil: elsewhere(func(t bus.Tail) bus.Tail {
			if t.From.IsNow() {
				t.From = bus.Start
			}
			return t
		}),
	},
	{
		name: "takes Start for Now", found: []string{"TailStart", "PastEnds"},
		spoil: elsewhere(func(t bus.Tail) bus.Tail {
			if t.From.IsStart() {
				t.From = bus.Now
			}
			return t
		}),
	},
	{
		name: "takes At for Start", found: []string{"TailAtTime"},
		spoil: elsewhere(func(t bus.Tail) bus.Tail {
			if _, ok := t.From.Time(); ok {
				t.From = bus.Start
			}
			return t
		}),
	},
	{
		name: "takes At for Now", found: []string{"TailAtTime"},
		spoil: elsewhere(func(t bus.Tail) bus.Tail {
			if _, ok := t.From.Time(); ok {
				t.From = bus.Now
			}
			return t
		}),
	},
	{
		name: "has no end of the past", found: []string{"PastEnds", "PastOfEmptyStreamEnds"},
		spoil: oddly(odd{next: func(ctx context.Context, f *oddFeed) (bus.Delivery, error) {
			d, err := f.Feed.Next(ctx)
			if err == io.EOF {
				<-ctx.Done()
				err = context.Cause(ctx)
			}
			return d, err
		}}),
	},
	{
		name: "has no end of a past of nothing", found: []string{"PastOfEmptyStreamEnds"},
		spoil: oddly(odd{next: func(ctx context.Context, f *oddFeed) (bus.Delivery, error) {
			d, err := f.Feed.Next(ctx)
			if err == io.EOF && f.n == 1 {
				<-ctx.Done()
				err = context.Cause(ctx)
			}
			return d, err
		}}),
	},
	{
		name: "ends the past too early", found: []string{"PastEnds"},
		spoil: oddly(odd{next: func(ctx context.Context, f *oddFeed) (bus.Delivery, error) {
			if f.tail.Past && f.n == 10 {
				return bus.Delivery{}, io.EOF
			}
			return f.Feed.Next(ctx)
		}}),
	},
	{
		name: "ends the past when it is quiet", found: []string{"PastEnds"},
		spoil: oddly(odd{
			tail: func(ctx context.Context, b bus.Bus, t bus.Tail) (bus.Feed, error) {
				t.Past = false
				return b.Tail(ctx, t)
			},
			next: func(ctx context.Context, f *oddFeed) (bus.Delivery, error) {
				if !f.tail.Past {
					return f.Feed.Next(ctx)
				}
				short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
				defer cancel()
				d, err := f.Feed.Next(short)
				if err != nil && short.Err() != nil {
					err = io.EOF
				}
				return d, err
			},
		}),
	},
	{
		name: "does not know patterns", found: []string{"HintSupersetOnly"},
		spoil: elsewhere(func(t bus.Tail) bus.Tail {
			for _, hint := range t.Hint {
				if strings.Contains(hint, "*") {
					t.Hint = []string{"nothing"}
				}
			}
			return t
		}),
	},
	{
		name: "takes no hints for nothing", found: []string{"HintSupersetOnly"},
		spoil: elsewhere(func(t bus.Tail) bus.Tail {
			if t.Hint != nil && len(t.Hint) == 0 {
				t.Hint = []string{"nothing"}
			}
			return t
		}),
	},
	{
		name: "shares events among feeds", found: []string{"ManyFeeds", "TwoClients", "ConcurrentPublishersNoLoss"},
		spoil: func(b bus.Bus) bus.Bus {
			var feeds atomic.Uint32
			return &odd{Bus: b,
				tail: func(ctx context.Context, b bus.Bus, t bus.Tail) (bus.Feed, error) {
					f, err := b.Tail(ctx, t)
					if err != nil {
						return nil, err
					}
					return &half{f, feeds.Add(1) % 2}, nil
				},
			}
		},
	},
	{
		name: "drops what nobody reads", found: []string{"SlowConsumerBackpressure"}, opts: membus.Options{NoReplay: true, Keep: 100},
		spoil: oddly(odd{next: noGap}),
	},
	{
		name: "keeps too little for a slow feed", found: []string{"SlowConsumerBackpressure", "TailStart"}, opts: membus.Options{Keep: 10},
		spoil: oddly(odd{}),
	},
	{
		name: "has a stream for each client", found: []string{"TwoClients", "PublishThenTail"},
		spoil: func(b bus.Bus) bus.Bus {
			b.Close(context.Background())
			return membus.New(nil)
		},
	},
	{
		name: "claims replay without knowing places", found: []string{"TokenBeforeFirstEvent", "ResumeAfterToken"},
		spoil: oddly(odd{token: func(bus.Token) bus.Token { return "" }}),
	},
	{
		name: "lets in from everywhere without replay", found: []string{"WithoutReplay"}, opts: membus.Options{NoReplay: true},
		spoil: elsewhere(func(bus.Tail) bus.Tail { return bus.Tail{} }),
	},
	{
		name: "has tokens without replay", found: []string{"WithoutReplay", "PublishThenTail"}, opts: membus.Options{NoReplay: true},
		spoil: oddly(odd{next: changed(func(_ *oddFeed, d *bus.Delivery) { d.Token = "v1:mem:x:1" })}),
	},
	{
		name: "claims less than it does", found: []string{"WithoutReplay"},
		spoil: oddly(odd{caps: func(c bus.Caps) bus.Caps { c.Replay = false; return c }}),
	},
	{
		name: "goes round in circles", found: []string{"IdleFeedsRest"},
		spoil: oddly(odd{next: func(ctx context.Context, f *oddFeed) (bus.Delivery, error) {
			for {
				short, cancel := context.WithTimeout(ctx, 0)
				d, err := f.Feed.Next(short)
				cancel()
				if err == nil || ctx.Err() != nil || errors.Is(err, bus.ErrClosed) {
					return d, err
				}
			}
		}}),
	},
}

// A half feed has every second event: another one has the others.
type half struct {
	bus.Feed
	which uint32
}

func (h *half) Token() bus.Token { return h.Feed.(bus.Positioned).Token() }

func (h *half) Next(ctx context.Context) (bus.Delivery, error) {
	for {
		d, err := h.Feed.Next(ctx)
		hash := fnv.New32()
		io.WriteString(hash, d.Event.ID)
		if err != nil || hash.Sum32()%2 == h.which {
			return d, err
		}
	}
}

// noGap is a next that says nothing of gaps.
func noGap(ctx context.Context, f *oddFeed) (bus.Delivery, error) {
	for {
		d, err := f.Feed.Next(ctx)
		if !errors.As(err, new(*bus.GapError)) {
			return d, err
		}
	}
}
