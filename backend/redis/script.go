package redis

import (
	"crypto/sha1"
	"embed"
	"encoding/hex"
)

//go:embed lua
var sources embed.FS

// A script is what the server runs in one piece.
type script struct{ text, sha string }

// The flags say when the server may refuse to begin: by default when its memory is full, so that nothing is left half
// done. What ends work, or hands it out, may run then too: it is what makes room.
var (
	enqueueScript = newScript("enqueue", "")
	leaseScript   = newScript("lease", " flags=allow-oom")
	settleScript  = newScript("settle", " flags=allow-oom")
	bindScript    = newScript("bind", " flags=allow-oom")
	findScript    = newScript("sweep", " flags=no-writes")
	sweepScript   = newScript("sweep", " flags=allow-oom")
	forgetScript  = newScript("forget", " flags=allow-oom")
	statsScript   = newScript("stats", " flags=no-writes")
	nextScript    = newScript("next", " flags=no-writes")
)

func newScript(name, flags string) *script {
	text := "#!lua" + flags + "\n"
	for _, file := range []string{"prelude", name, "run"} {
		b, err := sources.ReadFile("lua/" + file + ".lua")
		if err != nil {
			panic(err)
		}
		text += string(b)
	}
	sum := sha1.Sum([]byte(text))
	return &script{text, hex.EncodeToString(sum[:])}
}
