package mongodb_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/backend/mongodb"
	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/storetest"
)

func TestStore(t *testing.T) { storetest.Run(t, engine) }

func TestStoreFaults(t *testing.T) { storetest.Faults(t, engine) }

func engine(t testing.TB) storetest.Engine {
	s := start(t)
	u := s.newDatabase(t)
	e := storetest.Engine{
		Server: u.Host,
		URL:    u.String(),
		Open: func(t testing.TB, addr string) queue.Store {
			s, err := mongodb.OpenStore(via(u, addr), nil)
			require.NoError(t, err)
			return s
		},
		Skew: func(t testing.TB) queue.Store { return skewed(t, s.newDatabase(t), 2*time.Hour) },
		Deny: func(t testing.TB) queue.Store {
			wrong := *u
			wrong.User = url.UserPassword("somebody", "wr0ng-secret")
			s, err := mongodb.OpenStore(wrong.String(), nil)
			require.NoError(t, err)
			return s
		},
	}
	if s.own != nil {
		e.Crowd = 25 // FerretDB looks at all documents for each statement
		e.Restart = func(t testing.TB) { require.NoError(t, s.own.Restart()) }
	}
	return e
}
