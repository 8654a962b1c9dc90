//go:build unix

package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A server that takes the connection and says nothing must not make the terminal hang: after a second it is spoken
// of, and Ctrl-C ends the command at once. (That of MongoDB gives up by itself after a second.)
func TestQueueOfAServerThatSaysNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	for scheme, path := range map[string]string{"redis://:secretword@": "/0", "postgres://me:secretword@": "/shop?sslmode=disable"} {
		c := child(t, "", "queue", "ls", "--store", scheme+l.Addr().String()+path)
		notes, err := c.StderrPipe()
		require.NoError(t, err)
		var out bytes.Buffer
		c.Stdout = &out
		require.NoError(t, c.Start())
		r := bufio.NewReader(notes)
		line, err := r.ReadString('\n')
		require.NoError(t, err)
		assert.Contains(t, line, "[queue ls] waiting for ")
		assert.NotContains(t, line, "secretword")
		pressed := time.Now()
		require.NoError(t, c.Process.Signal(os.Interrupt))
		r.WriteTo(io.Discard)
		assert.Equal(t, exitInterrupted, status(t, c.Wait()), scheme)
		assert.Less(t, time.Since(pressed), 2*time.Second, scheme) // patience of the drivers is more
		assert.Empty(t, out.String())
	}
}

// On a terminal a drain has one line that changes, and takes it away at the end.
func TestQueueDrainOnATerminal(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "jobs.db")
	s, err := queue.Open(url)
	require.NoError(t, err)
	defer s.Close(t.Context())
	enqueue(t, s, manyItems("mail", 3)...)
	p := openPty(t, 60, 24)
	c := child(t, "", "queue", "drain", "--store", url, "--every", "100ms")
	p.start(t, c)
	p.awaitText(t, "[queue drain] 3 ready, 0 delayed, 0 leased, 0 dead")
	items := lease(t, s, "mail", 3, time.Minute)
	settle(t, s, items[0].Ack())
	p.awaitText(t, "[queue drain] 0 ready, 0 delayed, 2 leased, 0 dead; ")
	settle(t, s, items[1].Ack(), items[2].Ack())
	assert.Equal(t, exitOK, status(t, c.Wait()))
	p.close()
	assert.Regexp(t, `^empty after \S+$`, strings.TrimSpace(p.screen()))
	assert.NotContains(t, p.text(), "\x1b[")
}
