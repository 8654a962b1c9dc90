package rethinkdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	r "gopkg.in/rethinkdb/rethinkdb-go.v6"
	"gopkg.in/rethinkdb/rethinkdb-go.v6/ql2"

	"github.com/earshot-go/earshot/bus"
)

// A feed that waits asks for its stream this often: the answer says that the wire is alive, and that the table
// is the one that it was. Variables for tests.
var (
	beatEvery  = 1500 * time.Millisecond
	beatAnswer = 2 * time.Second
)

// changes is an open changefeed of the table.
type changes struct {
	token uint64
	reply <-chan reply // of the request that is on its way
}

// A beat is the question that a waiting feed asks now and then.
type beat struct {
	last  time.Time    // when an answer came, or the feed began
	sent  time.Time    // when the question was asked that is on its way
	reply <-chan reply // nil if none is
}

// openChanges opens a changefeed. The server's queue for it holds 100000 changes.
func (f *feed) openChanges(ctx context.Context) (*changes, error) {
	query, err := start(f.b.table.Changes(r.ChangesOpts{Squash: false}))
	if err != nil {
		return nil, err
	}
	ch := &changes{token: f.c.newToken()}
	rep, err := f.c.roundTrip(ctx, ch.token, query)
	if err != nil {
		return nil, err
	}
	return ch, f.more(ctx, ch, rep)
}

// more takes the changes of a reply, and asks for the next at once, so that one reply is on its way while the
// other is worked on.
func (f *feed) more(ctx context.Context, ch *changes, rep reply) (err error) {
	if rep.Type != ql2.Response_SUCCESS_PARTIAL {
		return fmt.Errorf("rethinkdb: the changefeed has ended: %w", bus.ErrDisconnected)
	}
	ch.reply, err = f.c.ask(ctx, ch.token, queryContinue)
	f.asked = false
	for _, text := range rep.Rows {
		if err != nil {
			return err
		}
		if err = f.change(ctx, text); f.overran {
			f.live = nil
			return f.c.stop(ctx, ch.token)
		}
	}
	return err
}

// readLive waits for changes, and asks for the stream meanwhile.
func (f *feed) readLive(ctx context.Context) error {
	if f.beat.reply == nil && time.Since(f.beat.last) >= beatEvery {
		query, err := start(f.b.get())
		if err != nil {
			return err
		}
		if f.beat.reply, err = f.c.ask(ctx, f.c.newToken(), query); err != nil {
			return err
		}
		f.beat.sent = time.Now()
	}
	wait := beatEvery - time.Since(f.beat.last)
	if f.beat.reply != nil {
		wait = max(beatAnswer-time.Since(f.beat.sent), f.c.moves(beatAnswer))
	}
	timer := time.NewTimer(max(wait, 0))
	defer timer.Stop()
	select {
	case rep := <-f.live.reply:
		if err := rep.err(); err != nil {
			return f.aborted(ctx, err)
		}
		return f.more(ctx, f.live, rep)
	case rep := <-f.beat.reply:
		return f.answered(rep)
	case <-timer.C:
		if f.beat.reply == nil {
			return nil // time to ask
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-f.c.done:
		return f.c.failed()
	}
	// Next may not have been called for a while: then the answer lies here.
	select {
	case rep := <-f.beat.reply:
		return f.answered(rep)
	default:
	}
	if f.c.moves(beatAnswer) > 0 {
		return nil // a large reply comes before it
	}
	f.c.fail(lost("feed", fmt.Errorf("no answer in %v", beatAnswer)))
	return f.c.failed()
}

func (f *feed) answered(rep reply) error {
	f.beat.last, f.beat.reply = time.Now(), nil
	s, err := streamOf(rep)
	return s.same(f.epoch, err)
}

// aborted says why the server has ended a changefeed: the table is gone, or another one, or cannot be reached.
func (f *feed) aborted(ctx context.Context, why error) error {
	s, err := f.b.readStream(ctx, f.c)
	if err := s.same(f.epoch, err); errors.Is(err, bus.ErrForeignToken) {
		return err
	}
	return why
}

var skipped = regexp.MustCompile(`skipped (\d+) elements`)

// change takes one change: an insertion is an event.
func (f *feed) change(ctx context.Context, text json.RawMessage) error {
	var c struct {
		New   json.RawMessage `json:"new_val"`
		Old   json.RawMessage `json:"old_val"`
		Error string          `json:"error"`
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return lost("changefeed", err)
	}
	if c.Error != "" {
		return f.overrun(c.Error)
	}
	if isNull(c.New) || !isNull(c.Old) {
		return nil // deleted, or changed by somebody
	}
	w := readRow(c.New)
	if w.id == streamID {
		return nil
	}
	impossible, err := f.impossible(ctx, w.at.us)
	switch {
	case err != nil:
		return err
	case impossible:
		f.b.garbage.Add(1) // without a ts, or with an impossible one, it is in no order
		return nil
	case f.seen.has(w.at.hash), w.at.us < f.from:
		return nil
	}
	f.seen.pass(w.at.us)
	f.queue = append(f.queue, item{row: w})
	return nil
}

func isNull(v json.RawMessage) bool { return len(v) == 0 || v[0] == 'n' }

// overrun is what happens when the server has thrown changes away because the feed was slow. Where they are kept,
// they are read from the table.
func (f *feed) overrun(text string) error {
	m := skipped.FindStringSubmatch(text)
	if m == nil {
		return lost("changefeed", errors.New(clip(text)))
	}
	if f.b.NoPersist {
		missed, _ := strconv.ParseUint(m[1], 10, 64)
		f.queue = append(f.queue, item{gap: &bus.GapError{Missed: missed, Reason: "the feed was read too slowly: " + clip(text)}})
		return nil
	}
	f.overran = true
	return nil
}
