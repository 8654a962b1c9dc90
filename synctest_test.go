package earshot_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// In a synctest bubble, Wait returns when nothing more happens, and time stands still until then: what
// contends for a channel must not look asleep, or users' tests see states in which nobody rests.
func TestContentionIsNotRest(t *testing.T) {
	t.Run("at once", func(t *testing.T) { contend(t, 0) })
	t.Run("years later", func(t *testing.T) { contend(t, 100*365*24*time.Hour) })
}

func contend(t *testing.T, later time.Duration) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(later)
			s := newServer(t)
			m, _ := listen[int](t, s, "x", &earshot.MailboxOptions{Overflow: earshot.Unbounded})
			const senders, each = 8, 3000
			var ended atomic.Int32
			start := time.Now()
			for range senders {
				go func() {
					for i := range each {
						earshot.SendEvent(s, "x", i)
					}
					ended.Add(1)
				}()
			}
			synctest.Wait()
			require.Equal(t, int32(senders), ended.Load(), "senders at rest")
			require.Len(t, drain(m), senders*each)
			require.Zero(t, time.Since(start), "time that has passed")
		})
	}
}
