package emitter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/earshot-go/earshot/bus"
)

// Timeline returns an iterator over the events that the engine has kept, from a position on and up to the moment
// at which the loop begins. Each event's Received.Token is the position after it. Of an error the loop is given
// the error, and ends, but for a *bus.GapError: there events are missing, and the loop goes on.
//
// It is independent of listeners, and blocks on the engine. Errors: ErrNoBus in memory, bus.ErrUnsupported for
// an engine without bus.Caps.Replay, those of bus.Bus.Tail, and the cause of ctx.
func (e *Emitter) Timeline(ctx context.Context, from bus.Position) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if e.link == nil {
			yield(Event{}, fmt.Errorf("emitter: timeline: %w keeps nothing; set Options.Bus", ErrNoBus))
			return
		}
		feed, err := e.link.bus.Tail(ctx, bus.Tail{From: from, Past: true})
		if err != nil {
			yield(Event{}, fmt.Errorf("emitter: timeline from %v: %w", from, err))
			return
		}
		defer feed.Close()
		var heard seen
		for {
			d, err := feed.Next(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			var gap *bus.GapError
			if errors.As(err, &gap) {
				if !yield(Event{}, gap) {
					return
				}
				continue
			}
			if err != nil {
				yield(Event{}, fmt.Errorf("emitter: timeline from %v: %w", from, err))
				return
			}
			if audible(&d.Event) && !heard.again(&d.Event) && !yield(received(&d), nil) {
				return
			}
		}
	}
}
