package couchdb

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"

	"github.com/earshot-go/earshot/bus"
)

// pageRows is how many changes are asked for at a time, where that is said at all.
const pageRows = 500

// A reading is the state of the goroutine that reads for a feed.
type reading struct {
	f   *feed
	pos position // after what was sent to Next last
	// fresh: nothing was delivered yet since the feed was opened at no token, and the horizon is when that was.
	fresh bool
	end   seq // where the stream ended when the feed was opened
	rest  int // how many changes there were up to the end; -1: unknown, or end is a number
	// checked: that the database is the one of the position was seen after the first change had come. It may have been
	// made anew between Tail and the request that reads.
	checked bool

	missed uint64 // deletions that are news, and were not reported yet
	latest string // the latest time of them
}

// run reads until the feed ends.
func (f *feed) run(r *reading) {
	defer close(f.items)
	defer f.asked()
	err := r.read()
	if f.ctx.Err() == nil {
		f.err = err
	}
}

// read returns what the last Next is to return.
func (r *reading) read() error {
	if !r.fresh {
		r.f.asked() // the server has seen the token, and this may take long
		if err := r.scan(); err != nil {
			return err
		}
	}
	if !r.f.past {
		return r.follow()
	}
	r.f.asked()
	if r.pos.seq != r.end {
		if err := r.pages(true, r.take); err != nil {
			return err
		}
	}
	if err := r.report(); err != nil {
		return err
	}
	return io.EOF
}

// scan looks for deletions since the token, because a gap is to be reported before what is behind it, and deletions come
// last in _changes.
func (r *reading) scan() error {
	err := r.pages(false, func(c row) error {
		if c.Deleted {
			r.deletion(c.ID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.report()
}

// pages reads up to the end that the stream had when the feed was opened.
func (r *reading) pages(docs bool, each func(row) error) error {
	end, numbers := r.end.number()
	since, rest := r.pos.seq, r.rest
	for {
		p, err := r.f.b.server.page(r.f.ctx, since, pageRows, docs, func(c row) error {
			at, isNumber := parseSeq(c.Seq).number()
			switch {
			case numbers && isNumber && at.Cmp(end) > 0, rest == 0:
				return errStop
			case rest > 0:
				rest--
			}
			return each(c)
		})
		switch {
		case errors.Is(err, errStop):
			return nil
		case err != nil:
			return err
		case rest == 0, p.pending == 0, p.rows == 0, p.pending < 0 && p.rows < pageRows, p.last == since:
			return nil
		}
		since = p.last
	}
}

// follow reads a continuous feed from the position on, the backlog included.
func (r *reading) follow() error {
	b := r.f.b
	q := url.Values{
		"feed": {"continuous"}, "include_docs": {"true"}, "since": {string(r.pos.seq)},
		"heartbeat": {strconv.FormatInt(max(1, b.heartbeat.Milliseconds()), 10)},
	}
	ctx := httptrace.WithClientTrace(r.f.ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { r.f.asked() }})
	body, cancel, err := b.server.changes(ctx, &b.server.feeds, q, 3*b.heartbeat)
	if err != nil {
		return err
	}
	defer cancel()
	in := &lines{r: bufio.NewReaderSize(body, 64<<10), max: rowBytes}
	for {
		line, err := in.next()
		switch {
		case errors.Is(err, errLongLine):
			b.garbage.Add(1)
			continue
		case errors.Is(err, io.EOF):
			return r.ended()
		case err != nil:
			return err
		}
		if len(line) == 0 { // a heartbeat: all that was to be said has been
			if err := r.report(); err != nil {
				return err
			}
			continue
		}
		var c row
		if err := json.Unmarshal(line, &c); err != nil {
			if line[0] != '{' {
				return fmt.Errorf("%w: the feed brings something else than changes: %s", bus.ErrDisconnected, short(line))
			}
			b.garbage.Add(1) // a document that was too much for the decoder
			continue
		}
		if c.LastSeq != nil {
			return r.ended()
		}
		if err := r.take(c); err != nil {
			return err
		}
	}
}

// ended says why the server has ended a feed without end: because the database was deleted, or for reasons of its own.
func (r *reading) ended() error {
	if err := r.f.sameEpoch(); err != nil {
		return err
	}
	return fmt.Errorf("%w: the server has ended the feed", bus.ErrDisconnected)
}

// take sends the event of a change.
func (r *reading) take(c row) error {
	at := parseSeq(c.Seq)
	switch {
	case at == "" || c.ID == "":
		r.f.b.garbage.Add(1)
		return nil
	case !r.checked:
		if err := r.f.sameEpoch(); err != nil {
			return err
		}
		r.checked = true
		return r.take(c)
	case strings.HasPrefix(c.ID, "_design/"):
		return nil
	case c.Deleted:
		r.deletion(c.ID)
		return nil
	}
	ev, ok := parseDoc(c.Doc)
	if !ok {
		r.f.b.garbage.Add(1)
		return nil
	}
	if r.pos.at != "" && timeText(ev.Time) < r.pos.at {
		return nil
	}
	if err := r.report(); err != nil {
		return err
	}
	r.advance(timeOf(c.ID))
	r.pos.seq = at
	return r.send(item{d: bus.Delivery{Event: ev, Token: r.pos.token(r.f.epoch)}, pos: r.pos})
}

// advance moves the horizon to the time of an event that Next is told of.
func (r *reading) advance(to string) {
	if r.fresh || to > r.pos.horizon {
		r.pos.horizon, r.fresh = to, false
	}
}

// deletion counts the deletion of an event that was not delivered.
func (r *reading) deletion(id string) {
	if at := timeOf(id); at > r.pos.horizon && at > r.f.started {
		r.missed++
		r.latest = max(r.latest, at)
	}
}

// report sends the gap of the deletions since the last one.
func (r *reading) report() error {
	if r.missed == 0 {
		return nil
	}
	gap := &bus.GapError{After: r.pos.token(r.f.epoch), Missed: r.missed, Reason: "their documents have been deleted"}
	r.advance(r.latest) // the next event's token is behind the gap
	r.missed, r.latest = 0, ""
	return r.send(item{gap: gap})
}

func (r *reading) send(it item) error {
	select {
	case r.f.items <- it:
		return nil
	case <-r.f.ctx.Done():
		return context.Cause(r.f.ctx)
	}
}
