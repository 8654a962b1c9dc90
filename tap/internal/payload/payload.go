// Package payload turns an event of any type into JSON for people to look at: bounded, with its
// secrets left out, and without trust in the methods of the event's types.
//
// It differs from encoding/json where that would lose something or hurt somebody:
//
//   - Integers are exact, NaN and infinities are strings, a []byte is a string if it is UTF-8 and
//     {"base64":…} if not, a [time.Duration] is "1.5s", an error is its text.
//   - Whatever does not fit is cut, and says so: a string ends in "… (1048576 bytes)", a list in
//     {"!":"997 more"}, a map or struct in "!":"997 more". Other objects with the key "!" tell why
//     something is not shown.
//   - Markup, control characters and those that change the direction of text are escaped.
//   - What nobody could encode, such as cycles, channels and functions, is described.
//
// # Secrets
//
// A field with the tag earshot:"secret", and a field or key whose name [fields.SecretKey] knows, is
// "[secret]", whatever it holds. A type that implements [slog.LogValuer] is what its LogValue returns,
// and is never looked into, not even when LogValue fails.
//
// MarshalJSON, MarshalText, String and Error could print a secret under another name. So they are not
// called for a type from which a secret can be reached, nor for one with a map or an interface, which
// may hold anything; its exported fields are shown instead. An Error is called unless the type itself,
// or one of its package that it refers to, has a secret. What a panic or an error of such a
// method says is never shown.
//
// # Methods of other people
//
// A method that panics, does not return within 100 ms, or returns nonsense costs its value, which
// becomes a marker, and nothing else. While a call hangs there is no other of that method of that
// type, so that at most one goroutine each is stuck; see [Stuck]. After the third such call in a row there is
// none for good.
//
// Three things cannot be contained by anybody in the same process: a method that calls itself without
// end, which Go answers by ending the program; a method that starts a goroutine which panics; and a
// data race, such as an event whose map is changed after it was sent. To give the first as little
// room as possible, String is called only for what has no exported fields or elements to show.
package payload

import (
	"reflect"
	"sync"

	"github.com/earshot-go/earshot/tap/internal/fields"
)

// An Encoder encodes events. The zero value is ready for use, and may be used by many goroutines, but
// must not be copied or changed after first use.
type Encoder struct {
	// Secret names more fields and keys that are secret, besides those with names as in
	// [fields.SecretKey]. It is asked for the JSON name and for the Go name. A panic means yes.
	Secret func(name string) bool

	// MaxBytes is the most that one event may take, 64 KiB if it is 0. It is at least 256.
	MaxBytes int

	// MaxDepth is how many objects and arrays may be inside each other, 32 if it is 0. It is at most
	// 64.
	MaxDepth int

	discreet sync.Map // *plan → bool: no name that can be reached from the type is Secret
}

const (
	defaultBytes = 64 << 10
	leastBytes   = 256
	defaultDepth = 32
	mostDepth    = 64
)

// Append appends v to dst as JSON: one line of valid UTF-8, no longer than MaxBytes. An invalid v is
// null. Methods of v's types are called in other goroutines, for which it waits 100 ms each and
// about 200 ms for all.
func (e *Encoder) Append(dst []byte, v reflect.Value) (out []byte) {
	start := len(dst)
	// The walk below does not panic on any value we know of. Should there be one, or one that is
	// changed meanwhile, then the program must not pay for it.
	defer func() {
		if recover() != nil {
			out = append(dst[:start], lost...)
		}
	}()
	w := writer{enc: e, dst: dst, maxDepth: defaultDepth}
	if e.MaxDepth > 0 {
		w.maxDepth = min(e.MaxDepth, mostDepth)
	}
	w.limit = start + defaultBytes
	if e.MaxBytes > 0 {
		w.limit = start + max(e.MaxBytes, leastBytes)
	}
	w.value(v)
	return w.dst
}

const lost = `{"!":"cannot be shown: it was changed while it was read"}`

// secret reports whether what stands under a name is not to be shown.
func (e *Encoder) secret(name string) bool {
	return fields.SecretKey(name) || e.Secret != nil && e.asked(name)
}

// asked calls Secret.
func (e *Encoder) asked(name string) (yes bool) {
	defer func() {
		if recover() != nil {
			yes = true
		}
	}()
	return e.Secret(name)
}

// Size returns about how many bytes a value takes, without following what it refers to: the length
// of a string, of the elements of a slice, of the keys and elements of a map, the size of what
// a pointer points to, and else the size of the type. It is 0 if v is invalid.
func Size(v reflect.Value) int {
	for v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Invalid:
		return 0
	case reflect.String:
		return v.Len()
	case reflect.Slice:
		return v.Len() * int(v.Type().Elem().Size())
	case reflect.Map:
		return v.Len() * int(v.Type().Key().Size()+v.Type().Elem().Size())
	case reflect.Pointer:
		if !v.IsNil() {
			return int(v.Type().Elem().Size())
		}
	}
	return int(v.Type().Size())
}
