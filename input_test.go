package earshot_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// badNames cannot be found again once they are stored, or not be stored at all.
var badNames = map[string]any{
	"nil":                       nil,
	"slice":                     []string{"x"},
	"map":                       map[string]int{},
	"func":                      func() {},
	"struct with a slice":       struct{ s []int }{},
	"slice inside an interface": struct{ v any }{[]int{1}},
	"array of interfaces":       [2]any{1, func() {}},
	"NaN":                       math.NaN(),
	"float32 NaN":               float32(math.NaN()),
	"NaN in a struct":           struct{ x, y float64 }{1, math.NaN()},
	"NaN in an interface":       struct{ v any }{math.NaN()},
	"complex NaN":               complex(math.NaN(), 0),
}

// refused checks an error of this package: what it wraps, and that its text names the operation, what
// was wrong, and the line that called.
func refused(t *testing.T, err error, site string, is error, parts ...string) {
	t.Helper()
	require.ErrorIs(t, err, is)
	var e *earshot.Error
	require.ErrorAs(t, err, &e)
	require.NotEmpty(t, e.Op)
	text := err.Error()
	for _, part := range append(parts, "earshot: ", e.Op, is.Error()) {
		require.Contains(t, text, part)
	}
	if site != "" {
		require.Contains(t, text, site, "the place of the call")
		require.Contains(t, e.Site, site)
	}
}

func TestBadNames(t *testing.T) {
	s := newServer(t)
	nobody(t, s)
	m := newMailbox[any](t, s, nil)
	for what, name := range badNames {
		t.Run(what, func(t *testing.T) {
			at := nextLine()
			_, err := m.Subscribe(name)
			refused(t, err, at, earshot.ErrBadName)
			require.False(t, s.Listening(name))
			earshot.SendEvent(s, [1]any{name}, 1) // comparable at compile time is not at run time
			require.PanicsWithValue(t, fmt.Sprintf("earshot: NewChannel: a name of type %T cannot be used: %v", name, earshot.ErrBadName),
				func() { earshot.NewChannel[int](s, name, nil) })
		})
	}
	require.Empty(t, drain(m))
	nobody(t, s)
	earshot.SendEvent(s, math.NaN(), 1)
	earshot.SendEvent[any](s, nil, 1)

	// The same while the filter in front of the names says that somebody may listen.
	listen[any](t, s, struct{ v any }{1}, nil)
	listenPattern[any](t, s, "**", nil)
	for what, name := range badNames {
		require.False(t, s.Listening(name), what)
		earshot.SendEvent(s, [1]any{name}, 1)
	}
	earshot.SendEvent(s, math.NaN(), 1)
	earshot.SendEvent[any](s, nil, 1)
}

func nobody(t *testing.T, s *earshot.Server) {
	t.Helper()
	for c := range s.Channels() {
		require.False(t, c.Live, "%+v", c)
	}
}

// Odd names that do work.
func TestOddNames(t *testing.T) {
	s := newServer(t)
	type name struct {
		v any
		f float64
	}
	p := new(int)
	for _, name := range []any{"", "a.b", 0, int64(0), uint8(0), 1.5, math.Inf(1), true, [2]string{"a", "b"}, name{[1]int{1}, 2}, p, new(int), make(chan int), struct{}{}, 'x'} {
		m, _ := listen[any](t, s, name, nil)
		earshot.SendEvent(s, name, 1)
		require.Len(t, drain(m), 1, "%T %v", name, name)
		m.Close()
	}
	// Names are compared with their types.
	m, _ := listen[any](t, s, 7, nil)
	earshot.SendEvent(s, int64(7), 1)
	earshot.SendEvent(s, "7", 1)
	earshot.SendEvent(s, uint(7), 1)
	require.Empty(t, drain(m))
	earshot.SendEvent(s, 7, 1)
	earshot.SendEvent[any](s, 7, 2)
	require.Len(t, drain(m), 2)
}

// A pointer is a name by its address, whatever it points to, and a channel by its identity.
func TestPointersAsNames(t *testing.T) {
	s := newServer(t)
	type boxed struct{ p *int }
	p, ch := new(int), make(chan int, 1)
	for what, name := range map[string]any{
		"pointer": p, "struct of a pointer": boxed{p}, "array of a pointer": [1]*int{p}, "chan": ch,
		"server": s, "nil pointer": (*int)(nil), "nil chan": (chan int)(nil), "nil in a struct": boxed{}, "nil in an array": [1]*int{},
	} {
		t.Run(what, func(t *testing.T) {
			m, ref := listen[int](t, s, name, nil)
			require.True(t, s.Listening(name))
			*p++
			ch <- 1
			earshot.SendEvent(s, name, 1)
			<-ch
			require.Equal(t, []int{1}, drained(m))
			require.NoError(t, m.Unsubscribe(ref))
			require.False(t, s.Listening(name))
			nobody(t, s)
		})
	}
}

