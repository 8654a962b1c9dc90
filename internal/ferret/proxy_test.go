package main

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// request makes a message with a document, as drivers do.
func request(t *testing.T, opcode uint32, flags uint32, key string) message {
	t.Helper()
	m := binary.LittleEndian.AppendUint32(make([]byte, header), flags)
	switch opcode {
	case opMsg:
		m = append(m, 0)
	case opQuery:
		m = append(m, "admin.$cmd\x00\x00\x00\x00\x00\xff\xff\xff\xff"...)
	}
	doc, err := bson.Marshal(bson.D{{Key: key, Value: 1}, {Key: "$db", Value: "admin"}})
	require.NoError(t, err)
	m = append(m, doc...)
	binary.LittleEndian.PutUint32(m, uint32(len(m)))
	binary.LittleEndian.PutUint32(m[12:], opcode)
	return m
}

func TestCommand(t *testing.T) {
	for _, opcode := range []uint32{opMsg, opQuery} {
		for key, waits := range map[string]bool{"hello": true, "isMaster": true, "ping": true, "getMore": true, "find": false, "update": false} {
			m := request(t, opcode, 0, key)
			require.Equal(t, key, m.command())
			require.Equal(t, waits, m.waits(), key)
		}
		for whole, n := request(t, opcode, 0, "find"), header; n < len(whole); n++ {
			require.False(t, whole[:n].waits(), "cut off after %d bytes", n)
		}
	}
	require.False(t, request(t, 2002, 0, "ping").waits(), "another opcode")
}

func TestRead(t *testing.T) {
	m := request(t, opMsg, 0, "ping")
	got, err := read(bytes.NewReader(append(m, m...)))
	require.NoError(t, err)
	require.Equal(t, m, got)
	for _, length := range []uint32{0, header - 1, maxMessage + 1} {
		wrong := bytes.Clone(m)
		binary.LittleEndian.PutUint32(wrong, length)
		_, err := read(bytes.NewReader(wrong))
		require.Error(t, err, "a length of %d", length)
	}
	_, err = read(bytes.NewReader(m[:len(m)-1]))
	require.Error(t, err)
}

// TestOneAtATime holds a message that changes something and looks at what passes meanwhile.
func TestOneAtATime(t *testing.T) {
	var p proxy
	slow, server := net.Pipe()
	defer slow.Close()
	answered := make(chan error, 1)
	go func() {
		_, err := p.ask(slow, request(t, opMsg, 0, "update"))
		answered <- err
	}()
	_, err := read(server)
	require.NoError(t, err)

	require.False(t, p.turn.TryLock(), "the turn is free before the reply")
	hello := request(t, opMsg, 0, "hello")
	more := request(t, opMsg, 2, "hello")
	var other connection
	for _, m := range []message{more, hello} {
		other.in.Write(m)
	}
	got, err := p.ask(&other, hello)
	require.NoError(t, err)
	require.Equal(t, append(bytes.Clone(more), hello...), got, "two replies, of which the first says so")
	require.Equal(t, []byte(hello), other.out.Bytes())

	_, err = server.Write(hello)
	require.NoError(t, err)
	require.NoError(t, <-answered)

	var silent connection
	got, err = p.ask(&silent, request(t, opMsg, 2, "insert"))
	require.NoError(t, err, "no reply is waited for")
	require.Empty(t, got)

	var gone connection
	_, err = p.ask(&gone, request(t, opMsg, 0, "insert"))
	require.Error(t, err)
	require.True(t, p.turn.TryLock(), "the turn is kept")
}

type connection struct{ in, out bytes.Buffer }

func (c *connection) Read(b []byte) (int, error)  { return c.in.Read(b) }
func (c *connection) Write(b []byte) (int, error) { return c.out.Write(b) }
