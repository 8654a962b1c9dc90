package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/backend/sqlite"
	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/emitter"
	"github.com/earshot-go/earshot/internal/program"
)

// What docs/seeds.md and docs/scaling.md show is here, to be compiled and run, and TestPages sees to it that it is the
// same text.

func TestNewUserOnPage(t *testing.T) {
	mailed := make(chan string, 1)
	sendMail := func(to, text string) error {
		mailed <- to
		return nil
	}
	mux := http.NewServeMux()

	e := emitter.New(nil)
	defer e.Close(t.Context())

	mux.HandleFunc("POST /users/{name}/new", func(w http.ResponseWriter, r *http.Request) {
		user := User{Name: r.PathValue("name"), Email: r.PathValue("name") + "@example.com"}
		if err := e.Emit(r.Context(), "new-user", user); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})

	ref, err := emitter.On(e, "new-user", func(ctx context.Context, user User) error {
		return sendMail(user.Email, "welcome to our great platform!!!")
	})

	require.NoError(t, err)
	mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/users/ann/new", nil))
	require.Equal(t, "ann@example.com", <-mailed)
	require.True(t, e.Off(ref))
}

func TestOpenOnPage(t *testing.T) {
	t.Run("couchdb", func(t *testing.T) {
		e, err := emitter.Open("couchdb://U:P@localhost:5984/awesome", nil)
		openedOnPage(t, e, err, "couchdb://U:xxxxx@localhost:5984/awesome")
	})
	t.Run("rethinkdb", func(t *testing.T) {
		e, err := emitter.Open("rethinkdb://localhost:28015/test/events?persist=true", nil)
		openedOnPage(t, e, err, "rethinkdb://localhost:28015/test/events?persist=true")
	})
	t.Run("options", func(t *testing.T) {
		url := "redis://localhost:6379/0?stream=shop"
		e, err := emitter.Open(url, &emitter.Options{
			Buffer:   1000,
			Overflow: emitter.DropOldest, // Block, the default, makes Emit wait; DropNewest makes it fail
		})
		openedOnPage(t, e, err, url)
	})
}

// openedOnPage needs no server: Open connects to nothing, and without listeners nothing is lost at the end.
func openedOnPage(t *testing.T, e *emitter.Emitter, err error, engine string) {
	require.NoError(t, err)
	require.Equal(t, engine, e.Stats().Bus.Engine)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	require.NoError(t, e.Close(ended))
}

func TestBeepOnPage(t *testing.T) {
	ctx := t.Context()
	e, err := emitter.Open("mem:"+fresh(), nil)
	require.NoError(t, err)

	e.On(emitter.Connect, func(context.Context, emitter.Event) error {
		fmt.Println("connected")
		return nil
	})
	e.On(emitter.Disconnect, func(_ context.Context, ev emitter.Event) error {
		fmt.Println("disconnected:", ev.Data) // an error
		return nil
	})
	e.On(emitter.Reconnect, func(_ context.Context, ev emitter.Event) error {
		fmt.Println("connected again after", ev.Data) // a time.Duration
		return nil
	})
	e.On(emitter.Error, func(_ context.Context, ev emitter.Event) error {
		fmt.Println("error:", ev.Data)
		return nil
	})

	emitter.On(e, "beep", func(ctx context.Context, d string) error {
		fmt.Println(d)
		return nil
	})
	err = e.Emit(ctx, "beep", "boop")
	require.NoError(t, err)
	require.NoError(t, e.EmitWait(ctx, "beep", "boop"))

	n := e.Discard() // what waits to be sent is dropped; the emitter lives on
	require.Zero(t, n)

	func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		err := e.Close(ended) // the emitter ends at once; the error says how many events were not sent
		t.Log(err)
	}()
}

