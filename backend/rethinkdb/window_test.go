package rethinkdb

// From inside: what a token says cannot be seen in full from outside.

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Whatever was delivered in whatever order, and whatever shows up late in the window: a window that went through
// its text lacks nothing of it, and without latecomers it has everything.
func TestWindow(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for range 3000 {
		w := window{width: int64(1 + rnd.IntN(50))}
		var table []pos
		us := int64(1 + rnd.IntN(1000))
		for i := range rnd.IntN(300) {
			us += int64(rnd.IntN(12))
			table = append(table, pos{us: us, n: int64(i), hash: rnd.Uint64()})
		}
		// Nearly in order, as a changefeed is.
		order := slices.Clone(table)
		for i := 1; i < len(order); i++ {
			if j := max(0, i-rnd.IntN(3)); order[i].us-order[j].us < w.width {
				order[i], order[j] = order[j], order[i]
			}
		}
		for _, p := range order {
			w.add(p)
		}
		text := string(w.appendTo(nil))
		require.LessOrEqual(t, len(text), 1200)
		require.NotContains(t, text, ":")
		back, ok := parseWindow(text)
		require.True(t, ok, text)
		require.Equal(t, w.hi, back.hi)

		visible := func(table []pos) (at []pos) {
			for _, p := range table {
				if p.us >= back.low() && p.us <= back.hi.us {
					at = append(at, p)
				}
			}
			return at
		}
		again := back
		again.list = slices.Clone(back.list)
		has, lacks := again.compare(visible(table))
		require.Equal(t, back.hi.us, lacks)
		for _, p := range visible(table) {
			require.True(t, has(p), "%v in %s", p, text)
		}
		require.Equal(t, back.hi, again.hi)
		require.Equal(t, back.sums, again.sums)
		require.Len(t, again.list, len(back.list))

		if w.hi.us == 0 {
			continue
		}
		late := pos{us: back.low() + rnd.Int64N(back.hi.us-back.low()+1), hash: rnd.Uint64()}
		if late.compare(back.hi) >= 0 {
			continue
		}
		has, lacks = back.compare(visible(append(slices.Clone(table), late)))
		require.False(t, has(late), "%v in %s", late, text)
		require.LessOrEqual(t, lacks, late.us)
	}
}

// What the retention takes out of a short window changes nothing for the rest.
func TestWindowTrimmed(t *testing.T) {
	w := window{width: 1e6}
	var table []pos
	for i := range 10 {
		table = append(table, pos{us: int64(5e6 + i), hash: uint64(i + 1)})
	}
	w.take(table)
	has, lacks := w.compare(table[6:])
	require.Equal(t, w.hi.us, lacks)
	require.True(t, has(table[7]))
	require.Len(t, w.list, 4)
}

func TestNoWindow(t *testing.T) {
	for _, text := range []string{
		"", "x", "/", "//", "1.1.1", "1.1.1/5", "1.1.1/0/", "1.1.1/-1/", "1.1/5/", "1.1.1.1/5/", "-1.1.1/5/", "1.1.1/5/x", "1.1.1/5/AAAA",
		"1.1.1/5/!", "1.1.1/5//x", "1.1.1/5//1.1.1/x", "1.1.1/5//1.1.1/", "1.1.1/5//1.1.1" + strings.Repeat("/1", parts+2),
		"1.1.1/5/" + strings.Repeat("AAAAAAAA", listed+1), "fffffffffffffffff.1.1/5/",
	} {
		_, ok := parseWindow(text)
		require.False(t, ok, "%q", text)
	}
}

func TestKey(t *testing.T) {
	require.Equal(t, "/a 1 2", key("/a", "1 2"))
	long := strings.Repeat("x", 500)
	seen := map[string]bool{streamID: true}
	for _, e := range [][2]string{
		{long, "a"}, {"a", long}, {"a", long + "y"}, {"/a", "1 2"}, {"/a 1", "2"}, {"/a 1 2", ""}, {"", "/a 1 2"},
		{"a", "b\x00"}, {"a\x00", "b"}, {"earshot:stream", "a"}, {long + " ", "a"}, {long, " a"},
	} {
		k := key(e[0], e[1])
		require.False(t, seen[k], "%q of %q", k, e)
		seen[k] = true
		require.Less(t, len(k), 127)
		require.NotContains(t, k, "\x00")
	}
}

func TestPosText(t *testing.T) {
	var before string
	for _, p := range []pos{{}, {1, 0, 0}, {1, 0, 7}, {1, 10, 0}, {16, 2, 1 << 63}, last(1 << 40)} {
		back, ok := parsePos(p.String())
		require.True(t, ok)
		require.Equal(t, p, back)
		require.Less(t, before, p.String(), "the order of places is that of their texts")
		before = p.String()
	}
}
