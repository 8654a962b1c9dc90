package panel_test

import (
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/tap/panel"
)

func TestWordsOfKindsAndStatesAreFixed(t *testing.T) {
	t.Parallel()

	want := []string{"text", "code", "count", "rate", "seconds", "time", "bytes", "flag"}
	for i, name := range want {
		assert.Equal(t, name, panel.Kind(i).String())
	}
	assert.Equal(t, "text", panel.Kind(200).String(), "an unknown kind is drawn as words")
	assert.Equal(t, "ok warn bad bad", strings.Join([]string{
		panel.OK.String(), panel.Warn.String(), panel.Bad.String(), panel.Status(9).String(),
	}, " "))
}

func TestWorstIsTheWorseOne(t *testing.T) {
	t.Parallel()

	assert.Equal(t, panel.Bad, panel.Warn.Worst(panel.Bad))
	assert.Equal(t, panel.Bad, panel.Bad.Worst(panel.OK))
	assert.Equal(t, panel.OK, panel.OK.Worst(panel.OK))
}

func TestOnlyNumbersAreNumbers(t *testing.T) {
	t.Parallel()

	for k := panel.Text; k <= panel.Flag; k++ {
		want := k == panel.Count || k == panel.Rate || k == panel.Seconds || k == panel.Bytes
		assert.Equal(t, want, k.Number(), k.String())
	}
}

// A library that brings a panel must not bring a web server along.
func TestThePackageImportsNothingThatServes(t *testing.T) {
	t.Parallel()

	files, err := os.ReadDir(".")
	require.NoError(t, err)
	allowed := map[string]bool{`"context"`: true, `"net/url"`: true}
	for _, f := range files {
		name := f.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, imp := range parsed.Imports {
			assert.True(t, allowed[imp.Path.Value], "%s imports %s", name, imp.Path.Value)
		}
	}
}
