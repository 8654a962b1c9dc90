package couchdb_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/backend/couchdb"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

// large are events of some bytes each.
func large(n, size int) []event.Event {
	evs := some(n)
	for i := range evs {
		evs[i].Data = fmt.Appendf(nil, "%q", bytes.Repeat([]byte("a"), size))
	}
	return evs
}

// A request over a slow wire may take longer than the server may take for its answer.
func TestSlowWire(t *testing.T) {
	b := fake(t, map[string]http.HandlerFunc{"POST /_bulk_docs": func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			<-tick.C
			if _, err := io.CopyN(io.Discard, r.Body, 50<<10); err != nil {
				break
			}
		}
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, "["+strings.Repeat(`{"ok":true,"id":"a","rev":"1-1"},`, 3)+`{"ok":true,"id":"a","rev":"1-1"}]`)
	}})
	begun := time.Now()
	require.NoError(t, b.Publish(t.Context(), large(4, 900_000)...))
	require.Greater(t, time.Since(begun), 2*time.Second, "this was not slow")
}

// One that takes nothing more is given up as soon as one that does not answer.
func TestWireThatTakesNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	require.NoError(t, err)
	defer l.Close()
	b, err := couchdb.OpenBus("couchdb://"+l.Addr().String()+"?timeout=300ms&maxbytes=33554432", nil)
	require.NoError(t, err)
	defer b.Close(t.Context())
	begun := time.Now()
	require.ErrorIs(t, b.Publish(t.Context(), large(1, 12<<20)...), bus.ErrDisconnected)
	require.Less(t, time.Since(begun), 6*time.Second) // most of it for the JSON
}
