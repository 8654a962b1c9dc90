package nats_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/backend/nats"
	"github.com/earshot-go/earshot/bus"
)

func TestOpenBus(t *testing.T) {
	for address, shown := range map[string]string{
		"nats://127.0.0.1":                             "nats://127.0.0.1",
		"nats://u:s3cret@127.0.0.1:4222?stream=shop":   "nats://u:xxxxx@127.0.0.1:4222?stream=shop",
		"tls://t0ken-s3cret@h:4222":                    "tls://xxxxx@h:4222",
		"nats://a:1,b:2/?mode=core":                    "nats://a:1,b:2/?mode=core",
		"nats://h?keep=10&keepfor=1h&keepbytes=100000": "nats://h?keep=10&keepfor=1h&keepbytes=100000",
	} {
		b, err := bus.Open(address)
		require.NoError(t, err)
		require.Equal(t, shown, b.(*nats.Bus).String())
		require.NoError(t, b.Close(t.Context()))
	}
	for address, says := range map[string]string{
		"nats://":                           "no URL of the form",
		"nats://h:p:s3cret":                 "no URL of the form",
		"nats://u:s3/cret@h":                "no URL of the form",
		"nats://u:s3%zzcret@h":              "no URL of the form",
		"nats://u:s3cret@h/x":               "no URL of the form",
		"nats://u:s3cret@a,,b":              "empty host",
		"nats://u:s3cret@h?what=1":          "there are atomic, creds, duplicates, keep",
		"nats://u:s3cret@h?mode=fast":       "there are jetstream and core",
		"nats://u:s3cret@h?keep=many":       "keep=many",
		"nats://u:s3cret@h?keep=-1":         "not negative",
		"nats://u:s3cret@h?keepfor=7":       "keepfor=7",
		"nats://u:s3cret@h?stream=a.b":      `stream "a.b"`,
		"nats://u:s3cret@h?stream=a%20b":    `stream "a b"`,
		"nats://u:s3cret@h?prefix=a.*":      `prefix "a.*"`,
		"nats://u:s3cret@h?prefix=$JS.x":    "for itself",
		"nats://u:s3cret@h?maxbytes=9e9":    "maxbytes=9e9",
		"nats://u:s3cret@h?duplicates=soon": "duplicates=soon",
	} {
		b, err := bus.Open(address)
		require.ErrorContains(t, err, says, address)
		require.NotContains(t, err.Error(), "s3cret")
		require.NotContains(t, err.Error(), "cret@")
		require.Nil(t, b)
	}
}

func TestCaps(t *testing.T) {
	caps := func(address string, o *nats.BusOptions) bus.Caps {
		b, err := nats.OpenBus(address, o)
		require.NoError(t, err)
		defer b.Close(t.Context())
		return b.Caps()
	}
	c := caps("nats://h", nil)
	require.True(t, c.Durable && c.Replay && c.Ordered && c.Dedupe && c.MultiProcess)
	require.Contains(t, c.Note, "sync_interval")
	require.Equal(t, 1_000_000, c.MaxBytes)
	require.False(t, caps("nats://h?storage=memory", nil).Durable)
	require.False(t, caps("nats://h", &nats.BusOptions{Duplicates: time.Second}).Dedupe)
	require.False(t, caps("nats://h", &nats.BusOptions{KeepFor: time.Second}).Dedupe, "an ID is not remembered for longer than its event is kept")
	require.True(t, caps("nats://h?mode=jetstream", &nats.BusOptions{Core: true}).Replay, "the URL goes before the options")
	c = caps("nats://h?mode=core", nil)
	require.False(t, c.Durable || c.Replay || c.Dedupe)
}
