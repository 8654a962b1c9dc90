package queue

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits that are the same on every store.
const (
	MaxName     = 255      // bytes of an ID, Queue, Name, TID, Parent, Key, Serial or Worker
	MaxHeaders  = 16 << 10 // bytes of all keys and values together
	MaxReason   = 4 << 10  // bytes; what is longer is cut
	MaxDelay    = 100 * 365 * 24 * time.Hour
	MaxLeaseTTL = 24 * time.Hour

	// DefaultMaxFails is what Item.MaxFails = 0 means.
	DefaultMaxFails = 25
)

// An Item is a piece of work in one queue.
type Item struct {
	ID       string // unique in the store
	Queue    string
	Name     string // of the event: "ourapp.user.added"
	TID      string // what it is about, "user 17"; may be empty, as all below
	Parent   string // ID of the event that led to it
	Payload  []byte // any bytes; nil and empty are the same
	Headers  map[string]string
	Priority int8 // the highest comes first
	MaxFails int  // how many fails make it dead. 0: DefaultMaxFails, negative: none do

	// Due is when the item may be leased. The zero Time is Delay from now, by the store's clock, so that the clock of
	// this process does not matter. What a store returns has Due, to the microsecond, and neither Delay, Hold nor Replace.
	Due   time.Time
	Delay time.Duration

	// Key, if it is not empty, makes an item a Duplicate while another of its queue holds the same key. It is held
	// as Scope says, and in any case for the time of Hold from now. A dead item holds none, but for that time; a removed
	// one none at all.
	Key   string
	Scope Scope
	Hold  time.Duration
	// Replace: if the item that holds the key is pending, it is not a Duplicate but Replaced: the older item,
	// under its own ID, gets the Payload, Headers and Due of this one. Hold is not prolonged. An item of the same ID is
	// a Duplicate all the same.
	Replace bool

	// Serial, if it is not empty, is a key of which one item of the queue is leased at a time.
	Serial string
}

// Scope says how long a key is held.
type Scope int8

const (
	// UntilDone: until the item is acknowledged, dead, or removed.
	UntilDone Scope = iota
	// UntilLeased: until the item is leased for the first time: while it waits.
	UntilLeased
)

// Validate says whether stores take the item: an error that wraps ErrInvalid names the field, one that wraps ErrTooLarge
// says how large the payload is. maxBytes is Caps.MaxBytes.
func (it *Item) Validate(maxBytes int) error {
	for _, f := range [...]struct {
		field, value string
		required     bool
	}{
		{"ID", it.ID, true}, {"Queue", it.Queue, true}, {"Name", it.Name, true}, {"TID", it.TID, false},
		{"Parent", it.Parent, false}, {"Key", it.Key, false}, {"Serial", it.Serial, false},
	} {
		if err := checkName(f.field, f.value, f.required); err != nil {
			return it.wrap(err)
		}
	}
	headers := 0
	for k, v := range it.Headers {
		if err := checkName("the name of a header", k, true); err != nil {
			return it.wrap(err)
		}
		if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
			return it.wrap(fmt.Errorf("%w: header %q is not UTF-8 text", ErrInvalid, k))
		}
		headers += len(k) + len(v)
	}
	switch {
	case headers > MaxHeaders:
		return it.wrap(fmt.Errorf("%w: the headers have %d bytes, the limit is %d: what is large belongs into the payload", ErrInvalid, headers, MaxHeaders))
	case it.Delay < 0 || it.Delay > MaxDelay:
		return it.wrap(fmt.Errorf("%w: Delay %v: it is between 0 and 100 years", ErrInvalid, it.Delay))
	case it.Hold < 0 || it.Hold > MaxDelay:
		return it.wrap(fmt.Errorf("%w: Hold %v: it is between 0 and 100 years", ErrInvalid, it.Hold))
	case it.Scope != UntilDone && it.Scope != UntilLeased:
		return it.wrap(fmt.Errorf("%w: Scope %d is unknown", ErrInvalid, it.Scope))
	case it.Key == "" && (it.Hold != 0 || it.Replace || it.Scope != UntilDone):
		return it.wrap(fmt.Errorf("%w: Scope, Hold and Replace have a meaning with a Key only", ErrInvalid))
	case maxBytes > 0 && len(it.Payload) > maxBytes:
		return it.wrap(fmt.Errorf("%w: the payload has %d bytes, the limit of this store is %d: store it elsewhere and send where it is", ErrTooLarge, len(it.Payload), maxBytes))
	}
	if err := CheckTime(it.Due); err != nil {
		return it.wrap(fmt.Errorf("its Due: %w", err))
	}
	return nil
}

