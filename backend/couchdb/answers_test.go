package couchdb_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/backend/couchdb"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

// These are answers that express-pouchdb does not give: those of CouchDB 3 where it differs, and bad ones. The forms are
// of CouchDB's documentation and of what 3.4.3 was seen to say.

// fake returns a bus on a server that is a function of "GET /_changes" and the like, behind /db.
func fake(t *testing.T, answers map[string]http.HandlerFunc) *couchdb.Bus {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/db")
		if f := answers[path]; f != nil {
			f(w, r)
			return
		}
		switch path {
		case "GET /_local/earshot":
			io.WriteString(w, `{"_id":"_local/earshot","_rev":"0-1","epoch":"EPOCHEPOCH"}`)
		case "GET ":
			io.WriteString(w, `{"db_name":"db","update_seq":"7-g1AAAACbeJz","doc_count":7,"doc_del_count":0,"cluster":{"q":2,"n":1,"w":1,"r":1}}`)
		case "POST /_bulk_docs":
			w.WriteHeader(http.StatusCreated)
			io.WriteString(w, `[]`)
		default:
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"error":"not_found","reason":"missing"}`)
		}
	}))
	t.Cleanup(s.Close)
	b, err := couchdb.OpenBus("couchdb://"+strings.TrimPrefix(s.URL, "http://")+"/db",
		&couchdb.BusOptions{Timeout: 2 * time.Second, Heartbeat: 200 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() {
		// In the context of a test that ends.
		require.NoError(t, b.Close(context.Background()))
	})
	return b
}

func answer(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, text)
	}
}

func some(n int) (evs []event.Event) {
	for i := range n {
		evs = append(evs, event.Event{ID: fmt.Sprint(i), Source: "/test", Type: "tick", Time: time.Now()})
	}
	return evs
}

func change(seq, id string, ev event.Event) string {
	text, err := ev.AppendJSON(nil)
	if err != nil {
		panic(err)
	}
	quoted, _ := json.Marshal(string(text))
	return fmt.Sprintf(`{"seq":%q,"id":%q,"changes":[{"rev":"1-1"}],"doc":{"_id":%q,"_rev":"1-1","event_json":%s}}`, seq, id, id, quoted)
}

// rest keeps an answer open until the client goes.
func rest(w http.ResponseWriter, r *http.Request) {
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

func TestBadAnswersToPublish(t *testing.T) {
	const html = "<html><body>Welcome to the hotel"
	for name, c := range map[string]struct {
		status int
		text   string
		want   error // nil: any that is no sentinel
	}{
		"page of a proxy":         {200, html, nil},
		"page with 201":           {201, html, bus.ErrDisconnected},
		"gateway":                 {502, html, bus.ErrDisconnected},
		"unavailable":             {503, "", bus.ErrDisconnected},
		"unauthorized":            {401, `{"error":"unauthorized","reason":"Name or password is incorrect."}`, bus.ErrDenied},
		"forbidden":               {403, `{"error":"forbidden","reason":"You are not allowed to access this db."}`, bus.ErrDenied},
		"too large":               {413, `{"error":"too_large","reason":"the request entity is too large"}`, bus.ErrTooLarge},
		"disk full":               {507, `{"error":"insufficient_storage"}`, nil},
		"crash":                   {500, "\x00\xff\xfe garbage", nil},
		"moved":                   {302, "", nil},
		"no JSON":                 {201, `[{"ok":tr`, bus.ErrDisconnected},
		"another shape":           {201, `{"ok":true}`, bus.ErrDisconnected},
		"one row too few":         {201, `[]`, bus.ErrDisconnected},
		"endless":                 {201, "[" + strings.Repeat(" ", 5<<20) + "]", bus.ErrDisconnected},
		"forbidden document":      {201, `[{"id":"a","error":"forbidden","reason":"read only"}]`, nil},
		"unauthorized document":   {201, `[{"id":"a","error":"unauthorized","reason":"no"}]`, bus.ErrDenied},
		"too large a document":    {201, `[{"id":"a","error":"document_too_large","reason":""}]`, bus.ErrTooLarge},
		"PouchDB's way":           {201, `[{"id":"a","status":500,"name":"unknown","error":true,"reason":"disk"}]`, nil},
		"error that is no text":   {201, `[{"id":"a","error":{"what":1}}]`, nil},
		"reason that is no text":  {201, `[{"id":"a","error":"x","reason":{"what":1}}]`, bus.ErrDisconnected},
		"a row that is no object": {201, `[7]`, bus.ErrDisconnected},
	} {
		t.Run(name, func(t *testing.T) {
			b := fake(t, map[string]http.HandlerFunc{"POST /_bulk_docs": answer(c.status, c.text)})
			err := b.Publish(t.Context(), some(1)...)
			require.Error(t, err)
			require.Less(t, len(err.Error()), 600)
			for _, sentinel := range []error{bus.ErrDisconnected, bus.ErrDenied, bus.ErrTooLarge, bus.ErrForeignToken, bus.ErrClosed} {
				require.Equal(t, sentinel == c.want, errorsIs(err, sentinel), "%v: %v", sentinel, err)
			}
		})
	}
}

func TestPublishAccepted(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		text   string
	}{
		"CouchDB":                       {201, `[{"ok":true,"id":"a","rev":"1-1"}]`},
		"without quorum yet":            {202, `[{"ok":true,"id":"a","rev":"1-1"}]`},
		"there already":                 {201, `[{"id":"a","error":"conflict","reason":"Document update conflict."}]`},
		"there already, as PouchDB has": {201, `[{"id":"a","status":409,"name":"conflict","message":"Document update conflict","error":true}]`},
	} {
		t.Run(name, func(t *testing.T) {
			b := fake(t, map[string]http.HandlerFunc{"POST /_bulk_docs": answer(c.status, c.text)})
			require.NoError(t, b.Publish(t.Context(), some(1)...))
		})
	}
}

// A proxy before the server has a limit of its own: a batch goes in pieces.
func TestBatchIsHalved(t *testing.T) {
	var got []string
	b := fake(t, map[string]http.HandlerFunc{"POST /_bulk_docs": func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Docs []struct{ ID string }
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		if len(body.Docs) > 3 {
			answer(413, "<html>")(w, r)
			return
		}
		var rows []string
		for _, d := range body.Docs {
			got = append(got, d.ID)
			rows = append(rows, `{"ok":true}`)
		}
		answer(201, "["+strings.Join(rows, ",")+"]")(w, r)
	}})
	require.NoError(t, b.Publish(t.Context(), some(10)...))
	require.Equal(t, "0 1 2 3 4 5 6 7 8 9", strings.Join(got, " "))
}

// An anonymous request to make a database is never answered by pouchdb-server.
func TestAnswerNeverComes(t *testing.T) {
	b := fake(t, map[string]http.HandlerFunc{"POST /_bulk_docs": answer(404, `{"error":"not_found","reason":"Database does not exist."}`), "PUT ": rest})
	begun := time.Now()
	require.ErrorIs(t, b.Publish(t.Context(), some(1)...), bus.ErrDisconnected)
	require.Less(t, time.Since(begun), 4*time.Second)
}

// CouchDB's own sequences, headers at once, and the end of a feed that it wants to end.
func TestOpaqueSequences(t *testing.T) {
	evs := some(3)
	var since atomic.Value
	b := fake(t, map[string]http.HandlerFunc{"GET /_changes": func(w http.ResponseWriter, r *http.Request) {
		since.Store(r.URL.Query().Get("since"))
		io.WriteString(w, "\n")
		w.(http.Flusher).Flush()
		fmt.Fprintln(w, `{"seq":"7-x","id":"_design/view","changes":[{"rev":"1-1"}],"doc":{"_id":"_design/view","views":{}}}`)
		fmt.Fprintln(w, `{"seq":"8-x","id":"note","changes":[{"rev":"1-1"}],"doc":{"_id":"note","text":"not an event"}}`)
		fmt.Fprintln(w, change("8-g1AA+/=", "a", evs[0]))
		// As another program has written it.
		fmt.Fprintln(w, `{"seq":"9-y","id":"b","changes":[{"rev":"1-1"}],"doc":{"_id":"b","_rev":"1-1","specversion":"1.0","id":"plain","source":"/x","type":"t","data":{"n":1}}}`)
		fmt.Fprintln(w, `{"last_seq":"9-y","pending":0}`)
	}})
	f, err := b.Tail(t.Context(), bus.Tail{})
	require.NoError(t, err)
	d, err := f.Next(t.Context())
	require.NoError(t, err)
	require.Equal(t, "7-g1AAAACbeJz", since.Load())
	require.Equal(t, evs[0].ID, d.Event.ID)
	require.True(t, strings.HasSuffix(string(d.Token), ",8-g1AA+/="), d.Token)
	plain, err := f.Next(t.Context())
	require.NoError(t, err)
	require.Equal(t, "plain", plain.Event.ID)
	require.JSONEq(t, `{"n":1}`, string(plain.Event.Data))
	require.Empty(t, plain.Event.Extensions) // _id and _rev are CouchDB's
	_, err = f.Next(t.Context())
	require.ErrorIs(t, err, bus.ErrDisconnected)
	require.EqualValues(t, 1, b.Garbage())
}

// Where sequences cannot be compared the end of the past is counted, and a sequence that CouchDB does not know is 400.
func TestPastOfOpaqueSequences(t *testing.T) {
	evs := some(9)
	b := fake(t, map[string]http.HandlerFunc{"GET /_changes": func(w http.ResponseWriter, r *http.Request) {
		from, limit := 0, 0
		if since := r.URL.Query().Get("since"); since != "0" {
			if _, err := fmt.Sscanf(since, "%d-x", &from); err != nil {
				answer(400, `{"error":"bad_request","reason":"Malformed sequence supplied in 'since' parameter."}`)(w, r)
				return
			}
		}
		fmt.Sscan(r.URL.Query().Get("limit"), &limit)
		there := len(evs) - 2
		if limit > 1 { // by now there are two more
			there += 2
		}
		to := min(from+limit, there)
		var rows []string
		for i := from; i < to; i++ {
			rows = append(rows, change(fmt.Sprintf("%d-x", i+1), fmt.Sprint("doc", i), evs[i]))
		}
		fmt.Fprintf(w, "{\"results\":[\n%s\n],\n\"last_seq\":\"%d-x\",\"pending\":%d}\n", strings.Join(rows, ",\n"), to, there-to)
	}})
	f, err := b.Tail(t.Context(), bus.Tail{From: bus.Start, Past: true})
	require.NoError(t, err)
	var last bus.Token
	for i := range 7 {
		d, err := f.Next(t.Context())
		require.NoError(t, err)
		require.Equal(t, evs[i].ID, d.Event.ID)
		last = d.Token
		for range 10 { // also when there is something to give
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			_, err = f.Next(gone)
			require.ErrorIs(t, err, context.Canceled)
		}
	}
	_, err = f.Next(t.Context())
	require.ErrorIs(t, err, io.EOF)

	_, err = b.Tail(t.Context(), bus.Tail{From: bus.After(last + "garbage-"), Past: true})
	require.NoError(t, err) // the fake reads the number only
	_, err = b.Tail(t.Context(), bus.Tail{From: bus.After(last[:strings.LastIndex(string(last), ",")+1] + "x-1")})
	require.ErrorIs(t, err, bus.ErrForeignToken)
}

func TestBadFeeds(t *testing.T) {
	for name, c := range map[string]struct {
		feed http.HandlerFunc
		want error
	}{
		"page of a proxy": {answer(200, "<html>\n<body>\n"), bus.ErrDisconnected},
		"cut line":        {answer(200, `{"seq":"8-x","id":"a","doc":{"_id`), bus.ErrDisconnected},
		"denied":          {answer(401, ``), bus.ErrDenied},
		"database gone":   {answer(404, `{"error":"not_found","reason":"Database does not exist."}`), bus.ErrForeignToken},
		"gateway":         {answer(502, ``), bus.ErrDisconnected},
		"silent at once":  {rest, bus.ErrDisconnected},
		"silent after a while": {func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "\n")
			rest(w, r)
		}, bus.ErrDisconnected},
	} {
		t.Run(name, func(t *testing.T) {
			b := fake(t, map[string]http.HandlerFunc{"GET /_changes": c.feed})
			f, err := b.Tail(t.Context(), bus.Tail{})
			require.NoError(t, err)
			begun := time.Now()
			_, err = f.Next(t.Context())
			require.ErrorIs(t, err, c.want)
			require.Less(t, time.Since(begun), 3*time.Second)
			require.NoError(t, f.Close())
		})
	}
}

// Rows that are garbage are left out, whatever they are.
func TestGarbageInFeed(t *testing.T) {
	ev := some(1)[0]
	garbage := []string{
		`{}`, `{"seq":"8-x","id":"a"}`, `{"seq":"8-x","id":"a","doc":null}`, `{"seq":"8-x","id":"a","doc":{}}`, `{"seq":"8-x","id":"a","doc":[]}`,
		`{"seq":"8-x","id":"a","doc":{"event_json":7}}`, `{"seq":"8-x","id":"a","doc":{"event_json":"{}"}}`, `{"seq":"8-x","id":7}`,
		`{"seq":"8-x","id":"a","doc":{"event_json":"` + strings.Repeat("x", 1<<20) + `"}}`, `{"seq":8,"id":"a","doc":{"x":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}}`,
	}
	b := fake(t, map[string]http.HandlerFunc{"GET /_changes": func(w http.ResponseWriter, r *http.Request) {
		for _, line := range garbage {
			fmt.Fprintln(w, line)
		}
		fmt.Fprint(w, strings.TrimSuffix(change("8-x", "a", some(2)[1]), "}"), `,"pad":"`) // an event, but for its length
		for range 33 {
			io.WriteString(w, strings.Repeat("x", 1<<20))
		}
		fmt.Fprintln(w, `"}`)
		fmt.Fprintln(w, change("9-x", "b", ev))
		rest(w, r)
	}})
	f, err := b.Tail(t.Context(), bus.Tail{})
	require.NoError(t, err)
	d, err := f.Next(t.Context())
	require.NoError(t, err)
	require.Equal(t, ev.ID, d.Event.ID)
	require.EqualValues(t, len(garbage)+1, b.Garbage())
}

// A database that was made anew between Tail and the request for its changes: none of its events comes.
func TestMadeAnewAtOnce(t *testing.T) {
	ev := some(1)[0]
	var asked atomic.Int32
	b := fake(t, map[string]http.HandlerFunc{
		"GET /_local/earshot": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"epoch":"EPOCHEPOCH%d"}`, min(asked.Add(1), 2))
		},
		"GET /_changes": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(w, change("1-x", "a", ev))
			rest(w, r)
		},
	})
	f, err := b.Tail(t.Context(), bus.Tail{})
	require.NoError(t, err)
	_, err = f.Next(t.Context())
	require.ErrorIs(t, err, bus.ErrForeignToken)
}

// PouchDB answers a sequence that it has not reached with nothing, for ever.
func TestSequenceAheadOfTheDatabase(t *testing.T) {
	b := fake(t, map[string]http.HandlerFunc{
		"GET ":          answer(200, `{"db_name":"db","update_seq":7}`),
		"GET /_changes": rest,
	})
	for seq, want := range map[string]error{"7": nil, "8": bus.ErrForeignToken, "99999999999999999999999": bus.ErrForeignToken, "7-x": bus.ErrForeignToken} {
		f, err := b.Tail(t.Context(), bus.Tail{From: bus.After(bus.MakeToken("couchdb", "EPOCHEPOCH", ",,"+seq))})
		if want != nil {
			require.ErrorIs(t, err, want, seq)
			continue
		}
		require.NoError(t, err, seq)
		require.NoError(t, f.Close())
	}
}
