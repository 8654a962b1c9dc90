package web_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot/internal/need"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/tap/internal/web"
)

func mustAsset(t *testing.T, name string) string {
	t.Helper()
	body, _, _, ok := web.Asset(name)
	require.True(t, ok, name)
	return string(body)
}

func TestAssetsSayWhatTheyAre(t *testing.T) {
	t.Parallel()

	tags := map[string]bool{}
	for name, want := range map[string]string{
		"app.js": "text/javascript; charset=utf-8", "style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml",
	} {
		body, contentType, etag, ok := web.Asset(name)
		require.True(t, ok, name)
		assert.NotEmpty(t, body)
		assert.Equal(t, want, contentType)
		assert.Regexp(t, `^"[0-9a-f]{16}"$`, etag)
		tags[etag] = true
	}
	assert.Len(t, tags, 3)
	for _, name := range []string{"", "help.html", "app", "app/10-start.js", "../web.go", "style.css/"} {
		_, _, _, ok := web.Asset(name)
		assert.False(t, ok, name)
	}
}

// The goal is 60 KiB for a page with all that it asks for.
func TestAPageIsLight(t *testing.T) {
	t.Parallel()

	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for _, s := range []string{
		mustAsset(t, "app.js"), mustAsset(t, "style.css"), mustAsset(t, "icon.svg"), pagesOf(t, "orders")["help"],
	} {
		_, err := z.Write([]byte(s))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	assert.Less(t, b.Len(), 25<<10)
}

// What the content security policy forbids would fail in the browser; what it
// cannot forbid, writing markup of a string, is not done at all.
func TestTheScriptWritesTextOnly(t *testing.T) {
	t.Parallel()

	script := mustAsset(t, "app.js")
	for _, word := range []string{
		"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "createContextualFragment",
		"setHTMLUnsafe", "srcdoc", "setAttribute('style'", "setAttribute('on", "javascript:", "importScripts", "XMLHttpRequest",
	} {
		assert.NotContains(t, script, word)
	}
	assert.Regexp(t, `^\(\(\) => \{\n'use strict';\n`, script, "nothing becomes global")
}

func TestNothingComesFromElsewhere(t *testing.T) {
	t.Parallel()

	address := regexp.MustCompile(`https?://[^\s"'<)]*|url\(|@import`)
	for _, name := range []string{"app.js", "style.css", "icon.svg"} {
		for _, found := range address.FindAllString(mustAsset(t, name), -1) {
			assert.Equal(t, "http://www.w3.org/2000/svg", found, name) // a name, not a place
		}
	}
}

// Each id that the script takes for granted is on the pages that it runs on.
func TestScriptAndPagesAgreeOnNames(t *testing.T) {
	t.Parallel()

	pages := pagesOf(t, "word")
	for _, m := range regexp.MustCompile(`\$\('([a-z-]+)'\)`).FindAllStringSubmatch(mustAsset(t, "app.js"), -1) {
		found := false
		for _, p := range pages {
			found = found || strings.Contains(p, `id="`+m[1]+`"`)
		}
		assert.True(t, found, "no page has %s", m[1])
	}
}

// The parts of the script that need no browser are tested by testdata/*.js.
func TestScript(t *testing.T) {
	t.Parallel()

	node := need.Program(t, "node")
	app := filepath.Join(t.TempDir(), "app.js")
	require.NoError(t, os.WriteFile(app, []byte(mustAsset(t, "app.js")), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, node, "--check", app).CombinedOutput()
	require.NoError(t, err, "%s", out)
	out, err = exec.CommandContext(ctx, node, "testdata/script_test.js", app).CombinedOutput()
	require.NoError(t, err, "%s", out)
}
