package rethinkdb_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	r "gopkg.in/rethinkdb/rethinkdb-go.v6"

	"github.com/earshot-go/earshot/backend/rethinkdb"
	"github.com/earshot-go/earshot/bus"
)

// A tamper stands between a client and a server and changes replies, to say what only a server in distress says.
type tamper struct {
	address string
	mu      sync.Mutex
	change  func(reply string) string // nil changes nothing; "" holds the reply back
}

func (p *tamper) set(change func(reply string) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.change = change
}

func newTamper(t testing.TB, server string) *tamper {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &tamper{address: l.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", server)
			if err != nil {
				client.Close()
				continue
			}
			wg.Go(func() {
				_, _ = io.Copy(to, client)
				to.Close()
				client.Close()
			})
			wg.Go(func() {
				p.replies(client, bufio.NewReader(to))
				to.Close()
				client.Close()
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return p
}

func (p *tamper) replies(to io.Writer, from *bufio.Reader) {
	for range 3 { // the log-in
		line, err := from.ReadBytes(0)
		if err != nil {
			return
		}
		_, _ = to.Write(line)
	}
	for {
		var head [12]byte
		if _, err := io.ReadFull(from, head[:]); err != nil {
			return
		}
		body := make([]byte, binary.LittleEndian.Uint32(head[8:]))
		if _, err := io.ReadFull(from, body); err != nil {
			return
		}
		p.mu.Lock()
		change := p.change
		p.mu.Unlock()
		text := string(body)
		if change != nil {
			if text = change(text); text == "" {
				continue
			}
		}
		binary.LittleEndian.PutUint32(head[8:], uint32(len(text)))
		_, _ = to.Write(append(head[:], text...))
	}
}

// once changes the first reply of a changefeed that has a document in it.
func once(to string) (change func(string) string, done func() bool) {
	var mu sync.Mutex
	changed := false
	return func(reply string) string {
			mu.Lock()
			defer mu.Unlock()
			if !changed && isChange(reply) {
				changed = true
				return to
			}
			return reply
		}, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return changed
		}
}

func isChange(reply string) bool {
	return len(reply) > 40 && reply[:6] == `{"t":3`
}

const (
	overflow = `{"t":3,"r":[{"error":"Changefeed cache over array size limit, skipped 3 elements."}],"n":[1]}`
	aborted  = `{"t":18,"e":4100000,"r":["Changefeed aborted (unavailable)."],"b":[]}`
)

// tampered returns a bus on a table, and another one whose replies can be changed.
func tampered(t testing.TB, opts rethinkdb.BusOptions) (plain, behind *rethinkdb.Bus, p *tamper) {
	t.Helper()
	x := fixture{at: base(t), opts: opts}
	s := x.stream(t)
	p = newTamper(t, s.Server)
	plain, behind = s.Open(t, "").(*rethinkdb.Bus), s.Open(t, p.address).(*rethinkdb.Bus)
	t.Cleanup(func() {
		for _, b := range []*rethinkdb.Bus{plain, behind} {
			require.NoError(t, b.Close(context.Background()))
		}
	})
	return plain, behind, p
}

// A server throws changes away when a feed is slow. Where they are kept, the feed reads them from the table.
func TestOverflow(t *testing.T) {
	plain, behind, p := tampered(t, rethinkdb.BusOptions{})
	f := tail(t, behind, bus.Tail{})
	evs := makeAll("slow", 12)
	require.NoError(t, plain.Publish(within(t), evs[:2]...))
	ids, _ := read(t, f, 2)
	require.Equal(t, idsOf(evs[:2]), ids)
	change, done := once(overflow)
	p.set(change)
	require.NoError(t, plain.Publish(within(t), evs[2:7]...)) // this is thrown away
	require.Eventually(t, done, 5*time.Second, time.Millisecond)
	require.NoError(t, plain.Publish(within(t), evs[7:]...))
	ids, at := read(t, f, 10)
	require.Equal(t, idsOf(evs[2:]), ids)
	require.Empty(t, rest(t, tail(t, behind, bus.Tail{From: bus.After(at), Past: true})))
	require.NoError(t, plain.Publish(within(t), make1("live")))
	ids, _ = read(t, f, 1)
	require.Equal(t, []string{"live"}, ids, "and is live again")
}

// Where nothing is kept it is a gap.
func TestOverflowWithoutPersist(t *testing.T) {
	plain, behind, p := tampered(t, rethinkdb.BusOptions{NoPersist: true})
	f := tail(t, behind, bus.Tail{})
	change, _ := once(overflow)
	p.set(change)
	require.NoError(t, plain.Publish(within(t), make1("lost")))
	_, err := f.Next(within(t))
	var gap *bus.GapError
	require.ErrorAs(t, err, &gap)
	require.EqualValues(t, 3, gap.Missed)
	require.NoError(t, plain.Publish(within(t), make1("next")))
	ids, _ := read(t, f, 1)
	require.Equal(t, []string{"next"}, ids)
}

// An aborted changefeed is trouble with the server, unless its table is another one by now.
func TestAborted(t *testing.T) {
	for _, recreate := range []bool{false, true} {
		plain, behind, p := tampered(t, rethinkdb.BusOptions{})
		f := tail(t, behind, bus.Tail{})
		change, _ := once(aborted)
		p.set(change)
		require.NoError(t, plain.Publish(within(t), make1("x")))
		want := bus.ErrDisconnected
		if recreate {
			want = bus.ErrForeignToken
			require.NoError(t, plain.Drop(within(t)))
		}
		_, err := f.Next(within(t))
		require.ErrorIs(t, err, want)
		_, err = f.Next(within(t))
		require.ErrorIs(t, err, want, "again")
	}
}

// Rows that make no sense in a changefeed are an error or garbage, and never a panic.
func TestStrangeChanges(t *testing.T) {
	for _, rows := range []string{
		`7`, `"x"`, `null`, `[]`, `{}`, `{"new_val":7}`, `{"new_val":[1],"old_val":null}`, `{"error":"x"}`, `{"error":7}`,
		`{"new_val":{"id":[1,{}],"ts":{"$reql_type$":"TIME","epoch_time":-1e300},"n":"-","event":false}}`,
		`{"new_val":{"id":"x","ts":{"$reql_type$":"TIME","epoch_time":1e11},"n":1e99,"event":"{}"}}`,
	} {
		plain, behind, p := tampered(t, rethinkdb.BusOptions{})
		f := tail(t, behind, bus.Tail{})
		change, done := once(`{"t":3,"r":[` + rows + `],"n":[1]}`)
		p.set(change)
		require.NoError(t, plain.Publish(within(t), make1("x")))
		require.NoError(t, plain.Publish(within(t), make1("y")))
		d, err := f.Next(within(t))
		require.True(t, done(), rows)
		if err != nil {
			require.ErrorIs(t, err, bus.ErrDisconnected, rows)
		} else {
			require.Equal(t, "y", d.Event.ID, rows)
		}
	}
}

// A wire that is dead and silent ends an idle feed soon, also one that nobody has read for a while.
func TestSilence(t *testing.T) {
	plain, behind, p := tampered(t, rethinkdb.BusOptions{})
	f := tail(t, behind, bus.Tail{})
	require.NoError(t, plain.Publish(within(t), make1("x")))
	_, _ = read(t, f, 1)
	p.set(func(string) string { return "" })
	begun := time.Now()
	_, err := f.Next(within(t))
	require.ErrorIs(t, err, bus.ErrDisconnected)
	require.Less(t, time.Since(begun), 5*time.Second)
}

// meanwhile runs something when replies pass, the first n times.
func (p *tamper) meanwhile(n int, do func(i int) error) (errs chan error) {
	errs = make(chan error, n)
	var mu sync.Mutex
	i := 0
	p.set(func(reply string) string {
		mu.Lock()
		defer mu.Unlock()
		if i < n {
			i++
			errs <- do(i)
		}
		return reply
	})
	return errs
}

// While a feed goes from the past to the changefeed, events are published all the time. They come once.
func TestNoCopies(t *testing.T) {
	for _, from := range []bus.Position{bus.Start, bus.Now} {
		plain, behind, p := tampered(t, rethinkdb.BusOptions{})
		evs := makeAll("old", 40)
		require.NoError(t, plain.Publish(within(t), evs...))
		n := 12
		errs := p.meanwhile(n, func(i int) error { return plain.Publish(t.Context(), make1(string(rune('a'+i)))) })
		f := tail(t, behind, bus.Tail{From: from})
		came := map[string]int{}
		for len(errs) < n || came["end"] == 0 {
			if came["end"] == 0 && len(errs) == n {
				require.NoError(t, plain.Publish(within(t), make1("end")))
			} else if len(errs) < n && from.IsNow() {
				require.NoError(t, behind.Publish(within(t))) // its replies pass as well
				continue
			}
			d, err := f.Next(within(t))
			require.NoError(t, err)
			came[d.Event.ID]++
		}
		for id, times := range came {
			require.Equal(t, 1, times, "%s, from %v", id, from)
		}
		for range n {
			require.NoError(t, <-errs)
		}
	}
}

// A latecomer between the past and the changefeed comes alone, also in a busy stream.
func TestLateBetween(t *testing.T) {
	plain, behind, p := tampered(t, rethinkdb.BusOptions{})
	evs := makeAll("busy", 100)
	require.NoError(t, plain.Publish(within(t), evs...))
	f := tail(t, behind, bus.Tail{From: bus.Start})
	ids, _ := read(t, f, len(evs))
	require.Equal(t, idsOf(evs), ids)
	text, err := make1("late").AppendJSON(nil)
	require.NoError(t, err)
	errs := p.meanwhile(1, func(int) error {
		_, err := plain.Run(t.Context(), plain.TableTerm().Insert(map[string]any{
			"id": "late", "ts": r.Now().Sub(0.5), "n": 1, "source": "/test", "event": string(text),
		}))
		return err
	})
	ids, _ = read(t, f, 1)
	require.Equal(t, []string{"late"}, ids)
	require.NoError(t, <-errs)
	require.NoError(t, plain.Publish(within(t), make1("end")))
	ids, _ = read(t, f, 1)
	require.Equal(t, []string{"end"}, ids)
}
