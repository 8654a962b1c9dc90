package earshot_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/internal/exempt"
	"github.com/stretchr/testify/require"
)

// Package emitter lets its listeners send beyond the capacity of the mailbox that they work for.
func TestExempt(t *testing.T) {
	blocking(t, 2, func(t *testing.T, s *earshot.Server, c *earshot.Channel[int], m *earshot.Mailbox[int], _ earshot.Ref) {
		ctx, cancel := context.WithTimeout(exempt.From(t.Context(), c), time.Second)
		defer cancel()
		for i := range 600 {
			require.NoError(t, c.SendContext(ctx, 2+i))
		}
		other := earshot.NewChannel[int](s, "other", nil)
		require.ErrorIs(t, c.SendContext(exempt.From(ctx, other), 7), context.DeadlineExceeded, "another channel's context")
		synctest.Wait()
		require.Equal(t, upTo(0, 601), drained(m))
		require.Zero(t, m.Stats().Missed)
		require.NoError(t, c.SendContext(t.Context(), 9), "there is room again")
	})
}
