package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
)

// A proxy stands before FerretDB, whose updates are not atomic: it reads a document and writes it back later, and of
// two clients that take one job both get it. The proxy lets it have one message at a time, over all connections.
type proxy struct {
	turn sync.Mutex // held from a message to its reply
	dir  string
}

// serve takes connections until the listener fails.
func (p *proxy) serve(l net.Listener, database string) error {
	for {
		client, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer client.Close()
			server, err := net.Dial("tcp", database)
			if err != nil {
				return
			}
			defer server.Close()
			p.pass(client, server) // either side has ended then, and so does the other
		}()
	}
}

// pass passes messages on and their replies back.
func (p *proxy) pass(client, server io.ReadWriter) error {
	for {
		m, err := read(client)
		if err != nil {
			return err
		}
		replies, err := p.ask(server, m)
		if err != nil {
			return err
		}
		// After the turn: a client that does not read must not hold up the others.
		if _, err := client.Write(replies); err != nil {
			return err
		}
	}
}

// ask passes one message on and returns what comes back for it, which may be nothing.
func (p *proxy) ask(server io.ReadWriter, m message) (replies []byte, err error) {
	if !m.waits() {
		p.turn.Lock()
		defer p.turn.Unlock()
	}
	if _, err := server.Write(m); err != nil {
		return nil, err
	}
	for more := !m.moreToCome(); more; {
		reply, err := read(server)
		if err != nil {
			return nil, err
		}
		replies = append(replies, reply...)
		more = reply.moreToCome()
	}
	if m.command() == "createIndexes" {
		if err := index(p.dir); err != nil {
			return nil, err
		}
	}
	return replies, nil
}

// A message of MongoDB's protocol: a header of 16 bytes, with the length first and the opcode last, and what the
// opcode says.
type message []byte

const (
	header  = 16
	opQuery = 2004
	opMsg   = 2013

	maxMessage = 48_000_000
)

func read(r io.Reader) (message, error) {
	head := make([]byte, header)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint32(head)
	if length < header || length > maxMessage {
		return nil, fmt.Errorf("a message of %d bytes", length)
	}
	m := append(head, make([]byte, length-header)...)
	_, err := io.ReadFull(r, m[header:])
	return m, err
}

func (m message) opcode() uint32 { return binary.LittleEndian.Uint32(m[12:]) }

// moreToCome says that no reply follows to a request, or another one to this reply.
func (m message) moreToCome() bool {
	return m.opcode() == opMsg && len(m) > header && m[header]&2 != 0
}

// waits says that the message takes no turn: it changes nothing, and the reply may be long in coming, or a driver
// measures by it how far away the server is.
func (m message) waits() bool {
	switch m.command() {
	case "getMore", "hello", "isMaster", "ismaster", "ping":
		return true
	}
	return false
}

// command returns the name of the command, which is the first key of the first document: "" for a message that has
// none, or none there.
func (m message) command() string {
	rest := m[header:]
	switch m.opcode() {
	case opMsg: // flags, the kind of the first section, and the document if that is 0
		if len(rest) < 5 || rest[4] != 0 {
			return ""
		}
		rest = rest[5:]
	case opQuery: // flags, the collection, how many to skip and to return, and the document
		if len(rest) < 4 {
			return ""
		}
		end := bytes.IndexByte(rest[4:], 0)
		if end < 0 || len(rest) < 4+end+1+8 {
			return ""
		}
		rest = rest[4+end+1+8:]
	default:
		return ""
	}
	if len(rest) < 5 { // the document's length and the type of its first value
		return ""
	}
	name, _, _ := bytes.Cut(rest[5:], []byte{0})
	return string(name)
}
