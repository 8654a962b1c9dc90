package tap_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/require"
)

func emit(h http.Handler, query, body string) *httptest.ResponseRecorder {
	r := local("POST", "/emit?"+query, "Content-Type", "application/json")
	r.Body = readCloser{strings.NewReader(body)}
	return ask(h, r)
}

type invoice struct {
	ID     int64
	Big    uint64
	Amount float64
	When   time.Time
	Took   time.Duration
	Lines  []struct{ Text string }
	Extra  any
}

// An event that is sent by hand is the one that the program would send: of the channel's type, exact.
func TestEmit(t *testing.T) {
	s := newServer(t)
	c := earshot.NewChannel[invoice](s, "invoices", nil)
	p := newPage(t, s, allow(all))
	m := newMailbox[invoice](t, s, "invoices", nil)
	w := emit(p, "channel=invoices", `{"ID":9223372036854775807,"Big":18446744073709551615,"Amount":0.1,"When":"2026-11-21T10:00:00.123456789Z",
		"Took":1500,"Lines":[{"Text":"a"}],"Extra":{"n":9007199254740993,"f":1.5}}`)
	require.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
	require.JSONEq(t, `{"channel":"invoices","type":"tap_test.invoice","listeners":1}`, w.Body.String())
	msg, ok := m.TryReceive()
	require.True(t, ok)
	e := msg.Event
	require.Equal(t, int64(math.MaxInt64), e.ID)
	require.Equal(t, uint64(math.MaxUint64), e.Big)
	require.Equal(t, 0.1, e.Amount)
	require.Equal(t, 123456789, e.When.Nanosecond())
	require.Equal(t, 1500*time.Nanosecond, e.Took)
	require.Equal(t, "a", e.Lines[0].Text)
	require.Equal(t, map[string]any{"n": 9007199254740992., "f": 1.5}, e.Extra, "as encoding/json has it, which the program knows")
	require.Zero(t, m.Stats().Mismatched)

	m.Close()
	w = emit(p, "channel=invoices", `{}`)
	require.Equal(t, "0", number(parse(t, w.Body.String())["listeners"]), "nobody listens, and that is no error")
	require.False(t, c.Listening())
}

// Whatever the type of a channel, what arrives has it.
func TestEmit_Types(t *testing.T) {
	s := newServer(t)
	p := newPage(t, s, allow(all))
	emitted(t, s, p, `{"id":7}`, order{ID: 7})
	emitted(t, s, p, `{"id":7}`, &order{ID: 7})
	emitted(t, s, p, `5`, 5)
	emitted(t, s, p, `"five"`, "five")
	emitted(t, s, p, `[1,2]`, []int{1, 2})
	emitted(t, s, p, `{"a":1}`, map[string]int{"a": 1})
	emitted(t, s, p, `{"a":1,"b":[2.5,"x",null,true]}`, map[string]any{"a": 1., "b": []any{2.5, "x", nil, true}})
	emitted(t, s, p, `{"a":1}`, tree{"a": 1.})
	emitted[any](t, s, p, `12345678901234567`, 12345678901234568.)
	emitted[any](t, s, p, `null`, nil)
	emitted(t, s, p, `1e400`, json.Number("1e400"))
	emitted(t, s, p, `{"x": 1}`, json.RawMessage(`{"x": 1}`))
	emitted(t, s, p, `"aGk="`, []byte("hi"))
}

type tree map[string]any

func emitted[E any](t *testing.T, s *earshot.Server, p *tap.Page, body string, want E) {
	t.Helper()
	name := typeName[E]() + " " + body
	earshot.NewChannel[E](s, name, nil)
	m := newMailbox[E](t, s, name, nil)
	w := emit(p, "channel="+url.QueryEscape(name), body)
	require.Equal(t, http.StatusOK, w.Code, "%s: %s", name, w.Body)
	msg, ok := m.TryReceive()
	require.True(t, ok, "%s: nothing came: %+v", name, m.Stats())
	require.Equal(t, want, msg.Event, "%s", name)
}

// A channel that nobody declared may be new, or a misspelling: one has to say so.
func TestEmit_Undeclared(t *testing.T) {
	s := newServer(t)
	p := newPage(t, s, allow(all))
	m := newMailbox[any](t, s, "found", nil)
	w := emit(p, "channel=found", `{"a":9007199254740993}`)
	require.Equal(t, http.StatusNotFound, w.Code)
	require.Contains(t, w.Body.String(), "undeclared=1")
	w = emit(p, "channel=found&undeclared=1", `{"a":9007199254740993}`)
	require.Equal(t, http.StatusOK, w.Code)
	require.JSONEq(t, `{"channel":"found","type":"JSON","listeners":1}`, w.Body.String())
	msg, ok := m.TryReceive()
	require.True(t, ok)
	require.Equal(t, map[string]any{"a": int64(9007199254740993)}, msg.Event)
	require.Equal(t, http.StatusOK, emit(p, "channel=nobody&undeclared=1", `1`).Code)

	seven := newMailbox[any](t, s, 7, nil)
	require.Equal(t, http.StatusOK, emit(p, "channel=7&undeclared=1", `"to an integer"`).Code)
	msg, ok = seven.TryReceive()
	require.True(t, ok, "the page calls it 7, so one may do so too")
	require.Equal(t, "to an integer", msg.Event)
}

