package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/queue"
)

// A handler that is called twice for a user, as after a kill between the mail and the end, sends the mail with the same
// ID, and stores what follows once.
func TestCalledTwice(t *testing.T) {
	require.NoError(t, openOnPage("mem:", func(store queue.Store, q *queue.Queue) error {
		defer store.Close(context.Background())
		defer q.Close(context.Background())
		var sent strings.Builder
		team := &team{q: q, mails: &mails{to: &sent}, week: week}
		require.NoError(t, bindTeam(t.Context(), q))
		payload, err := json.Marshal(user{Name: "ann", Email: "ann@example.com"})
		require.NoError(t, err)
		added := queue.Leased{Item: queue.Item{ID: "17", Queue: teamQueue, Name: userAdded, TID: "ann", Payload: payload}}
		for range 2 {
			require.NoError(t, team.onUserAdded(t.Context(), added))
		}
		require.Equal(t, strings.Repeat("17 to ann@example.com: Welcome, ann!\n", 2), sent.String())
		waiting, err := q.Find(t.Context(), queue.Query{TID: "ann"})
		require.NoError(t, err)
		require.Len(t, waiting, 1)
		require.Equal(t, userFollowUp, waiting[0].Name)
		require.Equal(t, "17", waiting[0].Parent)
		return nil
	}))
}
