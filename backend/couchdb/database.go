package couchdb

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/earshot-go/earshot/bus"
)

// epochDoc holds the epoch. Documents below _local have no place in _changes and are not replicated.
const epochDoc = "/_local/earshot"

var epochForm = regexp.MustCompile(`^[0-9A-Za-z]{8,64}$`)

// create makes the database. That somebody else has is as good.
func (s *server) create(ctx context.Context) error {
	status, text, err := s.do(ctx, http.MethodPut, "", nil)
	switch {
	case err != nil:
		return err
	case status == http.StatusCreated, status == http.StatusAccepted, status == http.StatusPreconditionFailed:
		return nil
	}
	return fmt.Errorf("the database is missing and cannot be created: %w", refusal(status, text))
}

// epochNow returns the epoch of the database, or "" if it has none or is not there.
func (s *server) epochNow(ctx context.Context) (string, error) {
	status, text, err := s.do(ctx, http.MethodGet, epochDoc, nil)
	switch {
	case err != nil:
		return "", err
	case status == http.StatusNotFound:
		return "", nil
	case status != http.StatusOK:
		return "", refusal(status, text)
	}
	var doc struct{ Epoch string }
	if err := decode(text, &doc); err != nil {
		return "", err
	}
	if !epochForm.MatchString(doc.Epoch) {
		return "", fmt.Errorf("the document %s has no epoch: %s; delete it to have a new one", epochDoc[1:], short(text))
	}
	return doc.Epoch, nil
}

// epoch returns the epoch of the database, which is made if need be, and the epoch too.
func (s *server) epoch(ctx context.Context) (string, error) {
	for range 4 { // others may make and delete it at the same time
		epoch, err := s.epochNow(ctx)
		if err != nil || epoch != "" {
			return epoch, err
		}
		body := fmt.Appendf(nil, `{"epoch":%q}`, rand.Text())
		status, text, err := s.do(ctx, http.MethodPut, epochDoc, body)
		switch {
		case err != nil:
			return "", err
		case status == http.StatusNotFound:
			if err := s.create(ctx); err != nil {
				return "", err
			}
		case status >= 300 && status != http.StatusConflict: // a conflict: somebody was first
			return "", refusal(status, text)
		}
		// Not what was written, but what is there: on a cluster two writers may both be told that they were first.
	}
	return "", errors.New("the database is deleted again and again")
}

// updateSeq returns the sequence of the last change.
func (s *server) updateSeq(ctx context.Context) (seq, error) {
	status, text, err := s.do(ctx, http.MethodGet, "", nil)
	if err != nil {
		return "", err
	}
	if status != http.StatusOK {
		return "", refusal(status, text)
	}
	var info struct {
		UpdateSeq json.RawMessage `json:"update_seq"`
	}
	if err := decode(text, &info); err != nil {
		return "", err
	}
	at := parseSeq(info.UpdateSeq)
	if at == "" {
		return "", fmt.Errorf("%w: what answers is not CouchDB: there is no update_seq in %s", bus.ErrDisconnected, short(text))
	}
	return at, nil
}