// What is wrong is said, and nothing is sent then.
func TestEmit_Errors(t *testing.T) {
	s := newServer(t)
	earshot.NewChannel[order](s, "orders", nil)
	earshot.NewChannel[int](s, "blocking", &earshot.ChannelOptions{MayBlock: true})
	earshot.NewChannel[hostile](s, "hostile", nil)
	earshot.NewChannel[error](s, "errors", nil)
	earshot.NewChannel[*order](s, "pointers", nil)
	p := newPage(t, s, allow(all))
	m := newMailbox[any](t, s, "orders", nil)
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	for _, c := range []struct {
		status            int
		query, body, what string
	}{
		{400, "channel=orders", ``, "EOF"},
		{400, "channel=orders", `{"id":`, "unexpected EOF"},
		{400, "channel=orders", `{"id":x}`, "invalid character 'x'"},
		{400, "channel=orders", `{"id":"seven"}`, "cannot unmarshal string"},
		{400, "channel=orders", `{"id":1.5}`, "1.5"},
		{400, "channel=orders", `{"id":9223372036854775808}`, "9223372036854775808"},
		{400, "channel=orders", `{"idd":1}`, `unknown field`},
		{400, "channel=orders", `{"id":1}{"id":2}`, "from byte"},
		{400, "channel=orders", `{"id":1} x`, "from byte"},
		{400, "channel=orders", `[1]`, "array"},
		{400, "channel=errors", `{}`, "no error"},
		{400, "channel=pointers", `null`, "nil pointer"},
		{400, "channel=x&undeclared=1", deep, "depth"},
		{400, "", `1`, "name a channel"},
		{400, "channel=", `1`, "name a channel"},
		{400, "channel=earshot.slow&undeclared=1", `1`, "name a channel"},
		{400, "channel=hostile", `1`, "panicked"},
		{404, "channel=order", `{}`, "no declared channel"},
		{409, "channel=blocking", `1`, "make senders wait"},
		{413, "channel=orders", `{"note":"` + strings.Repeat("x", 1<<20) + `"}`, "1048576 bytes"},
	} {
		w := emit(p, c.query, c.body)
		require.Equal(t, c.status, w.Code, "%s %.60s: %s", c.query, c.body, w.Body)
		body := parse(t, w.Body.String())
		require.Contains(t, body["error"].(string)+" "+body["hint"].(string), c.what, "%s %.60s", c.query, c.body)
		require.Equal(t, number(c.status), number(body["status"]))
	}
	_, ok := m.TryReceive()
	require.False(t, ok)
	require.Equal(t, http.StatusOK, emit(p, "channel=orders", `{"note":"`+strings.Repeat("x", 1<<20-100)+`"}`).Code)
}

// A hostile type is the program's own mistake, and costs the sender an answer, not the connection.
type hostile struct{}

func (*hostile) UnmarshalJSON([]byte) error { panic(canary) }

// Who has sent what where is told, and a name cannot forge a line of the log. What was sent is not told.
func TestEmit_Log(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t)
	p := newPage(t, s, &tap.Options{
		Allow:  func(*http.Request) tap.Access { return all },
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	earshot.NewChannel[order](s, "orders", nil)
	require.Equal(t, http.StatusOK, emit(p, "channel=orders", `{"note":"`+canary+`"}`).Code)
	line := log.String()
	require.Contains(t, line, "emitted")
	require.Contains(t, line, "channel=orders")
	require.Contains(t, line, "type=tap_test.order")
	require.Contains(t, line, "remote=127.0.0.1:40000")
	require.Contains(t, line, "bytes="+strconv.Itoa(len(`{"note":"`+canary+`"}`)))
	require.NotContains(t, line, canary)

	log.Reset()
	require.Equal(t, http.StatusBadRequest, emit(p, "channel=orders", `{`).Code)
	require.Empty(t, log.String(), "nothing was sent")
	require.Equal(t, http.StatusOK, emit(p, "channel=a%0alevel%3dERROR+forged%1b[2J&undeclared=1", `1`).Code)
	require.Equal(t, 1, strings.Count(log.String(), "\n"))
	require.NotContains(t, log.String(), "\x1b")
}

// After the server has been closed nothing arrives anywhere, and that is no panic.
func TestEmit_ServerClosed(t *testing.T) {
	s := newServer(t)
	earshot.NewChannel[int](s, "c", nil)
	p := newPage(t, s, allow(all))
	require.NoError(t, s.Shutdown(context.Background()))
	require.Equal(t, "0", number(parse(t, emit(p, "channel=c", `1`).Body.String())["listeners"]))
}
