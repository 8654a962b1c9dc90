package earshot_test

import (
	"context"
	"testing"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

func TestAudience(t *testing.T) {
	s := earshot.NewServer(nil)
	defer s.Close()
	c := earshot.NewChannel[int](s, "a.b", nil)
	require.Zero(t, c.Audience())

	m := earshot.NewMailbox[int](context.Background(), s, nil)
	one, err := c.Subscribe(m)
	require.NoError(t, err)
	require.Equal(t, 1, c.Audience())
	_, err = m.SubscribePattern("a.*") // the mailbox reads from its ring from here on
	require.NoError(t, err)
	require.Equal(t, 2, c.Audience())

	st, ok := s.Subscription(one)
	require.True(t, ok)
	require.Equal(t, one, st.Ref)
	_, ok = earshot.NewServer(nil).Subscription(one)
	require.False(t, ok, "another server's")
	_, ok = s.Subscription(earshot.Ref{})
	require.False(t, ok)

	tap := s.Tap(context.Background(), nil)
	require.Equal(t, 3, c.Audience())
	require.NoError(t, m.Unsubscribe(one))
	require.Equal(t, 2, c.Audience())
	_, ok = s.Subscription(one)
	require.False(t, ok, "it has ended")
	tap.Close()
	require.Equal(t, 1, c.Audience())
	m.Close()
	require.Zero(t, c.Audience())

	same := earshot.NewChannel[int](s, "late", nil)
	other := earshot.NewMailbox[int](context.Background(), s, nil)
	_, err = other.SubscribePattern("late")
	require.NoError(t, err)
	require.Equal(t, 1, same.Audience(), "a pattern that comes before any subscriber")
	s.Close()
	require.Zero(t, same.Audience())
}
