package rethinkdb

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"gopkg.in/rethinkdb/rethinkdb-go.v6/ql2"

	"github.com/earshot-go/earshot/bus"
)

// A refusal is an error that the server has answered.
type refusal struct {
	kind ql2.Response_ErrorType
	text string
}

func (e *refusal) Error() string { return "rethinkdb: the server answers: " + e.text }

// Is gives what the server says its meaning on a bus.
func (e *refusal) Is(target error) bool {
	switch target {
	case bus.ErrDenied:
		return e.kind == ql2.Response_PERMISSION_ERROR
	case bus.ErrDisconnected:
		// Also a server that is there, but cannot reach the replicas that it needs.
		return e.kind == ql2.Response_OP_FAILED && strings.Contains(e.text, "not available") ||
			e.kind == ql2.Response_OP_INDETERMINATE || strings.HasPrefix(e.text, "Changefeed aborted")
	}
	return false
}

// err is the error in a reply.
func (rep reply) err() error {
	switch rep.Type {
	case ql2.Response_SUCCESS_ATOM, ql2.Response_SUCCESS_SEQUENCE, ql2.Response_SUCCESS_PARTIAL,
		ql2.Response_WAIT_COMPLETE, ql2.Response_SERVER_INFO:
		return nil
	}
	text := fmt.Sprintf("an error of type %d without a message", rep.Type)
	if len(rep.Rows) > 0 {
		if json.Unmarshal(rep.Rows[0], &text) != nil {
			text = string(rep.Rows[0])
		}
	}
	return &refusal{kind: rep.Kind, text: clip(text)}
}

// clip shortens a message: it may have a whole document in it.
func clip(text string) string {
	text, _, _ = strings.Cut(text, ":\n")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	return text
}

// Servers differ in the kind of these errors, and agree in the text.

func isMissing(err error) bool {
	return saysAbout(err, "Table", "does not exist") || isMissingDB(err)
}

func isMissingDB(err error) bool { return saysAbout(err, "Database", "does not exist") }

func isThere(err error) bool {
	return saysAbout(err, "Table", "already exists") || saysAbout(err, "Database", "already exists") ||
		saysAbout(err, "Index", "already exists")
}

func saysAbout(err error, thing, what string) bool {
	var e *refusal
	return errors.As(err, &e) && strings.HasPrefix(e.text, thing+" `") && strings.Contains(e.text, what)
}

// written is what the server answers to insert, update and delete.
type written struct {
	Inserted   int    `json:"inserted"`
	Deleted    int    `json:"deleted"`
	Skipped    int    `json:"skipped"`
	Errors     int    `json:"errors"`
	FirstError string `json:"first_error"`
}

func (w written) err() error {
	if w.Errors == 0 {
		return nil
	}
	e := &refusal{text: clip(w.FirstError)}
	if strings.Contains(w.FirstError, "not available") {
		e.kind = ql2.Response_OP_FAILED
	}
	return e
}