func TestResumeOnPage(t *testing.T) {
	ctx := t.Context()
	url := "sqlite:" + filepath.Join(t.TempDir(), "events.db")
	var token bus.Token
	func() {
		e, err := emitter.Open(url, nil)
		require.NoError(t, err)
		defer e.Close(ctx)
		e.On("beep", func(ctx context.Context, ev emitter.Event) error {
			token = ev.Received.Token // to be kept in a file, or wherever the work is kept
			return nil
		})
		require.NoError(t, e.EmitWait(ctx, "beep", 1))
	}()
	require.NotEmpty(t, token)

	e, err := emitter.Open(url, &emitter.Options{From: bus.After(token)})
	require.NoError(t, err)
	defer e.Close(ctx)
	require.NoError(t, e.EmitWait(ctx, "beep", 2))
	var after int
	for ev, err := range e.Timeline(ctx, bus.After(token)) {
		require.NoError(t, err)
		require.NoError(t, ev.Decode(&after))
	}
	require.Equal(t, 2, after)
	require.NoError(t, printSince(ctx, e, time.Now().Add(-24*time.Hour)))
}

func printSince(ctx context.Context, e *emitter.Emitter, yesterday time.Time) error {
	for ev, err := range e.Timeline(ctx, bus.At(yesterday)) { // or bus.Start, or bus.After(token)
		if err != nil {
			return err
		}
		fmt.Println(ev.Received.Event.Time, ev.Name)
	}
	return nil
}

// What did not fit into the buffer is on disk when the process ends, and sent by the next one.
func TestSpillOnPage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "unsent.db")
	emit := func(t *testing.T, url string, n int) error {
		spill, err := sqlite.OpenSpill(path, nil)
		if err != nil {
			return err
		}
		defer spill.Close() // after the emitter
		e, err := emitter.Open(url, &emitter.Options{Buffer: 1000, Spill: spill})
		if err != nil {
			return err
		}
		for i := range n {
			require.NoError(t, e.Emit(t.Context(), "beep", i))
		}
		program.Until(t, "there is something in the spill", func() bool { return n == 0 || spill.Len() > 0 })
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		if n > 0 {
			cancel()
		}
		return e.Close(ctx)
	}
	var unsent *emitter.UnsentError
	require.ErrorAs(t, emit(t, "redis://"+freeAddress(t), 3000), &unsent)
	require.Positive(t, unsent.Spilled)
	require.Equal(t, 3000, unsent.Spilled+unsent.Count)

	url := "sqlite:" + filepath.Join(t.TempDir(), "events.db")
	require.NoError(t, emit(t, url, 0))
	e := open(t, url, emitter.Options{})
	n := 0
	for ev, err := range e.Timeline(t.Context(), bus.Start) {
		require.NoError(t, err)
		require.JSONEq(t, strconv.Itoa(n), string(ev.Data.(json.RawMessage)))
		n++
	}
	require.Equal(t, unsent.Spilled, n)
}

