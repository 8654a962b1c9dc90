package sqlite

import (
	"encoding/json"
	"hash/crc32"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// An itemRow is an item as it goes into the table.
type itemRow struct {
	*queue.Item
	due   int64 // without Item.Due it is Delay from now
	fixed bool  // it has a Due
	more  string
	sum   int64
}

// more is what few items have, in one column.
type more struct {
	Parent  string            `json:"parent,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
}

// itemRows makes rows of items, or finds out that one of them is not valid. size is in bytes.
func itemRows(items []queue.Item, maxBytes int) (rows []itemRow, size int, err error) {
	rows = make([]itemRow, len(items))
	for i := range items {
		it := &items[i]
		if err := it.Validate(maxBytes); err != nil {
			return nil, 0, err
		}
		r := &rows[i]
		r.Item = it
		if !it.Due.IsZero() {
			r.due, r.fixed = it.Due.UnixMicro(), true
		}
		if it.Parent != "" || len(it.Headers) > 0 {
			text, err := json.Marshal(more{it.Parent, it.Headers})
			if err != nil {
				return nil, 0, err
			}
			r.more = string(text)
		}
		r.sum = sumOf(it.ID, it.Queue, it.Name, it.TID, r.more, it.Payload)
		size += len(it.Payload) + len(r.more)
	}
	return rows, size, nil
}

// dueAt returns when the item is due, if it is stored now.
func (r *itemRow) dueAt(now int64) int64 {
	if r.fixed {
		return r.due
	}
	return now + r.Delay.Microseconds()
}

// plain reports whether the columns that most items leave empty are empty.
func (r *itemRow) plain() bool {
	return r.Priority == 0 && r.MaxFails == 0 && r.Serial == "" && r.more == ""
}

func (r *itemRow) maxFails() int64 { return max(int64(r.MaxFails), -1) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumOf is how a row is told from one in which bits have turned over, of which SQLite would not know. The lengths of
// the texts are not in it: they have separators that cannot be in names.
func sumOf(id, queue, name, tid, more string, payload []byte) int64 {
	var room [512]byte
	b := room[:0]
	for _, s := range [...]string{id, queue, name, tid, more} {
		b = append(append(b, s...), 0)
	}
	return int64(crc32.Update(crc32.Checksum(b, castagnoli), castagnoli, payload))
}

// timeOf returns the time of a column.
func timeOf(micro int64) time.Time { return time.UnixMicro(micro).UTC() }

// itemColumns are those that scanItem reads.
const itemColumns = "seq, id, queue, prio, due, maxfails, key, scope, serial, sum, name, tid, more, payload"

// A scanned is a row that was read.
type scanned struct {
	queue.Item
	seq        int64
	due        int64
	prio       int64
	scope, sum int64
	more       string
}

func (s *scanned) targets(others ...any) []any {
	return append([]any{&s.seq, &s.ID, &s.Queue, &s.prio, &s.due, &s.MaxFails, &s.Key, &s.scope, &s.Serial, &s.sum, &s.Name, &s.TID, &s.more, &s.Payload}, others...)
}

// whole fills in what is not a column, and reports whether the row is as it was written.
func (s *scanned) whole() bool {
	if s.sum != sumOf(s.ID, s.Queue, s.Name, s.TID, s.more, s.Payload) {
		return false
	}
	s.Priority, s.Scope, s.Due = int8(s.prio), queue.Scope(s.scope), timeOf(s.due)
	if len(s.Payload) == 0 {
		s.Payload = nil
	}
	if s.more == "" {
		return true
	}
	var m more
	if json.Unmarshal([]byte(s.more), &m) != nil {
		return false
	}
	s.Parent, s.Headers = m.Parent, m.Headers
	return true
}
