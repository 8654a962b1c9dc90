package mongodb_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/backend/mongodb"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/queue"
)

func TestOpen(t *testing.T) {
	for _, c := range []struct{ url, shown string }{
		{"mongodb://127.0.0.1", "mongodb://127.0.0.1/earshot?prefix=earshot"},
		{"mongodb://127.0.0.1:27018/shop?prefix=jobs", "mongodb://127.0.0.1:27018/shop?prefix=jobs"},
		{"mongodb://u:s3cret@h:1/", "mongodb://u:xxxxx@h:1/earshot?prefix=earshot"},
		{"mongodb://u:s3cret@a:1,b:2,c:3/shop?replicaSet=rs0&tls=true", "mongodb://u:xxxxx@a:1,b:2,c:3/shop?prefix=earshot"},
		{"mongodb+srv://u:s3cret@cluster.example.com/shop", "mongodb+srv://u:xxxxx@cluster.example.com/shop?prefix=earshot"},
		{"mongodb://[::1]:27017/shop", "mongodb://[::1]:27017/shop?prefix=earshot"},
	} {
		s, err := mongodb.OpenStore(c.url, nil)
		require.NoError(t, err, c.url)
		require.Equal(t, c.shown, s.String())
		require.NoError(t, s.Close(t.Context()))
	}
}

func TestOpenRefuses(t *testing.T) {
	for url, says := range map[string]string{
		"redis://127.0.0.1":                             bus.ErrScheme.Error(),
		"mongodb://":                                    "no host",
		"mongodb:":                                      "no host",
		"mongodb://h/?prefx=a":                          "there are appName",
		"mongodb://h/?retryWrites=true":                 "unknown key",
		"mongodb://h/?prefix=A-B":                       "small letters",
		"mongodb://h/?maxbytes=99999999":                "between 1 and",
		"mongodb://h/?maxbytes=many":                    "maxbytes",
		"mongodb://h/a.b":                               "no name of a database",
		"mongodb://h/a/b":                               "no name of a database",
		"mongodb://h:port/":                             "",
		"mongodb://u:s3cret@h/?directConnection=no":     "directConnection",
		"mongodb://u:s3cret@a,b/?directConnection=true": "",
		"mongodb://u:s3cret@h/@":                        "@",
	} {
		s, err := mongodb.OpenStore(url, nil)
		require.Nil(t, s, url)
		require.ErrorContains(t, err, says, url)
		require.NotContains(t, err.Error(), "s3cret", url)
		require.True(t, strings.HasPrefix(err.Error(), "mongodb: open "), err)
	}
	_, err := queue.Open("mongodb://h/?nonsense=1")
	require.ErrorContains(t, err, "nonsense")
}

func TestOptions(t *testing.T) {
	s, err := mongodb.OpenStore("mongodb://h/", &mongodb.StoreOptions{Prefix: "jobs", MaxBytes: 10})
	require.NoError(t, err)
	require.Equal(t, "mongodb://h/earshot?prefix=jobs", s.String())
	require.Equal(t, 10, s.Caps().MaxBytes)
	require.NoError(t, s.Close(t.Context()))
	s, err = mongodb.OpenStore("mongodb://h/?prefix=other&maxbytes=20", &mongodb.StoreOptions{Prefix: "jobs", MaxBytes: 10})
	require.NoError(t, err)
	require.Equal(t, "mongodb://h/earshot?prefix=other", s.String())
	require.Equal(t, 20, s.Caps().MaxBytes)
	require.NoError(t, s.Close(t.Context()))
	_, err = mongodb.OpenStore("mongodb://h/", &mongodb.StoreOptions{MaxBytes: -1})
	require.ErrorContains(t, err, "maxbytes")
}

// A name that cannot be found is no connection, and not an answer for ever.
func TestUnknownHost(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"mongodb", "mongodb+srv"} {
		s := open(t, scheme+"://u:s3cret@nobody.invalid/")
		begun := time.Now()
		_, err := s.Stats(t.Context())
		require.ErrorIs(t, err, queue.ErrDisconnected)
		require.NotContains(t, fmt.Sprintf("%v %+v %v", err, err, s), "s3cret")
		require.Less(t, time.Since(begun), 8*time.Second)
		require.NoError(t, s.Close(context.Background()))
	}
}
