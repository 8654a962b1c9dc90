package payload_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/earshot-go/earshot/tap/internal/fields"
	"github.com/earshot-go/earshot/tap/internal/payload"
	"github.com/stretchr/testify/require"
)

// evil are texts that have done harm somewhere.
var evil = []string{
	"", "a", "</script><script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "javascript:alert(1)", "<!--", "]]>", "'", "`${x}`",
	"\x1b[2J\x1b]0;owned\a", "\x1b]8;;http://x\x1b\\", "\u009b31m", "\x00", "a\x00b", "\r\n\r\nHTTP/1.1 200", "data: x\n\nevent: y", "\xff\xfe", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
	"\u202egnp.exe", "\u2066\u2069", "\u2028\u2029", "\ufeff", "\U000e0041\U000e007f", "👩‍👩‍👧‍👦", "é", "\u200b", strings.Repeat("\u0301", 50),
	"9223372036854775808", "1e999", "NaN", "null", `{"password":"x"}`, `\u0000`, "\\", `"`, strings.Repeat("x", 300), strings.Repeat("世", 200),
	`{"a":[1,{"b":null}],"c":"d"}`, "[[[[[[[[]]]]]]]]", ` { "token" : [ 1 ] } `, `"\ud800"`, `[1,2,3,4,5,6,7,8,9]`, "-0.0e-5", strings.Repeat("9", 400),
}

func FuzzString(f *testing.F) {
	for _, s := range evil {
		f.Add(s, 256)
		f.Add(s, 300)
	}
	f.Fuzz(func(t *testing.T, s string, most int) {
		e := &payload.Encoder{MaxBytes: most % 2000}
		var got string
		require.NoError(t, json.Unmarshal([]byte(encodeWith(t, e, s)), &got))
		want := strings.Map(func(r rune) rune { return r }, s) // each invalid byte becomes U+FFFD
		if head, ok := strings.CutSuffix(got, "… ("+strconv.Itoa(len(s))+" bytes)"); ok && got != want {
			require.True(t, strings.HasPrefix(want, head), "%q is cut to %q", s, got)
			require.Greater(t, 6*len(s), 256-40, "%q is cut, but short", s)
		} else {
			require.Equal(t, want, got)
		}
		if utf8.ValidString(s) && len(s) < 40 {
			require.Equal(t, encode(t, s), encode(t, []byte(s)))
		}
		encodeWith(t, e, []byte(s))
		encodeWith(t, e, json.Number(s))
		encodeWith(t, e, errors.New(s))
		encodeWith(t, e, map[string]string{s: s})
	})
}

// What fits and has no secrets says the same as before.
func FuzzRawMessage(f *testing.F) {
	for _, s := range evil {
		f.Add([]byte(s), 256)
	}
	f.Fuzz(func(t *testing.T, b []byte, most int) {
		encodeWith(t, &payload.Encoder{MaxBytes: most % 1000, MaxDepth: most % 10}, json.RawMessage(b))
		out := encode(t, json.RawMessage(b))
		if !json.Valid(b) || strings.Contains(out, `{"!":`) || len(b) > 5000 {
			return
		}
		want, secrets := decode(t, b)
		got, _ := decode(t, []byte(out))
		if !secrets {
			require.Equal(t, want, got)
		}
		require.Equal(t, out, encode(t, json.RawMessage(out)), "encoding twice changes something")
	})
}

func decode(t *testing.T, b []byte) (x any, secrets bool) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	require.NoError(t, d.Decode(&x))
	var look func(any)
	look = func(x any) {
		switch x := x.(type) {
		case []any:
			for _, e := range x {
				look(e)
			}
		case map[string]any:
			for k, e := range x {
				secrets = secrets || fields.SecretKey(k)
				look(e)
			}
		}
	}
	look(x)
	return x, secrets
}

// A maker makes values of all sorts from bytes. Whatever must be hidden has the canary in it.
type maker struct {
	b     []byte
	made  []any
	depth int
}

func (m *maker) next() int {
	if len(m.b) == 0 {
		return 0
	}
	c := m.b[0]
	m.b = m.b[1:]
	return int(c)
}

