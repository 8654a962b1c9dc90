package main

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The filters that package filter is tested with: the command takes those that parse there, and refuses
// the others with the same words and the same caret.
func TestRealFilters(t *testing.T) {
	text, err := os.ReadFile("../../tap/filter/testdata/cases.txt")
	require.NoError(t, err)
	p := newProgram(t, permitted)
	good, bad := 0, 0
	filter := ""
	for i, line := range strings.Split(string(text), "\n") {
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "filter":
			filter = rest
		case "filterq":
			filter, err = strconv.Unquote(rest)
			require.NoError(t, err, "cases.txt:%d", i+1)
		case "match":
			good++
			r := p.run(t, "tap", "--for", "1ms", "--", filter)
			assert.Equal(t, exitOK, r.code, "cases.txt:%d: %q: %s", i+1, filter, r.err)
		case "error":
			bad++
			_, err := tap.Open(p.srv, filter)
			require.Error(t, err, "cases.txt:%d: %q", i+1, filter)
			r := p.run(t, "tap", "--", filter)
			assert.Equal(t, exitUsage, r.code, "cases.txt:%d: %q", i+1, filter)
			assert.Contains(t, r.err, cleanLines(err.Error()), "cases.txt:%d: %q", i+1, filter)
			assert.Empty(t, r.out)
			for line := range strings.SplitSeq(r.err, "\n") {
				assertSafe(t, line)
			}
		}
	}
	assert.GreaterOrEqual(t, good+bad, 200)
	assert.Positive(t, bad)
}
