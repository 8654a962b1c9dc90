package rethinkdb_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/backend/rethinkdb"
	"github.com/earshot-go/earshot/bus"
)

// slowly returns the address of a wire to a server that carries so many bytes in a second each way.
func slowly(t testing.TB, server string, rate int) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	carry := func(to, from net.Conn) {
		defer to.Close()
		defer from.Close()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		buf := make([]byte, rate/50)
		for {
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
			if n > 1000 { // small ones are not what is slow
				<-tick.C
			}
		}
	}
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", server)
			if err != nil {
				client.Close()
				continue
			}
			for _, c := range []net.Conn{client, to} {
				_ = c.(*net.TCPConn).SetReadBuffer(32 << 10)
			}
			wg.Go(func() { carry(to, client) })
			wg.Go(func() { carry(client, to) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}

// What is large may take a slow wire longer than the server may take for an answer: an insert, a page, and changes.
func TestSlowWire(t *testing.T) {
	rethinkdb.SetAnswerTimeout(t, time.Second)
	s := fixture{at: base(t)}.stream(t)
	b := s.Open(t, slowly(t, s.Server, 700_000)).(*rethinkdb.Bus)
	defer b.Close(context.Background())
	live := tail(t, b, bus.Tail{})
	evs := makeAll("large", 2)
	for i := range evs {
		evs[i].Data = fmt.Appendf(nil, "%q", bytes.Repeat([]byte("a"), 1_000_000))
	}
	begun := time.Now()
	require.NoError(t, b.Publish(within(t), evs...))
	require.Greater(t, time.Since(begun), 1500*time.Millisecond, "this was not slow")
	require.Equal(t, idsOf(evs), rest(t, tail(t, b, bus.Tail{From: bus.Start, Past: true})))
	ids, _ := read(t, live, 2)
	require.Equal(t, idsOf(evs), ids)
}
