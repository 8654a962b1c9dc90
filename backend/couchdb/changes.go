package couchdb

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/earshot-go/earshot/bus"
)

const (
	// rowBytes is how long a row of _changes may be: CouchDB's documents have 8 MB, if nobody has changed that. A
	// longer line is no event and is left out, up to lineBytes.
	rowBytes  = 32 << 20
	lineBytes = 512 << 20
)

// A row is one change: the newest of a document.
type row struct {
	Seq     json.RawMessage
	ID      string
	Deleted bool
	Doc     json.RawMessage

	LastSeq json.RawMessage `json:"last_seq"` // the end of a continuous feed
}

// errGone: the database is not there any more.
var errGone = fmt.Errorf("%w: the database has been deleted", bus.ErrForeignToken)

// changes asks for _changes. The context of the body is canceled when nothing has come for a while, headers included;
// the time that the caller takes between two reads does not count. cancel has to be called at the end.
func (s *server) changes(ctx context.Context, over *http.Client, q url.Values, silence time.Duration) (body io.Reader, cancel func(), err error) {
	ctx, stop := context.WithCancelCause(ctx)
	silent := time.AfterFunc(silence, func() {
		stop(fmt.Errorf("%w: nothing has come for %v", bus.ErrDisconnected, silence))
	})
	cancel = func() {
		silent.Stop()
		stop(nil)
	}
	answer, err := s.open(ctx, over, http.MethodGet, "/_changes?"+q.Encode(), nil, nil)
	if err != nil {
		cancel()
		return nil, nil, err
	}
	silent.Stop()
	cancel = func() {
		silent.Stop()
		stop(nil) // before Close, which would read on to keep the connection
		answer.Body.Close()
	}
	if answer.StatusCode == http.StatusOK {
		read := func(p []byte) (int, error) {
			silent.Reset(silence)
			n, err := answer.Body.Read(p)
			silent.Stop()
			if err != nil && err != io.EOF {
				err = s.broken(ctx, err)
			}
			return n, err
		}
		return reader(read), cancel, nil
	}
	defer cancel()
	silent.Reset(silence)
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	switch answer.StatusCode {
	case http.StatusNotFound:
		return nil, nil, errGone
	case http.StatusBadRequest:
		return nil, nil, fmt.Errorf("%w: the server does not know its sequence: %w", bus.ErrForeignToken, refusal(http.StatusBadRequest, text))
	}
	return nil, nil, refusal(answer.StatusCode, text)
}

// A reader is a Read.
type reader func([]byte) (int, error)

func (r reader) Read(p []byte) (int, error) { return r(p) }

// A page is some changes, without their rows.
type page struct {
	rows    int
	last    seq
	pending int // how many changes are behind it; -1 if the server does not tell
}

// page reads up to limit changes and calls each for every row, until that returns an error.
func (s *server) page(ctx context.Context, since seq, limit int, docs bool, each func(row) error) (page, error) {
	q := url.Values{"since": {string(since)}, "limit": {strconv.Itoa(limit)}}
	if docs {
		q.Set("include_docs", "true")
	}
	p := page{pending: -1}
	body, cancel, err := s.changes(ctx, &s.calls, q, s.timeout)
	if err != nil {
		return p, err
	}
	defer cancel()
	// A row at a time, so that a page takes no more memory than its longest one.
	left := &budget{r: body}
	d := json.NewDecoder(left)
	err = members(d, left, func(name string) error {
		switch name {
		case "results":
			return elements(d, func() error {
				left.bytes = rowBytes
				var r row
				if err := d.Decode(&r); err != nil {
					return err
				}
				p.rows++
				return each(r)
			})
		case "last_seq":
			var raw json.RawMessage
			err := d.Decode(&raw)
			p.last = parseSeq(raw)
			return err
		case "pending":
			return d.Decode(&p.pending)
		}
		var other json.RawMessage
		return d.Decode(&other)
	})
	if err == nil && p.last == "" {
		err = errors.New("there is no last_seq")
	}
	if err == nil || errors.Is(err, errStop) {
		return p, err
	}
	if ctx.Err() == nil && !errors.Is(err, bus.ErrDisconnected) {
		err = fmt.Errorf("%w: what answers is not CouchDB: %w", bus.ErrDisconnected, err)
	}
	return p, err
}

// members calls f for the value of each member of an object, which it has to read.
func members(d *json.Decoder, left *budget, f func(name string) error) error {
	left.bytes = rowBytes
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.Join(err, errors.New("no object"))
	}
	for d.More() {
		left.bytes = rowBytes
		t, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := t.(string)
		if err := f(name); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// elements calls f for each element of an array, which it has to read.
func elements(d *json.Decoder, f func() error) error {
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return errors.Join(err, errors.New("no array"))
	}
	for d.More() {
		if err := f(); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// A budget is a reader that gives so many bytes, until somebody sets it up again.
type budget struct {
	r     io.Reader
	bytes int
}

func (b *budget) Read(p []byte) (int, error) {
	if b.bytes <= 0 {
		return 0, fmt.Errorf("a row has more than %d bytes", rowBytes)
	}
	n, err := b.r.Read(p[:min(len(p), b.bytes)])
	b.bytes -= n
	return n, err
}

var (
	errLongLine = errors.New("the line is too long")
	errStop     = errors.New("enough")
)

// lines reads a continuous feed.
type lines struct {
	r   *bufio.Reader
	buf []byte
	max int
}

// next returns the next line without its end, which is valid until the next call; errLongLine in place of one that is
// longer than max, which has been skipped.
func (l *lines) next() ([]byte, error) {
	l.buf = l.buf[:0]
	skipped := 0
	for {
		part, err := l.r.ReadSlice('\n')
		switch {
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case skipped > lineBytes:
			return nil, fmt.Errorf("%w: a line of the feed does not end", bus.ErrDisconnected)
		case skipped > 0 || len(l.buf)+len(part) > l.max:
			skipped += len(l.buf) + len(part)
			l.buf = nil // it may have been large
			if err == nil {
				return nil, errLongLine
			}
		case err == nil && len(l.buf) == 0:
			return bytes.TrimSpace(part), nil
		default:
			l.buf = append(l.buf, part...)
			if err == nil {
				return bytes.TrimSpace(l.buf), nil
			}
		}
	}
}
