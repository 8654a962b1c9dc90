package earshot_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// A mailbox of an interface type takes what implements it.
func TestMailboxOfAnInterface(t *testing.T) {
	s := newServer(t)
	stringers, _ := listen[fmt.Stringer](t, s, "x", nil)
	errs, _ := listen[error](t, s, "x", nil)
	ring := newMailbox[error](t, s, nil)
	subscribe(t, ring, "y")
	subscribe(t, ring, "x")
	earshot.SendEvent(s, "x", io.EOF)
	earshot.SendEvent(s, "x", earshot.Evict)
	earshot.SendEvent(s, "x", 7)
	earshot.SendEvent[string, error](s, "x", errOh)
	earshot.SendEvent(s, "x", new(strings.Builder))
	require.Equal(t, []fmt.Stringer{earshot.Evict, new(strings.Builder)}, drained(stringers))
	require.Equal(t, []error{io.EOF, errOh}, drained(errs))
	require.Equal(t, []error{io.EOF, errOh}, drained(ring))
	require.Equal(t, uint64(3), stringers.Stats().Mismatched)
	require.Equal(t, uint64(3), errs.Stats().Mismatched)
}

// A nil event is an event: of each interface type, and of none.
func TestNilEvents(t *testing.T) {
	t.Run("any", func(t *testing.T) {
		opts := earshot.MailboxOptions{}
		for _, policy := range []earshot.Overflow{earshot.DropOldest, earshot.DropNewest} {
			s := newServer(t)
			opts.Overflow = policy
			everything, _ := listen[any](t, s, "x", &opts)
			ints, _ := listen[int](t, s, "x", &opts)
			pointers, _ := listen[*int](t, s, "x", &opts)
			earshot.SendEvent[string, any](s, "x", nil)
			earshot.SendEvent[string, *int](s, "x", nil)
			require.Equal(t, []any{nil, (*int)(nil)}, drained(everything))
			require.Empty(t, drained(ints))
			require.Equal(t, []*int{nil}, drained(pointers))
		}
	})
	t.Run("another interface", func(t *testing.T) {
		s := newServer(t)
		c := earshot.NewChannel[error](s, "x", nil)
		var boxes []*earshot.Mailbox[error]
		for _, policy := range []earshot.Overflow{earshot.DropOldest, earshot.DropNewest} {
			m := newMailbox[error](t, s, &earshot.MailboxOptions{Overflow: policy})
			_, err := c.Subscribe(m)
			require.NoError(t, err)
			boxes = append(boxes, m)
		}
		c.Send(errOh)
		c.Send(nil)
		c.Send(io.EOF)
		for _, m := range boxes {
			require.Equal(t, []error{errOh, nil, io.EOF}, drained(m))
			require.Zero(t, m.Stats().Mismatched)
		}
	})
}

// Events of no size, and of a great one.
func TestEventSizes(t *testing.T) {
	t.Run("none", func(t *testing.T) { eventSize[struct{}](t) })
	t.Run("64 KiB", func(t *testing.T) { eventSize[[1 << 16]byte](t) })
	t.Run("function", func(t *testing.T) {
		s := newServer(t)
		m, _ := listen[func() error](t, s, "x", nil)
		earshot.SendEvent(s, "x", func() error { return errOh })
		require.ErrorIs(t, receive(t, m).Event(), errOh)
	})
}

func eventSize[E any](t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[E](s, "x", nil)
	typed := newMailbox[E](t, s, &earshot.MailboxOptions{Capacity: 20})
	_, err := c.Subscribe(typed)
	require.NoError(t, err)
	untyped, _ := listen[any](t, s, "x", &earshot.MailboxOptions{Capacity: 5})
	handled := make(chan struct{}, 50)
	_, err = c.Handle(t.Context(), func(context.Context, earshot.Message[E]) error {
		handled <- struct{}{}
		return nil
	}, nil)
	require.NoError(t, err)
	var event E
	for range 50 {
		c.Send(event)
	}
	for range 50 {
		await(t, handled, "the handler")
	}
	require.Len(t, drain(typed), 20)
	require.Len(t, drain(untyped), 5)
}

// The server of the process is made once, and stands in for a nil server everywhere.
func TestDefault(t *testing.T) {
	require.Same(t, earshot.Default(), earshot.Default())
	c := earshot.NewChannel[int](nil, "TestDefault", nil)
	m := newMailbox[int](t, nil, nil)
	_, err := c.Subscribe(m)
	require.NoError(t, err)
	require.True(t, earshot.Default().Listening("TestDefault"))
	c.Send(1)
	earshot.SendEvent(nil, "TestDefault", 2)
	earshot.SendEvent(nil, 7, 3)
	earshot.SendEvent[*earshot.Server](nil, nil, 3)
	require.Equal(t, []int{1, 2}, drained(m))
	require.Equal(t, "TestDefault", c.Name())
	m.Close()
	require.False(t, earshot.Default().Listening("TestDefault"))
}

// Options that are not given, and zero ones, are the documented defaults.
func TestDefaults(t *testing.T) {
	s := earshot.NewServer(&earshot.Options{})
	defer stop(t, s)
	for _, opts := range []*earshot.MailboxOptions{nil, {}} {
		m, _ := listen[int](t, s, "x", opts)
		sendInts(s, "x", 1, earshot.DefaultCapacity+1)
		st := m.Stats()
		require.Equal(t, 4096, st.Capacity)
		require.Equal(t, 4096, st.Depth)
		require.Equal(t, earshot.DropOldest, st.Overflow)
		require.Contains(t, st.Name, "/main_test.go:", "a mailbox is named by where it was made")
		require.Equal(t, 2, receive(t, m).Event)
		m.Close()
	}
	c := earshot.NewChannel[int](s, "y", &earshot.ChannelOptions{})
	_, err := c.Handle(t.Context(), func(context.Context, earshot.Message[int]) error { return errors.New("once") }, &earshot.SpawnOptions{})
	require.NoError(t, err)
	for sub := range s.Subscriptions() {
		require.Equal(t, 4096, sub.Capacity)
		require.Equal(t, earshot.DropOldest, sub.Overflow)
	}
	// Options given when there were none before take effect; those given later do not change them.
	earshot.NewChannel[int](s, "y", &earshot.ChannelOptions{Doc: "first", Replay: 2})
	earshot.NewChannel[int](s, "y", &earshot.ChannelOptions{Doc: "second", MayBlock: true})
	st, _ := stats(s, "y")
	require.Equal(t, "first", st.Doc)
	require.False(t, st.MayBlock)
	require.Equal(t, 2, st.Replay)
}
