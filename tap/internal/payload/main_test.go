package payload_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"

	"github.com/earshot-go/earshot/tap/internal/payload"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Tests in which methods are called run in bubbles: there a method is too slow only if it sleeps, not if
// the machine is busy.

// encode returns x as a new encoder has it.
func encode(t testing.TB, x any) string {
	t.Helper()
	return encodeWith(t, new(payload.Encoder), x)
}

// encodeWith checks what holds for every value.
func encodeWith(t testing.TB, e *payload.Encoder, x any) string {
	t.Helper()
	return encodeValue(t, e, reflect.ValueOf(x))
}

func encodeValue(t testing.TB, e *payload.Encoder, v reflect.Value) string {
	t.Helper()
	const before = "before "
	out := string(e.Append([]byte(before), v))
	require.Equal(t, before, out[:len(before)], "what was there")
	out = out[len(before):]
	require.True(t, json.Valid([]byte(out)), "not valid JSON: %.300s", out)
	require.True(t, utf8.ValidString(out), "not UTF-8: %.300q", out)
	for _, r := range out {
		if r < ' ' || r >= 0x7f && r <= 0x9f || r == '<' || r == '>' || r == '&' || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			t.Fatalf("character %U raw in %.300q", r, out)
		}
	}
	most := e.MaxBytes
	switch {
	case most <= 0:
		most = 64 << 10
	case most < 256:
		most = 256
	}
	require.LessOrEqual(t, len(out), most, "MaxBytes exceeded: %.300q", out)
	require.NotContains(t, out, "changed while it was read", "the walk panicked")
	return out
}
