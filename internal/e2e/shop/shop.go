// Package shop has the events of a small shop. Pictures of the tap page show
// the names of types, and these say more than those of a test would.
package shop

import "time"

// An OrderPaid is sent once the bank has said yes.
type OrderPaid struct {
	ID       string `json:"id"`
	Customer string `json:"customer"`
	Cents    int    `json:"cents"`
	Items    int    `json:"items"`
}

// A Query is sent when the last row of a database query was read.
type Query struct {
	Text string        `json:"text"`
	Took time.Duration `json:"took"`
	Rows int           `json:"rows"`
	Err  error         `json:"err,omitempty"`
}

// A Request is sent after the response was written.
type Request struct {
	Method string        `json:"method"`
	Path   string        `json:"path"`
	Status int           `json:"status"`
	Took   time.Duration `json:"took"`
}
