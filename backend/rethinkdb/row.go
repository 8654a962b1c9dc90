package rethinkdb

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/earshot-go/earshot/event"
)

// streamID is the document that says which stream a table holds.
const streamID = "earshot:stream"

// key is the primary key of an event: source and ID, because two sources may count their events from 1. There is a
// space between them, and a hash in the place of all of it if that would not tell where the source ends, or is too long
// for a primary key (127 bytes).
func key(source, id string) string {
	if len(source)+len(id) < 120 && !strings.Contains(source, " ") && strings.IndexByte(source+id, 0) < 0 {
		return source + " " + id
	}
	h := sha256.New()
	fmt.Fprintf(h, "%d %s%s", len(source), source, id)
	return "earshot:" + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// appendDocument appends the document of an event whose JSON is text.
func appendDocument(to []byte, ev *event.Event, text []byte, n int64) ([]byte, error) {
	doc := struct {
		ID      string          `json:"id"`
		TS      json.RawMessage `json:"ts"`
		N       int64           `json:"n"`
		Type    string          `json:"type"`
		Source  string          `json:"source"`
		Subject string          `json:"subject,omitempty"`
		Time    string          `json:"time,omitempty"`
		Event   string          `json:"event"`
	}{
		ID: key(ev.Source, ev.ID), TS: reqlNow, N: n,
		Type: ev.Type, Source: ev.Source, Subject: ev.Subject,
		Event: string(text),
	}
	if !ev.Time.IsZero() {
		doc.Time = ev.Time.UTC().Format(time.RFC3339Nano)
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return to, fmt.Errorf("rethinkdb: event %q: %w", ev.ID, err)
	}
	return append(to, b...), nil
}

// A row is a document as it is read. What somebody else has put into the table may lack anything.
type row struct {
	at   pos // at.us is 0 for a document without a ts
	id   string
	text string // the event's JSON
}

// readRow decodes a document.
func readRow(text json.RawMessage) row {
	var doc struct {
		ID    lax     `json:"id"`
		TS    instant `json:"ts"`
		N     lax     `json:"n"`
		Event lax     `json:"event"`
	}
	_ = json.Unmarshal(text, &doc) // what cannot be read is empty
	w := row{id: string(doc.ID), text: string(doc.Event)}
	w.at = pos{us: int64(doc.TS), hash: hashOf(w.id)}
	if n, err := strconv.ParseFloat(string(doc.N), 64); err == nil && n >= 0 && n <= 1<<53 {
		w.at.n = int64(n)
	}
	return w
}

// event is the event of a row; ok is false for one that holds none.
func (w *row) event() (ev event.Event, ok bool) {
	err := ev.UnmarshalJSON([]byte(w.text))
	return ev, err == nil
}

// A lax value is a string as it is, and anything else as it is written.
type lax string

func (l *lax) UnmarshalJSON(text []byte) error {
	var s string
	if json.Unmarshal(text, &s) != nil {
		s = string(text)
	}
	*l = lax(s)
	return nil
}

// An instant is a time of the server, in microseconds since 1970; 0 if a document has none.
type instant int64

func (i *instant) UnmarshalJSON(text []byte) error {
	var t struct {
		Type    string  `json:"$reql_type$"`
		Seconds float64 `json:"epoch_time"`
	}
	*i = 0
	if json.Unmarshal(text, &t) == nil && t.Type == "TIME" && t.Seconds > 0 && t.Seconds < 1e12 {
		*i = instant(math.Round(t.Seconds * 1e6))
	}
	return nil
}

// A pos is a place in the order of reading: by ts, then by the publisher's count, then by the ID.
type pos struct {
	us   int64
	n    int64
	hash uint64
}

func (p pos) compare(q pos) int {
	return cmp.Or(cmp.Compare(p.us, q.us), cmp.Compare(p.n, q.n), cmp.Compare(p.hash, q.hash))
}

// last is behind every document with this ts.
func last(us int64) pos { return pos{us, math.MaxInt64, math.MaxUint64} }

func hashOf(id string) uint64 {
	sum := sha256.Sum256([]byte(id))
	return binary.LittleEndian.Uint64(sum[:])
}

// String is the text of a place. Later places have greater texts.
func (p pos) String() string { return fmt.Sprintf("%016x.%016x.%016x", p.us, p.n, p.hash) }

// appendTo appends a place in fewer bytes.
func (p pos) appendTo(b []byte) []byte {
	b = strconv.AppendInt(b, p.us, 16)
	b = append(b, '.')
	b = strconv.AppendInt(b, p.n, 16)
	b = append(b, '.')
	return strconv.AppendUint(b, p.hash, 16)
}

func parsePos(text string) (p pos, ok bool) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return pos{}, false
	}
	us, err1 := strconv.ParseInt(parts[0], 16, 64)
	n, err2 := strconv.ParseInt(parts[1], 16, 64)
	hash, err3 := strconv.ParseUint(parts[2], 16, 64)
	return pos{us, n, hash}, err1 == nil && err2 == nil && err3 == nil && us >= 0 && n >= 0
}
