package tap_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what has to happen before it calls that a failure. It is no
// measure of speed.
const patience = time.Minute

// order is an event with something to see, something to hide, and a number that no float64 can hold.
type order struct {
	ID     int64         `json:"id"`
	Amount int           `json:"amount"`
	Took   time.Duration `json:"took,omitempty"`
	Note   string        `json:"note,omitempty"`
	Card   string        `json:"card,omitempty" earshot:"secret"`
}

// newServer returns a server that has ended when the test has.
func newServer(t testing.TB) *earshot.Server {
	t.Helper()
	s := earshot.NewServer(nil)
	t.Cleanup(func() { s.Close(); s.Shutdown(context.Background()) })
	return s
}

// newPage returns a page that is closed at the test's end, which nothing outlives then.
func newPage(t testing.TB, s *earshot.Server, opts *tap.Options) *tap.Page {
	t.Helper()
	p := tap.Handler(s, opts)
	t.Cleanup(func() { p.Close() })
	return p
}

// allow gives everybody the same access.
func allow(a tap.Access) *tap.Options {
	return &tap.Options{Allow: func(*http.Request) tap.Access { return a }}
}

const all = tap.Look | tap.Payloads | tap.Emit

// newMailbox returns a mailbox that listens to a channel until the test's end.
func newMailbox[E any](t testing.TB, s *earshot.Server, name any, opts *earshot.MailboxOptions) *earshot.Mailbox[E] {
	t.Helper()
	m := earshot.NewMailbox[E](t.Context(), s, opts)
	_, err := m.Subscribe(name)
	require.NoError(t, err)
	t.Cleanup(func() { m.Close() })
	return m
}

// local is a request as a program on this machine makes it.
func local(method, target string, header ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.RemoteAddr, r.Host = "127.0.0.1:40000", "localhost:8125"
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// ask has a handler answer a request.
func ask(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// look returns a page, which has to be there.
func look(t testing.TB, h http.Handler, target string) string {
	t.Helper()
	w := ask(h, local("GET", target))
	require.Equal(t, http.StatusOK, w.Code, "GET %s: %s", target, w.Body)
	return w.Body.String()
}

// parse reads JSON without losing a digit.
func parse(t testing.TB, text string) (v map[string]any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	require.NoError(t, d.Decode(&v), "%s", text)
	return v
}

// view returns the JSON twin of a page.
func view(t testing.TB, h http.Handler, target string) map[string]any {
	t.Helper()
	return parse(t, look(t, h, target))
}

type row = map[string]any

// rows returns a table of a JSON twin.
func rows(t testing.TB, v map[string]any, table string) (all []row) {
	t.Helper()
	list, ok := v[table].([]any)
	require.True(t, ok, "there is no table %q in %v", table, v)
	for _, r := range list {
		all = append(all, r.(row))
	}
	return all
}

// find returns the row whose cell in a column is text.
func find(t testing.TB, table []row, column, text string) row {
	t.Helper()
	for _, r := range table {
		if fmt.Sprint(r[column]) == text {
			return r
		}
	}
	t.Fatalf("no row with %s=%s in %v", column, text, table)
	return nil
}

// number is a cell as JSON has it, digit by digit.
func number(v any) string { return fmt.Sprint(v) }

// eventually waits for what another goroutine, or the network, brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	end := time.After(patience)
	for !ok() {
		select {
		case <-look.C:
		case <-end:
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// sendInts sends from, from+1, …, to.
func sendInts(s *earshot.Server, name string, from, to int) {
	for i := from; i <= to; i++ {
		earshot.SendEvent(s, name, i)
	}
}

func typeName[E any]() string { return reflect.TypeFor[E]().String() }

// dynamic gives everybody the access that is at a at the time.
func dynamic(a *tap.Access) *tap.Options {
	return &tap.Options{Allow: func(*http.Request) tap.Access { return *a }}
}

func unmarshal(text string, v any) error { return json.Unmarshal([]byte(text), v) }
