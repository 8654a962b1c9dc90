package bus_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/earshot-go/earshot/bus"
	"github.com/stretchr/testify/require"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"user.added", "user.added", true},
		{"user.added", "user.removed", false},
		{"user.added", "user", false},
		{"user.added", "user.added.now", false},
		{"user.*", "user.added", true},
		{"user.*", "user", false},
		{"user.*", "user.mail.sent", false},
		{"user.**", "user.mail.sent", true},
		{"user.**", "user.mail", true},
		{"user.**", "user", false},
		{"*", "user", true},
		{"*", "user.added", false},
		{"**", "user", true},
		{"**", "user.added", true},
		{"*.added", "user.added", true},
		{"**.added", "user.added", false}, // only a last "**" stands for more than itself
		{"**.added", "**.added", true},
		{"user.a*", "user.added", false},
		{"", "", true},
		{"*", "", false},
		{"**", "", false},
		{"a..b", "a..b", true},
		{"a.*.b", "a..b", false},
		{"a", "A", false},
	} {
		require.Equal(t, c.want, bus.Match([]string{c.pattern}, c.name), "%q %q", c.pattern, c.name)
		require.Equal(t, c.want, bus.Match([]string{"no.such", c.pattern}, c.name), "%q %q, second", c.pattern, c.name)
	}
	require.True(t, bus.Match(nil, "any"))
	require.True(t, bus.Match([]string{}, "any"))
}

// The reference splits everything and compares piece by piece.
func TestMatchAgainstReference(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	text := func(pieces ...string) string {
		segments := make([]string, 1+r.IntN(4))
		for i := range segments {
			segments[i] = pieces[r.IntN(len(pieces))]
		}
		return strings.Join(segments, ".")
	}
	matched := 0
	for range 50_000 {
		pattern, name := text("a", "b", "*", "**"), text("a", "b", "c")
		want := reference(strings.Split(pattern, "."), strings.Split(name, "."))
		require.Equal(t, want, bus.Match([]string{pattern}, name), "%q %q", pattern, name)
		if want {
			matched++
		}
	}
	require.Greater(t, matched, 1000, "the patterns are too unlike the names to test anything")
}

func reference(pattern, name []string) bool {
	if len(pattern) == 1 && pattern[0] == "**" {
		return len(name) >= 1
	}
	if len(pattern) > 0 && pattern[0] == "**" {
		return false // not before the end
	}
	if len(pattern) == 0 || len(name) == 0 {
		return len(pattern) == len(name)
	}
	return (pattern[0] == "*" || pattern[0] == name[0]) && reference(pattern[1:], name[1:])
}
