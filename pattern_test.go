package earshot_test

import (
	"fmt"
	"runtime"
	"strconv"
	"testing"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

func listenPattern[E any](t testing.TB, s *earshot.Server, pattern string, opts *earshot.MailboxOptions) (*earshot.Mailbox[E], earshot.Ref) {
	t.Helper()
	m := newMailbox[E](t, s, opts)
	ref, err := m.SubscribePattern(pattern)
	require.NoError(t, err)
	return m, ref
}

// named is a message with the name of its channel.
type named[E any] struct {
	channel any
	earshot.Message[E]
}

func drainNamed[E any](m *earshot.Mailbox[E]) (all []named[E]) {
	for name, msg, ok := m.TryReceiveNamed(); ok; name, msg, ok = m.TryReceiveNamed() {
		all = append(all, named[E]{name, msg})
	}
	return all
}

// What matches, and that it makes no difference whether the pattern or the name was there first.
func TestPatternMatches(t *testing.T) {
	for _, test := range []struct {
		pattern string
		yes, no []string
	}{
		{"*", []string{"db", "x", "*"}, []string{"", "db.read", ".", "db."}},
		{"**", []string{"db", "db.read", "a.b.c.d"}, []string{"earshot.lifecycle", "earshot.slow"}},
		{"db", []string{"db"}, []string{"d", "dbs", "db.read", "DB", ""}},
		{"db.*", []string{"db.read", "db.r"}, []string{"db", "db.", "db.a.b", "dbs.read", ".read", "db..read"}},
		{"db.**", []string{"db.read", "db.a.b"}, []string{"db", "db.", "dbx.read"}},
		{"db.*.slow", []string{"db.read.slow"}, []string{"db.slow", "db..slow", "db.a.b.slow", "db.read.slower", "db.read"}},
		{"*.*", []string{"a.b"}, []string{"a", "a.b.c"}},
		{"*.read.**", []string{"a.read.b", "a.read.b.c"}, []string{"a.read", "read.a.b"}},
		{"tür.ö", []string{"tür.ö"}, []string{"tur.o"}},
		{"earshot.*.x", []string{"earshot.mine.x"}, []string{"mine.x"}},
	} {
		for _, name := range append(test.yes, test.no...) {
			want := 0
			if contains(test.yes, name) {
				want = 1
			}
			s := newServer(t)
			early, _ := listenPattern[any](t, s, test.pattern, nil)
			require.Equal(t, want == 1, s.Listening(name), "Listening(%q) with pattern %q", name, test.pattern)
			earshot.SendEvent(s, name, 1)
			require.Len(t, drain(early), want, "%q, sent to %q", test.pattern, name)

			listen[any](t, s, name, nil) // now the channel is known
			late, ref := listenPattern[any](t, s, test.pattern, nil)
			earshot.SendEvent(s, name, 2)
			require.Len(t, drain(early), want, "%q, sent to %q", test.pattern, name)
			msgs := drainNamed(late)
			require.Len(t, msgs, want, "%q, sent to the live %q", test.pattern, name)
			for _, msg := range msgs {
				require.Equal(t, name, msg.channel)
				require.Equal(t, ref, msg.Ref)
			}
		}
	}
}

func contains(all []string, s string) bool {
	for _, x := range all {
		if x == s {
			return true
		}
	}
	return false
}

// Names that are no strings match no pattern.
func TestPatternMatchesStringsOnly(t *testing.T) {
	type text string
	s := newServer(t)
	m, _ := listenPattern[any](t, s, "**", nil)
	for _, name := range []any{7, text("db"), [1]string{"db"}, struct{ s string }{"db"}, 1.5} {
		require.False(t, s.Listening(name))
		listen[any](t, s, name, nil)
		earshot.SendEvent(s, name, "event")
	}
	earshot.SendEvent(s, 7, 1)
	earshot.SendEvent(s, text("db"), 1)
	require.Empty(t, drain(m))
}

// P3, P4: a pattern and exact names in one mailbox: each event comes once for each Ref, in the order sent.
func TestPatternBesideExactNames(t *testing.T) {
	s := newServer(t)
	m, tap := listenPattern[int](t, s, "db.*", nil)
	read := subscribe(t, m, "db.read")
	type got struct {
		ref     earshot.Ref
		channel any
		seq     uint64
		event   int
	}
	take := func() (all []got) {
		for _, msg := range drainNamed(m) {
			all = append(all, got{msg.Ref, msg.channel, msg.Seq, msg.Event})
		}
		return all
	}
	earshot.SendEvent(s, "db.read", 1)
	earshot.SendEvent(s, "db.write", 2)
	earshot.SendEvent(s, "db.read", 3)
	require.ElementsMatch(t, []got{
		{tap, "db.read", 1, 1}, {read, "db.read", 1, 1}, {tap, "db.write", 1, 2}, {tap, "db.read", 2, 3}, {read, "db.read", 2, 3},
	}, take())

	require.NoError(t, m.Unsubscribe(read))
	earshot.SendEvent(s, "db.read", 4)
	require.Equal(t, []got{{tap, "db.read", 3, 4}}, take(), "the channel lives on for the pattern")
	require.NoError(t, m.Unsubscribe(tap))
	require.False(t, s.Listening("db.read"))
	require.False(t, s.Listening("db.write"))
	earshot.SendEvent(s, "db.read", 5)
	require.Empty(t, take())
	for c := range s.Channels() {
		require.True(t, c.Declared, "P9: left over: %+v", c)
	}
}

// A pattern is on the channels that are declared before it and after it, also when those had lost
// their last subscriber before.
func TestPatternAndDeclaredChannels(t *testing.T) {
	s := newServer(t)
	before := earshot.NewChannel[int](s, "db.before", nil)
	m, tap := listenPattern[int](t, s, "db.*", nil)
	after := earshot.NewChannel[int](s, "db.after", nil)
	other := earshot.NewChannel[int](s, "other", nil)
	require.True(t, before.Listening())
	require.True(t, after.Listening())
	require.False(t, other.Listening())
	before.Send(1)
	after.Send(2)
	other.Send(3)
	require.Equal(t, []int{1, 2}, drained(m))

	x, _ := listen[int](t, s, "db.after", nil)
	x.Close()
	require.True(t, after.Listening(), "after an exact subscriber has come and gone")
	after.Send(4)
	require.Equal(t, []int{4}, drained(m))
	require.NoError(t, m.Unsubscribe(tap))
	require.False(t, before.Listening())
	require.False(t, after.Listening())
}

// Several patterns that match one name, in one mailbox and in two.
func TestPatternsOverlap(t *testing.T) {
	s := newServer(t)
	a, narrow := listenPattern[int](t, s, "db.*", nil)
	wide, err := a.SubscribePattern("**")
	require.NoError(t, err)
	b, _ := listenPattern[string](t, s, "**", nil)
	earshot.SendEvent(s, "db.read", 1)
	earshot.SendEvent(s, "web", 2)
	refs := map[earshot.Ref][]int{}
	for _, msg := range drain(a) {
		refs[msg.Ref] = append(refs[msg.Ref], msg.Event)
	}
	require.Equal(t, map[earshot.Ref][]int{narrow: {1}, wide: {1, 2}}, refs)
	require.Empty(t, drain(b))
	require.Equal(t, uint64(2), b.Stats().Mismatched)
	earshot.SendEvent(s, "db.read", "text")
	require.Equal(t, []string{"text"}, drained(b))
}

// The names come with the messages of exact subscriptions too, of one or several, by both ways to ask.
func TestNamed(t *testing.T) {
	s := newServer(t)
	m, _ := listen[int](t, s, "x", nil)
	for _, want := range [][]any{{"x"}, {"x", 7}} {
		if len(want) > 1 {
			subscribe(t, m, 7)
		}
		for range 2 {
			for i, name := range want {
				earshot.SendEvent(s, name, i)
			}
		}
		for i, name := range want {
			got, msg, ok := m.TryReceiveNamed()
			require.True(t, ok)
			require.Equal(t, name, got)
			require.Equal(t, i, msg.Event)
		}
		n := 0
		for got, msg := range m.Named(t.Context()) {
			require.Equal(t, want[n], got)
			require.Equal(t, n, msg.Event)
			if n++; n == len(want) {
				break
			}
		}
		_, _, ok := m.TryReceiveNamed()
		require.False(t, ok)
	}
}

// The server's own channels are seen only by patterns that ask for them.
func TestPatternOnTheServersOwnChannels(t *testing.T) {
	s := newServer(t)
	all, _ := listenPattern[any](t, s, "**", nil)
	own, _ := listenPattern[any](t, s, "earshot.**", nil)
	listen[int](t, s, "x", nil)
	require.Empty(t, drain(all))
	var kinds []earshot.LifecycleKind
	for _, msg := range drainNamed(own) {
		require.Equal(t, earshot.LifecycleChannel, msg.channel)
		kinds = append(kinds, msg.Event.(earshot.Lifecycle).Kind)
	}
	require.Equal(t, []earshot.LifecycleKind{earshot.Opened, earshot.Subscribed}, kinds)
}

// P11, P12: a tap on names without end holds its capacity and no more, and forgets the names.
func TestP12_PatternOnEndlessNames(t *testing.T) {
	s := newServer(t)
	m, _ := listenPattern[int](t, s, "job.*", &earshot.MailboxOptions{Capacity: 16})
	heap := heapInUse()
	const names = 100_000
	for i := range names {
		earshot.SendEvent(s, "job."+strconv.Itoa(i), i)
	}
	require.Equal(t, upTo(names-16, names-1), drained(m))
	require.Equal(t, uint64(names), m.Stats().Offered)
	live := 0
	for c := range s.Channels() {
		if c.Live {
			live++
		}
	}
	require.LessOrEqual(t, live, 1<<14, "names remembered for the tap")
	require.NoError(t, m.Close())
	require.Less(t, heapInUse(), heap+1<<20, "after the tap has gone")
	runtime.KeepAlive(m)
}

// P1: the tap misses nothing of a name that is reaped and comes back all the time.
func TestP1_PatternWhileNamesComeAndGo(t *testing.T) {
	s := newServer(t)
	m, _ := listenPattern[int](t, s, "db.*", &earshot.MailboxOptions{Overflow: earshot.Unbounded})
	x := newMailbox[int](t, s, nil)
	for i := range 2000 {
		name := fmt.Sprint("db.", i%3)
		if i%5 == 0 {
			ref := subscribe(t, x, name)
			earshot.SendEvent(s, name, i)
			require.NoError(t, x.Unsubscribe(ref))
		} else {
			earshot.SendEvent(s, name, i)
		}
	}
	require.Equal(t, upTo(0, 1999), drained(m))
}
