package couchdb

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

const (
	bulkDocs  = 1000    // documents in a request
	bulkBytes = 4 << 20 // and bytes, as soon as there is more than one document; CouchDB takes 64 MiB
)

// Publish implements bus.Bus. The events of one call go to _bulk_docs, at most 1000 or 4 MiB at a time, one request
// after the other. A server or proxy that finds a request too large gets it in halves.
func (b *Bus) Publish(ctx context.Context, events ...event.Event) error {
	done, err := b.begin()
	if err != nil {
		return fmt.Errorf("couchdb: publish: %w", err)
	}
	defer done()
	docs, err := b.encode(events)
	if err != nil {
		return fmt.Errorf("couchdb: publish: %w", err)
	}
	for {
		n, size := 0, 0
		for n < len(docs) && n < bulkDocs && (n == 0 || size+len(docs[n]) <= bulkBytes) {
			size += len(docs[n])
			n++
		}
		if err := b.bulk(ctx, docs[:n]); err != nil {
			return b.failed(ctx, "publish", err)
		}
		if docs = docs[n:]; len(docs) == 0 {
			return nil
		}
	}
}

// encode returns the documents of events, if all of them may go.
func (b *Bus) encode(events []event.Event) ([][]byte, error) {
	docs := make([][]byte, len(events))
	for i, ev := range events {
		doc, size, err := appendDoc(nil, ev)
		if err != nil {
			return nil, err
		}
		if size > b.maxBytes {
			return nil, fmt.Errorf("%w: event %.80q has %d bytes, the limit is %d", bus.ErrTooLarge, ev.ID, size, b.maxBytes)
		}
		docs[i] = doc
	}
	return docs, nil
}

// bulk stores documents in one request. None at all is a question: whether it may write here.
func (b *Bus) bulk(ctx context.Context, docs [][]byte) error {
	size := 16
	for _, doc := range docs {
		size += len(doc) + 1
	}
	body := append(make([]byte, 0, size), `{"docs":[`...)
	for i, doc := range docs {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, doc...)
	}
	body = append(body, `]}`...)

	status, text, err := b.post(ctx, body)
	if err == nil && status == http.StatusNotFound {
		if err = b.create(ctx); err == nil {
			status, text, err = b.post(ctx, body)
		}
	}
	switch {
	case err != nil:
		return err
	case status == http.StatusRequestEntityTooLarge && len(docs) > 1:
		half := len(docs) / 2
		if err := b.bulk(ctx, docs[:half]); err != nil {
			return err
		}
		return b.bulk(ctx, docs[half:])
	case status != http.StatusCreated && status != http.StatusAccepted:
		return refusal(status, text)
	}
	return stored(text, len(docs))
}

func (b *Bus) post(ctx context.Context, body []byte) (int, []byte, error) {
	ctx, cancel := b.during(ctx)
	defer cancel()
	return b.server.upload(ctx, http.MethodPost, "/_bulk_docs", body)
}

func (b *Bus) create(ctx context.Context) error {
	ctx, cancel := b.within(ctx)
	defer cancel()
	return b.server.create(ctx)
}

// A bulkRow says what has become of one document. CouchDB and PouchDB word their errors differently.
type bulkRow struct {
	ID     string
	Name   string
	Reason string
	Status int
	Error  json.RawMessage // a text; or true, and the text is Name
}

// stored reads the answer of _bulk_docs for n documents, which is a success whatever became of them.
func stored(text []byte, n int) error {
	var rows []bulkRow
	if err := decode(text, &rows); err != nil {
		return err
	}
	if len(rows) != n {
		return fmt.Errorf("%w: what answers is not CouchDB: %d answers for %d documents", bus.ErrDisconnected, len(rows), n)
	}
	var first error
	refused := 0
	for _, row := range rows {
		if err := row.err(); err != nil {
			if refused++; first == nil {
				first = err
			}
		}
	}
	if first == nil {
		return nil
	}
	return fmt.Errorf("%d of %d documents were refused, the first: %w", refused, n, first)
}

func (r bulkRow) err() error {
	what := r.Name
	switch string(r.Error) {
	case "", "null", "false":
		return nil
	default:
		var s string
		if json.Unmarshal(r.Error, &s) == nil {
			what = s
		}
	}
	err := fmt.Errorf("document %.80q: %.40q: %.200q", r.ID, what, r.Reason)
	switch {
	case what == "conflict" || r.Status == http.StatusConflict:
		return nil // the event has been published before
	case what == "unauthorized" || r.Status == http.StatusUnauthorized:
		return fmt.Errorf("%w: %w", bus.ErrDenied, err)
	case what == "too_large", what == "document_too_large", r.Status == http.StatusRequestEntityTooLarge:
		return fmt.Errorf("%w: %w", bus.ErrTooLarge, err)
	}
	return err
}