func (it *Item) wrap(err error) error {
	return fmt.Errorf("queue: item %.40q (%.40q): %w", it.ID, it.Name, err)
}

// CheckTime says whether a time can be stored: zero, or between the years 1 and 9999. If not, the error wraps ErrInvalid.
func CheckTime(t time.Time) error {
	if y := t.UTC().Year(); y < 1 || y > 9999 {
		return fmt.Errorf("%w: a time in the year %d: it has to be between the years 1 and 9999", ErrInvalid, y)
	}
	return nil
}

// checkName says whether something can be a name on every engine.
func checkName(field, value string, required bool) error {
	switch {
	case value == "" && required:
		return fmt.Errorf("%w: %s is empty", ErrInvalid, field)
	case len(value) > MaxName:
		return fmt.Errorf("%w: %s has %d bytes, the limit is %d: %.40q…", ErrInvalid, field, len(value), MaxName, value)
	case !utf8.ValidString(value):
		return fmt.Errorf("%w: %s is not UTF-8: %.40q", ErrInvalid, field, value)
	case strings.ContainsFunc(value, unicode.IsControl):
		return fmt.Errorf("%w: %s has control characters: %.40q", ErrInvalid, field, value)
	}
	return nil
}

// Validate says whether stores take the request: an error that wraps ErrInvalid says what is wrong.
func (r *LeaseRequest) Validate() error {
	switch {
	case len(r.Queues) == 0:
		return fmt.Errorf("queue: lease: %w: no queues are named", ErrInvalid)
	case r.Max < 1:
		return fmt.Errorf("queue: lease: %w: Max %d: it is 1 or more", ErrInvalid, r.Max)
	case r.TTL < time.Millisecond || r.TTL > MaxLeaseTTL:
		return fmt.Errorf("queue: lease: %w: TTL %v: it is between 1ms and %v", ErrInvalid, r.TTL, MaxLeaseTTL)
	}
	for _, q := range r.Queues {
		if err := checkName("Queue", q, true); err != nil {
			return fmt.Errorf("queue: lease: %w", err)
		}
	}
	if err := checkName("Worker", r.Worker, false); err != nil {
		return fmt.Errorf("queue: lease: %w", err)
	}
	return nil
}

// Validate says whether stores take the settlement: an error that wraps ErrInvalid says what is wrong.
func (s *Settlement) Validate() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("queue: %v of item %.40q: %w: %s", s.Action, s.ID, ErrInvalid, fmt.Sprintf(format, args...))
	}
	switch {
	case s.Action < Ack || s.Action > Extend:
		return bad("action %d is unknown", s.Action)
	case s.ID == "" || s.Queue == "" || s.Receipt == "":
		return bad("ID, Queue and Receipt are needed")
	case s.Delay < 0 || s.Delay > MaxDelay:
		return bad("Delay %v: it is between 0 and 100 years", s.Delay)
	case s.Action == Extend && (s.TTL < time.Millisecond || s.TTL > MaxLeaseTTL):
		return bad("TTL %v: it is between 1ms and %v", s.TTL, MaxLeaseTTL)
	}
	if err := CheckTime(s.At); err != nil {
		return bad("At: %v", err)
	}
	return nil
}

// CutReason is for stores: what they keep of a reason, which may be anything.
func CutReason(reason string) string {
	if len(reason) > MaxReason {
		reason = reason[:MaxReason-len("…")] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r == 0 {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(reason, "\uFFFD"))
}

// Validate says whether stores take the query: an error that wraps ErrInvalid says what is wrong. wide allows a query
// that selects everything.
func (q *Query) Validate(wide bool) error {
	switch {
	case q.State != "" && q.State != StatePending && q.State != StateLeased && q.State != StateDead:
		return fmt.Errorf("queue: %w: state %.40q: it is pending, leased or dead", ErrInvalid, q.State)
	case q.Limit < 0:
		return fmt.Errorf("queue: %w: Limit %d: it is 0 or more", ErrInvalid, q.Limit)
	case !wide && q.ID == "" && q.Queue == "" && q.Name == "" && q.TID == "" && q.State == "":
		return fmt.Errorf("queue: %w: the query selects everything: name an ID, Queue, Name, TID or State", ErrInvalid)
	}
	return nil
}
