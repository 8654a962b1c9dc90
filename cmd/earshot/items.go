package main

import (
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/earshot-go/earshot/queue"
)

// An itemJSON is an item as --json writes it. The payload has three ways: as the JSON that it is, as text, or in base64.
type itemJSON struct {
	ID            string            `json:"id"`
	Queue         string            `json:"queue"`
	Name          string            `json:"name"`
	TID           string            `json:"tid"`
	State         queue.State       `json:"state"`
	Due           time.Time         `json:"due"`
	Until         *time.Time        `json:"until"`
	Created       time.Time         `json:"created"`
	Deliveries    int               `json:"deliveries"`
	Fails         int               `json:"fails"`
	MaxFails      *int              `json:"max_fails"` // null: it may fail for ever
	Priority      int8              `json:"priority"`
	Worker        string            `json:"worker"`
	Reason        string            `json:"reason"`
	Parent        string            `json:"parent"`
	Key           string            `json:"key"`
	Serial        string            `json:"serial"`
	Headers       map[string]string `json:"headers"`
	Size          int               `json:"size"`
	Payload       json.RawMessage   `json:"payload,omitempty"`
	PayloadText   string            `json:"payload_text,omitempty"`
	PayloadBase64 []byte            `json:"payload_base64,omitempty"`
}

func newItemJSON(r *queue.Record) itemJSON {
	it := itemJSON{
		ID: r.ID, Queue: r.Queue, Name: r.Name, TID: r.TID, State: r.State, Due: r.Due, Created: r.Created,
		Deliveries: r.Deliveries, Fails: r.Fails, Priority: r.Priority, Worker: r.Worker, Reason: r.Reason,
		Parent: r.Parent, Key: r.Key, Serial: r.Serial, Headers: r.Headers, Size: len(r.Payload),
	}
	if !r.Until.IsZero() {
		it.Until = &r.Until
	}
	if n := maxFails(r); n > 0 {
		it.MaxFails = &n
	}
	if it.Headers == nil {
		it.Headers = map[string]string{}
	}
	switch {
	case !utf8.Valid(r.Payload):
		it.PayloadBase64 = r.Payload
	case json.Valid(r.Payload):
		it.Payload = r.Payload
	default:
		it.PayloadText = string(r.Payload)
	}
	return it
}

// maxFails is how many fails make an item dead; negative: none do.
func maxFails(r *queue.Record) int {
	if r.MaxFails == 0 {
		return queue.DefaultMaxFails
	}
	return r.MaxFails
}

// moment writes when something is, seen from now: "in 5m", "3h ago".
func moment(at, now time.Time) string {
	if d := at.Sub(now); d >= time.Second {
		return "in " + short(d.Round(time.Second))
	}
	return age(now.Sub(at))
}

// fate says what an item waits for, or what has become of it.
func fate(r *queue.Record, now time.Time) string {
	switch {
	case r.State == queue.StateDead:
		return "died " + moment(r.Until, now)
	case r.State == queue.StatePending:
		return "due " + moment(r.Due, now)
	case r.Until.After(now):
		return "for " + short(r.Until.Sub(now).Round(time.Second)) + " more"
	}
	return "expired " + moment(r.Until, now)
}

// The cells of a table are what a page's JSON would have there.
func number(n int) json.Number { return json.Number(fmt.Sprint(n)) }

func textOrNone(s string) any {
	if s == "" {
		return nil
	}
	return s
}
