package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"strings"
	"sync"
)

// The script is in parts, one idea each, that are joined in the order of
// their names: a file with one scope, one request, nothing to build.
//
//go:embed assets
var files embed.FS

//go:embed assets/help.html
var helpHTML string

type asset struct {
	body              []byte
	contentType, etag string
}

var assets = sync.OnceValue(func() map[string]asset {
	entries, err := files.ReadDir("assets/app")
	if err != nil {
		panic("earshot: the embedded files of the tap are missing: " + err.Error())
	}
	script := []byte("(() => {\n'use strict';\n")
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".js") {
			script = append(script, mustRead("assets/app/"+e.Name())...)
		}
	}
	script = append(script, "})();\n"...)
	return map[string]asset{
		"app.js":    newAsset(script, "text/javascript; charset=utf-8"),
		"style.css": newAsset(mustRead("assets/style.css"), "text/css; charset=utf-8"),
		"icon.svg":  newAsset(mustRead("assets/icon.svg"), "image/svg+xml"),
	}
})

// Asset answers one of the files that pages ask for: "app.js", "style.css",
// "icon.svg". The body must not be changed. The etag is quoted, as in the
// header, and follows the bytes, so a file may be kept as long as the server
// is asked whether it is still the same.
func Asset(name string) (body []byte, contentType, etag string, ok bool) {
	a, ok := assets()[name]
	return a.body, a.contentType, a.etag, ok
}

func newAsset(body []byte, contentType string) asset {
	sum := sha256.Sum256(body)
	return asset{body, contentType, `"` + hex.EncodeToString(sum[:8]) + `"`}
}

func mustRead(name string) []byte {
	b, err := files.ReadFile(name)
	if err != nil {
		panic("earshot: an embedded file of the tap is missing: " + err.Error())
	}
	return b
}
