package filter

// These tests look inside, because the parts are compared with references that a whole filter would
// hide: math/big for numbers, package regexp for patterns, strings.EqualFold for letters. One
// looks at what is remembered, which nothing outside can tell.

import (
	"fmt"
	"math"
	"math/big"
	"reflect"
	"regexp"
	"regexp/syntax"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"0", "-0", "1", "9223372036854775807", "-9223372036854775808", "18446744073709551615", "18446744073709551616",
		"0.1", ".5", "5.", "1e3", "1E-3", "00012.3400", "+7", "1e400", "-1e-400", "1e", "e1", ".", "", "1.2.3", "0x10", "1_000", "NaN", "Inf", "99999999999999999999.5"} {
		f.Add(s, int64(1), uint64(1), 1.0)
		f.Add(s, int64(math.MinInt64), uint64(math.MaxUint64), 0.1)
		f.Add(s, int64(math.MaxInt64), uint64(1<<63), math.Inf(1))
	}
	form := regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
	f.Fuzz(func(t *testing.T, s string, i int64, u uint64, x float64) {
		n := parseNumber(s)
		if !form.MatchString(s) {
			require.Nil(t, n, "%q", s)
			return
		}
		if _, exp, ok := strings.Cut(strings.ToLower(s), "e"); len(s) > 200 || ok && len(exp) > 4 {
			return // math/big would take its time
		}
		require.NotNil(t, n, "%q", s)
		want, ok := new(big.Rat).SetString(s)
		require.True(t, ok, "%q", s)
		require.Equal(t, new(big.Rat).SetInt64(i).Cmp(want), n.compareInt(i), "%d, %s", i, s)
		require.Equal(t, new(big.Rat).SetUint64(u).Cmp(want), n.compareUint(u), "%d, %s", u, s)
		c, ok := n.compareText(new(big.Int).SetUint64(u).String() + ".5")
		require.True(t, ok)
		require.Equal(t, new(big.Rat).Add(new(big.Rat).SetUint64(u), big.NewRat(1, 2)).Cmp(want), c, "%d.5, %s", u, s)
		c, ok = n.compareText(s)
		require.True(t, ok && c == 0)

		c, ok = n.compareFloat(x, 64)
		require.Equal(t, !math.IsNaN(x), ok)
		if exact := new(big.Rat).SetFloat64(x); exact != nil {
			if nearest, _ := want.Float64(); nearest == x && x != 0 && !math.IsInf(nearest, 0) {
				require.Zero(t, c)
			} else {
				require.Equal(t, exact.Cmp(want), c, "%g, %s", x, s)
			}
		} else if math.IsInf(x, 0) {
			require.Equal(t, map[bool]int{true: -1, false: 1}[x < 0], c)
		}
	})
}

func TestDurationsAreThoseOfGo(t *testing.T) {
	for _, s := range []string{"0s", "1ns", "1us", "1µs", "1μs", "20ms", "1.5s", "1h30m", "-2h45.5m", "+3s", ".5s", "1.s", "1h1h", "9223372036854775807ns", "-9223372036854775808ns", "0.000000001s"} {
		d, err := time.ParseDuration(s)
		require.NoError(t, err)
		n := parseDuration(s)
		require.NotNil(t, n, "%s", s)
		require.Zero(t, n.compareInt(int64(d)), "%s", s)
	}
	for _, s := range []string{"", "1", "s", ".s", "-", "+-1s", "--1s", "1d", "1 s", "1s ", "1e3s", "1sx", "1.2.3s", "١s", "1S", "1h-1m"} {
		require.Nil(t, parseDuration(s), "%q", s)
	}
	// Beyond what a time.Duration is.
	require.Equal(t, 1, parseDuration("0.5ns").compareInt(1))
	require.Equal(t, -1, parseDuration("0.5ns").compareInt(0))
	require.Equal(t, -1, parseDuration("9223372036854775808ns").compareInt(math.MaxInt64))
	require.Equal(t, -1, parseDuration("999999999999h").compareInt(math.MaxInt64))
	require.Equal(t, 1, parseDuration("-999999999999h").compareInt(math.MinInt64))
}

