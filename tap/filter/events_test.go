package filter_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"
)

// The events that cases.txt calls go.
var goEvents = map[string]any{
	"order": &Order{
		ID: math.MaxInt64, Seen: math.MaxUint64, Low: math.MinInt64, Rate32: 0.1, Rate64: 0.1,
		Who:  &Person{Email: "x@example.com"},
		Took: 1500 * time.Millisecond, At: time.Date(2026, 11, 21, 10, 0, 0, 5e8, time.UTC),
		Lines: []string{"first", "second"}, Prices: map[int]float64{7: 1.5}, Body: []byte("bytes"),
		Raw:  json.RawMessage(`{"deep":[{"n":9007199254740993}],"password":"hunter2"}`),
		Any:  map[string]string{"k": "v", "api_key": "hunter2"},
		Pin:  "1234",
		Card: Card{Number: "4111"}, State: 2, Hidden: 3, Digest: "hunter2",
	},
	"request": Request{Status: 200},
	"oops":    Request{Status: 502, Err: fmt.Errorf("upstream: %w", errTimeout)},
}

var errTimeout = errors.New("timeout")

type Order struct {
	ID       int64           `json:"id"`
	Seen     uint64          `json:"seen"`
	Low      int64           `json:"low"`
	Rate32   float32         `json:"rate32"`
	Rate64   float64         `json:"rate64"`
	Who      *Person         `json:"who"`
	Customer struct{ Email } `json:"customer"`
	Took     time.Duration
	At       time.Time `json:"at"`
	Lines    []string
	Prices   map[int]float64
	Body     []byte
	Raw      json.RawMessage
	Any      any
	Nothing  *Person `json:"nothing"`
	Pin      string  `json:"number" earshot:"secret"`
	Card     Card    `json:"card"`
	State    state
	Hidden   int `json:"-"`
	Digest   redacted
}

type Person struct{ Email string }

// Email is a struct, so that its field is promoted.
type Email struct {
	Address string `json:"email"`
}

// Card says itself what to show of it.
type Card struct{ Number string }

func (Card) LogValue() slog.Value { return slog.StringValue("a card") }

type state int

func (state) String() string { return "paid" }

// redacted is how a string is hidden from JSON.
type redacted string

func (redacted) MarshalText() ([]byte, error) { return []byte("***"), nil }

type Request struct {
	Status int   `json:"status"`
	Err    error `json:"err"`
}

func init() {
	goEvents["order"].(*Order).Customer.Address = "x@example.com"
}
