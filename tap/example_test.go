package tap_test

import (
	"bufio"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/tap"
	"github.com/earshot-go/earshot/tap/filter"
)

// An order of the examples.
type Order struct {
	ID     int
	Amount int
	Token  string
}

// Mount the page under any path that ends in a slash. Programs on the same machine may look at it then,
// with a browser, with curl, or with the earshot command.
func ExampleHandler() {
	srv := earshot.NewServer(nil)
	defer srv.Close()
	page := tap.Handler(srv, nil)
	mux := http.NewServeMux()
	mux.Handle("/debug/earshot/", page)

	web := httptest.NewServer(mux)
	defer web.Close()
	defer page.Close() // ends the streams, which web.Close would wait for

	res, err := http.Get(web.URL + "/debug/earshot/events?filter=chan:orders.*&count=2")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	earshot.SendEvent(srv, "orders.paid", Order{ID: 1, Amount: 120})
	earshot.SendEvent(srv, "stock.low", "tea")
	earshot.SendEvent(srv, "orders.sent", Order{ID: 1, Amount: 120})
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		var rec struct {
			Channel, Type string
			Event         any // payloads are hidden by default
		}
		if err := json.Unmarshal(lines.Bytes(), &rec); err != nil {
			fmt.Println(err)
		}
		fmt.Println(rec.Channel, rec.Type, rec.Event)
	}
	// Output:
	// orders.paid tap_test.Order <nil>
	// orders.sent tap_test.Order <nil>
}

// Watch a running program from inside of it. Only the channels that the filter names become live.
func ExampleOpen() {
	srv := earshot.NewServer(nil)
	defer srv.Close()
	large, err := tap.Open(srv, "chan:orders.* amount>100")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer large.Close()

	earshot.SendEvent(srv, "orders.paid", Order{ID: 1, Amount: 50})
	earshot.SendEvent(srv, "orders.paid", Order{ID: 2, Amount: 500})
	earshot.SendEvent(srv, "stock.low", "tea")
	earshot.SendEvent(srv, "orders.sent", Order{ID: 2, Amount: 500})
	n := 0
	for rec := range large.Records(context.Background()) {
		fmt.Println(rec.Channel, rec.Event().(Order).ID)
		if n++; n == 2 {
			break
		}
	}
	st := large.Stats()
	fmt.Printf("seen %d = shown %d + filtered %d + shed %d\n", st.Seen, st.Shown, st.Filtered, st.Shed)
	// Output:
	// orders.paid 2
	// orders.sent 2
	// seen 3 = shown 2 + filtered 1 + shed 0
}

// A filter that does not parse is an error that knows the place.
func ExampleOpen_badFilter() {
	_, err := tap.Open(nil, `chan:orders.* note="tea`)
	if bad, ok := errors.AsType[*filter.Error](err); ok {
		line, mark := bad.Caret()
		fmt.Println(line)
		fmt.Println(mark)
	}
	// Output:
	// chan:orders.* note="tea
	//                    ^^^^
}

// A record is JSON as in the streams of the page: secrets are masked.
func ExampleRecord_MarshalJSON() {
	srv := earshot.NewServer(nil)
	defer srv.Close()
	st, err := tap.Open(srv, "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer st.Close()
	earshot.SendEvent(srv, "orders.paid", Order{ID: 7, Amount: 120, Token: "s3cr3t"})
	for rec := range st.Records(context.Background()) {
		b, _ := json.Marshal(rec)
		var shown struct{ Event json.RawMessage }
		_ = json.Unmarshal(b, &shown)
		fmt.Println(string(shown.Event))
		break
	}
	// Output: {"ID":7,"Amount":120,"Token":"[secret]"}
}

// Let people in from elsewhere by what the program knows of them: here, who has the right token may see
// payloads and send events, and who is on this machine may look.
func ExampleOptions() {
	srv := earshot.NewServer(nil)
	defer srv.Close()
	token := []byte("from-a-safe-place")
	local := tap.Loopback(tap.Look)
	page := tap.Handler(srv, &tap.Options{
		Allow: func(r *http.Request) tap.Access {
			if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), append([]byte("Bearer "), token...)) == 1 {
				return tap.Look | tap.Payloads | tap.Emit
			}
			return local(r)
		},
		Secret:  func(name string) bool { return name == "iban" },
		Viewers: 10,
		Logger:  slog.New(slog.NewTextHandler(os.Stderr, nil)), // who emits what
	})
	defer page.Close()

	for _, bearer := range []string{"", "Bearer wrong", "Bearer from-a-safe-place"} {
		r := httptest.NewRequest("GET", "https://shop.example/debug/earshot/channels.json", nil)
		if bearer != "" {
			r.Header.Set("Authorization", bearer)
		}
		w := httptest.NewRecorder()
		page.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// 403
	// 403
	// 200
}

// A web server that is shut down first has to be told to end the streams: it would wait for them.
func ExamplePage_Close() {
	srv := earshot.NewServer(nil)
	defer srv.Close()
	page := tap.Handler(srv, nil)
	web := &http.Server{Handler: page}
	web.RegisterOnShutdown(func() { page.Close() })
	fmt.Println(web.Shutdown(context.Background()))
	// Output: <nil>
}
