package filter_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzMatch compares the filter with a naive one, on random events in three forms: maps, JSON and
// structs of types made for them.
func FuzzMatch(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed)
	}
	f.Add(uint64(731)) // {"err":0}: the 0 of a json.Number is a string that is not empty
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 1))
		tree := randomObject(r, 3)
		// Keys of maps are text in the event, and names of fields are not.
		text, want, wantStruct := "", true, true
		for range 1 + r.IntN(3) {
			term, yes, yesStruct := randomTerm(r, tree)
			text += " " + term
			want, wantStruct = want && yes, wantStruct && yesStruct
		}
		raw, err := json.Marshal(tree)
		require.NoError(t, err)
		var decoded any
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		require.NoError(t, d.Decode(&decoded))
		for form, event := range map[string]any{"map": tree, "JSON": json.RawMessage(raw), "decoded": decoded, "struct": toStruct(tree).Interface()} {
			want := want
			if form == "struct" {
				want = wantStruct
			}
			require.Equal(t, want, matches(t, text, event), "EARSHOT_SEED=%d: %s\non %s as %s", seed, text, raw, form)
		}
	})
}

var (
	vocabulary = []string{"alpha", "Beta", "gamma ray", "d\"q", "ärger", "x.y", "", "-1", "true", "null", "12"}
	keys       = []string{"a", "b", "c1", "password", "err", "über"}
	numbers    = []int64{0, 1, -1, 12, 9223372036854775807, -9223372036854775808, 9007199254740993, 9007199254740992}
)

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func randomValue(r *rand.Rand, depth int) any {
	n := 6
	if depth == 0 {
		n = 4
	}
	switch r.IntN(n) {
	case 0:
		return pick(r, vocabulary)
	case 1:
		return pick(r, numbers)
	case 2:
		return r.IntN(2) == 0
	case 3:
		return nil
	case 4:
		list := make([]any, r.IntN(3))
		for i := range list {
			list[i] = randomValue(r, depth-1)
		}
		return list
	}
	return randomObject(r, depth-1)
}

func randomObject(r *rand.Rand, depth int) map[string]any {
	m := map[string]any{}
	for range r.IntN(5) {
		m[pick(r, keys)] = randomValue(r, depth)
	}
	return m
}

// toStruct returns the same event as structs with tags.
func toStruct(v any) reflect.Value {
	switch v := v.(type) {
	case map[string]any:
		var names []string
		for k := range v {
			names = append(names, k)
		}
		slices.Sort(names)
		var fs []reflect.StructField
		for i, k := range names {
			fs = append(fs, reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: reflect.TypeFor[any](), Tag: reflect.StructTag(fmt.Sprintf("json:%q", k))})
		}
		s := reflect.New(reflect.StructOf(fs)).Elem()
		for i, k := range names {
			if x := toStruct(v[k]); x.IsValid() {
				s.Field(i).Set(x)
			}
		}
		return s
	case []any:
		list := make([]any, len(v))
		for i := range v {
			if x := toStruct(v[i]); x.IsValid() {
				list[i] = x.Interface()
			}
		}
		return reflect.ValueOf(list)
	}
	return reflect.ValueOf(v)
}

// randomTerm returns a term and whether it holds, for maps and for structs.
func randomTerm(r *rand.Rand, tree any) (term string, holds, holdsStruct bool) {
	negate := r.IntN(3) == 0
	switch r.IntN(5) {
	case 0:
		term, holds = "err", hasErr(tree, false)
		holdsStruct = holds
	case 1:
		word := pick(r, vocabulary)
		if word = word[:r.IntN(len(word)+1)]; word == "" || !strings.HasPrefix(word, strings.ToValidUTF8(word, "?")) {
			word = "am"
		}
		word = pick(r, []func(string) string{strings.ToUpper, strings.ToLower, strings.Clone})(word)
		term, holds, holdsStruct = strconv.Quote(word), hasText(tree, word, true), hasText(tree, word, false)
	default:
		term, holds = randomComparison(r, tree)
		holdsStruct = holds
	}
	if negate {
		return "-" + term, !holds, !holdsStruct
	}
	return term, holds, holdsStruct
}

func randomComparison(r *rand.Rand, tree any) (term string, holds bool) {
	path, at, found := "", tree, true
	for n := 1 + r.IntN(3); n > 0; n-- {
		name := pick(r, append([]string{"0", "1"}, keys...))
		switch v := at.(type) {
		case map[string]any:
			at, found = v[name], found && has(v, name) && name != "password"
		case []any:
			i, err := strconv.Atoi(name)
			if found = found && err == nil && i < len(v); found {
				at = v[i]
			}
		default:
			found = false
		}
		path += "." + name
		if r.IntN(2) == 0 {
			break
		}
	}
	op := pick(r, []string{"=", "!=", "<", "<=", ">", ">="})
	value, quoted := pick(r, vocabulary), true
	if r.IntN(2) == 0 {
		value, quoted = strconv.FormatInt(pick(r, numbers), 10), false
	} else if (op == "=" || op == "!=") && r.IntN(2) == 0 {
		value, quoted = pick(r, []string{"true", "false", "null"}), false
	}
	holds = found && compares(at, op, value, quoted)
	if op == "!=" {
		holds = !(found && compares(at, "=", value, quoted))
	}
	if quoted {
		value = strconv.Quote(value)
	}
	return path[1:] + op + value, holds
}

func has(m map[string]any, name string) bool {
	_, ok := m[name]
	return ok
}

func compares(at any, op, value string, quoted bool) bool {
	order := 0
	switch v := at.(type) {
	case nil:
		return op == "=" && !quoted && value == "null"
	case string:
		order = strings.Compare(v, value)
	case bool:
		return op == "=" && !quoted && value == strconv.FormatBool(v)
	case int64:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || quoted {
			return false
		}
		order = map[bool]int{true: -1, false: map[bool]int{true: 1, false: 0}[v > n]}[v < n]
	default:
		return false
	}
	switch op {
	case "=":
		return order == 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

func hasText(at any, word string, keys bool) bool {
	switch v := at.(type) {
	case string:
		return strings.Contains(strings.ToLower(v), strings.ToLower(word))
	case []any:
		return slices.ContainsFunc(v, func(x any) bool { return hasText(x, word, keys) })
	case map[string]any:
		for k, x := range v {
			if k != "password" && (hasText(x, word, keys) || keys && hasText(k, word, keys)) {
				return true
			}
		}
	}
	return false
}

func hasErr(at any, named bool) bool {
	switch v := at.(type) {
	case nil:
		return false
	case string:
		return named && v != ""
	case int64:
		return named && v != 0
	case bool:
		return named && v
	case []any:
		return named && len(v) > 0 || slices.ContainsFunc(v, func(x any) bool { return hasErr(x, false) })
	case map[string]any:
		if named && len(v) > 0 {
			return true
		}
		for k, x := range v {
			if k != "password" && hasErr(x, k == "err") {
				return true
			}
		}
	}
	return false
}
