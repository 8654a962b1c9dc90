package bustest_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/bus/bustest"
	"github.com/earshot-go/earshot/event"
)

// The suite finds each of these faults of an engine with a wire.
func TestFaultsFindFaults(t *testing.T) {
	var tries []try
	for _, c := range faultsOfWire {
		for _, name := range c.found {
			tries = append(tries, try{c.name, name, func(t testing.TB) bustest.Stream {
				s := wireStream(t)
				if c.forgets {
					restart := s.Restart
					s.Restart = func(t testing.TB) {
						restart(t)
						s.Recreate(t)
					}
				}
				open := s.Open
				s.Open = func(t testing.TB, via string) bus.Bus {
					b := open(t, via)
					if via == "" || c.spoil == nil {
						return b
					}
					return c.spoil(b.(*wireBus))
				}
				return s
			}})
		}
	}
	found(t, tries)
}

// A wireFault is a fault of the clients behind the proxy, or of the server.
type wireFault struct {
	name    string
	found   []string
	forgets bool // the server has nothing left after a restart
	spoil   func(b *wireBus) bus.Bus
}

var faultsOfWire = []wireFault{
	{
		name: "connects when it is opened", found: []string{"AbsentThenPresent"},
		spoil: func(b *wireBus) bus.Bus {
			if c, err := net.Dial("tcp", b.addr); err == nil {
				c.Write([]byte("{}\n"))
				c.Read(make([]byte, 1)) // until the proxy has met the server
				c.Close()
			}
			return b
		},
	},
	{
		name: "listens to a dead wire for ever", found: []string{"FreezeEndsInErrDisconnected"},
		spoil: func(b *wireBus) bus.Bus { b.beat = time.Hour; return b },
	},
	{
		name: "waits for an answer for ever", found: []string{"FreezeEndsInErrDisconnected"},
		spoil: func(b *wireBus) bus.Bus { b.answer = time.Hour; return b },
	},
	{
		name: "waits for an answer no time", found: []string{"Delayed"},
		spoil: func(b *wireBus) bus.Bus { b.answer = 20 * time.Millisecond; return b },
	},
	{
		name: "takes what is there for a line", found: []string{"OneByteAtATime"},
		spoil: func(b *wireBus) bus.Bus {
			b.split = func(data []byte, end bool) (int, []byte, error) {
				if n, line, err := bufio.ScanLines(data, end); n > 0 || err != nil || len(data) == 0 {
					return n, line, err
				}
				return len(data), data, nil
			}
			return b
		},
	},
	{
		name: "does not look at contexts", found: []string{"FrozenContextEnds"},
		spoil: func(b *wireBus) bus.Bus {
			return &odd{Bus: b, publish: func(ctx context.Context, b bus.Bus, evs []event.Event) error {
				return b.Publish(context.WithoutCancel(ctx), evs...)
			}}
		},
	},
	{
		name: "has errors of its own", found: []string{"CutWhileIdle", "AbsentThenPresent", "FreezeEndsInErrDisconnected"},
		spoil: func(b *wireBus) bus.Bus {
			return &odd{Bus: b, publish: func(ctx context.Context, b bus.Bus, evs []event.Event) error {
				if err := b.Publish(ctx, evs...); err != nil {
					return errors.New(err.Error())
				}
				return nil
			}}
		},
	},
	{
		name: "takes the end of a wire for the end of the stream", found: []string{"HalfClosed", "CutWhileIdle"},
		spoil: func(b *wireBus) bus.Bus {
			return &odd{Bus: b, next: failing(func(_ *oddFeed, err error) error {
				if errors.Is(err, bus.ErrDisconnected) {
					return io.EOF
				}
				return err
			})}
		},
	},
	{
		name: "rests after trouble", found: []string{"MendedAtOnce", "CutWhileIdle"},
		spoil: func(b *wireBus) bus.Bus {
			var until atomic.Int64
			return &odd{Bus: b, publish: func(ctx context.Context, b bus.Bus, evs []event.Event) error {
				if time.Now().UnixNano() < until.Load() {
					return bus.ErrDisconnected
				}
				err := b.Publish(ctx, evs...)
				if errors.Is(err, bus.ErrDisconnected) {
					until.Store(time.Now().Add(3 * time.Second).UnixNano())
				}
				return err
			}}
		},
	},
	{
		name: "fails once for each connection that it had", found: []string{"MendedAtOnce"},
		spoil: func(b *wireBus) bus.Bus {
			var stale atomic.Int64
			return &odd{Bus: b, publish: func(ctx context.Context, b bus.Bus, evs []event.Event) error {
				if stale.Add(-1) >= 0 {
					return bus.ErrDisconnected
				}
				err := b.Publish(ctx, evs...)
				if errors.Is(err, bus.ErrDisconnected) {
					stale.Store(4)
				}
				return err
			}}
		},
	},
	{
		name: "opens feeds again by itself, at Now", found: []string{"NoLossAcrossCut", "CutDuringTail"},
		spoil: func(b *wireBus) bus.Bus {
			return &odd{Bus: b, next: func(ctx context.Context, f *oddFeed) (bus.Delivery, error) {
				for {
					d, err := f.Feed.Next(ctx)
					if !errors.Is(err, bus.ErrDisconnected) {
						return d, err
					}
					for err != nil && ctx.Err() == nil && !errors.Is(err, bus.ErrClosed) {
						var again bus.Feed
						if again, err = b.Tail(ctx, bus.Tail{}); err == nil {
							f.Feed.Close()
							f.Feed = again
						}
					}
					if err != nil {
						return d, err
					}
				}
			}}
		},
	},
	{
		name: "connects again by itself", found: []string{"CutWhileIdle"},
		spoil: func(b *wireBus) bus.Bus {
			return &odd{Bus: b, publish: func(ctx context.Context, b bus.Bus, evs []event.Event) error {
				err := b.Publish(ctx, evs...)
				if errors.Is(err, bus.ErrDisconnected) {
					time.AfterFunc(200*time.Millisecond, func() { b.Publish(context.Background()) })
				}
				return err
			}}
		},
	},
	{
		name: "accepts what it has sent", found: []string{"CutDuringPublish", "CutAgainAndAgain", "CutWhileIdle"},
		spoil: func(b *wireBus) bus.Bus {
			return &odd{Bus: b, publish: func(ctx context.Context, b bus.Bus, evs []event.Event) error {
				if err := b.Publish(ctx, evs...); !errors.Is(err, bus.ErrDisconnected) {
					return err
				}
				return nil
			}}
		},
	},
	{
		name: "skips what makes no sense", found: []string{"GarbageIsAnError"},
		spoil: func(b *wireBus) bus.Bus {
			return &odd{Bus: b, publish: func(ctx context.Context, b bus.Bus, evs []event.Event) error {
				err := b.Publish(ctx, evs...)
				if err != nil && (strings.Contains(err.Error(), "invalid character") || errors.Is(err, bus.ErrDisconnected)) {
					return nil
				}
				return err
			}}
		},
	},
	{
		name: "is polite when it closes", found: []string{"CloseWhileFrozen"},
		spoil: func(b *wireBus) bus.Bus {
			return &odd{Bus: b, close: func(_ context.Context, b bus.Bus) error {
				ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
				defer cancel()
				b.Publish(ctx)
				b.Publish(ctx)
				return b.Close(ctx)
			}}
		},
	},
	{
		name: "forgets what it has accepted", found: []string{"RestartKeepsAccepted", "ResumeAfterServerRestart"},
		forgets: true,
	},
}
