package earshot_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/stretchr/testify/require"
)

// What was found in taps by reading and trying, before anybody used them.

// A block whose beginning has been cleared must not be lent: what a loop gives back would be cleared, too.
func TestTap_GivenBackAfterARest(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[int](s, "c", nil)
	m, _ := listen[int](t, s, "c", nil)
	for i := 1; i <= 4; i++ {
		c.Send(i)
	}
	var tap *earshot.Tap
	for msg := range m.Messages(t.Context()) {
		require.Equal(t, 1, msg.Event)
		m.Ready() // somebody else waits for more: the log rests and clears
		tap = s.Tap(t.Context(), nil)
		c.Send(5)
		break
	}
	defer tap.Close()
	require.Equal(t, []int{2, 3, 4, 5}, drained(m))
}

// The clock of busy taps is a goroutine, which a bubble would wait for.
func TestTap_BusyInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := earshot.NewServer(nil)
		c := earshot.NewChannel[int](s, "c", nil)
		tap := s.Tap(t.Context(), nil)
		for i := range 1000 {
			c.Send(i)
		}
		all, _ := takeAll(tap)
		require.Len(t, all, 1000)
		tap.Close()
		s.Close()
	})
}

type lockedName struct {
	mu sync.Mutex
	n  int
}

func (l *lockedName) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprint("conn ", l.n)
}

// A name's String method may take a lock that the sender holds.
func TestTap_NamesWithMethods(t *testing.T) {
	s := newServer(t)
	tap := s.Tap(t.Context(), nil)
	defer tap.Close()
	n := &lockedName{}
	finishes(t, "send under the program's own lock", func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		earshot.SendEvent(s, n, 1)
	})
}

// A pointer is a name by its identity. What it points to may change.
func TestTap_NamesThatArePointers(t *testing.T) {
	s := newServer(t)
	n := new(struct{ n int })
	tap := s.Tap(t.Context(), nil)
	defer tap.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 1000 {
			n.n = i
		}
	})
	for range 100 {
		earshot.SendEvent(s, n, 1)
		s.Tap(t.Context(), nil).Close()
	}
	wg.Wait()
	all, _ := takeAll(tap)
	require.Len(t, all, 100)
}

func TestNameText(t *testing.T) {
	type user string
	type key struct {
		Tenant string
		Token  string `earshot:"secret"`
		N      [2]int8
	}
	p := new(int)
	for _, c := range []struct {
		name any
		want string
	}{
		{"a.b", "a.b"}, {7, "7"}, {int64(-7), "-7"}, {uint8(7), "7"}, {1.5, "1.5"}, {true, "true"}, {user("ann"), "ann"}, {nil, "nil"},
		{key{"acme", "hunter2", [2]int8{1, 2}}, "{acme [secret] [1 2]}"}, {struct{ E any }{7}, "{7}"}, {struct{ E any }{}, "{nil}"},
		{p, fmt.Sprintf("*int(%p)", p)}, {complex(1, 2), "(1+2i)"},
	} {
		require.Equal(t, c.want, earshot.NameText(c.name))
	}
}

// What a tap has referred to cannot be cleared, but it is let go of when the last tap has gone.
func TestTap_LetsGo(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[*[1 << 20]byte](s, "c", nil)
	m, _ := listen[*[1 << 20]byte](t, s, "c", nil)
	run := func() {
		for range 100 {
			c.Send(new([1 << 20]byte))
		}
		drain(m)
		m.Ready()
	}
	run()
	before := heapInUse()
	tap := s.Tap(t.Context(), nil)
	run()
	require.Greater(t, heapInUse(), before+90<<20, "the tap has not looked yet")
	tap.Close()
	require.Less(t, heapInUse(), before+1<<20)
	// And when the subscriber had not read everything by then.
	tap = s.Tap(t.Context(), nil)
	for range 10 {
		c.Send(new([1 << 20]byte))
	}
	tap.Close()
	drain(m)
	m.Ready()
	require.Less(t, heapInUse(), before+1<<20)
	c.Send(nil)
	require.Len(t, drained(m), 1)
}

// An event sent as any to a channel of its type must not make the channel store any from then on.
func TestSendAnyToItsType(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[[4]int](s, "c", nil)
	m, _ := listen[[4]int](t, s, "c", nil)
	earshot.SendEvent[string, any](s, "c", [4]int{1})
	require.Equal(t, [][4]int{{1}}, drained(m))
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		c.Send([4]int{2})
		m.TryReceive()
	}))
}

