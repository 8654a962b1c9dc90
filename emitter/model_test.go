package emitter_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/stretchr/testify/require"
)

// The reference: a list in the order of calls, which is gone through from the front.
type reference struct{ list []*entry }

type entry struct {
	ref     emitter.Ref
	id      int
	name    string
	pattern bool
	once    bool
}

func (m *reference) matches(r *entry, name string) bool {
	if !r.pattern {
		return r.name == name
	}
	return !slices.Contains(own, name) && bus.Match([]string{r.name}, name)
}

func (m *reference) emit(name string) (heard []string) {
	for _, r := range slices.Clone(m.list) {
		if m.matches(r, name) {
			heard = append(heard, fmt.Sprint(r.id))
			if r.once {
				m.remove(r)
			}
		}
	}
	return heard
}

func (m *reference) count(name string) (n int) {
	for _, r := range m.list {
		if m.matches(r, name) {
			n++
		}
	}
	return n
}

func (m *reference) names() (names []string) {
	for _, r := range m.list {
		names = append(names, r.name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (m *reference) remove(gone *entry) {
	m.list = slices.DeleteFunc(m.list, func(r *entry) bool { return r == gone })
}

// Thousands of registrations, removals and emits at random: the emitter does what the reference does. Names are few and
// alike, so that many fall into the same cell of whatever they are looked up in.
func TestAgainstReference(t *testing.T) {
	steps := 3000
	if testing.Short() || raceDetector {
		steps = 800
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		r := rand.New(rand.NewPCG(seed, 1))
		patterns := true // with them names are looked up in another way
		var m reference
		var heard notes
		next := 0
		var gone []emitter.Ref
		name := func() string {
			if r.IntN(3) == 0 {
				return fmt.Sprintf("n%dx", r.IntN(1000)) // equal first and last bytes
			}
			segments := make([]string, 1+r.IntN(3))
			for i := range segments {
				segments[i] = []string{"a", "b", "ab"}[r.IntN(3)]
			}
			return strings.Join(segments, ".")
		}
		for step := range steps {
			if step%200 == 0 {
				if patterns = !patterns; !patterns {
					e.RemoveAll("")
					m.list = nil
				}
			}
			switch op := r.IntN(100); {
			case op < 25:
				next++
				reg := &entry{id: next, name: name()}
				fn := heard.note(fmt.Sprint(next))
				var err error
				switch r.IntN(6) {
				case 0:
					reg.once = true
					reg.ref, err = e.Once(reg.name, fn)
					m.list = append(m.list, reg)
				case 1:
					reg.ref, err = e.Prepend(reg.name, fn)
					m.list = slices.Insert(m.list, 0, reg)
				case 2:
					if !patterns {
						continue
					}
					reg.pattern = true
					reg.name = []string{"*", "**", "a.*", "a.**", "*.b", "a.b", "*.*.*"}[r.IntN(7)]
					reg.ref, err = e.OnAny(reg.name, fn)
					m.list = append(m.list, reg)
				default:
					reg.ref, err = e.On(reg.name, fn)
					m.list = append(m.list, reg)
				}
				require.NoError(t, err)
			case op < 42 && len(m.list) > 0:
				reg := m.list[r.IntN(len(m.list))]
				m.remove(reg)
				require.True(t, e.Off(reg.ref))
				gone = append(gone, reg.ref)
			case op < 44 && len(gone) > 0:
				require.False(t, e.Off(gone[r.IntN(len(gone))]))
			case op < 46:
				n := name()
				if r.IntN(4) == 0 {
					n = "a.b" // also a pattern
				}
				var left []*entry
				for _, reg := range m.list {
					if reg.name != n {
						left = append(left, reg)
					}
				}
				require.Equal(t, len(m.list)-len(left), e.RemoveAll(n))
				m.list = left
			case op == 46 && r.IntN(4) == 0:
				require.Equal(t, len(m.list), e.RemoveAll(""))
				m.list = nil
			case op == 47:
				require.Equal(t, m.names(), e.EventNames())
				require.Equal(t, len(m.list), e.Stats().Listeners)
			case op < 60:
				n := name()
				require.Equal(t, m.count(n), e.ListenerCount(n), n)
			default:
				n := name()
				require.NoError(t, e.Emit(context.Background(), n, nil))
				synctest.Wait()
				require.Equal(t, m.emit(n), heard.take(), "step %d, %q", step, n)
			}
		}
	})
}

// Ten thousand names are no different from one.
func TestManyNames(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		const many = 10_000
		heard := make([]int, many)
		refs := make([]emitter.Ref, many)
		for i := range many {
			refs[i] = on(t, e, fmt.Sprintf("name.%d.end", i), func(context.Context, emitter.Event) error { heard[i]++; return nil })
		}
		for i := range many {
			emit(t, e, fmt.Sprintf("name.%d.end", i), nil)
		}
		require.NoError(t, e.EmitWait(t.Context(), "name.0.end", nil))
		heard[0]--
		for i := 0; i < many; i += 2 {
			require.True(t, e.Off(refs[i]))
		}
		_, err := e.OnAny("never", nothing) // all cells are looked up from now on
		require.NoError(t, err)
		for i := range many {
			emit(t, e, fmt.Sprintf("name.%d.end", i), nil)
		}
		require.NoError(t, e.EmitWait(t.Context(), "name.1.end", nil))
		heard[1]--
		for i := range many {
			require.Equal(t, 1+i%2, heard[i], i)
		}
		require.Len(t, e.EventNames(), many/2+1)
	})
}
