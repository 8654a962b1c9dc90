package nats

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot-go/earshot/bus"
)

// A feed reads a stream through a consumer of its own, which the server forgets with it. It asks for as many
// events as it has room for, so that a slow reader is waited for. The server does not say when it has removed
// events before the feed got to them: the feed sees it by their numbers.
type feed struct {
	bus      *Bus
	link     *link
	epoch    string
	filtered bool      // by a hint: numbers that are skipped need not be missing
	at       time.Time // of a feed from bus.At
	past     bool
	last     uint64 // of the stream when the feed was opened

	consumer string // "" if there was nothing to read
	inbox    string
	messages chan *natsgo.Msg // has room for all that was asked for
	sub      *natsgo.Subscription

	closing sync.Once
	closed  chan struct{}

	// What follows belongs to Next.
	lost     bus.Token // what Token returns after a gap, until an event comes: the position before it
	pos      uint64    // the last sequence that was delivered or is known not to concern the feed
	count    uint64    // of messages from the consumer, which numbers them
	credit   credit
	gap      *bus.GapError // to be reported first
	held     *natsgo.Msg   // after the gap
	verified int           // as many of the next messages, of any kind, came before retention was looked at last
	finished bool          // io.EOF is next
	failed   error
	timer    *time.Timer
}

var _ bus.Positioned = (*feed)(nil)

// Token returns the position after the event that Next returned last. It does not move over a gap until one comes.
func (f *feed) Token() bus.Token {
	if f.lost != "" {
		return f.lost
	}
	return f.position()
}

func (f *feed) position() bus.Token {
	return bus.MakeToken(engine, f.epoch, strconv.FormatUint(f.pos, 10))
}

// Next waits for the next event.
func (f *feed) Next(ctx context.Context) (bus.Delivery, error) {
	if f.failed != nil {
		return bus.Delivery{}, f.failed
	}
	for {
		d, ok, err := f.step(ctx)
		var gap *bus.GapError
		if err != nil && !errors.As(err, &gap) && (ctx.Err() == nil || !errors.Is(err, context.Cause(ctx))) {
			f.failed = err
		}
		if ok || err != nil {
			return d, err
		}
	}
}

// step handles one message. Without an event and an error there has to be another step.
func (f *feed) step(ctx context.Context) (d bus.Delivery, ok bool, err error) {
	select {
	case <-f.closed:
		return d, false, f.over()
	default:
	}
	if gap := f.gap; gap != nil {
		f.gap = nil
		return d, false, gap
	}
	m := f.held
	f.held = nil
	if m == nil {
		if f.finished {
			return d, false, io.EOF
		}
		if m, err = f.receive(ctx); err != nil {
			return d, false, err
		}
		f.verified = max(f.verified-1, 0)
		if m.Reply == "" {
			return d, false, f.status(ctx, m)
		}
	}
	meta, err := m.Metadata()
	if err != nil {
		f.bus.garbage.Add(1) // nobody but the server should know the inbox
		return d, false, nil
	}
	return f.deliver(ctx, m, meta)
}

func (f *feed) deliver(ctx context.Context, m *natsgo.Msg, meta *natsgo.MsgMetadata) (d bus.Delivery, ok bool, err error) {
	seq := meta.Sequence.Stream
	if meta.Sequence.Consumer != f.count { // else it was held, and counted before
		if meta.Sequence.Consumer != f.count+1 {
			return d, false, fmt.Errorf("nats: feed of %s: %w: message %d of the consumer came after %d", f.bus, bus.ErrDisconnected, meta.Sequence.Consumer, f.count)
		}
		to, end := seq-1, false
		if f.past && seq > f.last {
			to, end = f.last, true
		}
		if err := f.skip(ctx, to); err != nil {
			f.held = m // the context of this Next may have ended; that of the following one has not
			return d, false, err
		}
		f.count++
		f.finished = f.finished || end
		if end || seq <= f.pos {
			return d, false, nil
		}
		f.credit.delivered(meta.NumPending)
		if f.gap != nil {
			f.held = m
			return d, false, nil
		}
	}
	f.pos = seq
	if f.past && (seq == f.last || meta.NumPending == 0) {
		f.finished = true
	}
	if !f.at.IsZero() && meta.Timestamp.Before(f.at) {
		return d, false, nil // the time lies ahead of the server's clock
	}
	if err := d.Event.UnmarshalJSON(m.Data); err != nil || d.Event.Validate() != nil {
		f.bus.garbage.Add(1)
		return bus.Delivery{}, false, nil
	}
	f.lost = ""
	d.Token = f.position()
	return d, true, nil
}