func TestServerStats(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[int](s, "c", nil)
	tap := s.Tap(t.Context(), nil)
	defer tap.Close()
	kept, _ := listen[int](t, s, "c", &earshot.MailboxOptions{Capacity: 2})
	gone, _ := listen[int](t, s, "c", nil)
	two := earshot.NewMailbox[int](t.Context(), s, nil)
	for range 2 {
		_, err := two.Subscribe("c")
		require.NoError(t, err)
	}
	for i := range 5 {
		c.Send(i)
	}
	want := earshot.ServerStats{Subscriptions: 4, Depth: 17, Offered: 20, Missed: 3}
	require.Equal(t, want, s.Stats())
	gone.TryReceive()
	gone.Close()
	want = earshot.ServerStats{Subscriptions: 3, Depth: 12, Offered: 20, Received: 1, Missed: 3, Discarded: 4}
	require.Equal(t, want, s.Stats())
	two.TryReceive()
	for st := range s.Subscriptions() {
		require.Equal(t, st.Offered, st.Received+st.Missed+st.Discarded+uint64(st.Depth), "%+v", st)
	}
	two.Close()
	for range gone.Messages(t.Context()) {
		t.Error("closed")
	}
	kept.Close()
	want = earshot.ServerStats{Offered: 20, Received: 2, Missed: 3, Discarded: 15}
	require.Equal(t, want, s.Stats())
}

// Taps with keys of their own and with shared ones come and go, with a channel that replays and loops that
// break off and give back: each subscriber has every event, in order.
func TestTap_ChurnOfWires(t *testing.T) {
	s := newServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var wg sync.WaitGroup
	cs := make([]*earshot.Channel[int], 4)
	var sent [4]atomic.Int64
	for i := range cs {
		var o *earshot.ChannelOptions
		if i == 3 {
			o = &earshot.ChannelOptions{Replay: 20}
		}
		cs[i] = earshot.NewChannel[int](s, fmt.Sprint("c", i), o)
	}
	for g := range cs {
		wg.Go(func() {
			for ctx.Err() == nil {
				cs[g].Send(int(sent[g].Add(1)))
				if sent[g].Load()%50 == 0 {
					runtime.Gosched()
				}
			}
		})
		wg.Go(func() { // permanent subscriber that breaks out of its loop
			m := earshot.NewMailbox[int](context.Background(), s, nil)
			defer m.Close()
			if _, err := m.Subscribe(fmt.Sprint("c", g)); err != nil {
				t.Error(err)
			}
			last := 0
			var lastSeq uint64
			for ctx.Err() == nil {
				n := 0
				m.Ready()
				for msg := range m.Messages(ctx) {
					m.Ready()
					if lastSeq != 0 && msg.Seq != lastSeq+1+msg.Missed {
						t.Errorf("seq %d after %d, missed %d", msg.Seq, lastSeq, msg.Missed)
						return
					}
					if last != 0 && msg.Event != last+1+int(msg.Missed) {
						t.Errorf("event %d after %d, missed %d", msg.Event, last, msg.Missed)
						return
					}
					last, lastSeq = msg.Event, msg.Seq
					if n++; n%3 == 0 {
						break
					}
				}
			}
		})
	}
	for k := range 3 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				key := []any{nil, "k", fmt.Sprint("x", i%2)}[k]
				want := fmt.Sprint("c", i%4)
				o := &earshot.TapOptions{Key: key, Capacity: 1 + i%1000}
				if k == 0 {
					o.Match = func(n string) bool { return strings.HasPrefix(n, want) }
				}
				if k != 0 {
					o.Capacity = 300
				}
				tap := s.Tap(ctx, o)
				last := map[any]int{}
				buf := make([]earshot.Heard, 77)
				for range 30 {
					n, missed := tap.Take(buf)
					if missed > 0 {
						clear(last)
					}
					for _, h := range buf[:n] {
						v := h.Event().(int)
						if l, ok := last[h.Channel()]; ok && v != l+1 {
							t.Errorf("tap %q: %v: %d after %d", key, h.Channel(), v, l)
							return
						}
						last[h.Channel()] = v
					}
					if n == 0 {
						runtime.Gosched()
					}
				}
				st := tap.Stats()
				if st.Offered != st.Received+st.Missed+st.Discarded+uint64(st.Depth) {
					t.Errorf("%+v", st)
				}
				tap.Close()
			}
		})
	}
	wg.Wait()
}
