// An inside test: what the guard does shows from outside only as a memory that does not grow.
package redis

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/stretchr/testify/require"
)

// A server that announces what nobody can keep, or talks another language, is an error at once.
func TestMonstrousReplies(t *testing.T) {
	for _, reply := range []string{
		"$9223372036854775806\r\n", "$536870913\r\n", "*9223372036854775807\r\n", "*1048577\r\n", "$-2\r\n", "$x\r\n", "*\r\n",
		strings.Repeat("*1\r\n", 100_000), "HTTP/1.1 400 Bad Request\r\n\r\n", "%1\r\n", "\x00", "+" + strings.Repeat("x", 1<<20),
		"$" + strings.Repeat("0", 1<<10), "*2\r\n$1\r\nx\r\n!", "$3\n",
	} {
		_, err := io.ReadAll(&guard{Conn: &chunked{text: []byte(reply), size: 100}})
		require.Error(t, err, "%.40q", reply)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				io.WriteString(c, reply)
				c.Close()
			}
		}()
		b, err := OpenBus("redis://"+l.Addr().String(), nil)
		require.NoError(t, err)
		require.ErrorIs(t, b.Publish(t.Context()), bus.ErrDisconnected, "%.40q", reply)
		_, err = b.Tail(t.Context(), bus.Tail{})
		require.ErrorIs(t, err, bus.ErrDisconnected, "%.40q", reply)
		require.NoError(t, b.Close(context.Background()))
		l.Close()
	}
}

// chunked is a connection that brings text in pieces.
type chunked struct {
	net.Conn
	text []byte
	size int
}

func (c *chunked) Read(p []byte) (int, error) {
	if len(c.text) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.text[:min(c.size, len(c.text))])
	c.text = c.text[n:]
	return n, nil
}
func (c *chunked) SetReadDeadline(time.Time) error { return nil }
func (c *chunked) Close() error                    { return nil }

// What passes the guard has lengths that can be had, however it is cut; what the parser takes, the guard does as well.
func FuzzReplies(f *testing.F) {
	for _, s := range []string{
		"+OK\r\n", "-ERR x\r\n", ":1\r\n", "$3\r\nabc\r\n", "*-1\r\n", "$-1\r\n", "*0\r\n", "*2\r\n*1\r\n:1\r\n$0\r\n\r\n",
		"*1\r\n*2\r\n$1\r\nk\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\ne\r\n$2\r\n{}\r\n",
	} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, text []byte, size int) {
		if size < 1 {
			size = 1
		}
		g := &guard{Conn: &chunked{text: bytes.Clone(text), size: size}}
		passed, err := io.ReadAll(g)
		whole := &guard{Conn: &chunked{text: bytes.Clone(text), size: len(text) + 1}}
		_, errWhole := io.ReadAll(whole)
		require.Equal(t, err == nil, errWhole == nil)
		if err == nil {
			require.Equal(t, text, append([]byte{}, passed...))
			require.Equal(t, whole.open, g.open)
			require.Equal(t, whole.size, g.size, "%q", text)
		}
		_, parseErr := read(text)
		var refused refusal
		if parsed := parseErr == nil || fmt.Sprintf("%T", parseErr) == fmt.Sprintf("%T", refused); parsed && err == nil {
			require.Empty(t, g.open)
			require.Zero(t, g.body)
			require.Zero(t, g.size)
		}
		parseState(text)
		parseEntries(text)
	})
}
