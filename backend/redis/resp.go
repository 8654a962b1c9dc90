package redis

import (
	"bytes"
	"errors"
	"strconv"
)

// A value is a part of a reply, in the bytes in which it came.
type value struct {
	kind byte // '+', '-', ':', '$' or '*'
	null bool
	text []byte  // of all but arrays
	list []value // of an array
}

var errReply = errors.New("redis: a reply is not what it should be")

// A refusal is an error that the server answered.
type refusal string

func (r refusal) Error() string { return string(r) }

// RedisError makes it one of the errors that the client library calls the server's.
func (refusal) RedisError() {}

// read returns the value of a whole reply. An error that is the reply is returned as a refusal.
func read(reply []byte) (value, error) {
	v, rest, err := parse(reply, 0)
	switch {
	case err != nil:
		return value{}, err
	case len(rest) != 0:
		return value{}, errReply
	case v.kind == '-':
		return value{}, refusal(v.text)
	}
	return v, nil
}

// parse cuts a value off. The guard has seen the reply before, but checks no contents.
func parse(b []byte, depth int) (v value, rest []byte, err error) {
	end := bytes.IndexByte(b, '\n')
	if end < 2 || b[end-1] != '\r' || depth > maxDepth {
		return v, nil, errReply
	}
	v.kind, v.text, rest = b[0], b[1:end-1], b[end+1:]
	if v.kind != '$' && v.kind != '*' {
		return v, rest, nil
	}
	n, err := strconv.Atoi(string(v.text))
	v.text = nil
	switch {
	case err != nil || n < -1 || n > maxBulk:
		return v, nil, errReply
	case n == -1:
		v.null = true
		return v, rest, nil
	case v.kind == '$':
		if len(rest) < n+2 {
			return v, nil, errReply
		}
		v.text = rest[:n:n]
		return v, rest[n+2:], nil
	case n > len(rest): // every item has bytes
		return v, nil, errReply
	}
	v.list = make([]value, n)
	for i := range v.list {
		if v.list[i], rest, err = parse(rest, depth+1); err != nil {
			return v, nil, err
		}
	}
	return v, rest, nil
}

// get returns what an array of names and values has under a name.
func (v value) get(name string) (value, bool) {
	for i := 0; i+1 < len(v.list); i += 2 {
		if string(v.list[i].text) == name {
			return v.list[i+1], true
		}
	}
	return value{}, false
}

// number returns the number that an array of names and values has under a name.
func (v value) number(name string) (int64, bool) {
	n, ok := v.get(name)
	if !ok {
		return 0, false
	}
	i, err := strconv.ParseInt(string(n.text), 10, 64)
	return i, err == nil
}

// at returns an entry of an array, empty if there is none.
func (v value) at(i int) []byte {
	if i >= len(v.list) {
		return nil
	}
	return v.list[i].text
}

// int returns an entry of an array that is a number.
func (v value) int(i int) (int64, error) {
	n, err := strconv.ParseInt(string(v.at(i)), 10, 64)
	if err != nil {
		return 0, errReply
	}
	return n, nil
}
