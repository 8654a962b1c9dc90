package mongodb_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/queue"
)

// skewed returns a store for whose server it is later: of a relay that changes what the server says about its clock.
func skewed(t testing.TB, u *url.URL, by time.Duration) queue.Store {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", u.Host)
			if err != nil {
				client.Close()
				continue
			}
			running.Go(func() {
				io.Copy(server, client)
				server.Close()
			})
			running.Go(func() {
				shift(client, server, by)
				client.Close()
			})
		}
	})
	t.Cleanup(func() { // the store is closed before
		l.Close()
		running.Wait()
	})
	return open(t, via(u, l.Addr().String()))
}

// shift copies messages, and moves the time that they tell.
func shift(to io.Writer, from io.Reader, by time.Duration) {
	for {
		head := make([]byte, 4)
		if _, err := io.ReadFull(from, head); err != nil {
			return
		}
		m := append(head, make([]byte, binary.LittleEndian.Uint32(head)-4)...)
		if _, err := io.ReadFull(from, m[4:]); err != nil {
			return
		}
		const field = "\x09localTime\x00"
		if i := bytes.Index(m, []byte(field)); i >= 0 {
			at := m[i+len(field):]
			binary.LittleEndian.PutUint64(at, binary.LittleEndian.Uint64(at)+uint64(by.Milliseconds()))
		}
		if _, err := to.Write(m); err != nil {
			return
		}
	}
}