func TestBadRefs(t *testing.T) {
	s, other := newServer(t), newServer(t)
	m, ref := listen[int](t, s, "x", nil)
	m2, ref2 := listen[int](t, s, "x", nil)
	theirs, foreign := listen[int](t, other, "x", nil)

	refused(t, s.Unsubscribe(earshot.Ref{}), "", earshot.ErrUnknownRef, "ref#0")
	refused(t, s.Unsubscribe(foreign), "", earshot.ErrUnknownRef, foreign.String())
	refused(t, m.Unsubscribe(earshot.Ref{}), "", earshot.ErrUnknownRef, "ref#0")
	refused(t, m.Unsubscribe(ref2), "", earshot.ErrUnknownRef, ref2.String())
	refused(t, m.Unsubscribe(foreign), "", earshot.ErrUnknownRef)
	sendInts(s, "x", 1, 1)
	sendInts(other, "x", 2, 2)
	for _, m := range []*earshot.Mailbox[int]{m, m2, theirs} {
		require.Len(t, drain(m), 1, "COR-14: no effect")
	}
	for range 3 {
		require.NoError(t, s.Unsubscribe(ref), "COR-14: idempotent")
		require.NoError(t, m.Unsubscribe(ref))
	}
}

func TestNilFunctions(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[int](s, "x", nil)
	at := nextLine()
	_, err := c.Handle(t.Context(), nil, nil)
	refused(t, err, at, earshot.ErrNilFunc, `"x"`)
	at = nextLine()
	p := s.Spawn(t.Context(), nil, nil)
	require.True(t, isClosed(p.Done()))
	refused(t, p.Err(), at, earshot.ErrNilFunc)
	p.Stop()
	require.PanicsWithValue(t, "earshot: OnDemand: nil function", func() { c.OnDemand(nil) })
	listen[int](t, s, "x", nil)
	c.SendFunc(nil)
}

func TestBadOptions(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[int](s, "x", nil)
	nop := func(context.Context, earshot.Message[int]) error { return nil }
	for what, opts := range map[string]earshot.MailboxOptions{
		"negative capacity -1":   {Name: "mine", Capacity: -1},
		"unknown Overflow(-1)":   {Name: "mine", Overflow: -1},
		"unknown Overflow(6)":    {Name: "mine", Overflow: 6},
		"negative capacity -500": {Name: "mine", Capacity: -500, Overflow: earshot.DropNewest},
	} {
		m := earshot.NewMailbox[int](t.Context(), s, &opts)
		require.True(t, isClosed(m.Done()))
		refused(t, m.Err(), "", earshot.ErrBadOption, what, `"mine"`)
		_, err := m.Receive(t.Context())
		refused(t, err, "", earshot.ErrBadOption, what)
		at := nextLine()
		_, err = m.Subscribe("x")
		refused(t, err, at, earshot.ErrBadOption, what)
		at = nextLine()
		_, err = m.SubscribePattern("x")
		refused(t, err, at, earshot.ErrBadOption, what)
		require.NoError(t, m.Close())
		spawn := &earshot.SpawnOptions{Name: opts.Name, Capacity: opts.Capacity, Overflow: opts.Overflow}
		at = nextLine()
		_, err = c.Handle(t.Context(), nop, spawn)
		refused(t, err, at, earshot.ErrBadOption, what)
		p := s.Spawn(t.Context(), func(context.Context, *earshot.Mailbox[any]) error { return nil }, spawn)
		require.True(t, isClosed(p.Done()))
		refused(t, p.Err(), "", earshot.ErrBadOption, what)
	}
	require.False(t, c.Listening())
	require.PanicsWithValue(t, "earshot: NewChannel y: negative Replay -1", func() {
		earshot.NewChannel[int](s, "y", &earshot.ChannelOptions{Replay: -1})
	})
	_, known := stats(s, "y")
	require.False(t, known)
}

// Who is told of a bad option needs to know which of the program's mailboxes has it.
func TestBadOptionsSayWhere(t *testing.T) {
	s := newServer(t)
	at := nextLine()
	m := earshot.NewMailbox[int](t.Context(), s, &earshot.MailboxOptions{Capacity: -1})
	refused(t, m.Err(), at, earshot.ErrBadOption)
	at = nextLine()
	p := s.Spawn(t.Context(), func(context.Context, *earshot.Mailbox[any]) error { return nil }, &earshot.SpawnOptions{Capacity: -1})
	refused(t, p.Err(), at, earshot.ErrBadOption)
}

