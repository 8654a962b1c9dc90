package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/earshot-go/earshot/bus"
	client "github.com/redis/go-redis/v9"
)

// A read brings this much, about: as many entries as make wantBytes, by the size of those before.
const (
	wantBytes   = 1 << 20
	wantEntries = 512
	// The entries that come may be larger than those before, all of them: a reply is held to this many bytes even
	// if each has BusOptions.MaxBytes.
	mostBytes = 64 << 20
)

// A feed has a goroutine that reads one batch ahead of Next.
type feed struct {
	bus     *Bus
	wire    *wire
	epoch   string
	past    bool
	limit   id            // with past: the last entry
	batches chan []item   // closed by run, after err is set
	err     error         // why run has ended
	closed  chan struct{} // by Close
	ended   chan struct{} // by run
	once    sync.Once

	// These belong to run.
	first   []item // before anything is read
	reached mark
	size    int // of an entry, on average

	mu    sync.Mutex // guards the fields below
	batch []item
	token bus.Token
}

// An item is what Next returns.
type item struct {
	bus.Delivery
	gap *bus.GapError
}

// Next waits for the next event. When ctx ends the feed stays as it was. It is called by one goroutine at a time.
func (f *feed) Next(ctx context.Context) (bus.Delivery, error) {
	for {
		select {
		case <-f.closed:
			return bus.Delivery{}, f.over(bus.ErrClosed)
		case <-f.bus.life.Done():
			return bus.Delivery{}, f.over(bus.ErrClosed)
		case <-ctx.Done():
			return bus.Delivery{}, f.over(context.Cause(ctx))
		default:
		}
		if d, err, ok := f.pop(); ok {
			return d, err
		}
		select {
		case batch, ok := <-f.batches:
			if !ok {
				return bus.Delivery{}, f.why()
			}
			f.mu.Lock()
			f.batch = batch
			f.mu.Unlock()
		case <-ctx.Done():
		case <-f.closed:
		}
	}
}

// pop takes what comes next from the batch.
func (f *feed) pop() (bus.Delivery, error, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.batch) == 0 {
		return bus.Delivery{}, nil, false
	}
	next := f.batch[0]
	f.batch[0] = item{} // it may be the last that holds the reply in memory
	f.batch = f.batch[1:]
	if next.gap != nil {
		return bus.Delivery{}, next.gap, true // the token stays before it, until an event comes
	}
	f.token = next.Token
	return next.Delivery, nil, true
}

// why is what Next returns after the last batch.
func (f *feed) why() error {
	select {
	case <-f.closed:
		return f.over(bus.ErrClosed)
	default:
	}
	return f.err
}

func (f *feed) over(err error) error { return fmt.Errorf("redis: feed of %s: %w", f.bus, err) }

// Token returns the position after what Next returned last, or the one at which the feed began.
func (f *feed) Token() bus.Token {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.token
}

// Close ends the feed and closes its connection. It is idempotent.
func (f *feed) Close() error {
	f.once.Do(func() {
		close(f.closed)
		f.wire.cut()
	})
	<-f.ended
	return nil
}

// errPast is the end of a feed with Past. It is not io.EOF yet: that is also what a server says that goes away.
var errPast = errors.New("all that was there has been read")

// run reads until the feed ends.
func (f *feed) run() {
	defer f.bus.running.Done()
	defer close(f.ended)
	defer f.wire.drop()
	defer close(f.batches)
	items, err := f.first, error(nil)
	if f.past && !f.reached.id.less(f.limit) {
		err = errPast
	}
	for {
		if len(items) > 0 {
			select {
			case f.batches <- items:
			case <-f.closed:
				return
			case <-f.bus.life.Done():
				f.err = f.over(bus.ErrClosed)
				return
			}
		}
		if err != nil {
			if errors.Is(err, errLarge) {
				f.bus.narrow.Store(true)
			}
			if f.err = io.EOF; err != errPast {
				f.err = f.bus.failed(context.Background(), "feed of", err)
			}
			return
		}
		items, err = f.read()
	}
}

