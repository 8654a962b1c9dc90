package main

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/queue"
)

// What docs/queues.md shows is here, to be compiled and run, and TestPage sees to it that it is the same text.

// A calls counts what handlers were called with.
type calls struct {
	mu sync.Mutex
	by map[string]int
}

func (c *calls) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = map[string]int{}
	}
	c.by[name]++
}

func (c *calls) all() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.by)
}

// openOnPage is how the page begins.
func openOnPage(url string, use func(queue.Store, *queue.Queue) error) error {
	store, err := queue.Open(url) // "mongodb://localhost:27017/jobs", or the URL of another store
	if err != nil {
		return err
	}
	q := queue.New(store, nil)
	return use(store, q)
}

// TestSeed goes through wrkr on every store, in the order of the page.
func TestSeed(t *testing.T) {
	onEvery(t, func(t *testing.T, url string) {
		require.NoError(t, openOnPage(url, func(store queue.Store, q *queue.Queue) error {
			defer store.Close(context.Background())
			defer q.Close(context.Background())
			seed(t, q)
			return nil
		}))
	})
}

func seed(t *testing.T, q *queue.Queue) {
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	var mails, stats calls
	sendWarmWelcomeEmail := func(user string) error {
		mails.add(user)
		return nil
	}
	updateAppStats := func(_ context.Context, l queue.Leased) error {
		stats.add(l.Name)
		return nil
	}
	onUserAdded := func(ctx context.Context, l queue.Leased) error {
		if err := sendWarmWelcomeEmail(l.TID); err != nil {
			return err // it comes again
		}
		return q.FollowUp(ctx, l,
			queue.Event{Name: "ourapp.user.followup", When: "7 days"},
			queue.Event{Name: "ourapp.cst.user.followedUp"},
		)
	}
	require.NoError(t, subscribeOnPage(ctx, q, onUserAdded, updateAppStats))

	idOfUser := "user-17"
	err := q.Publish(ctx, queue.Event{Name: "ourapp.user.added", TID: idOfUser})
	require.NoError(t, err)

	now := map[string]int{"ourapp.user.added": 1, "ourapp.cst.user.followedUp": 1}
	require.Eventually(t, func() bool { return maps.Equal(stats.all(), now) }, bound, 10*time.Millisecond, "what is done at once")
	require.Equal(t, map[string]int{"user-17": 1}, mails.all())

	waiting, err := q.Find(ctx, queue.Query{TID: idOfUser, State: queue.StatePending})
	require.NoError(t, err)
	require.Len(t, waiting, 1, "metrics has the event of the next week")
	require.Equal(t, "ourapp.user.followup", waiting[0].Name)
	require.WithinDuration(t, time.Now().Add(week), waiting[0].Due, time.Minute)
	require.Equal(t, "metrics", waiting[0].Queue)
	require.NotEmpty(t, waiting[0].Parent)

	n, err := q.Redrive(ctx, queue.Query{ID: waiting[0].ID}) // the week is over
	require.NoError(t, err)
	require.Equal(t, 1, n)
	now["ourapp.user.followup"] = 1
	require.Eventually(t, func() bool { return maps.Equal(stats.all(), now) }, bound, 10*time.Millisecond, "what was due in a week")

	for range 3 {
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "ourapp.stale", Once: queue.OnceEvery(time.Hour)}))
	}
	waiting, err = q.Find(ctx, queue.Query{Name: "ourapp.stale"})
	require.NoError(t, err)
	require.Len(t, waiting, 1)
	removed, err := q.Remove(ctx, queue.Query{Name: "ourapp.stale"})
	require.NoError(t, err)
	require.Equal(t, 1, removed)

	require.NoError(t, q.Drain(ctx))
	all, err := q.Find(ctx, queue.Query{})
	require.NoError(t, err)
	require.Empty(t, all)
}

func subscribeOnPage(ctx context.Context, q *queue.Queue, onUserAdded, updateAppStats queue.Handler) error {
	team := func() error {
		err := q.Subscribe(ctx, "ourApp.CustomerSatisfactionTeam", queue.Name("ourapp.user.added"), onUserAdded)
		return err
	}
	metrics := func() error {
		err := q.Subscribe(ctx, "metrics", queue.Regexp("ourapp.*"), updateAppStats)
		return err
	}
	if err := team(); err != nil {
		return err
	}
	return metrics()
}

