package bus_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"testing"

	"github.com/earshot-go/earshot/bus"
	_ "github.com/earshot-go/earshot/bus/membus"
	"github.com/stretchr/testify/require"
)

func TestOpenUnknownScheme(t *testing.T) {
	_, err := bus.Open("no-such-engine://user:hunter2@host/db?password=hunter3&x=1")
	require.ErrorIs(t, err, bus.ErrScheme)
	require.ErrorContains(t, err, `"no-such-engine"`)
	require.ErrorContains(t, err, "this program knows ")
	require.ErrorContains(t, err, "mem")
	require.ErrorContains(t, err, "is imported")
	require.NotContains(t, err.Error(), "hunter")

	for _, address := range []string{"", "events.db", "host/db?password=hunter2", "hunter2@host/db"} {
		_, err := bus.Open(address)
		require.ErrorIs(t, err, bus.ErrScheme, "%q", address)
		require.ErrorContains(t, err, "sqlite:events.db", "the error shows how it is written")
		require.NotContains(t, err.Error(), "hunter")
	}
}

func TestRegister(t *testing.T) {
	broken := errors.New("this engine opens nothing")
	got, scheme := "", "test-"+rand.Text() // another one when the test runs again
	bus.Register(scheme, func(url string) (bus.Bus, error) { got = url; return nil, broken })
	_, err := bus.Open(scheme + ":a?b=c")
	require.ErrorIs(t, err, broken)
	require.Equal(t, scheme+":a?b=c", got, "an engine gets the URL whole")
	require.PanicsWithValue(t, "bus: scheme "+scheme+" registered twice", func() {
		bus.Register(scheme, func(string) (bus.Bus, error) { return nil, nil })
	})
}

func TestRedact(t *testing.T) {
	for _, c := range []struct{ address, want string }{
		{"mem:", "mem:"},
		{"redis://127.0.0.1:6379/0?stream=shop", "redis://127.0.0.1:6379/0?stream=shop"},
		{"nats://hunter2@host", "nats://xxxxx@host"},
		{"nats://hunter2:@host", "nats://xxxxx@host"},
		{"redis://host/0?sig=hunter2&jwt=hunter3&seed=hunter4&secret=hunter5", "redis://host/0?jwt=xxxxx&secret=xxxxx&seed=xxxxx&sig=xxxxx"},
		{"redis://host:12#hunter2", "redis://host:12#xxxxx"},
		{"sqlite:///data%40home/x.db", "sqlite:///data%40home/x.db"},
		{"redis://me:hunter2@host/0", "redis://me:xxxxx@host/0"},
		{"redis://:hunter2@host/0", "redis://:xxxxx@host/0"},
		{"redis://me:hun%74er2@host/0", "redis://me:xxxxx@host/0"},
		{"http://host/db?password=hunter2&x=1", "http://host/db?password=xxxxx&x=1"},
		{"http://host/db?token=hunter2", "http://host/db?token=xxxxx"},
		{"http://host/db?auth=hunter2", "http://host/db?auth=xxxxx"},
		{"http://host/db?password=hunter1&password=hunter2", "http://host/db?password=xxxxx"},
		{"sqlite:events.db?password=hunter2", "sqlite:events.db?password=xxxxx"},
		{"redis://me:hunter2@host:port/0", "redis:…"},
		{"redis://me:hun%ter2@host/0", "redis:…"},
		{"redis://me:hunter2@host/\x7f", "redis:…"},
		{"://hunter2", ":…"},
		{"http://host/db?password=hun%zzhunter2&x=1", "http://host/db?…"},
		{"http://host/db?x=1;password=hunter2", "http://host/db?…"},
		{"http://host/db?Password=hunter2&authkey=hunter3&db_pwd=hunter4&keep=9", "http://host/db?Password=xxxxx&authkey=xxxxx&db_pwd=xxxxx&keep=9"},
		{"redis:me:hunter2@host", "redis:…"},
		{"redis://me:1#hunter2@host/0", "redis:…"},
		{"redis://me:1/hunter2@host/0", "redis:…"},
		{"redis://me:1?hunter2@host/0", "redis:…"},
		{"me:hunter2@host", "me:…"},
	} {
		require.Equal(t, c.want, bus.Redact(c.address))
		require.NotContains(t, bus.Redact(c.address), "hunter")
	}
}

func TestGapError(t *testing.T) {
	require.EqualError(t, &bus.GapError{}, "bus: gap")
	require.EqualError(t, &bus.GapError{After: "v1:mem:x:1", Missed: 3, Reason: "the stream keeps 10 events"},
		"bus: gap of 3 events after v1:mem:x:1: the stream keeps 10 events")
	var gap *bus.GapError
	require.ErrorAs(t, fmt.Errorf("wrapped: %w", &bus.GapError{Missed: 2}), &gap)
	require.EqualValues(t, 2, gap.Missed)
}