func FuzzDuration(f *testing.F) {
	f.Add("1h30m")
	f.Add("-.5µs1.25ms")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := time.ParseDuration(s)
		n := parseDuration(s)
		if err == nil && s != "0" && s != "+0" && s != "-0" {
			require.NotNil(t, n, "%q", s)
			c := n.compareInt(int64(d))
			// Go cuts what is less than a nanosecond, of each part.
			require.LessOrEqual(t, n.compareInt(int64(d)-50), 0)
			require.GreaterOrEqual(t, n.compareInt(int64(d)+50), 0)
			if !strings.Contains(s, ".") {
				require.Zero(t, c)
			}
		}
	})
}

func FuzzGlob(f *testing.F) {
	f.Add("a*b.**", "axb.c")
	f.Add("**.a.**", "a.a.a")
	f.Add("*.**.*", "a..b")
	f.Fuzz(func(t *testing.T, text, name string) {
		if len(text)+len(name) > 100 || strings.HasPrefix(name, ownChannels) || !utf8.ValidString(text) || !utf8.ValidString(name) {
			return
		}
		want := regexp.MustCompile("(?s)^(?:" + strings.ReplaceAll(regexp.QuoteMeta(text), `\*`, ".*") + ")$").MatchString(name)
		require.Equal(t, want, glob(text, name), "%q %q", text, name)

		var parts []string
		for part := range strings.SplitSeq(text, ".") {
			re := strings.ReplaceAll(regexp.QuoteMeta(part), `\*`, `[^.]*`)
			switch {
			case part == "**":
				re = `[^.]*(?:\.[^.]*)*`
			case strings.Trim(part, "*") == "" && part != "":
				re = `[^.]+`
			}
			parts = append(parts, re)
		}
		want = regexp.MustCompile("(?s)^(?:" + strings.Join(parts, `\.`) + ")$").MatchString(name)
		if name == "" && strings.Contains(text, "**") {
			want = false // no part at all
		}
		p := newPattern(text)
		require.Equal(t, want, p.match(name), "%q %q", text, name)
	})
}

func FuzzFold(f *testing.F) {
	f.Add("aab", "aaAB")
	f.Add("\u212aſ", "xks")
	f.Add("\xff", "\xfe\xff")
	f.Fuzz(func(t *testing.T, text, in1 string) {
		if text == "" || len(text)+len(in1) > 200 || !utf8.ValidString(text) || !utf8.ValidString(in1) {
			return
		}
		want := false
		length := utf8.RuneCountInString(text)
		runes := []rune(in1)
		for i := 0; i+length <= len(runes); i++ {
			want = want || strings.EqualFold(string(runes[i:i+length]), text)
		}
		n := newNeedle(text)
		require.Equal(t, want, in(n, in1), "%q in %q", text, in1)
		require.Equal(t, want, in(n, []byte(in1)))
	})
}

// The estimate is never less than what the compiler makes.
func FuzzProgram(f *testing.F) {
	for _, s := range []string{"a", "(a{30}){30}", "a{0,50}", "(a|b)*c+?d??", "[a-z]{3,}", "^$", "(?i)straße", "a{0}", "(a*)+", "()", "(?:){1000}", "a||b", "\\pL{20}", "((a?){3,5}|b){7}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		if len(src) > MaxBytes {
			return
		}
		parsed, err := syntax.Parse(src, syntax.Perl)
		if err != nil {
			return
		}
		size := program(parsed)
		if size > maxProgram {
			return
		}
		prog, err := syntax.Compile(parsed.Simplify())
		require.NoError(t, err)
		require.LessOrEqual(t, len(prog.Inst), size+3, "%q", src) // and the beginning, the end and failure
	})
}

// What a filter remembers of types is bounded, and what it does not remember it finds all the same.
func TestKnownTypesAreBounded(t *testing.T) {
	f, err := Parse("b=1")
	require.NoError(t, err)
	for range 2 {
		for i := range 5 * maxKnown {
			fs := []reflect.StructField{
				{Name: fmt.Sprintf("X%d", i), Type: reflect.TypeFor[int]()},
				{Name: "B", Type: reflect.TypeFor[int]()},
			}
			v := reflect.New(reflect.StructOf(fs)).Elem()
			v.Field(1).SetInt(1)
			require.True(t, f.Match(v))
		}
	}
	require.Len(t, *f.comparisons[0].path[0].known.Load(), maxKnown)
}
