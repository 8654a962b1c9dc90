// Inside the package: subjects are not seen from outside, and a wrong filter shows only as events that a feed does
// not have.
package nats

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/bus"
)

func TestSubject(t *testing.T) {
	for name, want := range map[string]string{
		"user.added": "p.user.added",
		"a b":        "p.a%20b",
		"*":          "p.%2A",
		"a.>":        "p.a.%3E",
		"a..b":       "p.a.%.b",
		".":          "p.%.%",
		"%":          "p.%25",
		"ü":          "p.%C3%BC",
		"a\x00\xff":  "p.a%00%FF",
		"$JS.API":    "p.$JS.API",
		`"'`:         "p.%22%27",
	} {
		got := subject("p", name)
		require.Equal(t, want, got)
		back, err := nameOf("p", got)
		require.NoError(t, err)
		require.Equal(t, name, back)
	}
	for _, odd := range []string{"q.a", "p", "p.%2", "p.%zz"} {
		_, err := nameOf("p", odd)
		require.Error(t, err, odd)
	}
}

func FuzzSubject(f *testing.F) {
	f.Add("user.added")
	f.Add("..%2A.*.>")
	f.Fuzz(func(t *testing.T, name string) {
		s := subject("p", name)
		for token := range strings.SplitSeq(s, ".") {
			if token == "" || token == "*" || token == ">" || !allPlainOrEscape(token) {
				t.Fatalf("subject(%q) = %q, with the token %q", name, s, token)
			}
		}
		if back, err := nameOf("p", s); err != nil || back != name {
			t.Fatalf("nameOf(subject(%q)) = %q, %v", name, back, err)
		}
	})
}

func allPlainOrEscape(s string) bool { return allPlain(strings.ReplaceAll(s, "%", "")) }

func TestFilters(t *testing.T) {
	for _, c := range []struct {
		hint []string
		want []string
	}{
		{nil, nil},
		{[]string{"**"}, nil},
		{[]string{"*"}, []string{"p.*"}},
		{[]string{"user.*"}, []string{"p.user.*"}},
		{[]string{"user.**"}, []string{"p.user.>"}},
		{[]string{"user.**.x"}, []string{"p.user.%2A%2A.x"}},
		{[]string{"a", "b"}, []string{"p.a", "p.b"}},
		{[]string{"user.added", "user.*"}, []string{"p.user.*"}},
		{[]string{"user.**", "user.added", "order.*"}, []string{"p.user.>", "p.order.*"}},
		{[]string{"a.*", "*.b"}, nil}, // both match a.b
		{[]string{"a b"}, []string{"p.a%20b"}},
		{[]string{strings.Repeat("x", 4000)}, nil},
	} {
		require.Equal(t, c.want, filters("p", c.hint), "%q", c.hint)
	}
	require.Nil(t, filters("p", strings.Split(strings.Repeat("x,", 100)+"x", ",")[:0]))
	require.Equal(t, "p.user.>", common("p", []string{"p.user.a", "p.user.b.c"}))
	require.Equal(t, "p.>", common("p", []string{"p.a", "p.b"}))
	require.Equal(t, "p.>", common("p", nil))
	require.Equal(t, "p.a", common("p", []string{"p.a"}))
}

// natsMatch is how a server compares.
func natsMatch(filter, subject string) bool {
	f, s := strings.Split(filter, "."), strings.Split(subject, ".")
	for i, token := range f {
		if token == ">" {
			return len(s) > i
		}
		if i >= len(s) || token != "*" && token != s[i] {
			return false
		}
	}
	return len(f) == len(s)
}

// What a hint matches, its filters let through; and no two of them overlap.
func TestFiltersNeverNarrowTooMuch(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	segments := []string{"a", "b", "*", "**", "", ">", "%", "ü", "a b"}
	text := func() string {
		var s []string
		for range 1 + r.IntN(3) {
			s = append(s, segments[r.IntN(len(segments))])
		}
		return strings.Join(s, ".")
	}
	for range 20000 {
		var hint []string
		for range 1 + r.IntN(4) {
			hint = append(hint, text())
		}
		fs := filters("p", hint)
		for range 10 {
			name := text()
			if !bus.Match(hint, name) {
				continue
			}
			through, together := fs == nil, natsMatch(common("p", fs), subject("p", name))
			for _, f := range fs {
				through = through || natsMatch(f, subject("p", name))
			}
			if !through || !together {
				t.Fatalf("%q matches %q, and its subject %q none of %q, or not %q", hint, name, subject("p", name), fs, common("p", fs))
			}
		}
		for i, f := range fs {
			for _, g := range fs[:i] {
				require.False(t, overlap(f, g), "%q: %q and %q", hint, f, g)
			}
		}
	}
}

func TestMessageID(t *testing.T) {
	require.Equal(t, "/a 1", messageID("/a", "1"))
	require.NotEqual(t, messageID("/a", "1"), messageID("/b", "1"))
	require.NotEqual(t, messageID("a ", "b"), messageID("a", " b"))
	require.NotEqual(t, messageID("a", "b\n"), messageID("a", "b "))
	require.Len(t, messageID(strings.Repeat("x", 500), "1"), 64)
}
