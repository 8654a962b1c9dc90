package bus_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/stretchr/testify/require"
)

func TestToken(t *testing.T) {
	for _, position := range []string{"", "17", "a:b:c", ":", "1-0", "ünï cödé", "\x00\xff"} {
		token := bus.MakeToken("redis", "4f1c", position)
		got, err := token.Position("redis", "4f1c")
		require.NoError(t, err)
		require.Equal(t, position, got)
	}
	require.Equal(t, bus.Token("v1:redis:4f1c:17-0"), bus.MakeToken("redis", "4f1c", "17-0"))
}

func TestForeignToken(t *testing.T) {
	for token, says := range map[bus.Token]string{
		"":                       "none of this version",
		"v1":                     "none of this version",
		"v1:redis:4f1c":          "none of this version",
		"v2:redis:4f1c:17":       "none of this version",
		" v1:redis:4f1c:17":      "none of this version",
		"v1:nats:4f1c:17":        `the engine "nats", this is "redis"`,
		"v1::4f1c:17":            `the engine "", this is "redis"`,
		"v1:redis::17":           "made anew",
		"v1:redis:0000:17":       "epoch 0000, now 4f1c",
		"v1:redis:4f1c extra:17": "made anew",
	} {
		position, err := token.Position("redis", "4f1c")
		require.ErrorIs(t, err, bus.ErrForeignToken, "%q", token)
		require.ErrorContains(t, err, says, "%q", token)
		require.Empty(t, position)
	}
	long := bus.Token(make([]byte, 1<<20))
	_, err := long.Position("redis", "4f1c")
	require.Less(t, len(err.Error()), 300, "an error is no place for a megabyte")
}

// No text makes a token panic, and none passes for another stream's.
func TestTokenOfAnything(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 10_000 {
		text := []byte("v1:mem:epoch:17")
		for range r.IntN(3) {
			text[r.IntN(len(text))] = "v1:mepoch7\x00"[r.IntN(11)]
		}
		text = text[:r.IntN(len(text)+1)]
		position, err := bus.Token(text).Position("mem", "epoch")
		if err == nil {
			require.Equal(t, string(text), "v1:mem:epoch:"+position)
		} else {
			require.ErrorIs(t, err, bus.ErrForeignToken)
		}
	}
}

func TestPosition(t *testing.T) {
	when := time.Date(2026, 11, 20, 12, 0, 0, 5, time.UTC)
	for _, c := range []struct {
		p          bus.Position
		text       string
		now, start bool
		at         time.Time
		isAt       bool
		token      bus.Token
		isAfter    bool
	}{
		{p: bus.Position{}, text: "now", now: true},
		{p: bus.Now, text: "now", now: true},
		{p: bus.Start, text: "start", start: true},
		{p: bus.At(when), text: "at 2026-11-20T12:00:00.000000005Z", at: when, isAt: true},
		{p: bus.At(time.Time{}), text: "at 0001-01-01T00:00:00Z", isAt: true},
		{p: bus.After("v1:mem:x:1"), text: "after v1:mem:x:1", token: "v1:mem:x:1", isAfter: true},
		{p: bus.After(""), text: "after ", isAfter: true}, // a lost token is not "from now on"
	} {
		require.Equal(t, c.text, c.p.String())
		require.Equal(t, c.now, c.p.IsNow(), c.text)
		require.Equal(t, c.start, c.p.IsStart(), c.text)
		at, isAt := c.p.Time()
		require.Equal(t, c.isAt, isAt, c.text)
		require.True(t, c.at.Equal(at), c.text)
		token, isAfter := c.p.Token()
		require.Equal(t, c.isAfter, isAfter, c.text)
		require.Equal(t, c.token, token, c.text)
	}
}