// All Go on the pages is in the sources of this folder, line by line.
func TestPages(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var sources strings.Builder
	for _, file := range files {
		sources.WriteString(plain(read(t, file)))
	}
	for _, page := range []string{"../../docs/seeds.md", "../../docs/scaling.md"} {
		blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(read(t, page), -1)
		require.Greater(t, len(blocks), 1, page)
		for _, block := range blocks {
			if !strings.Contains(sources.String(), plain(block[1])) {
				t.Errorf("%s: this is in no source of examples/newuser:\n%s", page, block[1])
			}
		}
		for _, link := range regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`).FindAllStringSubmatch(read(t, page), -1) {
			_, err := os.Stat(filepath.Join(filepath.Dir(page), link[1]))
			require.NoError(t, err, "%s: link to %s", page, link[1])
		}
	}
}

func read(t *testing.T, path string) string {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// plain is a text without indentation.
func plain(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimSpace(line) + "\n")
	}
	return b.String()
}

// A row of the table in docs/scaling.md, by the titles of its columns.
type promise map[string]string

func promises(t *testing.T) (rows []promise) {
	var titles []string
	for line := range strings.Lines(read(t, "../../docs/scaling.md")) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			titles = nil
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case cells[0] == "engine" && len(cells) > 1:
			titles = cells
		case titles != nil && !strings.HasPrefix(cells[0], "--"):
			row := promise{}
			for i, title := range titles {
				row[title] = cells[i]
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// The table of docs/scaling.md says what the engines' code says.
func TestTableOfPromises(t *testing.T) {
	rows := promises(t)
	require.Len(t, rows, 8)
	for _, row := range rows {
		address := strings.Trim(row["engine"], "`")
		b, err := bus.Open(strings.Replace(address, "://…", "://127.0.0.1:1", 1))
		require.NoError(t, err, address)
		caps := b.Caps() // and it has not connected to anything
		require.NoError(t, b.Close(t.Context()))
		for title, has := range map[string]bool{"durable": caps.Durable, "replay": caps.Replay, "ordered": caps.Ordered, "dedupe": caps.Dedupe, "processes": caps.MultiProcess} {
			switch cell := row[title]; {
			case cell == "yes" || strings.HasPrefix(cell, "yes, "):
				require.True(t, has, "%s: %s", address, title)
			case cell == "no":
				require.False(t, has, "%s: %s", address, title)
			case title == "durable" && strings.HasPrefix(cell, "if "): // the server is asked
				require.False(t, has, "%s: %s", address, title)
			default:
				t.Errorf("%s: %s is %q", address, title, cell)
			}
		}
		require.Equal(t, caps.MaxBytes, bytesIn(t, row["largest event"]), "%s: largest event", address)
	}
}

func bytesIn(t *testing.T, cell string) int {
	number, unit, _ := strings.Cut(cell, " ")
	n, err := strconv.Atoi(strings.ReplaceAll(number, ",", ""))
	require.NoError(t, err, cell)
	if strings.HasPrefix(unit, "MiB") {
		n <<= 20
	}
	return n
}

// What is "if" in the table is so when the server has been asked, and nothing else has changed by then.
func TestPromisesOfServers(t *testing.T) {
	durable := func(t *testing.T, on *engine) bool {
		e := open(t, on.url.String(), emitter.Options{})
		before := e.Stats().Bus.Caps
		require.NoError(t, e.EmitWait(within(t), "beep", nil))
		after := e.Stats().Bus.Caps
		has := after.Durable
		t.Log(after.Note)
		before.Durable, after.Durable, before.Note, after.Note = false, false, "", ""
		require.Equal(t, before, after)
		return has
	}
	t.Run("redis", func(t *testing.T) {
		require.True(t, durable(t, redisWith(t, "--appendonly", "yes", "--appendfsync", "always")))
		require.False(t, durable(t, redisWith(t, "--appendonly", "yes", "--appendfsync", "everysec")))
		require.False(t, durable(t, redisWith(t, "--appendonly", "no")))
	})
	t.Run("sqlite", func(t *testing.T) { require.True(t, durable(t, onSQLite(t))) })
	t.Run("nats", func(t *testing.T) { require.True(t, durable(t, onNATS(t))) })
	t.Run("couchdb", func(t *testing.T) { require.True(t, durable(t, onCouchDB(t))) })
	t.Run("rethinkdb", func(t *testing.T) { t.Logf("durable: %t", durable(t, onRethinkDB(t))) })
}

// The versions on the page are those that the tests use.
func TestVersionsOnPage(t *testing.T) {
	page := read(t, "../../docs/scaling.md")
	require.Contains(t, page, "nats-server "+server.VERSION)
	var npm struct{ Dependencies map[string]string }
	require.NoError(t, json.Unmarshal([]byte(read(t, "../../scripts/servers/package.json")), &npm))
	for _, name := range []string{"express-pouchdb", "reqlite"} {
		require.Contains(t, page, name+" "+npm.Dependencies[name])
	}
}