func (m *maker) int64() (n int64) {
	for range 8 {
		n = n<<8 | int64(m.next())
	}
	return n
}

func (m *maker) text() string { return evil[m.next()%len(evil)] }

func (m *maker) any() (x any) {
	if m.depth > 40 || len(m.b) == 0 {
		return m.text()
	}
	m.depth++
	defer func() { m.depth--; m.made = append(m.made, x) }()
	switch m.next() % 34 {
	case 0:
		return nil
	case 1:
		return m.int64()
	case 2:
		return uint64(m.int64())
	case 3:
		return math.Float64frombits(uint64(m.int64()))
	case 4:
		return math.Float32frombits(uint32(m.int64()))
	case 5:
		return time.Unix(m.int64()>>(m.next()%64), m.int64()%1e9).In(time.FixedZone(m.text(), int(m.int64()>>(m.next()%64))))
	case 6:
		return time.Duration(m.int64())
	case 7:
		return []byte(m.text() + m.text())
	case 8:
		return json.RawMessage(m.text())
	case 9:
		return json.Number(m.text())
	case 10:
		return errors.New(m.text())
	case 11, 12:
		l := make([]any, m.next()%8)
		for i := range l {
			l[i] = m.any()
		}
		return l
	case 13, 14:
		all := map[string]any{}
		for range m.next() % 8 {
			all[m.text()] = m.any()
		}
		return all
	case 15:
		return map[any]any{m.next(): m.any(), "secret-key": canary, redactedKey(canary): m.any()}
	case 16:
		return &node{Name: m.text(), Any: m.any()}
	case 17:
		n := &node{Name: m.text()}
		n.Next, n.Any = n, m.any()
		return n
	case 18:
		y := m.any()
		return &y
	case 19:
		return tagged{m.text(), canary}
	case 20:
		return byName{m.text(), canary, []byte(canary), map[string]string{"cookie": canary, "x": m.text()}}
	case 21:
		return []any{redacted{canary}, redactedCopy{m.text(), canary}}
	case 22:
		return redactedGroup{canary}
	case 23:
		return struct {
			A any
			B []any `json:",omitempty"`
			C any   `earshot:"secret"`
			node
		}{m.any(), nil, canary, node{Name: m.text()}}
	case 24:
		return &wraps{m.text(), &tellsError{canary}}
	case 25:
		return garbage{m.text()}
	case 26:
		return complex(math.Float64frombits(uint64(m.int64())), 1)
	case 27:
		return make([]int, m.next()*100)
	case 28:
		return strings.Repeat(m.text(), m.next())
	case 29:
		return tellsAny{tagged{"n", canary}}
	case 30:
		return [3]any{m.any(), m.any(), panicsWith{canary}}
	case 31: // made before: shared, or a cycle with what follows
		if len(m.made) > 0 {
			return m.made[m.next()%len(m.made)]
		}
		return nil
	case 32:
		all := map[string]any{}
		all[m.text()] = all
		return all
	default:
		l := []any{m.any(), nil, m.any()}
		l[1] = l[m.next()%2:]
		return l
	}
}

func FuzzValue(f *testing.F) {
	for i := range byte(34) {
		f.Add([]byte{i, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 256)
		f.Add([]byte{11, 7, i, i + 1, i + 2, 13, 5, i, i * 7, i * 11, 200, 100, i, 5, 3}, int(i)*20)
		f.Add(bytes.Repeat([]byte{i, 13, 3}, 40), 0)
	}
	f.Fuzz(func(t *testing.T, b []byte, most int) {
		m := &maker{b: b}
		x := m.any()
		for _, e := range []*payload.Encoder{{}, {MaxBytes: most % 3000, MaxDepth: most % 40}} {
			out := encodeWith(t, e, x)
			require.NotContains(t, out, canary)
			require.NotContains(t, encodeValue(t, e, reflect.ValueOf(struct{ x any }{x})), canary)
		}
		payload.Size(reflect.ValueOf(x))
	})
}
