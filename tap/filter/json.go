package filter

import (
	"bytes"
	"encoding/json"
	"reflect"
)

const (
	maxJSON = 64 << 10    // how long a JSON text within an event may be if it is to be looked into
	allJSON = 4 * maxJSON // and how long all of them together
)

// A reading is the JSON within an event, decoded once for all the terms that look there.
type reading struct {
	raws   [4][]byte
	values [4]reflect.Value
	n      int // how many there are; beyond four, the oldest goes
	spent  int
}

// decode returns what a JSON text says: as if missing if it is not valid, since then it cannot be
// told which parts of it are secret.
func (r *reading) decode(raw []byte) reflect.Value {
	if len(raw) == 0 {
		return reflect.Value{}
	}
	for i := range min(r.n, len(r.raws)) {
		if len(r.raws[i]) == len(raw) && &r.raws[i][0] == &raw[0] {
			return r.values[i]
		}
	}
	if len(raw) > maxJSON || r.spent+len(raw) > allJSON {
		return reflect.Value{}
	}
	r.spent += len(raw)
	v := decode(raw)
	r.raws[r.n%len(r.raws)], r.values[r.n%len(r.raws)] = raw, v
	r.n++
	return v
}

func decode(raw []byte) reflect.Value {
	if !json.Valid(raw) {
		return reflect.Value{}
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // no int64 goes through a float64
	if err := d.Decode(&v); err != nil {
		return reflect.Value{}
	}
	return reflect.ValueOf(v)
}
