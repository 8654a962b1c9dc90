package filter_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/tap/filter"
)

func parseError(t testing.TB, text string) *filter.Error {
	t.Helper()
	f, err := filter.Parse(text)
	require.Nil(t, f)
	var e *filter.Error
	require.True(t, errors.As(err, &e), "%q: %v", text, err)
	return e
}

func TestErrorLines(t *testing.T) {
	for text, want := range map[string][]string{
		"chan:orders.* rate:50/d amount>1": {
			"filter: the time of the rate is none of /s, /m and /h",
			"  chan:orders.* rate:50/d amount>1",
			"                       ^^",
			"write rate:50/s, rate:50/m or rate:50/h",
		},
		"amount>": {
			"filter: there is no value after the >",
			"  amount>",
			"        ^",
			`write no blanks around it; the empty text is ""`,
		},
		"chan:": {
			"filter: the channel's name is missing",
			"  chan:",
			"       ^", // after the end
			"write chan:orders.*",
		},
		"日本 möwe x>": { // two columns each, and one
			"filter: there is no value after the >",
			"  日本 möwe x>",
			"             ^",
			`write no blanks around it; the empty text is ""`,
		},
		"e\u0301 👍 x>": { // none for an accent, two for a thumb
			"filter: there is no value after the >",
			"  e\u0301 👍 x>",
			"        ^",
			`write no blanks around it; the empty text is ""`,
		},
		"a\t\u202e \x1b[31m": { // escaped, and as wide as what is shown
			"filter: there is a control character in the text",
			`  a\t\u202e \x1b[31m`,
			`            ^^^^`,
			`in quotes it can be written as \x1b`,
		},
		"x \xff": {
			"filter: this is not valid UTF-8",
			`  x \xff`,
			`    ^^^^`,
			`write such a byte as \xff, in quotes`,
		},
		`"日本`: {
			"filter: there is no closing quote",
			`  "日本`,
			`  ^^^^^`,
		},
	} {
		lines := strings.Split(parseError(t, text).Error(), "\n")
		require.Equal(t, want, lines, "%q", text)
	}
}

// A long filter is shown around the place, in a line that a terminal has room for.
func TestLongFilters(t *testing.T) {
	long := strings.Repeat("word ", 40)
	for _, text := range []string{long + "x>", "x> " + long, long + "x> " + long, strings.Repeat("日本 ", 40) + "x> " + long} {
		line, mark := parseError(t, text).Caret()
		require.LessOrEqual(t, len([]rune(line)), 74)
		at := strings.Index(mark, "^")
		width, found := 0, false
		for _, r := range line {
			if width == at {
				found = r == '>'
			}
			if width++; r >= 0x2e80 {
				width++
			}
		}
		require.True(t, found, "%s\n%s", line, mark)
		require.LessOrEqual(t, width, 74)
	}
	line, mark := parseError(t, strings.Repeat("x", 5000)).Caret()
	require.LessOrEqual(t, len(line), 80)
	require.LessOrEqual(t, len(mark), 80)
}

// Whatever is in a filter, its error can be printed.
func requirePrintable(t testing.TB, e *filter.Error) {
	t.Helper()
	for line := range strings.SplitSeq(e.Error(), "\n") {
		for _, r := range line {
			require.True(t, unicode.IsPrint(r), "%q in %q", r, line)
		}
	}
	require.NotContains(t, e.Msg+e.Hint, "\n")
	require.GreaterOrEqual(t, e.Pos, 0)
	require.GreaterOrEqual(t, e.Len, 0)
	require.LessOrEqual(t, e.Pos+e.Len, len(e.Text))
}

func FuzzParse(f *testing.F) {
	samples, rows := readTable(f)
	for _, r := range rows {
		f.Add(r.text)
	}
	for _, file := range []string{"doc.go"} {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		for line := range strings.Lines(string(text)) {
			f.Add(line)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		flt, err := filter.Parse(text)
		if err != nil {
			var e *filter.Error
			require.ErrorAs(t, err, &e)
			requirePrintable(t, e)
			return
		}
		canon := flt.String()
		for _, r := range canon {
			require.True(t, unicode.IsPrint(r), "%q", canon)
		}
		again, err := filter.Parse(canon)
		require.NoError(t, err, "%q", canon)
		require.Equal(t, canon, again.String())
		require.Equal(t, flt.LooksInside(), again.LooksInside())
		require.Equal(t, flt.ChannelKey(), again.ChannelKey())
		require.Equal(t, passing(flt, samples), passing(again, samples))
	})
}
