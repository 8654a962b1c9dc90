package redis

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"strings"
)

// epochGroup is the name of the consumer group whose last-delivered-id is the stream's identity.
const epochGroup = "earshot.epoch"

// A state is what a server says of a stream.
type state struct {
	epoch   string // empty: the stream is not there, or nobody has read it yet
	length  int64
	added   int64 // ever
	first   id    // the oldest entry, if length > 0
	last    id    // the newest that ever was
	deleted id    // the newest that was deleted by name
}

// removed is how many entries are gone.
func (s state) removed() int64 { return s.added - s.length }

// whole reports whether all entries after the first are there: only then their numbers are known.
func (s state) whole() bool { return s.length == 0 || s.deleted.less(s.first) }

// stateArgs asks for a state. FULL has the groups as well, so that both are of one moment, and with COUNT 1 no entry
// but the oldest.
func stateArgs(key string) []any { return []any{"xinfo", "stream", key, "full", "count", 1} }

// parseState reads the answer to stateArgs. There is no error if the stream is not there.
func parseState(reply []byte) (s state, err error) {
	v, err := read(reply)
	if err != nil {
		var r refusal
		if errors.As(err, &r) && strings.HasPrefix(string(r), "ERR no such key") {
			return state{}, nil
		}
		return state{}, err
	}
	added, counts := v.number("entries-added")
	if _, stream := v.get("last-generated-id"); stream && !counts {
		return state{}, errOld
	}
	length, ok1 := v.number("length")
	last, ok2 := v.id("last-generated-id")
	deleted, ok3 := v.id("max-deleted-entry-id")
	if !ok1 || !ok2 || !ok3 {
		return state{}, errReply
	}
	s = state{length: length, added: added, last: last, deleted: deleted}
	if entries, _ := v.get("entries"); length > 0 {
		if len(entries.list) == 0 || len(entries.list[0].list) == 0 {
			return state{}, errReply
		}
		if s.first, ok1 = parseID(entries.list[0].list[0].text); !ok1 {
			return state{}, errReply
		}
	}
	groups, _ := v.get("groups")
	for _, g := range groups.list {
		if name, _ := g.get("name"); string(name.text) == epochGroup {
			epoch, _ := g.get("last-delivered-id")
			s.epoch = string(epoch.text)
		}
	}
	return s, nil
}

func (v value) id(name string) (id, bool) {
	text, ok := v.get(name)
	if !ok {
		return id{}, false
	}
	return parseID(text.text)
}

// state asks the server for that of the stream.
func (w *wire) state(ctx context.Context, key string) (state, error) {
	reply, err := w.ask(ctx, stateArgs(key)...)
	if err != nil {
		return state{}, err
	}
	return parseState(reply)
}

// begin is state, of a stream that is made if it is not there, and gets an identity if it has none. That is one
// command, so that of several processes one decides.
func (w *wire) begin(ctx context.Context, key string) (state, error) {
	s, err := w.state(ctx, key)
	if err != nil || s.epoch != "" {
		return s, err
	}
	reply, err := w.ask(ctx, "xgroup", "create", key, epochGroup, newEpoch(), "mkstream")
	if err != nil {
		return state{}, err
	}
	if _, err := read(reply); err != nil && !strings.HasPrefix(err.Error(), "BUSYGROUP") {
		return state{}, err
	}
	if s, err = w.state(ctx, key); err == nil && s.epoch == "" {
		err = errGone
	}
	return s, err
}

// newEpoch is random and in the form of an id, later than all that are of entries: the group has read everything, in
// the eyes of those who watch the lag of groups.
func newEpoch() string {
	var b [16]byte
	rand.Read(b[:])
	return id{binary.BigEndian.Uint64(b[:8]) | 1<<63, binary.BigEndian.Uint64(b[8:])}.String()
}
