package tap_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
	"github.com/stretchr/testify/require"
)

const (
	canary  = "CANARY-7f3a" // inside of payloads
	secret  = "SECRET-91bc" // in places that are for nobody
	forTap  = "only for taps"
	hideKey = "iban"
)

type hiddenText string

func (hiddenText) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// A wallet has secrets by tag, by name, by the program's own rule, by the type's own rule, and in depth.
type wallet struct {
	Note     string
	Card     string `earshot:"secret"`
	Password string
	IBAN     string `json:"iban"`
	Hidden   hiddenText
	Headers  map[string]string
	Inner    *wallet
	Any      any
}

func newWallet() wallet {
	w := wallet{Note: canary, Card: secret, Password: secret, IBAN: secret, Hidden: secret, Headers: map[string]string{"Authorization": secret, "x-api-key": secret, "Accept": canary}}
	inner := w
	w.Inner, w.Any = &inner, []any{inner, map[string]any{"client_secret": secret, "text": canary}}
	return w
}

// UX-30, SEC-05, SEC-06: what is inside of events is nowhere without the permission: not on a page, not
// in JSON, metrics, streams or errors, and not in the log. What is secret is nowhere with it either.
func TestUX30_Canary(t *testing.T) {
	for _, a := range []tap.Access{tap.Look, tap.Look | tap.Emit, tap.Look | tap.Payloads, all} {
		t.Run(strings.ReplaceAll(a.String(), " ", "-"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { everythingThereIs(t, a) })
		})
	}
}

func everythingThereIs(t *testing.T, a tap.Access) {
	var log bytes.Buffer
	s := earshot.NewServer(&earshot.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	t.Cleanup(func() { s.Close(); s.Shutdown(context.Background()) })
	wallets := earshot.NewChannel[wallet](s, "wallets", nil)
	p := newPage(t, s, &tap.Options{
		Allow:  func(*http.Request) tap.Access { return a },
		Secret: func(name string) bool { return name == hideKey },
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	newMailbox[wallet](t, s, "wallets", nil)
	newMailbox[int](t, s, "wallets", nil) // counts mismatches
	ref, err := wallets.Handle(t.Context(), func(ctx context.Context, _ earshot.Message[wallet]) error { <-ctx.Done(); return nil }, nil)
	require.NoError(t, err)
	t.Cleanup(func() { s.Unsubscribe(ref) })

	e := serveBubble(t, p)
	sse, lines := e.stream("/events"), e.open("/events?stats=1")
	send := func() {
		wallets.Send(newWallet())
		w := newWallet()
		earshot.SendEvent(s, forTap, &w)
		earshot.SendEvent(s, forTap, fmt.Errorf("declined: %s", canary))
		earshot.SendEvent(s, forTap, map[string]any{"password": secret, "text": canary})
		earshot.SendEvent(s, forTap, []byte(canary))
	}
	send()
	var streamed strings.Builder
	for range 5 {
		fmt.Fprintln(&streamed, sse.event("record"))
	}
	for n := 0; n < 5; {
		f, _ := lines.next()
		if strings.HasPrefix(f.Data, `{"channel"`) {
			n++
		}
		fmt.Fprintln(&streamed, f)
	}
	sse.hang()
	lines.hang()
	r := local("POST", "/emit?channel=wallets", "Content-Type", "application/json")
	body := fmt.Sprintf(`{"Note":%q,"Card":%q,"Password":%q}`, canary, secret, secret)
	r.Body = http.NoBody
	ask(p, r)
	r = local("POST", "/emit?channel=wallets", "Content-Type", "application/json")
	r.Body = readCloser{strings.NewReader(body)}
	require.Equal(t, a&tap.Emit != 0, ask(p, r).Code == http.StatusOK)
	time.Sleep(time.Second)

	var pages strings.Builder
	for _, page := range []string{"/", "/channels", "/subscribers", "/slow", "/channel?name=wallets", "/subscriber?ref=" + strings.ReplaceAll(ref.String(), "#", "%23")} {
		pages.WriteString(look(t, p, page))
		name, query, _ := strings.Cut(page, "?")
		if name == "/" {
			name = "/overview"
		}
		pages.WriteString(look(t, p, name+".json?"+query+"&over=1s"))
	}
	for _, page := range []string{"/tap", "/help", "/metrics", "/nothing", "/events?filter=%3E"} {
		pages.WriteString(ask(p, local("GET", page)).Body.String())
	}
	pages.WriteString(log.String())

	require.NotContains(t, pages.String(), canary, "pages never show what is inside")
	require.NotContains(t, pages.String()+streamed.String(), secret)
	if a&tap.Payloads == 0 {
		require.NotContains(t, streamed.String(), canary)
		require.NotContains(t, streamed.String(), `"event":`)
		require.NotContains(t, streamed.String(), `Accept`, "nor keys")
	} else {
		require.Contains(t, streamed.String(), canary)
		require.Contains(t, streamed.String(), "[secret]")
		require.Contains(t, streamed.String(), "[redacted]")
	}
	require.Contains(t, streamed.String(), "tap_test.wallet", "types are for everybody")
}

// SEC-06: a filter cannot find a secret out either, for those who may filter by what is inside: neither by
// its name nor as some text in the event, whoever said that it is one.
func TestSEC06_FilterIsNoOracle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		p := newPage(t, s, &tap.Options{
			Allow:  func(*http.Request) tap.Access { return all },
			Secret: func(name string) bool { return name == hideKey },
		})
		e := serveBubble(t, p)
		for text, want := range map[string]bool{
			canary: true, "Note=" + canary: true, "Inner.Note~CANARY": true, "/CANARY/": true, "Headers.Accept=" + canary: true,
			secret: false, "/SECRET/": false, "Card=" + secret: false, "Card~S": false, "Password=" + secret: false, "iban=" + secret: false, "iban~SEC": false,
			"IBAN~SEC": false, "Hidden~SEC": false, "Inner.iban~SEC": false, "Headers.Authorization~SEC": false, "Any.0.iban~SEC": false, "Any.1.client_secret~SEC": false,
		} {
			v := e.open("/events?filter=" + strings.ReplaceAll(strings.ReplaceAll(text, "~", "%7E"), " ", "+"))
			require.Equal(t, http.StatusOK, v.res.StatusCode, text)
			earshot.SendEvent(s, "wallets", newWallet())
			time.Sleep(100 * time.Millisecond)
			require.Equal(t, want, v.waiting(), "%s", text)
			v.hang()
			synctest.Wait()
		}
	})
}

// readCloser makes a body of a reader.
type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }
