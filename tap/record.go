package tap

import (
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap/internal/payload"
)

// append appends the record as one line of JSON, with the event if enc is not nil.
func (r Record) append(b []byte, enc *payload.Encoder) []byte {
	b = append(b, `{"channel":`...)
	b = appendText(b, earshot.NameText(r.Channel))
	if _, ok := r.Channel.(string); !ok {
		b = append(b, `,"kind":`...)
		b = appendText(b, fmt.Sprintf("%T", r.Channel))
	}
	b = append(b, `,"seq":`...)
	b = strconv.AppendUint(b, r.Seq, 10)
	b = append(b, `,"time":"`...)
	b = r.Time.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","type":`...)
	if r.value.IsValid() {
		b = appendText(b, r.value.Type().String())
	} else {
		b = append(b, `"nil"`...)
	}
	b = append(b, `,"size":`...)
	b = strconv.AppendInt(b, int64(payload.Size(r.value)), 10)
	if r.Missed > 0 {
		b = append(b, `,"missed":`...)
		b = strconv.AppendUint(b, r.Missed, 10)
	}
	if enc != nil {
		b = append(b, `,"event":`...)
		b = enc.Append(b, r.value)
	}
	return append(b, '}')
}

// appendText appends a string in JSON, bounded and inert like everything in a payload.
func appendText(b []byte, s string) []byte { return plain.Append(b, reflect.ValueOf(s)) }