// printReports is what somebody may do who wants to know.
func printReports(ctx context.Context) {
	reports := earshot.NewChannel[queue.Report](nil, "queue", nil)
	for r := range reports.Events(ctx) {
		fmt.Println(r.What, r.Queue, r.Name, r.Err)
	}
}

func TestReportsOnPage(t *testing.T) {
	require.NoError(t, openOnPage("mem:", func(_ queue.Store, q *queue.Queue) error {
		defer q.Close(context.Background())
		ctx, cancel := context.WithCancel(t.Context())
		var printing sync.WaitGroup
		printing.Go(func() { printReports(ctx) })
		require.Eventually(t, earshot.NewChannel[queue.Report](nil, "queue", nil).Listening, bound, time.Millisecond)
		err := q.Publish(t.Context(), queue.Event{Name: "nobody.hears"})
		cancel()
		printing.Wait()
		return err
	}))
}

func TestCronOnPage(t *testing.T) {
	require.NoError(t, openOnPage("mem:", func(_ queue.Store, q *queue.Queue) error {
		defer q.Close(context.Background())
		err := q.Cron(queue.Schedule{
			Name:  "nightly report",
			Spec:  "TZ=Europe/Berlin 30 2 * * *",
			Event: queue.Event{Name: "report.due"},
		})
		return err
	}))
}

// addUser is a transaction of an application.
func addUser(ctx context.Context, db *sql.DB, q *queue.Queue, id, name string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, "INSERT INTO users (id, name) VALUES (?, ?)", id, name); err != nil {
		return err
	}
	if err := queue.PublishTx(ctx, q, tx, queue.Event{Name: "user.added", TID: id}); err != nil {
		return err
	}
	return tx.Commit()
}

func TestTransactionOnPage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	require.NoError(t, openOnPage("sqlite:"+path, func(store queue.Store, q *queue.Queue) error {
		defer store.Close(context.Background())
		defer q.Close(context.Background())
		ctx := t.Context()
		require.NoError(t, q.Bind(ctx, "crm", queue.Name("user.added")))
		db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)")
		require.NoError(t, err)
		defer db.Close()
		_, err = db.Exec("CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT)")
		require.NoError(t, err)
		require.NoError(t, addUser(ctx, db, q, "17", "ann"))
		require.Error(t, addUser(ctx, db, q, "17", "bob"), "there is one")
		all, err := q.Find(ctx, queue.Query{Name: "user.added"})
		require.NoError(t, err)
		require.Len(t, all, 1)
		return nil
	}))
}

func TestPage(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var sources strings.Builder
	for _, file := range files {
		sources.WriteString(plain(read(t, file)))
	}
	const page = "../../docs/queues.md"
	text := read(t, page)
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(text, -1)
	require.Greater(t, len(blocks), 1)
	for _, block := range blocks {
		if want := strings.Replace(plain(block[1]), "func onUserAdded(", "onUserAdded := func(", 1); !strings.Contains(sources.String(), want) {
			t.Errorf("%s: this is in no source of examples/onboarding:\n%s", page, block[1])
		}
	}
	prose := regexp.MustCompile("(?s)```.*?```").ReplaceAllString(text, "")
	for _, link := range regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`).FindAllStringSubmatch(prose, -1) {
		_, err := os.Stat(filepath.Join(filepath.Dir(page), link[1]))
		require.NoError(t, err, "%s: link to %s", page, link[1])
	}
}

// The table of the page says what the stores say.
func TestCapsOnPage(t *testing.T) {
	yes := map[bool]string{true: "yes", false: "no"}
	var rows []string
	for _, url := range []string{"mem:", "sqlite:x.db", "postgres://localhost/x", "redis://localhost/0", "mongodb://localhost/x"} {
		store, err := queue.Open(url)
		require.NoError(t, err)
		c := store.Caps()
		rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s | %d MiB |", c.Engine, yes[c.Durable], yes[c.MultiProcess],
			yes[c.AtomicBatch], yes[c.Fenced], yes[c.Unique], yes[c.Serial], c.MaxBytes>>20))
		require.NoError(t, store.Close(t.Context()))
	}
	page := read(t, "../../docs/queues.md")
	for _, row := range rows {
		require.True(t, strings.Contains(page, row), "the page lacks %s", row)
	}
	require.Len(t, slices.Compact(rows), 5)
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
