package event_test

import (
	"testing"
	"time"

	"github.com/earshot-go/earshot/event"
	"github.com/stretchr/testify/require"
)

func TestExtension(t *testing.T) {
	var e event.Event
	require.Empty(t, e.Extension("none"))
	for _, c := range []struct {
		value any
		want  string
	}{
		{"text", "text"},
		{"", ""},
		{true, "true"},
		{false, "false"},
		{int32(-12), "-12"},
		{12, "12"},
		{[]byte("\xff\x00"), "/wA="},
		{time.Date(2026, 1, 2, 3, 4, 5, 6000, time.FixedZone("", 3600)), "2026-01-02T02:04:05.000006Z"},
		{1.5, ""}, // not valid
	} {
		e.SetExtension("x", c.value)
		require.Equal(t, c.want, e.Extension("x"))
	}
}

func TestSetExtensionLeavesCopiesAlone(t *testing.T) {
	e := minimal()
	e.SetExtension("a", "1")
	c := e
	c.SetExtension("a", "2")
	c.SetExtension("b", true)
	require.Equal(t, map[string]any{"a": "1"}, e.Extensions)
	require.Equal(t, map[string]any{"a": "2", "b": true}, c.Extensions)

	c = e
	c.SetExtension("a", nil)
	require.Equal(t, "1", e.Extension("a"))
	require.Empty(t, c.Extensions)

	c = minimal()
	c.SetExtension("a", nil)
	require.Equal(t, minimal(), c)
}
