package bus_test

import (
	"flag"
	"net/url"
	"testing"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/stretchr/testify/require"
)

func TestParseURL(t *testing.T) {
	u, err := bus.ParseURL("a+b://me:hun%2Fter%40@host:1/db%40x?keep=1%40#%40", "a", "a+b")
	require.NoError(t, err)
	require.Equal(t, "/db@x", u.Path)
	require.Equal(t, "1@", u.Query().Get("keep"))
	_, err = bus.ParseURL("b://me:hunter2@host", "a", "a+b")
	require.ErrorIs(t, err, bus.ErrScheme)
	require.EqualError(t, err, `unknown scheme "b": it is not of this engine, which has a, a+b`)
	for address, says := range map[string]string{
		"a://me:/hunter2@host:1/db":      "an @ stands behind",
		"a://me:1/hunter2@host":          "an @ stands behind",
		"a://me:2024?hunter2@host":       "an @ stands behind",
		"a://me:2024#hunter2@host":       "an @ stands behind",
		"a:me:hunter2@host":              "an @ stands behind",
		"a:///me:hunter2@host":           "an @ stands behind",
		"a://me:/hunter2%40@host":        "an @ stands behind",
		"a://me:hunter2@host:port":       "not a URL",
		"a://me:hunter2%zz@host":         "not a URL",
		"a://me:hunter2/@host":           "not a URL",
		"a://me:hunter2@host?k=hunter%z": "the query cannot be read",
		"a://me:2024?hunter2;%zz":        "the query cannot be read",
	} {
		_, err := bus.ParseURL(address, "a")
		require.ErrorContains(t, err, says, address)
		require.ErrorContains(t, err, "%40 for @", "how it is written")
		require.NotContains(t, err.Error(), "hunter")
	}
}

func TestReadQuery(t *testing.T) {
	read := func(text string) (keep int, wait time.Duration, err error) {
		fs := flag.NewFlagSet("x", flag.ContinueOnError)
		fs.IntVar(&keep, "keep", 7, "")
		fs.DurationVar(&wait, "wait", 0, "")
		q, err := url.ParseQuery(text)
		require.NoError(t, err)
		return keep, wait, bus.ReadQuery(fs, q)
	}
	keep, wait, err := read("wait=1s&wait=2s")
	require.NoError(t, err)
	require.Equal(t, 7, keep)
	require.Equal(t, 2*time.Second, wait)
	_, _, err = read("kept=1")
	require.EqualError(t, err, `unknown key "kept" in the query: there are keep, wait`)
	_, _, err = read("keep=many")
	require.ErrorContains(t, err, `keep="many" in the query: `)
}