// skip moves the position to a sequence without delivering what is in between, and notes a gap if that was
// removed from the stream.
func (f *feed) skip(ctx context.Context, to uint64) error {
	if to <= f.pos {
		return nil
	}
	if !f.filtered {
		f.miss(to-f.pos, "")
		f.pos = to
		return nil
	}
	// Numbers are skipped because of the hint, as a rule. Something may be missing only if the feed was behind,
	// so that retention could overtake it. The answer holds for all that has come until now.
	if !f.credit.head && f.verified == 0 {
		n := len(f.messages)
		info, err := do(ctx, f.bus, f.look, nil)
		if err != nil {
			return err
		}
		if max(info.State.FirstSeq, 1) > f.pos+1 {
			f.miss(0, kept(info.Config))
		} else if info.State.NumDeleted > 0 {
			// Some of what was skipped may have been one that the hint wants. A feed without the hint can tell, and
			// that is what the next one is.
			return fmt.Errorf("nats: feed of %s: %w: somebody removes single events from the stream, so that the feed has to be opened without its hint", f.bus, bus.ErrDisconnected)
		}
		f.verified = n + 1 // receive takes one off before it is looked at
	}
	f.pos = to
	return nil
}

// miss notes a gap after the present position.
func (f *feed) miss(n uint64, reason string) {
	if reason == "" {
		reason = "they were removed from the stream before the feed got to them"
	}
	if f.gap == nil {
		f.gap = &bus.GapError{After: f.position(), Missed: n, Reason: reason}
		if f.lost == "" {
			f.lost = f.gap.After
		}
	}
}

// receive waits for a message, and ends the feed when the server is silent for too long.
func (f *feed) receive(ctx context.Context) (*natsgo.Msg, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := f.request(); err != nil {
		return nil, err
	}
	select {
	case m := <-f.messages:
		return m, nil
	default:
	}
	patience := f.bus.timing.heartbeat * 5 / 2
	if f.timer == nil {
		f.timer = time.NewTimer(patience)
	} else {
		f.timer.Reset(patience)
	}
	defer f.timer.Stop()
	select {
	case m := <-f.messages:
		return m, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-f.closed:
		return nil, f.over()
	case <-f.bus.ctx.Done():
		return nil, f.over()
	case <-f.link.done:
		select {
		case m := <-f.messages: // came before the end
			return m, nil
		default:
			return nil, f.link.lost("read the feed of")
		}
	case <-f.timer.C:
		return nil, f.trouble(ctx, "no sign of life from the consumer")
	}
}

func (f *feed) over() error { return fmt.Errorf("nats: feed of %s: %w", f.bus, bus.ErrClosed) }

// trouble is the error of a feed whose consumer does not do its work any more.
func (f *feed) trouble(ctx context.Context, why string) error {
	short, stop := context.WithTimeout(ctx, f.bus.timing.dial/2)
	defer stop()
	_, err := do(short, f.bus, func(ctx context.Context) (*jetstream.StreamInfo, error) { return nil, f.same(ctx) }, nil)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil, short.Err() != nil:
		return fmt.Errorf("nats: feed of %s: %w: %s", f.bus, bus.ErrDisconnected, why)
	}
	return err
}

// Close ends the feed. It does not block; the server hears of it when that is possible.
func (f *feed) Close() error {
	f.closing.Do(func() {
		close(f.closed)
		f.bus.forget(f)
		if f.bus.enter() {
			go func() { // ends when the write has, whose time is limited
				defer f.bus.running.Done()
				f.release()
			}()
		}
	})
	return nil
}

// release gives back what the feed has on the server. Without it the server does so after a while.
func (f *feed) release() {
	if f.sub == nil {
		return
	}
	_ = f.sub.Unsubscribe()
	f.link.unmake(f.bus.opts.Stream, f.consumer, f.inbox)
	f.bus.orphan(f.consumer) // the wire may be dead
}

// unmake asks the server to remove a consumer. Nobody waits for the answer, but the server wants to have somewhere to
// send it.
func (l *link) unmake(stream, consumer, inbox string) {
	_ = l.nc.PublishRequest("$JS.API.CONSUMER.DELETE."+stream+"."+consumer, inbox, nil)
}
