package tap

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap/filter"
	"github.com/earshot-go/earshot/tap/internal/payload"
)

// A Stream is a look at the events that pass a filter. It never slows senders down: what its reader
// does not take in time is shed, the oldest first, and counted.
//
// Records is for one goroutine at a time; the other methods are for many.
type Stream struct {
	tap    *earshot.Tap
	filter *filter.Filter
	limit  limiter
	every  sampler

	buf     []earshot.Heard
	next, n int
	lost    uint64 // shed, and not yet told with a record
	took    bool   // the last look found something
	more    bool   // step has stopped before it had looked at everything

	shown, filtered, left atomic.Uint64 // left out by rate and sampling
	closed                atomic.Bool
}

// Stats say what became of the events that a stream could have shown: at every moment
//
//	Seen = Shown + Filtered + Shed
type Stats struct {
	Seen     uint64 // events on the channels that the filter names
	Shown    uint64 // records that were handed out
	Filtered uint64 // that did not pass the rest of the filter
	Shed     uint64 // left out by rate or sampling, or because the reader was too slow
	Waiting  uint64 // not looked at, and not in Seen: yet, or when the stream ended
}

// Open opens a stream of what is sent on server s from now on and passes the filter, whose grammar is
// that of package [filter]; "" lets everything pass. A nil server means [earshot.Default]. Channels that
// the filter rejects by name stay as idle as they were; those it accepts become live.
//
//	orders, err := tap.Open(srv, "chan:orders.* amount>100")
//	if err != nil {
//		return err
//	}
//	defer orders.Close()
//	for rec := range orders.Records(ctx) {
//		fmt.Println(rec.Channel, rec.Event())
//	}
//
// The errors are [*filter.Error], with the place, and ErrServerClosed.
func Open(s *earshot.Server, text string) (*Stream, error) {
	f, err := filter.Parse(text)
	if err != nil {
		return nil, err
	}
	if s == nil {
		s = earshot.Default()
	}
	return open(s, f, 0)
}

// wireKey is what streams have in common that hear the same.
type wireKey struct {
	channels string
	capacity int
}

func open(s *earshot.Server, f *filter.Filter, capacity int) (*Stream, error) {
	t := s.Tap(context.Background(), &earshot.TapOptions{
		Key: wireKey{f.ChannelKey(), capacity}, Match: f.ChannelText, Capacity: capacity,
	})
	if err := t.Err(); err != nil {
		return nil, fmt.Errorf("tap: %w", err)
	}
	st := &Stream{tap: t, filter: f, buf: make([]earshot.Heard, 256)}
	if n, per, ok := f.Rate(); ok {
		st.limit = newLimiter(n, per)
	}
	if keep, of, ok := f.Sample(); ok {
		st.every = sampler{keep: uint64(keep), of: uint64(of)}
	}
	return st, nil
}

// Records returns an iterator over the records to come. It waits for them, and ends when ctx ends or the
// stream does: by Close, or with the server. It may be called again after the loop was left.
func (t *Stream) Records(ctx context.Context) iter.Seq[Record] {
	return func(yield func(Record) bool) {
		for {
			for ctx.Err() == nil {
				rec, ok := t.step()
				if !ok {
					break
				}
				if !yield(rec) {
					return
				}
			}
			if !t.wait(ctx) {
				return
			}
		}
	}
}

// step returns the next record, if there is one now.
func (t *Stream) step() (rec Record, ok bool) {
	filtered, left := uint64(0), uint64(0)
	defer func() { t.filtered.Add(filtered); t.left.Add(left) }()
	var began time.Time
	for looked := 0; looked < batch && !t.closed.Load(); looked++ {
		// A filter may search every byte of every event, and others wait for their turn.
		if looked%16 == 15 {
			if now := time.Now(); began.IsZero() {
				began = now
			} else if now.Sub(began) > turn {
				break
			}
		}
		if t.next == t.n {
			clear(t.buf[:t.n]) // what has been looked at is not kept alive
			var missed uint64
			t.next = 0
			t.n, missed = t.tap.Take(t.buf)
			t.lost += missed
			if t.n == 0 {
				t.more = false
				return rec, false
			}
			t.took = true
		}
		h := t.buf[t.next]
		t.next++
		v := h.Value()
		switch {
		case !t.filter.Match(v):
			filtered++
		case !t.every.pass() || !t.limit.pass(h.Time()):
			left++
			t.lost++
		default:
			rec = Record{Channel: h.Channel(), Seq: h.Seq(), Time: h.Time(), Missed: t.lost, heard: h, value: v}
			t.lost = 0
			t.shown.Add(1)
			return rec, true
		}
	}
	t.more = !t.closed.Load()
	return rec, false
}

