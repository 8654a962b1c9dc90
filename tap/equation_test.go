package tap_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/require"
)

// A reference is a filter, and what it means, in the plainest of ways.
type reference struct {
	text    string
	channel func(name string) bool
	event   func(e any) bool
	of      int // one in so many, 0 for all
}

type pick struct{ *rand.Rand }

func (p pick) from(all ...string) string { return all[p.IntN(len(all))] }

// random makes a filter of up to six terms.
func (p pick) reference() reference {
	var terms []string
	var yes, no, types, notTypes []string
	var tests []func(any) bool
	r := reference{}
	for range p.IntN(7) {
		minus := p.IntN(3) == 0
		term := ""
		var test func(any) bool
		switch p.IntN(6) {
		case 0, 1:
			pattern := p.from("a.x", "a.*", "*.x", "**", "a.**", "b", "*", "a.*.z", "n*")
			term = "chan:" + pattern
			if minus {
				no = append(no, pattern)
			} else {
				yes = append(yes, pattern)
			}
		case 2:
			name := p.from("order", "string", "int", "tap_test.order", "tap_test.*", "o*r", "nothing")
			term = "type:" + name
			if minus {
				notTypes = append(notTypes, name)
			} else {
				types = append(types, name)
			}
		case 3:
			op, n := p.from("=", "!=", "<", "<=", ">", ">="), p.IntN(10)
			term = fmt.Sprint("amount", op, n)
			test = func(e any) bool {
				o, ok := e.(order)
				return ok && map[string]bool{"=": o.Amount == n, "!=": o.Amount != n, "<": o.Amount < n, "<=": o.Amount <= n, ">": o.Amount > n, ">=": o.Amount >= n}[op] || !ok && op == "!="
			}
		case 4:
			op, re := p.from("~", "!~"), p.from("^a", "b$", "a.*b", "x")
			term = "note" + op + re
			test = func(e any) bool {
				o, ok := e.(order)
				return ok && compiled(re).MatchString(o.Note) == (op == "~") || !ok && op == "!~"
			}
		case 5:
			word := p.from("ab", "AB", "ba", "zz")
			term = word
			test = func(e any) bool {
				text := ""
				switch e := e.(type) {
				case order:
					text = e.Note
				case string:
					text = e
				}
				return strings.Contains(strings.ToLower(text), strings.ToLower(word))
			}
		}
		if minus {
			term = "-" + term
		}
		if test != nil {
			tests = append(tests, func(e any) bool { return test(e) != minus })
		}
		terms = append(terms, term)
	}
	if p.IntN(4) == 0 {
		r.of = 2 + p.IntN(3)
		terms = append(terms, fmt.Sprint("1/", r.of))
	}
	p.Shuffle(len(terms), func(i, j int) { terms[i], terms[j] = terms[j], terms[i] })
	r.text = strings.Join(terms, p.from(" ", "  "))
	r.channel = func(name string) bool {
		return (len(yes) == 0 || any1(yes, name, channelRE)) && !any1(no, name, channelRE)
	}
	r.event = func(e any) bool {
		t := reflect.TypeOf(e)
		is := func(all []string) bool { return any1(all, t.Name(), typeRE) || any1(all, t.String(), typeRE) }
		if len(types) > 0 && !is(types) || is(notTypes) {
			return false
		}
		for _, test := range tests {
			if !test(e) {
				return false
			}
		}
		return true
	}
	return r
}

func any1(patterns []string, name string, re func(string) string) bool {
	for _, p := range patterns {
		if compiled("^" + re(p) + "$").MatchString(name) {
			return true
		}
	}
	return false
}

var compiledREs sync.Map

func compiled(text string) *regexp.Regexp {
	re, ok := compiledREs.Load(text)
	if !ok {
		re, _ = compiledREs.LoadOrStore(text, regexp.MustCompile(text))
	}
	return re.(*regexp.Regexp)
}

// channelRE and typeRE write a pattern as a regular expression.
func channelRE(pattern string) string {
	var parts []string
	for part := range strings.SplitSeq(pattern, ".") {
		if part == "**" {
			parts = append(parts, `[^.]*(\.[^.]*)*`)
		} else {
			parts = append(parts, strings.ReplaceAll(part, "*", "[^.]*"))
		}
	}
	return strings.Join(parts, `\.`)
}

func typeRE(pattern string) string {
	return strings.ReplaceAll(strings.ReplaceAll(pattern, ".", `\.`), "*", ".*")
}

