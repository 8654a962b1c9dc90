package emitter_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/bus/membus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/earshot-go/earshot/event"
	"github.com/stretchr/testify/require"
)

type person struct {
	Name string `json:"Name"`
	Age  int    `json:",omitempty"`
}

type blob []byte

func ptr[T any](v T) *T { return &v }

// What Decode makes of data is the same in memory and over a bus.
func TestDecodeTable(t *testing.T) {
	big := int64(math.MaxInt64 - 1)
	ann := user{7, "ann"}
	moment := time.Date(2026, 11, 20, 1, 2, 3, 4, time.UTC)
	for _, c := range []struct {
		data any
		want any // of the type that is decoded into; nil: ErrData
		into any // where want is nil
	}{
		{ann, ann, nil}, {&ann, ann, nil}, {ann, &ann, nil}, {&ann, &ann, nil},
		{ann, person{Name: "ann"}, nil}, {&ann, &person{Name: "ann"}, nil},
		{map[string]any{"ID": 7, "Name": "ann"}, ann, nil},
		{json.RawMessage(`{"ID":7,"Name":"ann"}`), ann, nil},
		{json.RawMessage(`{"ID":7,"Name":"ann"}`), &ann, nil},
		{json.RawMessage(`{"ID":7}`), json.RawMessage(`{"ID":7}`), nil},
		{[]byte(`{"ID":7,"Name":"ann"}`), ann, nil}, // bytes that are JSON
		{nil, user{}, nil}, {nil, (*user)(nil), nil}, {nil, 0, nil}, {nil, []byte(nil), nil},
		{(*user)(nil), (*user)(nil), nil}, {(*user)(nil), user{}, nil},
		{[]byte{}, user{}, nil}, {[]byte(nil), user{}, nil}, {[]byte{}, []byte(nil), nil}, {[]byte{}, "", nil},
		{[]byte("hi\x00\xff"), []byte("hi\x00\xff"), nil},
		{blob("hi"), blob("hi"), nil}, {blob("hi"), []byte("hi"), nil},
		{big, big, nil}, {big, ptr(big), nil}, {&big, big, nil}, {7, 7.0, nil}, {7, int8(7), nil}, {"x", "x", nil}, {true, true, nil},
		{"aGk=", []byte("hi"), nil}, {moment, moment, nil}, {time.Second, time.Second, nil}, {time.Second, int(time.Second), nil},
		{[]int{1, 2}, []int{1, 2}, nil}, {[]int{1, 2}, [2]int{1, 2}, nil}, {[]any{1}, []int{1}, nil},
		{map[string]int{"a": 1}, map[string]int{"a": 1}, nil}, {"<&>\u2028", "<&>\u2028", nil},
		{7, nil, new(string)}, {"x", nil, new(int)}, {300, nil, new(int8)}, {ann, nil, new([]int)}, {7.5, nil, new(int)},
		{[]byte("hi"), nil, new(user)}, {[]byte("hi"), nil, new(string)}, {json.RawMessage(`"x"`), nil, new(int)},
		{ann, nil, new(func())}, {ann, nil, new(chan int)},
	} {
		name := fmt.Sprintf("%T into %T", c.data, c.want)
		if c.want == nil {
			name = fmt.Sprintf("%T into %T is misfit", c.data, c.into)
		}
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, e *emitter.Emitter) {
				var got reflect.Value
				var err error
				on(t, e, "a", func(_ context.Context, ev emitter.Event) error {
					if c.want != nil {
						got = reflect.New(reflect.TypeOf(c.want))
					} else {
						got = reflect.ValueOf(c.into)
					}
					err = ev.Decode(got.Interface())
					return nil
				})
				require.NoError(t, e.EmitWait(t.Context(), "a", c.data))
				if c.want == nil {
					require.ErrorIs(t, err, emitter.ErrData)
					require.ErrorContains(t, err, `"a"`)
					require.True(t, got.Elem().IsZero(), "nothing is stored")
					return
				}
				require.NoError(t, err)
				require.Equal(t, c.want, got.Elem().Interface())
			})
		})
	}
}

// Decoding overwrites: nothing of what was there before is mixed in.
func TestDecodeOverwrites(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		got := user{9, "old"}
		on(t, e, "a", func(_ context.Context, ev emitter.Event) error { return ev.Decode(&got) })
		require.NoError(t, e.EmitWait(t.Context(), "a", map[string]int{"ID": 1}))
		require.Equal(t, user{1, ""}, got)
		require.NoError(t, e.EmitWait(t.Context(), "a", nil))
		require.Equal(t, user{}, got)
		require.Error(t, e.EmitWait(t.Context(), "a", []int{1}))
	})
}

func TestDecodeIntoNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, e *emitter.Emitter) {
		on(t, e, "a", func(_ context.Context, ev emitter.Event) error {
			return errors.Join(ev.Decode(nil), ev.Decode(user{}), ev.Decode((*user)(nil)))
		})
		err := e.EmitWait(t.Context(), "a", user{})
		require.ErrorIs(t, err, emitter.ErrData)
		require.ErrorContains(t, err, "want a pointer")
	})
}

// In memory the very value is passed.
func TestMemoryPassesTheValueItself(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		e := newEmitter(t, emitter.Options{})
		u := &user{1, "ann"}
		var plain, typed *user
		var received any
		on(t, e, "a", func(_ context.Context, ev emitter.Event) error {
			plain, received = ev.Data.(*user), ev.Received
			return nil
		})
		emitter.On(e, "a", func(_ context.Context, v *user) error { typed = v; return nil })
		require.NoError(t, e.EmitWait(t.Context(), "a", u))
		require.Same(t, u, plain)
		require.Same(t, u, typed)
		require.Nil(t, received)
		on(t, e, "b", func(_ context.Context, ev emitter.Event) error { return ev.Decode(new(chan int)) })
		require.NoError(t, e.EmitWait(t.Context(), "b", make(chan int)), "in memory anything is data")
	})
}

// Over a bus the envelope is there, and the data as it travelled.
func TestReceived(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		e := newEmitter(t, emitter.Options{Bus: membus.New(nil), Source: "/tests"})
		var all []emitter.Event
		on(t, e, "a", func(_ context.Context, ev emitter.Event) error { all = append(all, ev); return nil })
		for _, data := range []any{user{1, "ann"}, []byte{0, 255}, nil, "x"} {
			require.NoError(t, e.EmitWait(t.Context(), "a", data))
		}
		require.Equal(t, json.RawMessage(`{"ID":1,"Name":"ann"}`), all[0].Data)
		require.Equal(t, []byte{0, 255}, all[1].Data)
		require.Nil(t, all[2].Data)
		require.Equal(t, json.RawMessage(`"x"`), all[3].Data)
		ids := map[string]bool{}
		for _, ev := range all {
			require.Equal(t, "a", ev.Name)
			require.Equal(t, "/tests", ev.Received.Event.Source)
			require.Equal(t, "a", ev.Received.Event.Type)
			require.WithinDuration(t, time.Now(), ev.Received.Event.Time, 0)
			require.NotEmpty(t, ev.Received.Token)
			ids[ev.Received.Event.ID] = true
		}
		require.Len(t, ids, 4)
		other := newEmitter(t, emitter.Options{Bus: membus.New(nil), Name: "shop"})
		on(t, other, "a", func(_ context.Context, ev emitter.Event) error { all = append(all, ev); return nil })
		require.NoError(t, other.EmitWait(t.Context(), "a", nil))
		require.Regexp(t, `^/shop/[0-9a-f]{8}$`, all[4].Received.Event.Source)
	})
}

// The bytes that are emitted belong to the caller again when Emit has returned.
func TestBytesAreCopied(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(nil)
		e := newEmitter(t, emitter.Options{Bus: b})
		var got []byte
		on(t, e, "a", func(_ context.Context, ev emitter.Event) error { got = ev.Data.([]byte); return nil })
		ready(t, e)
		b.Freeze()
		data := []byte("before")
		emit(t, e, "a", data)
		copy(data, "after!")
		b.Thaw()
		synctest.Wait()
		require.Equal(t, "before", string(got))
	})
}

// Data of other programs, in JSON of other names and in none at all.
func TestForeignData(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := membus.New(nil)
		e := newEmitter(t, emitter.Options{Bus: b})
		var got []any
		on(t, e, "a", func(_ context.Context, ev emitter.Event) error { got = append(got, ev.Data); return nil })
		ready(t, e)
		for i, contentType := range []string{"", "application/json; charset=utf-8", "text/json", "application/vnd.x+json", "APPLICATION/JSON", "text/plain", "nonsense;;;"} {
			require.NoError(t, b.Publish(t.Context(), event.Event{ID: fmt.Sprint(i), Source: "/x", Type: "a", DataContentType: contentType, Data: []byte("1")}), contentType)
		}
		synctest.Wait()
		raw := json.RawMessage("1")
		require.Equal(t, []any{raw, raw, raw, raw, raw, []byte("1"), []byte("1")}, got)
	})
}
