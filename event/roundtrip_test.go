package event_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/earshot-go/earshot/event"
	"github.com/stretchr/testify/require"
)

// A maker makes random valid events.
type maker struct{ *rand.Rand }

func (m maker) pick(of ...string) string { return of[m.IntN(len(of))] }

// text is what an attribute may be, of at least min letters.
func (m maker) text(min int) string {
	letters := []rune(`abcXYZ019 ./:-_~"\<>&'` + "é\u00a0€\u2028\ufffd😀\U0010fffd")
	s := make([]rune, min+m.IntN(20))
	for i := range s {
		s[i] = letters[m.IntN(len(letters))]
	}
	return string(s)
}

func (m maker) name() string {
	s := []byte("x") // no attribute begins with it
	for range m.IntN(19) {
		s = append(s, "abcdefghijklmnopqrstuvwxyz0123456789"[m.IntN(36)])
	}
	return string(s)
}

func (m maker) time() time.Time {
	zone := time.FixedZone("", m.IntN(86400)-43200)
	return time.Date(1+m.IntN(9998), 1, 1, 0, 0, m.IntN(86400*365), m.IntN(1e9), zone)
}

func (m maker) bytes() []byte {
	b := make([]byte, 1+m.IntN(60))
	for i := range b {
		b[i] = byte(m.Uint32())
	}
	return b
}

func (m maker) space() string { return m.pick("", "", "", " ", "\n", "\t", " \r\n  ") }

func (m maker) json(depth int) string {
	switch n := m.IntN(8); {
	case n == 0:
		return m.pick("true", "false", "null")
	case n == 1:
		return m.pick("0", "-0", "-0.0e-0", "1e400", "9007199254740993", "1.10", "123E+45", "-"+strconv.FormatUint(m.Uint64(), 10))
	case n < 4 || depth > 4:
		return m.pick(`""`, `"\ud800"`, `"\u0000\/\"\\ "`, `" , : "`, `"`+string(bytes.Repeat([]byte("a b"), m.IntN(9)))+`"`, `"é😀"`)
	case n < 6:
		s := "[" + m.space()
		for i := range m.IntN(4) {
			if i > 0 {
				s += "," + m.space()
			}
			s += m.json(depth+1) + m.space()
		}
		return s + "]"
	}
	s := "{" + m.space()
	for i := range m.IntN(4) {
		if i > 0 {
			s += "," + m.space()
		}
		s += m.pick(`"a"`, `"b c"`, `"\"\\"`, `""`) + m.space() + ":" + m.space() + m.json(depth+1) + m.space()
	}
	return s + "}"
}

// event returns an event, and what is read when it was written.
func (m maker) event() (e, want event.Event) {
	e = event.Event{ID: m.text(1), Source: m.text(1), Type: m.text(1), Subject: m.text(0), DataSchema: m.text(0)}
	want = e
	if m.IntN(4) > 0 {
		e.Time = m.time()
		want.Time = e.Time.UTC()
	}
	switch m.IntN(4) {
	case 0:
		e.DataContentType = m.pick("", "application/json", "TEXT/JSON;charset=utf-8", "a/b+json")
		var tight bytes.Buffer
		loose := m.space() + m.json(0) + m.space()
		if err := json.Compact(&tight, []byte(loose)); err != nil {
			panic(err)
		}
		e.Data, want.Data = []byte(loose), tight.Bytes()
	case 1:
		e.DataContentType = m.pick("text/plain", "text/html; charset=UTF-8", "application/xml", "a/b+xml")
		e.Data = []byte(m.text(1) + "\x00\r\n")
		want.Data = e.Data
	case 2:
		e.DataContentType = m.pick("application/octet-stream", "text/plain", "text/plain; charset=latin1", "?", "a/b")
		e.Data = m.bytes()
		want.Data = e.Data
	}
	want.DataContentType = e.DataContentType
	for range m.IntN(20) - 8 {
		name := m.name()
		switch m.IntN(6) {
		case 0:
			v := m.text(0)
			e.SetExtension(name, v)
			want.SetExtension(name, v)
		case 1:
			v := m.IntN(2) == 0
			e.SetExtension(name, v)
			want.SetExtension(name, v)
		case 2:
			v := int32(m.Uint32())
			e.SetExtension(name, v)
			want.SetExtension(name, v)
		case 3:
			v := int(int32(m.Uint32()))
			e.SetExtension(name, v)
			want.SetExtension(name, int32(v))
		case 4:
			v := m.bytes()
			e.SetExtension(name, v)
			want.SetExtension(name, base64.StdEncoding.EncodeToString(v))
		case 5:
			v := m.time()
			e.SetExtension(name, v)
			want.SetExtension(name, v.UTC().Format(time.RFC3339Nano))
		}
	}
	return e, want
}

func TestRoundTrip(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	m := maker{rand.New(rand.NewPCG(seed, 0))}
	for range 5000 {
		e, want := m.event()
		require.NoError(t, e.Validate())
		text := write(t, e)
		require.True(t, json.Valid([]byte(text)), text)
		require.NotContains(t, text, "\n")
		got := read(t, text)
		require.Equal(t, want, got, text)
		require.Equal(t, text, write(t, got), "what was read is written alike")
		for name := range e.Extensions {
			require.Equal(t, e.Extension(name), got.Extension(name), name)
		}

		// By way of encoding/json, which writes some letters otherwise.
		b, err := json.Marshal(e)
		require.NoError(t, err)
		var other event.Event
		require.NoError(t, json.Unmarshal(b, &other))
		require.Equal(t, got.ID, other.ID)
		require.Equal(t, got.Extensions, other.Extensions)
	}
}
