package main

import (
	"path/filepath"
	"testing"
	"time"
)

const bound = time.Minute // for things that take milliseconds on an idle machine

// onEvery runs a test on every store that there is a server for; the others say what is missing.
func onEvery(t *testing.T, test func(t *testing.T, url string)) {
	t.Run("mem", func(t *testing.T) { test(t, "mem:") })
	t.Run("sqlite", func(t *testing.T) { test(t, "sqlite:"+filepath.Join(t.TempDir(), "jobs.db")) })
}
