package couchdb

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/earshot-go/earshot/bus"
)

// A seq is a place in _changes. CouchDB's are texts that mean something to CouchDB alone. PouchDB and CouchDB 1 have
// numbers.
type seq string

// parseSeq reads a sequence out of JSON; "" is none. What is neither text nor number is kept as JSON, which is how
// servers want it back.
func parseSeq(raw json.RawMessage) seq {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return seq(s)
	}
	return seq(raw)
}

// number returns a sequence that is one. CouchDB's own begin with a number too, but do not consist of it.
func (s seq) number() (n *big.Int, ok bool) {
	for _, c := range s {
		if c < '0' || c > '9' {
			return nil, false
		}
	}
	return new(big.Int).SetString(string(s), 10)
}

// A position is what a token holds.
type position struct {
	// horizon is the latest time of an event that was delivered or reported missing, as in its _id: the deletion
	// of an event that is not later is no news.
	horizon string
	at      string // of a feed from bus.At: events before this time are left out
	seq     seq
}

func (p position) token(epoch string) bus.Token {
	return bus.MakeToken(engine, epoch, p.horizon+","+p.at+","+string(p.seq))
}

// maxSeq is the length up to which a sequence is believed. Those of a database with many shards are some hundred bytes.
const maxSeq = 8 << 10

// parsePosition reads a token. end is where the stream ends now: positions behind that are none of it.
func parsePosition(t bus.Token, epoch string, end seq) (p position, err error) {
	text, err := t.Position(engine, epoch)
	if err != nil {
		return p, err
	}
	parts := strings.SplitN(text, ",", 3)
	if len(parts) != 3 {
		return p, fmt.Errorf("%w: its position %.40q is none of this engine", bus.ErrForeignToken, text)
	}
	p = position{parts[0], parts[1], seq(parts[2])}
	for _, s := range []string{p.horizon, p.at} {
		if _, err := time.Parse(idTime, s); s != "" && err != nil {
			return p, fmt.Errorf("%w: its position %.40q has no time", bus.ErrForeignToken, text)
		}
	}
	last, numbers := end.number()
	at, isNumber := p.seq.number()
	switch {
	case p.seq == "", len(p.seq) > maxSeq:
		err = fmt.Errorf("%w: its sequence has %d bytes", bus.ErrForeignToken, len(p.seq))
	case numbers && !isNumber, numbers && at.Cmp(last) > 0:
		// The server would open a feed that brings nothing.
		err = fmt.Errorf("%w: its sequence %.40q is not one of this database, which is at %s", bus.ErrForeignToken, p.seq, end)
	}
	return p, err
}
