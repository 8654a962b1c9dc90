package couchdb_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/backend/couchdb"
	"github.com/earshot-go/earshot/bus"
)

func TestOpenRefusesMistakes(t *testing.T) {
	for url, want := range map[string]string{
		"couchdb:///db":                              "host is missing",
		"couchdb:db":                                 "host is missing",
		"http://h/db":                                "scheme",
		"couchdb://h/Shop":                           "no name of a database",
		"couchdb://h/_users":                         "no name of a database",
		"couchdb://h/db?colour=red":                  "there are heartbeat, maxbytes, timeout",
		"couchdb://h/db?maxbytes=-1":                 "no size is negative",
		"couchdb://h/db?timeout=soon":                "timeout",
		"couchdb://h/db?heartbeat=-1s":               "1ms",
		"couchdb://u:wr0ng-secret@h:port/db":         "not a URL",
		"couchdb://u:wr0ng-secret@h/db?x=1":          "there are",
		"couchdb://u:wr0ng-secret@h/db?timeout=%zz":  "query",
		"couchdb://u:wr0ng-secret@h/db?maxbytes=1;2": "query",
		"couchdb://u:/wr0ng-secret@h:5984/db":        "%2F for /",
		"couchdb://u:/Wr0ng-secret@h":                "%2F for /",
		"couchdb://u:2024?wr0ng-secret@h:5984/db":    "%3F for ?",
	} {
		_, err := couchdb.OpenBus(url, nil)
		require.ErrorContains(t, err, want, url)
		require.NotContains(t, err.Error(), "r0ng-secret")
	}
}

func TestOpen(t *testing.T) {
	for url, want := range map[string]string{
		"couchdb://h": "couchdb://h",
		"couchdbs://u:wr0ng-secret@h:1/a/b%2Fc?maxbytes=77": "couchdbs://u:xxxxx@h:1/a/b%2Fc?maxbytes=77",
	} {
		b, err := bus.Open(url)
		require.NoError(t, err)
		require.Equal(t, want, b.(*couchdb.Bus).String())
		require.NoError(t, b.Close(t.Context()))
	}
	b, err := couchdb.OpenBus("couchdb://h?maxbytes=5", &couchdb.BusOptions{DB: "db", MaxBytes: 7})
	require.NoError(t, err)
	require.Equal(t, 5, b.Caps().MaxBytes)
	require.NoError(t, b.Close(t.Context()))
}
