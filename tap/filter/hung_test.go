package filter

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type hungError struct{ N int }

var hungUntil = make(chan struct{})

func (hungError) Error() string { <-hungUntil; return "never said in time" }

// An Error method that does not return must not hold up whoever filters, and is asked once.
func TestErrorThatHangs(t *testing.T) {
	defer close(hungUntil)
	f, err := Parse(`err "never said"`)
	require.NoError(t, err)
	done := make(chan bool, 1)
	go func() {
		for range 100 {
			f.Match(reflect.ValueOf(hungError{}))
		}
		done <- f.Match(reflect.ValueOf(hungError{}))
	}()
	select {
	case matched := <-done:
		require.False(t, matched)
	case <-time.After(30 * time.Second):
		t.Fatal("Match waits for Error to return")
	}
}
