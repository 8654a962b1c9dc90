package payload_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/tap/internal/payload"
	"github.com/stretchr/testify/require"
)

// TAP-07. What a method did is remembered for its type, so each of these tests has its own types.

type nilDereference struct{ p *int }

func (n nilDereference) MarshalJSON() ([]byte, error) { return nil, errors.New(string(rune(*n.p))) }

type outOfRange struct{ s []int }

func (o outOfRange) String() string { return string(rune(o.s[5])) }

type exits struct{}

func (exits) String() string { runtime.Goexit(); return "" }

type panicsNil struct{}

func (panicsNil) Error() string { panic(nil) }

type garbage struct{ s string }

func (g garbage) MarshalJSON() ([]byte, error) { return []byte(g.s), nil }

type garbageText string

func (g garbageText) MarshalText() ([]byte, error) { return []byte("\xff\x00<\u202e" + g), nil }

// recurses returns a new one of itself each time, so that nothing repeats.
type recurses struct{ n int }

func (r recurses) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("n", r.n), slog.Any("in", []any{recurses{r.n + 1}, recurses{r.n + 1}}))
}

type returnsPointer struct{ _ int }

func (r *returnsPointer) LogValue() slog.Value { x := any(r); return slog.AnyValue(&x) }

func TestMethodsThatMisbehave(t *testing.T) { synctest.Test(t, testMethodsThatMisbehave) }

func testMethodsThatMisbehave(t *testing.T) {
	for _, c := range []struct {
		give any
		want string
	}{
		{nilDereference{}, `{"!":"MarshalJSON of payload_test.nilDereference panicked with invalid memory address or nil pointer dereference"}`},
		{outOfRange{}, `{"!":"String of payload_test.outOfRange panicked with a runtime.boundsError"}`},
		{exits{}, `{"!":"String of payload_test.exits ended its goroutine"}`},
		{panicsNil{}, `{"!":"Error of payload_test.panicsNil panicked with a *runtime.PanicNilError"}`},
		{struct{ error }{}, `{"!":"Error of struct { error } panicked with invalid memory address or nil pointer dereference"}`},
		{garbage{""}, `{"!":"MarshalJSON of payload_test.garbage is not valid JSON"}`},
		{garbage{"{} {}"}, `{"!":"MarshalJSON of payload_test.garbage is not valid JSON"}`},
		{garbage{" [ 1,\n2 ] "}, `[1,2]`},
		{garbage{"\"\xff</script>\""}, `"` + "\ufffd" + `\u003c/script\u003e"`},
		{garbage{`"\ud800"`}, `"` + "\ufffd" + `"`},
		{garbageText("x"), `"\ufffd\u0000\u003c\u202ex"`},
		{&returnsPointer{}, `{"!":"LogValue of payload_test.returnsPointer returns LogValuers without end"}`},
	} {
		if got := encode(t, c.give); got != c.want {
			t.Errorf("%T: got %s, want %s", c.give, got, c.want)
		}
	}
	out := encode(t, recurses{})
	require.Contains(t, out, `more`)
	loop := new(slog.Value)
	*loop = slog.AnyValue(loop)
	require.Equal(t, `{"!":"slog.Values in one another without end"}`, encode(t, loop))
	attrs := make([]slog.Attr, 2)
	attrs[0] = slog.Attr{Value: slog.GroupValue(attrs...)}
	attrs[1] = attrs[0]
	attrs[0].Value, attrs[1].Value = slog.GroupValue(attrs...), slog.GroupValue(attrs...)
	encode(t, attrs)
}

// A method that panics costs its value only.
func TestRestIsShown(t *testing.T) { synctest.Test(t, testRestIsShown) }

func testRestIsShown(t *testing.T) {
	require.Equal(t, `{"A":1,"B":{"!":"MarshalJSON of payload_test.nilDereference panicked with invalid memory address or nil pointer dereference"},"C":2}`,
		encode(t, struct {
			A int
			B nilDereference
			C int
		}{A: 1, C: 2}))
}

