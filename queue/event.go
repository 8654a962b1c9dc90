package queue

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/earshot-go/earshot/internal/when"
)

// An Event is what is published: every queue that is bound to its name gets one item of it. Only Name is required.
type Event struct {
	// ID names the event; a repetition of it, in this process or another one, is stored once as long as its items are
	// in the store. Default: drawn at random, so that the repetitions within a call of Publish are told.
	ID   string
	Name string // what happened: "ourapp.user.added"
	TID  string // what it happened to: "user 17"
	// Parent is the ID of the item or event that led to it; FollowUp sets it.
	Parent string
	// Payload goes with it: []byte and json.RawMessage as they are, anything else as JSON. Leased.Decode reads it.
	Payload any
	Headers map[string]string

	// When is when the items are due: nil is at once. A time.Duration, or text that says one, is from now by the store's
	// clock: "7 days", "in 90 minutes", "1h30m", "P7D"; a day has 24 hours. A time.Time, or text in RFC 3339, is that
	// time: one in the past is at once.
	When any

	// Queue, if it is not empty, is the one queue that gets an item, whatever is bound.
	Queue string

	Priority int8   // the highest comes first
	MaxFails int    // how many fails make an item dead. 0: DefaultMaxFails, negative: none do
	Serial   string // of each queue one item with this key is worked on at a time

	// Key, Scope, Hold and Replace are those of Item: a queue that has an item with the key gets no other.
	Key     string
	Scope   Scope
	Hold    time.Duration
	Replace bool
	// Once is a rule that fills them, and When: see OnceEvery.
	Once Once
}

// Once is a rule that many events in a short time become one.
type Once struct {
	every time.Duration
	last  bool
}

// OnceEvery has an event become due after d, and others of the same Name and TID, or Key if there is one, be left out as
// long as it waits: the first wins. What comes while it is worked on begins anew.
//
//	q.Publish(ctx, queue.Event{Name: "index.stale", TID: "products", Once: queue.OnceEvery(time.Minute)})
func OnceEvery(d time.Duration) Once { return Once{every: d} }

// Last has the last event win: each one replaces the payload of the one that waits and begins the time anew, so that it
// is due d after things have calmed down.
func (o Once) Last() Once {
	o.last = true
	return o
}

// NewID returns an ID that nothing else has: 128 random bits as 22 characters.
func NewID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ItemID returns the ID of the item that a queue gets of an event.
func ItemID(eventID, queue string) string {
	return digest(eventID, queue)
}

// digest makes 22 characters of texts, the same of the same, by SHA-256.
func digest(texts ...string) string {
	h := sha256.New()
	for _, t := range texts {
		h.Write([]byte(strconv.Itoa(len(t)) + ":" + t))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

// item returns the item of the event for no queue yet.
func (ev *Event) item(maxBytes int) (it Item, err error) {
	it = Item{
		ID: ev.ID, Queue: "-", Name: ev.Name, TID: ev.TID, Parent: ev.Parent, Headers: maps.Clone(ev.Headers),
		Priority: ev.Priority, MaxFails: ev.MaxFails, Serial: ev.Serial,
		Key: ev.Key, Scope: ev.Scope, Hold: ev.Hold, Replace: ev.Replace,
	}
	if it.ID == "" {
		it.ID = NewID()
	}
	if ev.Queue != "" {
		it.Queue = ev.Queue
	}
	if it.Payload, err = encode(ev.Payload); err != nil {
		return it, it.wrap(fmt.Errorf("its Payload: %w: %w", ErrInvalid, err))
	}
	if err := it.setWhen(ev.When); err != nil {
		return it, it.wrap(fmt.Errorf("its When: %w: %w", ErrInvalid, err))
	}
	if ev.Once != (Once{}) {
		if err := it.setOnce(ev); err != nil {
			return it, it.wrap(fmt.Errorf("its Once: %w: %w", ErrInvalid, err))
		}
	}
	return it, it.Validate(maxBytes)
}

// encode returns bytes that are nobody else's: a Publish whose context ends leaves its call under way, and the caller may
// write into the slice again.
func encode(payload any) ([]byte, error) {
	switch p := payload.(type) {
	case nil:
		return nil, nil
	case []byte:
		return slices.Clone(p), nil
	case json.RawMessage:
		return slices.Clone(p), nil
	}
	return json.Marshal(payload)
}

func (it *Item) setWhen(at any) error {
	switch w := at.(type) {
	case nil:
	case time.Time:
		it.Due = w
	case time.Duration:
		it.Delay = w
	case string:
		if w == "" {
			return nil
		}
		m, err := when.Parse(w)
		if err != nil {
			return err
		}
		it.Delay, it.Due = m.Delay, m.At
	default:
		return fmt.Errorf(`a %T: it is nil, a time.Time, a time.Duration, or text such as "7 days"`, at)
	}
	return nil
}

func (it *Item) setOnce(ev *Event) error {
	switch {
	case ev.Once.every <= 0:
		return fmt.Errorf("every %v: it is more than 0", ev.Once.every)
	case ev.When != nil:
		return fmt.Errorf("it says when the item is due, and When does as well")
	case ev.Scope != UntilDone || ev.Hold != 0 || ev.Replace:
		return fmt.Errorf("it is a rule for keys, and Scope, Hold and Replace are another one")
	}
	it.Delay = ev.Once.every
	it.Scope = UntilLeased
	it.Replace = ev.Once.last
	if it.Key == "" {
		it.Key = "once " + digest(ev.Name, ev.TID)
	}
	return nil
}

// Decode stores the payload in the value that into points to: *[]byte and *json.RawMessage get it as it is, anything else
// by way of JSON. Without a payload it stores the zero value of JSON's null.
func (it *Item) Decode(into any) error {
	switch p := into.(type) {
	case *[]byte:
		*p = it.Payload
		return nil
	case *json.RawMessage:
		*p = it.Payload
		return nil
	}
	payload := it.Payload
	if len(payload) == 0 {
		payload = []byte("null")
	}
	if err := json.Unmarshal(payload, into); err != nil {
		return it.wrap(fmt.Errorf("payload into %T: %w", into, err))
	}
	return nil
}
