package redis

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// An item is two values in the server: the record, of which the scripts know the lines, and the body, which has what
// they need not know: headers and payload. See lua/prelude.lua.

// appendTail writes the lines of a record that the item brings.
func appendTail(b []byte, it *queue.Item) []byte {
	line := func(n int64) { b = append(strconv.AppendInt(b, n, 10), '\n') }
	line(int64(it.Priority))
	line(int64(it.MaxFails))
	line(int64(it.Scope))
	line(it.Hold.Microseconds())
	if it.Replace {
		line(1)
	} else {
		line(0)
	}
	for _, s := range [...]string{it.Queue, it.Name, it.TID, it.Parent, it.Key} {
		b = append(append(b, s...), '\n')
	}
	return append(b, it.Serial...)
}

// appendBody writes headers and payload. It copies the payload: the caller may have it back before it is sent.
func appendBody(b []byte, it *queue.Item) []byte {
	b = binary.AppendUvarint(b, uint64(len(it.Headers)))
	for k, v := range it.Headers {
		b = append(binary.AppendUvarint(b, uint64(len(k))), k...)
		b = append(binary.AppendUvarint(b, uint64(len(v))), v...)
	}
	return append(b, it.Payload...)
}

// readBody reads what appendBody has written.
func readBody(b []byte, it *queue.Item) bool {
	number := func() (uint64, bool) {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			return 0, false
		}
		b = b[size:]
		return n, true
	}
	text := func() (string, bool) {
		n, ok := number()
		if !ok || n > uint64(len(b)) {
			return "", false
		}
		s := string(b[:n])
		b = b[n:]
		return s, true
	}
	n, ok := number()
	if !ok || n > queue.MaxHeaders {
		return false
	}
	for range n {
		k, ok1 := text()
		v, ok2 := text()
		if !ok1 || !ok2 {
			return false
		}
		if it.Headers == nil {
			it.Headers = make(map[string]string, n)
		}
		it.Headers[k] = v
	}
	if len(b) > 0 {
		it.Payload = bytes.Clone(b) // or it would keep all of a reply in memory
	}
	return true
}

// A row is an item as it is in the server.
type row struct {
	queue.Record
	at  string // when it was leased
	seq string
}

// receipt names the present lease: no item has had that number, and this one was not leased as often at this time.
func (r row) receipt() string { return r.seq + "." + strconv.Itoa(r.Deliveries) + "." + r.at }

// states are those of records. What waits for its serial is pending.
var states = map[string]queue.State{"p": queue.StatePending, "w": queue.StatePending, "l": queue.StateLeased, "d": queue.StateDead}

// readRow reads an item. It reports false for what no store has written.
func readRow(id string, record, body []byte) (r row, ok bool) {
	lines := strings.Split(string(record), "\n")
	if len(lines) != 20 {
		return r, false
	}
	ok = true
	number := func(i int) int64 {
		n, err := strconv.ParseInt(lines[i], 10, 64)
		ok = ok && err == nil
		return n
	}
	instant := func(i int) time.Time { return time.UnixMicro(number(i)).UTC() }
	r.ID = id
	r.State = states[lines[0]]
	r.Deliveries, r.Fails = int(number(1)), int(number(2))
	r.Due = instant(3)
	if lines[4] != "0" {
		r.Until = instant(4)
	}
	r.at, r.Worker, r.seq, r.Cursor = lines[5], lines[6], lines[7], lines[7]
	r.Created = instant(8)
	r.Priority, r.MaxFails, r.Scope = int8(number(9)), int(number(10)), queue.Scope(number(11))
	// Lines 12 and 13 are Hold and Replace, which were for the call that stored it.
	r.Queue, r.Name, r.TID, r.Parent, r.Key, r.Serial = lines[14], lines[15], lines[16], lines[17], lines[18], lines[19]
	return r, ok && r.State != "" && readBody(body, &r.Item)
}

// micros writes a time as the server has it.
func micros(t time.Time) string { return strconv.FormatInt(t.UnixMicro(), 10) }

// later writes a time that is some time from now, by the server's clock.
func later(d time.Duration) string { return "+" + strconv.FormatInt(d.Microseconds(), 10) }