// shrinks takes the list away that it is in.
type shrinks struct{ in *[]shrinks }

func (s shrinks) String() string { *s.in = nil; return "gone" }

// What is changed while it is read may be anything, and must not be a panic.
func TestChangedWhileItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := make([]shrinks, 3)
		for i := range list {
			list[i].in = &list
		}
		out := new(payload.Encoder).Append([]byte("before "), reflect.ValueOf(&list))
		require.Equal(t, `before {"!":"cannot be shown: it was changed while it was read"}`, string(out))
	})
}

// hang is shared by the types below; a test that uses it sets it, in its bubble.
type hang struct {
	calls   atomic.Int32
	release chan struct{}
}

var hanging atomic.Pointer[hang]

func (h *hang) wait() { h.calls.Add(1); <-h.release }

func startHanging() *hang {
	payload.Forget()
	h := &hang{release: make(chan struct{})}
	hanging.Store(h)
	return h
}

type hangsLog struct{ Inside string }

func (h hangsLog) LogValue() slog.Value {
	hanging.Load().wait()
	return slog.StringValue("late " + h.Inside)
}

type hangsJSON struct{}

func (h hangsJSON) MarshalJSON() ([]byte, error) { hanging.Load().wait(); return []byte("1"), nil }

type hangsText struct{}

func (h hangsText) MarshalText() ([]byte, error) { hanging.Load().wait(); return []byte("1"), nil }

type hangsError struct{}

func (h hangsError) Error() string { hanging.Load().wait(); return "1" }

type hangsString struct{}

func (h hangsString) String() string { hanging.Load().wait(); return "1" }

type hangsKey struct{}

func (h hangsKey) MarshalText() ([]byte, error) { hanging.Load().wait(); return []byte("1"), nil }

func TestMethodThatHangs(t *testing.T) {
	for method, x := range map[string]any{
		"LogValue of payload_test.hangsLog": hangsLog{canary}, "MarshalJSON of payload_test.hangsJSON": hangsJSON{},
		"MarshalText of payload_test.hangsText": hangsText{}, "Error of payload_test.hangsError": hangsError{},
		"String of payload_test.hangsString": hangsString{}, "MarshalText of payload_test.hangsKey": map[hangsKey]int{{}: 1},
	} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := startHanging()
				began := time.Now()
				out := encode(t, x)
				require.Contains(t, out, method+" did not return within 100ms")
				require.NotContains(t, out, canary)
				require.Equal(t, 100*time.Millisecond, time.Since(began))
				require.Equal(t, 1, payload.Stuck())

				// It is not called again, and costs no more time, for whomever.
				began = time.Now()
				for range 3 {
					out = encode(t, []any{x, 2})
					require.Contains(t, out, method+" has not returned since an earlier call")
					require.NotContains(t, out, canary)
				}
				require.Zero(t, time.Since(began))
				require.EqualValues(t, 1, h.calls.Load())

				close(h.release)
				synctest.Wait()
				require.Zero(t, payload.Stuck())
			})
		})
	}
}

type slow struct{}

var slowFor time.Duration

func (slow) String() string { time.Sleep(slowFor); return "slow" }

// A method may be slow because the machine is. Only one that always is is given up.
func TestMethodThatIsOftenTooSlow(t *testing.T) {
	payload.Forget()
	synctest.Test(t, func(t *testing.T) {
		tooSlow := func() {
			slowFor = 150 * time.Millisecond
			require.Contains(t, encode(t, slow{}), "did not return within 100ms")
			time.Sleep(time.Second)
			require.Zero(t, payload.Stuck())
		}
		for range 5 {
			tooSlow()
			tooSlow()
			slowFor = 50 * time.Millisecond
			require.Equal(t, `"slow"`, encode(t, slow{}))
		}
		for range 3 {
			tooSlow()
		}
		slowFor = 0
		require.Equal(t, `{"!":"String of payload_test.slow took too long too often to be called again"}`, encode(t, slow{}))
	})
}

type rather struct{}

func (rather) String() string { time.Sleep(30 * time.Millisecond); return "ok" }