func TestBadPatterns(t *testing.T) {
	s := newServer(t)
	m := newMailbox[any](t, s, nil)
	for pattern, hint := range map[string]string{
		"":        "empty segment",
		".":       "empty segment",
		"a.":      "empty segment",
		".a":      "empty segment",
		"a..b":    "empty segment",
		"**.a":    `"**" before the last segment`,
		"a.**.b":  `"**" before the last segment`,
		"a*":      `segment "a*"`,
		"a.*b":    `segment "*b"`,
		"***":     `segment "***"`,
		"a.?":     `segment "?"`,
		"a.[bc]":  `segment "[bc]"`,
		"{a,b}":   `segment "{a,b}"`,
		`a\.b`:    `segment "a\"`,
		"a b":     `segment "a b"`,
		"a\nb":    "neither",
		"a.\x00":  "neither",
		"a.\xff*": "neither",
	} {
		at := nextLine()
		_, err := m.SubscribePattern(pattern)
		refused(t, err, at, earshot.ErrBadPattern, fmt.Sprintf("%q", pattern), hint)
	}
	require.Empty(t, m.Stats().Subscriptions)
	nobody(t, s)
}

func TestSubscribeTooLate(t *testing.T) {
	ended, cancel := context.WithCancelCause(context.Background())
	cancel(errOh)
	closed := newServer(t)
	closed.Close()
	s := newServer(t)
	box := newMailbox[int](t, s, nil)
	box.Close()
	for what, test := range map[string]struct {
		m      *earshot.Mailbox[int]
		reason error
	}{
		"closed server":  {earshot.NewMailbox[int](t.Context(), closed, nil), earshot.ErrServerClosed},
		"ended context":  {earshot.NewMailbox[int](ended, s, nil), errOh},
		"closed mailbox": {box, earshot.ErrClosed},
	} {
		t.Run(what, func(t *testing.T) {
			at := nextLine()
			ref, err := test.m.Subscribe("x")
			refused(t, err, at, test.reason, `"x"`)
			require.Zero(t, ref)
			at = nextLine()
			_, err = test.m.SubscribePattern("x.*")
			refused(t, err, at, test.reason, `"x.*"`)
			require.ErrorIs(t, test.m.Err(), test.reason)
			require.True(t, isClosed(test.m.Done()))
			_, err = test.m.Receive(context.Background())
			require.ErrorIs(t, err, test.reason)
			_, ok := test.m.TryReceive()
			require.False(t, ok)
			for range test.m.Messages(context.Background()) {
				t.Error("a message")
			}
			nobody(t, s)
		})
	}
	c := earshot.NewChannel[int](s, "x", nil)
	at := nextLine()
	_, err := c.Handle(ended, func(context.Context, earshot.Message[int]) error { return nil }, nil)
	refused(t, err, at, errOh)
	p := s.Spawn(ended, func(context.Context, *earshot.Mailbox[any]) error { return nil }, nil)
	require.True(t, isClosed(p.Done()))
	require.ErrorIs(t, p.Err(), errOh)
	nobody(t, s)
}

func TestMailboxOfAnotherServer(t *testing.T) {
	s, other := newServer(t), newServer(t)
	c := earshot.NewChannel[int](s, "x", nil)
	at := nextLine()
	_, err := c.Subscribe(newMailbox[int](t, other, nil))
	refused(t, err, at, earshot.ErrOtherServer, `"x"`)
	at = nextLine()
	_, err = c.Subscribe(nil)
	refused(t, err, at, earshot.ErrOtherServer, `"x"`)
	nobody(t, s)
	nobody(t, other)
}

// Two types on one declared name: the panic names both. The same type twice is the same handle.
func TestTwoTypesOnOneName(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[int](s, "x", nil)
	require.Same(t, c, earshot.NewChannel[int](s, "x", nil))
	require.PanicsWithValue(t, "earshot: NewChannel x: declared for events of type int, now for string", func() {
		earshot.NewChannel[string](s, "x", nil)
	})
	require.Panics(t, func() { earshot.NewChannel[string](s, earshot.LifecycleChannel, nil) })
	other := newServer(t)
	earshot.NewChannel[string](other, "x", nil)
	listen[int](t, s, "x", nil)
	c.Send(1)
}

// Errors print without touching values that may not print safely, and match with errors.Is and As.
func TestErrorText(t *testing.T) {
	err := error(&earshot.Error{Op: "subscribe", On: explosive{}, Site: "a/b.go:7", Err: earshot.ErrBadName, Hint: "more"})
	require.Equal(t, "earshot: subscribe earshot_test.explosive: not a usable channel name: more (at a/b.go:7)", err.Error())
	require.Equal(t, earshot.ErrBadName, errors.Unwrap(err))
	require.NoError(t, errors.Unwrap(&earshot.PanicError{Value: "no error"}))
	for o, word := range map[earshot.Overflow]string{
		earshot.DropOldest: "drop-oldest", earshot.DropNewest: "drop-newest", earshot.Latest: "latest",
		earshot.Unbounded: "unbounded", earshot.Evict: "evict", earshot.Block: "block", 77: "Overflow(77)",
	} {
		require.Equal(t, word, o.String())
	}
}

type explosive struct{}

func (explosive) String() string { panic("printed") }
