// Package fields says how the fields of events are named, and which of them are secret. The filter
// and the encoder of payloads share it, so that what can be seen can be asked for, by the same
// name, and what must not be seen cannot be found out by asking.
package fields

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
)

// A Field is a struct field as people name it: by its json tag, else by its Go name. The fields of
// embedded structs are promoted as encoding/json does.
type Field struct {
	Name      string // in JSON and in filters
	GoName    string
	Index     []int // as for reflect.Value.FieldByIndex, which panics at nil pointers; see In
	Secret    bool  // by its tag, its name, or those of what it was promoted through
	OmitEmpty bool
	OmitZero  bool
}

// In returns the field's value in a struct of the type it was found in. It reports false if an
// embedded pointer on the way is nil: then there is no such field.
func (f *Field) In(v reflect.Value) (reflect.Value, bool) {
	for i, x := range f.Index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return reflect.Value{}, false
			}
			v = v.Elem()
		}
		v = v.Field(x)
	}
	return v, true
}

// A program has a fixed number of struct types, but for those made with reflect.StructOf, which
// reflect itself never forgets.
var cache sync.Map // reflect.Type → []Field

// Of returns the fields of a struct type in the order of their declaration. Unexported fields and
// those with the tag json:"-" are left out. As in JSON, an unexported embedded struct that has a
// name from its tag is a field: its value cannot be had with Interface, only looked into. The result
// belongs to everybody: do not change it.
//
// Of may be called from many goroutines. After the first call for a type it does not allocate.
func Of(t reflect.Type) []Field {
	if fs, ok := cache.Load(t); ok {
		return fs.([]Field)
	}
	fs, _ := cache.LoadOrStore(t, collect(t))
	return fs.([]Field)
}

// found is a field that may yet be hidden by another of its name.
type found struct {
	Field
	tagged bool
}

// level is a struct whose fields are to be looked at, with the way to it.
type level struct {
	t      reflect.Type
	index  []int
	secret bool
}

// timeType is not looked into when embedded: it has no field to promote, and would vanish.
var timeType = reflect.TypeFor[time.Time]()

// collect looks at a struct, then at what it embeds, level by level, because a field hides those of
// its name further down.
func collect(root reflect.Type) []Field {
	var all []found
	seen := map[reflect.Type]bool{}
	for now := []level{{t: root}}; len(now) > 0; {
		var next []level
		count := map[reflect.Type]int{} // how often a type is embedded on this level
		for _, at := range now {
			count[at.t]++
		}
		for _, at := range now {
			if seen[at.t] {
				continue
			}
			seen[at.t] = true
			fs, deeper := at.look()
			all = append(all, fs...)
			if count[at.t] > 1 {
				all = append(all, fs...) // each hides the other, and both hide what is deeper
			}
			next = append(next, deeper...)
		}
		now = next
	}
	return visible(all)
}

// look returns the named fields of one struct, and the structs that it embeds.
func (at level) look() (fs []found, deeper []level) {
	for i := range at.t.NumField() {
		sf := at.t.Field(i)
		t := sf.Type
		if t.Name() == "" && t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		// The exported fields of an unexported embedded struct are promoted all the same.
		if !sf.IsExported() && (!sf.Anonymous || t.Kind() != reflect.Struct) {
			continue
		}
		tag := sf.Tag.Get("json")
		if tag == "-" {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if !validName(name) {
			name = ""
		}
		secret := at.secret || secretTag(sf.Tag) || SecretKey(name) || SecretKey(sf.Name)
		index := append(slices.Clip(at.index), i)
		if sf.Anonymous && name == "" && t.Kind() == reflect.Struct && t != timeType {
			deeper = append(deeper, level{t, index, secret})
			continue
		}
		f := found{Field{Name: name, GoName: sf.Name, Index: index, Secret: secret}, name != ""}
		if name == "" {
			f.Name = sf.Name
		}
		for o := range strings.SplitSeq(options, ",") {
			f.OmitEmpty = f.OmitEmpty || o == "omitempty"
			f.OmitZero = f.OmitZero || o == "omitzero"
		}
		fs = append(fs, f)
	}
	return fs, deeper
}

// visible drops what is hidden: of the fields of one name the shallowest stays, or the one among
// those that has its name from a tag, or none if that leaves two.
func visible(all []found) []Field {
	byName := map[string][]found{}
	for _, f := range all {
		byName[f.Name] = append(byName[f.Name], f)
	}
	var fs []Field
	for _, same := range byName {
		slices.SortStableFunc(same, func(a, b found) int {
			return cmp.Compare(a.rank(), b.rank())
		})
		if len(same) > 1 && same[0].rank() == same[1].rank() {
			continue
		}
		fs = append(fs, same[0].Field)
	}
	slices.SortFunc(fs, func(a, b Field) int { return slices.Compare(a.Index, b.Index) })
	return fs
}

// rank is smaller for what hides others.
func (f *found) rank() int {
	n := 2 * len(f.Index)
	if !f.tagged {
		n++
	}
	return n
}

// validName reports whether encoding/json would take a name from a tag.
func validName(name string) bool {
	for _, r := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return false
		}
	}
	return name != ""
}

// secretTag reports whether a field has the tag earshot:"secret".
func secretTag(tag reflect.StructTag) bool {
	for o := range strings.SplitSeq(tag.Get("earshot"), ",") {
		if strings.TrimSpace(o) == "secret" {
			return true
		}
	}
	return false
}
