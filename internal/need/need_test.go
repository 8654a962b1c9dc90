package need

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A recorder is a test that remembers how it ended first: it goes on after that.
type recorder struct {
	testing.TB
	ended string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatal(...any) { r.end("failed") }
func (r *recorder) Skip(...any)  { r.end("skipped") }

func (r *recorder) end(how string) {
	if r.ended == "" {
		r.ended = how
	}
}

func TestMissing(t *testing.T) {
	for ci, want := range map[string]string{"true": "failed", "": "skipped", "1": "skipped"} {
		t.Setenv("CI", ci)
		r := &recorder{TB: t}
		require.Empty(t, Program(r, "a-program-that-nobody-has"))
		require.Equal(t, want, r.ended, "CI=%q", ci)
	}
	r := &recorder{TB: t}
	require.NotEmpty(t, Program(r, "go"))
	require.Empty(t, r.ended)
}