// Many calls that each return in time must not take for ever together.
func TestTimeOfAllMethodsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		out := encode(t, make([]rather, 100))
		require.LessOrEqual(t, time.Since(began), 200*time.Millisecond)
		require.Equal(t, 4, strings.Count(out, `"ok"`), out)
		require.Equal(t, 96, strings.Count(out, "String of payload_test.rather was not called, because others took too long"), out)
		began = time.Now()
		keys := map[struct {
			N int
			R rather
		}]int{}
		for i := range 100 {
			keys[struct {
				N int
				R rather
			}{N: i}] = i
		}
		encode(t, keys)
		require.LessOrEqual(t, time.Since(began), 200*time.Millisecond)
		require.Contains(t, encode(t, rather{}), "ok", "another event has its own time")
	})
}

type crowd struct{}

var (
	inCrowd    atomic.Int32
	crowdCalls atomic.Int32
	crowdHolds chan struct{}
)

func (crowd) String() string {
	crowdCalls.Add(1)
	if inCrowd.Add(1) > 1 {
		panic("two at once")
	}
	defer inCrowd.Add(-1)
	if crowdHolds != nil {
		<-crowdHolds
	}
	return "ok"
}

// However many viewers there are, one goroutine is stuck in a method, not one for each.
func TestOneCallAtATime(t *testing.T) {
	payload.Forget()
	crowdHolds = nil
	synctest.Test(t, func(t *testing.T) {
		all := func() (outs []string) {
			outs = make([]string, 50)
			var wg sync.WaitGroup
			for i := range outs {
				wg.Go(func() { outs[i] = string(new(payload.Encoder).Append(nil, reflect.ValueOf(crowd{}))) })
			}
			wg.Wait()
			return outs
		}
		for _, out := range all() {
			require.Equal(t, `"ok"`, out)
		}
		crowdCalls.Store(0)
		crowdHolds = make(chan struct{})
		for _, out := range all() {
			require.Contains(t, out, "String of payload_test.crowd ")
		}
		require.LessOrEqual(t, crowdCalls.Load(), int32(1))
		require.Equal(t, 1, payload.Stuck())
		close(crowdHolds)
		synctest.Wait()
		require.Zero(t, payload.Stuck())
	})
}

type bigJSON struct{ n int }

func (b bigJSON) MarshalJSON() ([]byte, error) {
	return []byte("[" + strings.Repeat("1,", b.n) + `1]`), nil
}

type deepJSON struct{ n int }

func (d deepJSON) MarshalJSON() ([]byte, error) {
	return []byte(strings.Repeat(`[`, d.n) + strings.Repeat("]", d.n)), nil
}

type longNumber struct{ n int }

func (l longNumber) MarshalJSON() ([]byte, error) { return []byte(strings.Repeat("9", l.n)), nil }

func TestMethodsThatReturnTooMuch(t *testing.T) { synctest.Test(t, testMethodsThatReturnTooMuch) }

func testMethodsThatReturnTooMuch(t *testing.T) {
	out := encode(t, bigJSON{1_000_000})
	require.Regexp(t, `,1,\{"!":"9\d{5} more"\}\]$`, out)
	var all []any
	require.NoError(t, json.Unmarshal([]byte(out), &all))
	require.Contains(t, out, `{"!":"`+itoa(1_000_001-(len(all)-1))+` more"}`)
	require.Equal(t, `{"!":"MarshalJSON of payload_test.bigJSON is 6000005 bytes long"}`, encode(t, bigJSON{3_000_001}))
	require.Equal(t, strings.Repeat("[", 32)+`{"!":"more than 32 levels deep"}`+strings.Repeat("]", 32), encode(t, deepJSON{9000}))
	require.Contains(t, encode(t, deepJSON{11000}), "is not valid JSON") // encoding/json draws a line, too
	require.Contains(t, encode(t, longNumber{100_000}), `… (100000 bytes)"`)
	require.Equal(t, strings.Repeat("9", 1000), encode(t, longNumber{1000}))
}
