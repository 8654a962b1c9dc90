package main

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var nasty = map[string]string{
	"plain text, Zoë, 李雷":      "plain text, Zoë, 李雷",
	"\x1b]0;title\a":           `\x1b]0;title\x07`,
	"\x1b[2J\x1b[31mred":       `\x1b[2J\x1b[31mred`,
	"a\nb\r\tc\x00":            `a\nb\r\tc\x00`,
	"c1 \u009b31m":             `c1 \u009b31m`,
	"raw c1 \x9b31m":           `raw c1 \x9b31m`,
	"del \x7f":                 `del \x7f`,
	"bidi \u202eevil\u202c":    `bidi \u202eevil\u202c`,
	"isolate \u2066x\u2069":    `isolate \u2066x\u2069`,
	"marks \u200e\u200f\u061c": `marks \u200e\u200f\u061c`,
	"lines \u2028\u2029\u0085": `lines \u2028\u2029\u0085`,
	"no width \u200b\ufeff":    `no width \u200b\ufeff`,
	"tags \U000e0041":          `tags \U000e0041`,
	"bad \xff\xc3":             `bad \xff\xc3`,
	"nbsp\u00a0x":              `nbsp\u00a0x`,
}

func TestClean(t *testing.T) {
	for in, want := range nasty {
		assert.Equal(t, want, clean(in), "%q", in)
	}
	assert.Equal(t, "a\\x1b\nb\\u202e", cleanLines("a\x1b\nb\u202e"))
}

// What is written is safe, one line, and the same value; numbers keep all their digits, keys their order.
func TestCleanJSON(t *testing.T) {
	for in := range nasty {
		raw := `{"z": "` + rawString(in) + `", "a": [18446744073709551615, -9223372036854775808, 1e400]}`
		got, ok := appendCleanJSON(nil, []byte(raw))
		require.True(t, ok, "%q", raw)
		assertSafe(t, string(got))
		assert.Contains(t, string(got), `"a":[18446744073709551615,-9223372036854775808,1e400]}`)
		assert.True(t, strings.HasPrefix(string(got), `{"z":"`))
		var before, after struct{ Z string }
		require.NoError(t, json.Unmarshal([]byte(raw), &before))
		require.NoError(t, json.Unmarshal(got, &after))
		assert.Equal(t, before, after, "%q", in)
	}
	for _, bad := range []string{"", "{", "a\x1b", `"a` + "\n" + `"`, "1 2"} {
		got, ok := appendCleanJSON([]byte("x"), []byte(bad))
		assert.False(t, ok, "%q", bad)
		assert.Equal(t, "x", string(got))
	}
}

// rawString is s within JSON quotes with as few escapes as JSON allows.
func rawString(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if s[i] < ' ' || s[i] == '"' || s[i] == '\\' {
			b.WriteString(`\u00` + strconv.FormatInt(int64(s[i])+0x100, 16)[1:])
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func assertSafe(t testing.TB, s string) {
	t.Helper()
	assert.True(t, utf8.ValidString(s), "%q", s)
	for _, r := range s {
		if !strconv.IsPrint(r) {
			t.Errorf("%U in %q", r, s)
			return
		}
	}
}

func FuzzClean(f *testing.F) {
	for in := range nasty {
		f.Add([]byte(in))
		f.Add([]byte(`{"a":"` + in + `"}`))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		assertSafe(t, clean(string(in)))
		got, ok := appendCleanJSON(nil, in)
		if ok != json.Valid(in) {
			t.Fatalf("appendCleanJSON(%q) = %v", in, ok)
		}
		if !ok {
			return
		}
		assertSafe(t, string(got))
		if again, ok := appendCleanJSON(nil, got); !ok || string(again) != string(got) {
			t.Fatalf("%q is cleaned to %q, and that to %q", in, got, again)
		}
	})
}

// No command passes anything on as it comes, whoever the server is.
func TestHostileServer(t *testing.T) {
	for in := range nasty {
		quoted := rawString(in)
		row := `{"name":"` + quoted + `","subscriber":"` + quoted + `","ref":"` + quoted + `","` + quoted + `":"` + quoted + `"}`
		f := newFake()
		for _, name := range []string{"overview", "channels", "subscribers", "slow", "channel"} {
			f.set(name+".json", `{"title":"`+quoted+`","status":"`+quoted+`","summary":"`+quoted+`","`+quoted+`":[`+row+`],"totals":[`+row+`],"about":[`+row+`],"slow":[`+row+`]}`)
		}
		f.stream = hostileStream(quoted)
		url := serve(t, f)
		for _, args := range [][]string{
			{"health"}, {"ls"}, {"show", "x"}, {"slow"}, {"top", "-o", "-"}, {"tap", "-t", "-d"}, {"tap", "--json"}, {"ls", "--json"}, {"doctor"},
		} {
			if args[0] == "doctor" && in != "\x1b]0;title\a" {
				continue // once is enough, it takes its time
			}
			r := world{url: url}.run(t, args...)
			for text := range strings.SplitSeq(r.out+r.err, "\n") {
				assertSafe(t, text)
			}
		}
	}
}