// read waits for entries and returns what they are. An error comes after the items.
func (f *feed) read() (items []item, err error) {
	ctx := context.Background()
	count := f.count()
	args := []any{"xread", "count", count}
	position := []any{"streams", f.bus.opts.Stream, f.reached.id.String()}
	p := f.wire.rdb.Pipeline()
	block := []any{"block", int64(f.bus.timing.beat / time.Millisecond)}
	switch {
	case f.reached.n == unknown:
		// Without a count, the state has to be of the very moment of the reading, and one entry more is read: it is
		// what the next reading has to begin with.
		if f.reached.from != 0 && !f.past {
			wait := append(append([]any{"xread", "count", 1}, block...), position...)
			if _, err := f.wire.ask(ctx, wait...); err != nil {
				return nil, err
			}
		}
		p = f.wire.rdb.TxPipeline()
		args[2] = count + 1
	case !f.past:
		args = append(args, block...)
	}
	entries := client.NewRawCmd(ctx, append(args, position...)...)
	// The state is asked for after the entries have been read, in the same breath. If the stream is still the one
	// that it was, so are they. A read that waits goes on through DEL, and through what comes after it.
	info := client.NewRawCmd(ctx, stateArgs(f.bus.opts.Stream)...)
	p.Process(ctx, entries)
	p.Process(ctx, info)
	if _, err := p.Exec(ctx); err != nil {
		return nil, err
	}
	s, err := parseState(info.Val())
	if err != nil {
		return nil, err
	}
	if s.epoch == "" {
		return nil, errGone
	}
	if s.epoch != f.epoch {
		return nil, fmt.Errorf("%w: the stream was made anew (epoch %s, now %s)", bus.ErrForeignToken, f.epoch, s.epoch)
	}
	list, err := parseEntries(entries.Val())
	if err != nil {
		return nil, err
	}
	return f.digest(list, s, count)
}

// digest makes items of entries, count at most.
func (f *feed) digest(list []entry, s state, count int) (items []item, err error) {
	var next id
	if len(list) > count {
		next = list[count].id
		list = list[:count]
	}
	ids := make([]id, len(list))
	bytes := 0
	for i, e := range list {
		ids[i] = e.id
		bytes += len(e.text)
	}
	if len(list) > 0 {
		f.size = bytes/len(list) + 64
	}
	from := f.reached
	var to mark
	var before, after gap
	if from.n == unknown {
		to, before = s.follow(from, ids, next)
	} else {
		to, before, after = s.account(from, ids)
	}
	f.reached = to
	if before.here {
		items = append(items, f.gap(from.token(f.epoch), before))
	}
	// The number of the last of these entries is that of to, unless something is missing after it.
	n := to.n
	if n != unknown {
		n -= int64(len(list)) + after.n
	}
	for i, e := range list {
		m := mark{id: e.id, n: unknown, next: next}
		if n != unknown {
			n++
			m = mark{id: e.id, n: n}
		} else if i+1 < len(list) {
			m.next = ids[i+1]
		}
		if f.past && f.limit.less(e.id) {
			return items, errPast
		}
		it := item{Delivery: bus.Delivery{Token: m.token(f.epoch)}}
		if e.text == nil || it.Event.UnmarshalJSON(e.text) != nil {
			f.bus.garbage.Add(1)
			continue
		}
		items = append(items, it)
	}
	if f.past && (len(list) == 0 || !to.id.less(f.limit)) {
		return items, errPast
	}
	if after.here {
		m := to
		if m.n != unknown {
			m.n -= after.n
		}
		items = append(items, f.gap(m.token(f.epoch), after))
	}
	return items, nil
}

// gap is the item that says that entries are missing after a position.
func (f *feed) gap(position bus.Token, g gap) item {
	reason := "the stream does not keep them any more"
	if keep := f.bus.opts.Keep; keep > 0 {
		reason = "the stream keeps about " + strconv.Itoa(keep) + " events"
	}
	if d := f.bus.opts.KeepFor; d > 0 {
		reason += " for " + d.String()
	}
	return item{gap: &bus.GapError{After: position, Missed: uint64(g.n), Reason: reason}}
}

// count is how many entries to ask for.
func (f *feed) count() int {
	largest := f.bus.opts.MaxBytes
	if largest == 0 {
		largest = maxBulk
	}
	want := 64
	if f.size > 0 {
		want = min(wantBytes/f.size, wantEntries)
	}
	if f.bus.narrow.Load() {
		want = 1
	}
	return max(min(want, mostBytes/largest), 1)
}

// An entry is one of the stream. text is nil if it is no event.
type entry struct {
	id   id
	text []byte
}

// parseEntries reads the answer to XREAD.
func parseEntries(reply []byte) ([]entry, error) {
	v, err := read(reply)
	if err != nil || v.null || len(v.list) == 0 {
		return nil, err
	}
	if len(v.list) != 1 || len(v.list[0].list) != 2 {
		return nil, errReply
	}
	found := v.list[0].list[1].list
	entries := make([]entry, len(found))
	for i, v := range found {
		var ok bool
		if len(v.list) != 2 {
			return nil, errReply
		}
		if entries[i].id, ok = parseID(v.list[0].text); !ok {
			return nil, errReply
		}
		if text, ok := v.list[1].get("e"); ok && text.text != nil {
			entries[i].text = text.text
		}
	}
	return entries, nil
}

var _ interface {
	bus.Feed
	bus.Positioned
} = (*feed)(nil)
