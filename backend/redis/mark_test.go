// An inside test: which of the server's states a feed meets in which moment cannot be had from outside at will.
package redis

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/earshot-go/earshot/bus"
	"github.com/stretchr/testify/require"
)

// A model of a stream: entries with the numbers 1 to added, of which those after removed are kept.
type model struct{ added, removed int64 }

func at(n int64) id { return id{ms: uint64(1000 + n)} }

func (m model) state() state {
	s := state{epoch: "e", added: m.added, length: m.added - m.removed, last: at(m.added)}
	if m.added == 0 {
		s.last = id{}
	}
	if s.length > 0 {
		s.first = at(m.removed + 1)
	}
	return s
}

// entries are those after n, at most count.
func (m model) entries(n int64, count int) (ids []id) {
	for i := max(n, m.removed) + 1; i <= m.added && len(ids) < count; i++ {
		ids = append(ids, at(i))
	}
	return ids
}

// Whatever comes and goes between a read and the state that follows it: what is not brought is counted, once.
func TestAccount(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for round := range 20_000 {
		var m model
		step := func() {
			m.added += r.Int64N(6)
			if r.IntN(2) == 0 {
				m.removed += r.Int64N(m.added - m.removed + 1)
			}
		}
		step()
		mark := m.state().end()
		if r.IntN(2) == 0 {
			mark = m.state().start()
		}
		begun, came, missed := mark.n, int64(0), int64(0)
		trace := ""
		for range 6 {
			step()
			if r.IntN(4) == 0 { // the connection is lost, and made again
				token := mark.token("e")
				back, err := parseMark(token, "e")
				require.NoError(t, err)
				require.Equal(t, mark, back)
				var g gap
				mark, g = m.state().resume(back)
				missed += g.n
				trace += fmt.Sprintf("resume at %+v: %+v, missed %d\n", m, mark, g.n)
			}
			count := 1 + r.IntN(4)
			ids := m.entries(int64(mark.id.ms)-1000, count)
			if mark.id == (id{}) {
				ids = m.entries(0, count)
			}
			step()
			to, before, after := m.state().account(mark, ids)
			came, missed = came+int64(len(ids)), missed+before.n+after.n
			trace += fmt.Sprintf("read %v of %v at %+v: %+v, missed %d and %d\n", ids, mark, m, to, before.n, after.n)
			mark = to
		}
		// Nothing more happens, and all that is left is read.
		for len(m.entries(mark.n, 1)) > 0 {
			ids := m.entries(int64(mark.id.ms)-1000, 3)
			if mark.id == (id{}) {
				ids = m.entries(0, 3)
			}
			to, before, after := m.state().account(mark, ids)
			came, missed = came+int64(len(ids)), missed+before.n+after.n
			mark = to
		}
		mark, last := m.state().resume(mark)
		to, before, _ := m.state().account(mark, nil)
		missed += last.n + before.n
		require.Equal(t, m.added, to.n, "seed %d, round %d\n%s", seed, round, trace)
		require.Equal(t, m.added-begun, came+missed, "seed %d, round %d\n%s", seed, round, trace)
	}
}

// A feed that does not know its number says that something is missing exactly when it is, also when it is resumed.
func TestFollow(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for round := range 20_000 {
		m := model{added: 1 + r.Int64N(6)}
		m.removed = r.Int64N(m.added)
		pos := m.removed + r.Int64N(m.added-m.removed) // the last that is not wanted
		where, told := mark{id: at(pos), n: unknown, next: at(pos + 1)}, int64(0)
		for range 6 {
			m.added += r.Int64N(6)
			if r.IntN(2) == 0 {
				m.removed += r.Int64N(m.added - m.removed + 1)
			}
			s := m.state()
			if r.IntN(3) == 0 { // the connection is lost, and made again
				back, err := parseMark(where.token("e"), "e")
				require.NoError(t, err)
				require.Equal(t, where, back)
				var g gap
				where, g = s.resume(back)
				require.Equal(t, m.removed > pos, g.here, "seed %d, round %d: resumed after %d of %+v", seed, round, pos, m)
				told = m.removed
			}
			count := 1 + r.IntN(4)
			ids, next := m.entries(pos, count+1), id{}
			if len(ids) > count {
				ids, next = ids[:count], ids[count]
			}
			missed := m.added > pos
			if len(ids) > 0 {
				missed = ids[0] != at(pos+1)
			}
			var before, after gap
			counted := where.n != unknown
			if counted {
				where, before, after = s.account(where, ids)
			} else {
				where, before = s.follow(where, ids, next)
			}
			require.Equal(t, missed && m.removed > told, before.here, "seed %d, round %d: read %v after %d of %+v, told %d, counted %t", seed, round, ids, pos, m, told, counted)
			require.False(t, after.here)
			pos, told = int64(where.id.ms)-1000, 0
			if where.n != unknown {
				require.Equal(t, pos, where.n)
			}
		}
	}
}

func TestIDs(t *testing.T) {
	for text, before := range map[string]string{"5-3": "5-2", "5-0": "4-18446744073709551615", "0-0": "0-0"} {
		i, ok := parseID(text)
		require.True(t, ok)
		require.Equal(t, text, i.String())
		require.Equal(t, before, i.before().String())
	}
	for _, text := range []string{"", "5", "-", "5-", "-5", "5-x", "5-5-5", "18446744073709551616-0", "+5-1"} {
		_, ok := parseID(text)
		require.False(t, ok, text)
	}
	for _, position := range []string{"", "5", "@", "@0", "@x", "5-1/", "5-1/-1", "5-1/x", "x/5", "5-1+", "5-1+x", "5-1+6-1/7"} {
		_, err := parseMark(bus.MakeToken(engine, "e", position), "e")
		require.ErrorIs(t, err, bus.ErrForeignToken, position)
	}
}

// The identity of a stream is later than any entry.
func TestEpochIsLater(t *testing.T) {
	one, ok := parseID(newEpoch())
	require.True(t, ok)
	require.True(t, id{ms: 1 << 62}.less(one))
	require.NotEqual(t, one.String(), newEpoch())
	require.Empty(t, moved(refusal("MOVED 1")))
	require.Equal(t, "h:1", moved(refusal("MOVED 1 h:1")))
}
