package rethinkdb_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/backend/rethinkdb"
	"github.com/earshot-go/earshot/bus"
)

func TestOpen(t *testing.T) {
	b, err := bus.Open("rethinkdb://bob:wr0ng-secret@db.example/shop/orders?keep=1000&keepfor=24h&persist=true&overlap=5s&maxbytes=70000")
	require.NoError(t, err)
	rb, ok := b.(*rethinkdb.Bus)
	require.True(t, ok)
	require.Equal(t, "rethinkdb://bob:xxxxx@db.example:28015/shop/orders?keep=1000&keepfor=24h&maxbytes=70000&overlap=5s&persist=true", rb.String())
	require.Equal(t, rethinkdb.BusOptions{
		DB: "shop", Table: "orders", Keep: 1000, KeepFor: 24 * time.Hour, Overlap: 5 * time.Second, MaxBytes: 70000,
	}, rb.BusOptions)
	require.NoError(t, b.Close(context.Background()))

	rb, err = rethinkdb.OpenBus("rethinkdb://127.0.0.1", nil)
	require.NoError(t, err)
	require.Equal(t, "rethinkdb://127.0.0.1:28015/earshot/events", rb.String())
	require.True(t, rb.Caps().Replay)
	require.NoError(t, rb.Close(context.Background()))

	rb, err = rethinkdb.OpenBus("rethinkdb://[::1]:1/x?persist=false", &rethinkdb.BusOptions{DB: "y", Table: "z"})
	require.NoError(t, err)
	require.Equal(t, "rethinkdb://[::1]:1/x/z?persist=false", rb.String())
	require.False(t, rb.Caps().Replay || rb.Caps().Dedupe || rb.Caps().Durable)
	require.NoError(t, rb.Close(context.Background()))
}

func TestOpenMistakes(t *testing.T) {
	for url, says := range map[string]string{
		"rethinkdb:x":                           "this is no URL like",
		"rethinkdb://":                          "this is no URL like",
		"rethinkdb://h/a/b/c":                   "more than /db/table",
		"rethinkdb://h?colour=red":              "there are keep, keepfor, maxbytes, overlap, persist",
		"rethinkdb://h?keep=many":               `keep="many"`,
		"rethinkdb://h?keep=-1":                 "negative",
		"rethinkdb://h?keepfor=1":               "keepfor",
		"rethinkdb://h?overlap=1ns":             "overlap",
		"rethinkdb://h?maxbytes=99999999":       "maxbytes",
		"rethinkdb://h?persist=perhaps":         "persist",
		"rethinkdb://h/rethinkdb":               "the server's own",
		"rethinkdb://h/a/b.c":                   "names have up to",
		"rethinkdb://u:wr0ng-secret@h/a/b/c":    "more than",
		"rethinkdb://u:wr0ng-secret@h:port/a":   "this is no URL like",
		"rethinkdb://u:wr0ng-secret@h?x=%zz":    "cannot be read",
		"rethinkdb://u:wr0ng-secret@h?keep=a;b": "cannot be read",
		"rethinkdb://u:/wr0ng-secret@h:1/db/t":  "%2F for /",
		"rethinkdb://u:/wr0ng-secret@h/db":      "%2F for /",
		"rethinkdb://u:2024?wr0ng-secret@h/db":  "%3F for ?",
	} {
		_, err := rethinkdb.OpenBus(url, nil)
		require.ErrorContains(t, err, says, url)
		require.NotContains(t, err.Error(), "wr0ng-secret")
	}
}