type sentEvent struct {
	channel string
	event   any
}

func (p pick) event() sentEvent {
	e := sentEvent{channel: p.from("a.x", "a.y", "a.y.z", "b", "b.x", "name", "c.d.e.f")}
	text := strings.Repeat("ab", p.IntN(3)) + p.from("", "a", "x", "ZZ")
	switch p.IntN(4) {
	case 0:
		e.event = text
	case 1:
		e.event = p.IntN(10)
	default:
		e.event = order{ID: p.Int64(), Amount: p.IntN(10), Note: text}
	}
	return e
}

// UX-45: seen = shown + filtered + shed, each of them right, for a thousand filters. One after the other
// every record is the one that it should be.
func TestUX45_Equation(t *testing.T) {
	s := newServer(t)
	p := pick{rand.New(rand.NewPCG(45, 0))}
	for range 10 {
		refs, streams := openReferences(t, s, p, 100)
		var sent []sentEvent
		for range 200 {
			e := p.event()
			sent = append(sent, e)
			earshot.SendEvent(s, e.channel, e.event)
		}
		for i, st := range streams {
			var want []any
			var w tap.Stats
			matched := 0
			for _, e := range sent {
				if !refs[i].channel(e.channel) {
					continue
				}
				w.Seen++
				if !refs[i].event(e.event) {
					w.Filtered++
				} else if matched++; refs[i].of > 0 && matched%refs[i].of != 1 {
					w.Shed++
				} else {
					w.Shown++
					want = append(want, e.event)
				}
			}
			var got []any
			require.Equal(t, w.Seen, st.Stats().Waiting, "%q", refs[i].text)
			ctx, cancel := context.WithCancel(t.Context())
			var reader sync.WaitGroup
			reader.Go(func() {
				for r := range st.Records(ctx) {
					got = append(got, r.Event())
				}
			})
			eventually(t, "everything to be seen", func() bool { return st.Stats().Waiting == 0 })
			cancel()
			reader.Wait()
			require.Equal(t, want, got, "%q", refs[i].text)
			require.Equal(t, w, st.Stats(), "%q", refs[i].text)
			st.Close()
		}
	}
}

// UX-45: and with many senders at a time, while it is read.
func TestUX45_EquationWhileSending(t *testing.T) {
	s := newServer(t)
	p := pick{rand.New(rand.NewPCG(45, 1))}
	for range 10 {
		refs, streams := openReferences(t, s, p, 100)
		var readers, senders sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for i, st := range streams {
			readers.Go(func() {
				for r := range st.Records(ctx) {
					if !refs[i].channel(r.Channel.(string)) || !refs[i].event(r.Event()) {
						t.Errorf("%q shows %v on %v", refs[i].text, r.Event(), r.Channel)
					}
				}
			})
		}
		sent := make([][]sentEvent, 4)
		for g := range sent {
			random := pick{rand.New(rand.NewPCG(uint64(g), p.Uint64()))}
			senders.Go(func() {
				for range 50 {
					e := random.event()
					sent[g] = append(sent[g], e)
					earshot.SendEvent(s, e.channel, e.event)
				}
			})
		}
		senders.Wait()
		for i, st := range streams {
			var seen, matched uint64
			for _, all := range sent {
				for _, e := range all {
					if refs[i].channel(e.channel) {
						seen++
						if refs[i].event(e.event) {
							matched++
						}
					}
				}
			}
			eventually(t, "everything to be seen", func() bool { return st.Stats().Waiting == 0 })
			c := st.Stats()
			require.Equal(t, seen, c.Seen, "%q", refs[i].text)
			require.Equal(t, seen, c.Shown+c.Filtered+c.Shed)
			require.Equal(t, matched, c.Shown+c.Shed, "%q", refs[i].text)
			if of := uint64(refs[i].of); of > 0 {
				require.Equal(t, (matched+of-1)/of, c.Shown, "%q", refs[i].text)
			} else {
				require.Zero(t, c.Shed)
			}
		}
		cancel()
		readers.Wait()
		for _, st := range streams {
			st.Close()
		}
	}
}

func openReferences(t *testing.T, s *earshot.Server, p pick, n int) (refs []reference, streams []*tap.Stream) {
	t.Helper()
	for range n {
		r := p.reference()
		st, err := tap.Open(s, r.text)
		require.NoError(t, err, "%s", r.text)
		refs, streams = append(refs, r), append(streams, st)
	}
	return refs, streams
}
