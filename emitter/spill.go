package emitter

import (
	"context"

	"github.com/earshot-go/earshot/event"
)

// A Spill holds events that do not fit the buffer, first in, first out, and longer than the process lives: what is
// left in it is sent when an emitter is made with it the next time. It belongs to one emitter. backend/sqlite has
// one. While an engine that hangs keeps a Publish, for some seconds, nothing is moved into it, and Emit waits if the
// buffer is full.
type Spill interface {
	// Push appends events. When it has returned nil they are on disk.
	Push(ctx context.Context, events ...event.Event) error
	// Peek returns the oldest events, up to max of them.
	Peek(ctx context.Context, max int) ([]event.Event, error)
	// Drop removes the n oldest.
	Drop(ctx context.Context, n int) error
	// Len returns how many there are. It does not block.
	Len() int
}

// spillOver moves the oldest events from the buffer into the spill until that is at most half full. Order is kept
// as long as what is in the spill is sent first.
func (k *link) spillOver() {
	for k.spill != nil {
		if n, held := k.out.len(); n <= k.out.events/2 && held <= k.out.bytes/2 {
			return
		}
		batch := k.out.peek(batchEvents, batchBytes)
		err := k.spill.Push(k.ctx, batch...)
		k.out.spilling(err == nil)
		if err != nil {
			k.out.done(0)
			k.complain(&k.saidSpill, "spill", err)
			return
		}
		k.content(&k.saidSpill)
		k.out.done(len(batch))
	}
}

// front returns the events to send next, and whether they are the spill's.
func (k *link) front() (batch []event.Event, spilled bool, err error) {
	if k.spill != nil && k.spill.Len() > 0 {
		batch, err = k.spill.Peek(k.ctx, batchEvents)
		held := 0
		for i := range batch {
			if held += weight(&batch[i]); i > 0 && held > batchBytes {
				batch = batch[:i]
				break
			}
		}
		return batch, true, err
	}
	return k.out.peek(batchEvents, batchBytes), false, nil
}

// settle removes the n oldest of what front returned. It reports false if the spill could not.
func (k *link) settle(n int, spilled bool) bool {
	if !spilled {
		k.out.done(n)
	} else if n > 0 {
		if err := k.spill.Drop(k.ctx, n); err != nil {
			k.complain(&k.saidSpill, "spill", err)
			return false
		}
	}
	return true
}