// batch is how many events are looked at before a stream looks around: for the end of its context, the
// time, its other duties.
const batch = 4096

// turn is how long it may take to look at them.
const turn = 2 * time.Millisecond

// pause is how long a busy stream stays away between two looks. Looking all the time would take the
// senders' cache line from them event by event.
const pause = 5 * time.Millisecond

// wait waits until there may be another record. It reports false when ctx or the stream has ended.
func (t *Stream) wait(ctx context.Context) bool {
	if ctx.Err() != nil || t.ended() {
		return false
	}
	ready, after := t.ready(t.more)
	if after != nil {
		defer after.Stop()
		select {
		case <-after.C:
		case <-ctx.Done():
		}
		return true
	}
	select {
	case <-ready:
	case <-ctx.Done():
	}
	return true
}

// ready returns what to wait for when step has found nothing: nothing if there is more to look at, a moment if
// there was something just now, for the sake of whoever sends, or the tap's signal.
func (t *Stream) ready(more bool) (<-chan struct{}, *time.Timer) {
	if more {
		return atOnce, nil
	}
	if t.took {
		t.took = false
		return nil, time.NewTimer(pause)
	}
	return t.tap.Ready(), nil
}

var atOnce = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// ended reports whether nothing will come any more.
func (t *Stream) ended() bool {
	select {
	case <-t.tap.Done():
		return t.closed.Load() || t.next == t.n
	default:
		return false
	}
}

// Stats returns the counters. They may be read at any time, and stay after Close.
func (t *Stream) Stats() Stats {
	// The parts first: what is shown meanwhile is in hand then, for this look.
	shown, filtered, left := t.shown.Load(), t.filtered.Load(), t.left.Load()
	st := t.tap.Stats()
	s := Stats{Shown: shown, Filtered: filtered, Shed: left + st.Missed}
	inHand := st.Received - shown - filtered - left
	s.Waiting = uint64(st.Depth) + st.Discarded + inHand
	s.Seen = s.Shown + s.Filtered + s.Shed
	return s
}

// Close ends the stream and what it costs. It is idempotent, does
// not wait, and returns nil.
func (t *Stream) Close() error {
	t.closed.Store(true)
	return t.tap.Close()
}

// Err returns nil while the stream lives, then why it ended: [earshot.ErrClosed] or
// [earshot.ErrServerClosed].
func (t *Stream) Err() error { return t.tap.Err() }

// A Record is an event that a stream shows.
type Record struct {
	Channel any       // its name
	Seq     uint64    // the event's number among its channel's since that came to life, from 1
	Time    time.Time // when it was sent; see [earshot.Heard.Time]
	Missed  uint64    // how many were shed just before it

	heard earshot.Heard
	value reflect.Value
}

// Event returns the event as it was sent. Do not change what it refers to.
func (r Record) Event() any {
	if !r.value.IsValid() {
		return nil
	}
	return r.heard.Event()
}

// Value returns the event in place, which saves boxing it; the zero Value for a nil event.
func (r Record) Value() reflect.Value { return r.value }

// Type returns the event's type, nil for a nil event.
func (r Record) Type() reflect.Type {
	if !r.value.IsValid() {
		return nil
	}
	return r.value.Type()
}

var plain payload.Encoder

// MarshalJSON returns the record as the page's stream sends it to those who may see payloads: secrets
// masked, long values cut, never with an error.
func (r Record) MarshalJSON() ([]byte, error) { return r.append(nil, &plain), nil }
