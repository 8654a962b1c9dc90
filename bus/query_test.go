package bus_test

import (
	"flag"
	"net/url"
	"testing"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/stretchr/testify/require"
)

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
