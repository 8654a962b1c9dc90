package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/memstore"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// decode reads the one document that a command has written.
func decode[T any](t testing.TB, r result) (v T) {
	t.Helper()
	require.Equal(t, 1, strings.Count(r.out, "\n"), "%s%s", r.out, r.err)
	require.NoError(t, json.Unmarshal([]byte(r.out), &v), "%s%s", r.out, r.err)
	return v
}

func TestQueueStats(t *testing.T) {
	onStores(t, func(t *testing.T, s queue.Store, w world) {
		seed(t, s)
		for _, args := range [][]string{{"queue"}, {"queue", "stats"}} {
			r := w.run(t, args...)
			assert.Equal(t, exitOK, r.code, r.err)
			rows := strings.Split(strings.TrimSpace(r.out), "\n")
			require.Len(t, rows, 3, r.out)
			assert.Equal(t, []string{"QUEUE", "READY", "DELAYED", "LEASED", "DEAD", "OLDEST"}, strings.Fields(rows[0]))
			assert.Equal(t, []string{"mail", "2", "1", "1", "1"}, strings.Fields(rows[1])[:5])
			assert.Equal(t, []string{"news", "0", "0", "0", "0", "–"}, strings.Fields(rows[2]))
			assert.Equal(t, "[queue stats] 2 queues: 2 ready, 1 delayed, 1 leased, 1 dead\n", r.err)
		}
		type stats struct {
			Queues []struct {
				Queue                        string
				Ready, Delayed, Leased, Dead int
				OldestReady                  *time.Time `json:"oldest_ready"`
				OldestSeconds                *float64   `json:"oldest_seconds"`
			}
			Totals tally
			Now    time.Time
		}
		all := decode[stats](t, w.run(t, "queue", "--json"))
		require.Len(t, all.Queues, 2)
		assert.Equal(t, tally{2, 1, 1, 1}, all.Totals)
		assert.NotNil(t, all.Queues[0].OldestReady)
		assert.Nil(t, all.Queues[1].OldestSeconds)
		assert.WithinDuration(t, time.Now(), all.Now, patience)

		one := decode[stats](t, w.run(t, "queue", "stats", "news", "--json"))
		require.Len(t, one.Queues, 1)
		assert.Equal(t, tally{}, one.Totals)
		r := w.run(t, "queue", "stats", "nwes")
		assert.Equal(t, exitOK, r.code)
		assert.Contains(t, r.err, `the store knows no queue "nwes"`)
	})
}

func TestQueueLs(t *testing.T) {
	onStores(t, func(t *testing.T, s queue.Store, w world) {
		seed(t, s)
		r := w.run(t, "queue", "ls")
		assert.Equal(t, exitOK, r.code, r.err)
		rows := strings.Split(strings.TrimSpace(r.out), "\n")
		require.Len(t, rows, 6)
		for i, want := range []string{"ID ", "dead-1 .*user 17 .*dead .*died (now|\\ds ago)", "leased-1 .*leased .*for (1h|59m.*) more", "ready-1 .*due (now|\\ds ago) .* 23 B$", "-ready-22-characters-2", "delayed-1 .*due in [45]m"} {
			assert.Regexp(t, "^"+want, rows[i])
		}
		assert.Equal(t, "[queue ls] 5 items\n", r.err)
		for id, args := range map[string][]string{
			"dead-1":                 {"--state", "dead"},
			"leased-1":               {"mail", "--state=leased"},
			"ready-1":                {"--tid", "user 17", "--state", "pending"},
			"-ready-22-characters-2": {"--name", "user.added", "--limit", "1", "--after", cursorOf(t, s, "ready-1")},
		} {
			r := w.run(t, append([]string{"queue", "ls"}, args...)...)
			assert.Equal(t, 2, strings.Count(r.out, "\n"), "%v: %s", args, r.out)
			assert.Contains(t, r.out, id, args)
		}
		r = w.run(t, "queue", "ls", "news")
		assert.Equal(t, result{exitOK, "", "[queue ls] nothing there\n"}, r)
	})
}

func cursorOf(t testing.TB, s queue.Store, id string) string {
	t.Helper()
	found, err := s.(queue.Finder).Find(t.Context(), queue.Query{ID: id})
	require.NoError(t, err)
	require.Len(t, found, 1)
	return found[0].Cursor
}

// A list that is cut says so, and goes on where it says.
func TestQueueLsPages(t *testing.T) {
	onStores(t, func(t *testing.T, s queue.Store, w world) {
		enqueue(t, s, manyItems("mail", 450)...)
		type list struct {
			Items []struct{ ID string }
			Next  *string
		}
		var ids []string
		args := []string{"queue", "ls", "mail", "--limit", "150", "--json"}
		for range 3 {
			l := decode[list](t, w.run(t, args...))
			require.Len(t, l.Items, 150)
			for _, it := range l.Items {
				ids = append(ids, it.ID)
			}
			if l.Next == nil {
				break
			}
			args = append(args[:6:6], "--after", *l.Next)
		}
		require.Len(t, ids, 450)
		for i, id := range ids {
			require.Equal(t, fmt.Sprintf("item-%04d", i), id)
		}
		r := w.run(t, "queue", "ls", "--limit", "449")
		assert.Equal(t, 450, strings.Count(r.out, "\n"))
		assert.Regexp(t, `^\[queue ls\] 449 items, and there are more: --after \S+\n$`, r.err)
		after := strings.Fields(r.err)[9]
		assert.Contains(t, w.run(t, "queue", "ls", "--after", after).out, "item-0449")
		assert.Equal(t, "[queue ls] 450 items\n", w.run(t, "queue", "ls", "--limit", "450").err)
	})
}

func TestQueueDead(t *testing.T) {
	onStores(t, func(t *testing.T, s queue.Store, w world) {
		seed(t, s)
		r := w.run(t, "queue", "dead")
		assert.Equal(t, exitOK, r.code, r.err)
		assert.Equal(t, 2, strings.Count(r.out, "\n"), r.out)
		assert.Regexp(t, `dead-1 +mail +user\.gone +user 17 +0 +died (now|\ds ago) +smtp: 550 no such user …\n`, r.out)
		assert.Equal(t, "[queue dead] nothing there\n", w.run(t, "queue", "dead", "news").err)
		list := decode[struct{ Items []itemJSON }](t, w.run(t, "queue", "dead", "mail", "--json"))
		require.Len(t, list.Items, 1)
		assert.Equal(t, "smtp: 550 no such user\nat mail.go:12\n", list.Items[0].Reason)
	})
}

func TestQueueShow(t *testing.T) {
	onStores(t, func(t *testing.T, s queue.Store, w world) {
		seed(t, s)
		r := w.run(t, "queue", "show", "ready-1")
		assert.Equal(t, exitOK, r.code, r.err)
		assert.Empty(t, r.err)
		for _, want := range []string{"  queue       mail\n", "  fails       1 of 25\n", "\nHeaders\n  trace  abc\n", "\nReason\n  not yet\n", "\nPayload, JSON, 23 B\n  {\"id\":9007199254740993}\n"} {
			assert.Contains(t, r.out, want)
		}
		assert.Regexp(t, `^ready-1\npending, due (now|\ds ago)\n`, r.out)
		assert.Contains(t, w.run(t, "queue", "show", "-ready-22-characters-2").out, "fails       0 of as many as it likes", "an ID may begin with a dash")
		dead := w.run(t, "queue", "show", "dead-1").out
		assert.Regexp(t, `^dead-1\ndead, died (now|\ds ago)\n`, dead)
		assert.Contains(t, dead, "\nReason\n  smtp: 550 no such user\n  at mail.go:12\n")
		assert.Contains(t, w.run(t, "queue", "show", "leased-1").out, "  worker        host-7/4711\n")

		it := decode[itemJSON](t, w.run(t, "queue", "show", "ready-1", "--json"))
		assert.Equal(t, `{"id":9007199254740993}`, string(it.Payload))
		assert.Equal(t, map[string]string{"trace": "abc"}, it.Headers)
		assert.Equal(t, 25, *it.MaxFails)
		assert.Nil(t, it.Until)
		assert.Nil(t, decode[itemJSON](t, w.run(t, "queue", "show", "--json", "-ready-22-characters-2")).MaxFails)
		assert.NotNil(t, decode[itemJSON](t, w.run(t, "queue", "show", "leased-1", "--json")).Until)

		r = w.run(t, "queue", "show", "nope")
		assert.Equal(t, exitFailed, r.code)
		assert.Contains(t, r.err, `there is no item "nope"`)
	})
}

func TestQueueRetryAndCancel(t *testing.T) {
	onStores(t, func(t *testing.T, s queue.Store, w world) {
		seed(t, s)
		r := w.run(t, "queue", "retry", "dead-1", "delayed-1", "-ready-22-characters-2")
		assert.Equal(t, result{exitOK, "dead-1  due now\ndelayed-1  due now\n-ready-22-characters-2  was due already\n", ""}, r)
		assert.Equal(t, queue.StatePending, stateOf(t, s, "dead-1"))
		r = w.run(t, "queue", "retry", "leased-1", "nope", "dead-1")
		assert.Equal(t, exitFailed, r.code)
		assert.Regexp(t, `^leased-1  is leased by host-7/4711, and stays; the lease ends in (1h|59m\d\ds)\nnope  is not there: it may be done, and gone\ndead-1  was due already\n$`, r.out)
		assert.Equal(t, "earshot queue retry: 2 of 3 items stay as they are\n", r.err)

		type deeds struct{ Items []deed }
		r = w.run(t, "queue", "cancel", "dead-1", "leased-1", "-ready-22-characters-2", "nope", "--json")
		assert.Equal(t, exitFailed, r.code)
		assert.Equal(t, []deed{{ID: "dead-1", Result: "removed"}, {ID: "leased-1", Result: "leased"}, {ID: "-ready-22-characters-2", Result: "removed"}, {ID: "nope", Result: "missing"}}, decode[deeds](t, r).Items)
		assert.Equal(t, queue.StateLeased, stateOf(t, s, "leased-1"), "what is leased stays")
		assert.Empty(t, stateOf(t, s, "dead-1"))
		assert.Equal(t, result{exitOK, "ready-1  removed\n", ""}, w.run(t, "queue", "cancel", "ready-1"))
	})
}

func TestQueueRedrive(t *testing.T) {
	const many = 2500
	was := progressEvery
	progressEvery = 0
	defer func() { progressEvery = was }()
	onStores(t, func(t *testing.T, s queue.Store, w world) {
		enqueue(t, s, manyItems("mail", many)...)
		enqueue(t, s, queue.Item{ID: "other", Queue: "news", Name: "other"})
		kill(t, s, "mail", many, "no")
		kill(t, s, "news", 1, "no")
		r := w.run(t, "queue", "redrive", "mail", "--limit", "7")
		assert.Equal(t, result{exitOK, "7 items redriven\n", "[queue redrive] 7 of 7\n[queue redrive] dead now: 2,493 items\n"}, r)
		assert.Equal(t, queue.StatePending, stateOf(t, s, "item-0006"))
		assert.Equal(t, queue.StateDead, stateOf(t, s, "item-0007"))
		r = w.run(t, "queue", "redrive", "mail")
		assert.Equal(t, exitOK, r.code, r.err)
		assert.Equal(t, "2,493 items redriven\n", r.out)
		assert.Contains(t, r.err, "[queue redrive] 1,500 of 2,493\n")
		assert.Equal(t, queue.StateDead, stateOf(t, s, "other"))
		assert.Equal(t, "0 items redriven\n", w.run(t, "queue", "redrive", "mail").out)
		assert.Equal(t, "0 items redriven\n", w.run(t, "queue", "redrive", "--all", "--name", "user.added").out)
		r = w.run(t, "queue", "redrive", "--all", "--json")
		assert.Equal(t, map[string]int{"redriven": 1, "dead": 0}, decode[map[string]int](t, r))
		assert.Contains(t, w.run(t, "queue", "redrive", "mial").err, `knows no queue "mial"`)
	})
}

// What dies again at once is not redriven for ever.
func TestQueueRedriveEnds(t *testing.T) {
	s, _ := memory(t)
	enqueue(t, s, manyItems("mail", 1200)...)
	kill(t, s, "mail", 1200, "no")
	w := queueWorld(testStore(t, &deadlyStore{keptStore{s}, t}))
	r := w.run(t, "queue", "redrive", "mail")
	assert.Equal(t, exitOK, r.code, r.err)
	assert.Equal(t, "1,200 items redriven\n", r.out)
	assert.Contains(t, r.err, "dead now: 1,200 items")
}

// In a deadlyStore whatever is redriven dies.
type deadlyStore struct {
	keptStore
	t testing.TB
}

func (s *deadlyStore) Redrive(ctx context.Context, q queue.Query) (int, error) {
	n, err := s.keptStore.Redrive(ctx, q)
	if err == nil {
		kill(s.t, s, "mail", n, "again")
	}
	return n, err
}

func TestQueueUsage(t *testing.T) {
	_, url := memory(t)
	w := queueWorld(url)
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"statz"}, `did you mean "earshot queue stats"?`},
		{[]string{"mail"}, `there is no command "queue mail"`},
		{[]string{"--nonsense"}, "there is no flag -nonsense"},
		{[]string{"--url", "http://x", "ls", "--nonsense"}, "there is no flag -nonsense"},
		{[]string{"evil\x1b]0;x\a"}, `queue evil\x1b]0;x\x07`},
		{[]string{"stats", "--every", "1ms"}, "too often"},
		{[]string{"ls", "a", "b"}, `does not know what to do with "b"`},
		{[]string{"ls", "--limit", "0"}, "between 1 and 10000"},
		{[]string{"ls", "--state", "waiting"}, "it is pending, leased or dead"},
		{[]string{"ls", "--after", "no cursor"}, "is no Cursor of this store"},
		{[]string{"show"}, "needs ID"},
		{[]string{"show", "-x"}, "goes after --"},
		{[]string{"retry"}, "needs ID..."},
		{[]string{"cancel"}, "needs ID..."},
		{[]string{"redrive"}, "either a queue or --all"},
		{[]string{"redrive", "mail", "--all"}, "either a queue or --all"},
		{[]string{"redrive", "mail", "--limit", "-1"}, "must not be negative"},
		{[]string{"drain", "--for", "-1s"}, "must not be negative"},
		{[]string{"drain", "--every", "1ms"}, "too often"},
		{[]string{"cron"}, "needs SPEC"},
		{[]string{"cron", "nxt", "@daily"}, `did you mean "earshot queue cron next"?`},
		{[]string{"cron", "next", "61 * * * *"}, "minute 61"},
		{[]string{"cron", "next", "@daily", "-n", "0"}, "between 1 and 1000"},
		{[]string{"cron", "next", "@daily", "--from", "yesterday"}, "--from: when"},
		{[]string{"cron", "next", "@daily", "--tz", "Mars"}, `"Mars" is unknown`},
		{[]string{"cron", "next", "TZ=Asia/Tokyo @daily", "--tz", "UTC"}, "a zone of its own"},
		{[]string{"--store", "nowhere:x", "ls"}, "this program knows"},
		{[]string{"--store", "redis://me:secretword@ho st/0", "ls"}, "redis:…"},
		{[]string{"--store", "nowhere://me:secretword@host/", "ls"}, "nowhere://me:xxxxx@host/"},
		{[]string{"--store", "test://me:secretword@host/", "ls"}, "no store in test://me:xxxxx@host/"},
		{[]string{"--store", "jobs.db", "ls"}, "sqlite:jobs.db"},
	} {
		r := w.run(t, append([]string{"queue"}, c.args...)...)
		assert.Equal(t, exitUsage, r.code, "%q: %s", c.args, r.err)
		assert.Contains(t, r.err, c.says, "%q", c.args)
		assert.Empty(t, r.out, "%q", c.args)
		assert.NotContains(t, r.err, "secretword")
	}
	r := world{}.run(t, "queue", "ls")
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.err, "EARSHOT_STORE")
}

// queueLines are a line of each command that asks a store.
var queueLines = [][]string{
	{}, {"stats"}, {"ls"}, {"dead"}, {"show", "ready-1"}, {"retry", "delayed-1"}, {"redrive", "--all"}, {"cancel", "ready-1"}, {"drain", "--for", "5s", "--every", "100ms"},
}

func queueLine(args []string, more ...string) []string {
	return append(append([]string{"queue"}, args...), more...)
}

// What a store answers decides the exit code, also as text that is not to be trusted.
func TestQueueErrors(t *testing.T) {
	s, url := memory(t)
	seed(t, s)
	for err, code := range map[error]int{
		queue.ErrDisconnected: exitConnect, queue.ErrDenied: exitRefused, queue.ErrDamaged: exitFailed, queue.ErrFull: exitFailed,
		queue.ErrInvalid: exitUsage, queue.ErrUnsupported: exitFailed, errors.New("else"): exitFailed,
	} {
		s.Fail(fmt.Errorf("at %s: %w: \x1b[31mred\nsecond line", url, err))
		for _, args := range queueLines {
			r := queueWorld(url).run(t, queueLine(args)...)
			assert.Equal(t, code, r.code, "%v %v: %s", args, err, r.err)
			assert.Contains(t, r.err, err.Error(), args)
			assert.NotContains(t, r.out+r.err, "\x1b", args)
			assert.Empty(t, r.out, args)
		}
	}
}

func TestQueueUnsupported(t *testing.T) {
	w := queueWorld(testStore(t, plainStore{memstore.New(nil)}))
	for _, args := range queueLines {
		r := w.run(t, queueLine(args)...)
		assert.Equal(t, exitFailed, r.code, args)
		assert.Contains(t, r.err, queue.ErrUnsupported.Error()+": it cannot ", args)
	}
}

// To look for a file does not make it.
func TestQueueOfNoFile(t *testing.T) {
	dir := t.TempDir()
	for _, url := range []string{"sqlite:" + dir + "/jo bs.db", "sqlite://" + dir + "/jobs%3f.db?sync=normal", "sqlite:" + dir + "/no/such.db"} {
		for _, args := range queueLines {
			r := queueWorld(url).run(t, queueLine(args)...)
			assert.Equal(t, exitConnect, r.code, "%v %s", args, url)
			assert.Contains(t, r.err, "no such file: "+dir, "%v %s", args, url)
		}
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)

	file := filepath.Join(dir, "note.txt")
	require.NoError(t, os.WriteFile(file, []byte(strings.Repeat("no database\n", 100)), 0o600))
	r := queueWorld("sqlite:"+file).run(t, "queue", "ls")
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.err, "is no SQLite database")
}

// Ctrl-C ends a command at once, whatever the store is at, and who waits is told why.
func TestQueueOfAStoreThatHangs(t *testing.T) {
	was := noteAfter
	noteAfter = 20 * time.Millisecond
	defer func() { noteAfter = was }()
	s, url := memory(t)
	seed(t, s)
	s.Freeze()
	for _, args := range queueLines {
		r := interruptAfterNote(t, url, queueLine(args))
		assert.Equal(t, exitInterrupted, r.code, args)
		assert.Regexp(t, `^\[queue \w+\] waiting for test:`+t.Name()+"\n", r.err)
		assert.Empty(t, r.out)
	}
	deaf := &deafStore{keptStore{s}, make(chan struct{})}
	defer close(deaf.free)
	r := interruptAfterNote(t, testStore(t, deaf), []string{"queue", "stats"})
	assert.Equal(t, exitInterrupted, r.code, "a store that does not listen")
}

// It is Ctrl-C that has ended a call, also if the store was quick to say that its call has ended.
func TestQueueInterruptedCall(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(interrupted{sigint})
	d := &depot{app: &app{err: io.Discard}}
	for range 50_000 { // so often, that both are there when it looks
		_, err := ask(ctx, d, func(ctx context.Context) (int, error) {
			return 0, fmt.Errorf("test: %w: %w", queue.ErrDisconnected, context.Cause(ctx))
		})
		require.Equal(t, exitInterrupted, code(ctx, err))
	}
}

// interruptAfterNote presses Ctrl-C when the command has said something.
func interruptAfterNote(t testing.TB, url string, args []string) result {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	var out, notes bytes.Buffer
	a := &app{out: &out, now: time.Now, env: func(string) string { return "" }, store: url}
	a.err = io.MultiWriter(&notes, writerFunc(func(b []byte) (int, error) {
		cancel(interrupted{sigint})
		return len(b), nil
	}))
	done := make(chan int, 1)
	go func() { done <- a.run(ctx, args) }()
	select {
	case code := <-done:
		return result{code, out.String(), notes.String()}
	case <-time.After(patience):
		require.Fail(t, "the command does not end", args)
	}
	return result{}
}

// Nothing of an item gets at the terminal, nor forges a line.
func TestQueueIsCleaned(t *testing.T) {
	onStores(t, func(t *testing.T, s queue.Store, w world) {
		const evil = "a\u202eb\u200b\u2028c" // what names may have; there are no controls in them
		const worse = "\x1b]0;owned\a\x1b[2J\r\n\u009b31m\x7f" + evil
		enqueue(t, s,
			queue.Item{ID: evil + "json", Queue: evil, Name: evil, TID: evil, Payload: []byte("{\"\u009b\":\"\x7f\u202e\"}"), Headers: map[string]string{evil: strings.ReplaceAll(worse, "\x00", "")}},
			queue.Item{ID: evil + "text", Queue: evil, Name: evil, Key: evil, Serial: evil, Parent: evil, Payload: []byte(worse)},
			queue.Item{ID: evil + "bytes", Queue: evil, Name: evil, Payload: []byte("\xff\x00" + worse)},
			queue.Item{ID: evil + "halfjson", Queue: evil, Name: evil, Payload: []byte("\"\xff\x1b\"")},
		)
		kill(t, s, evil, 3, worse)
		items, err := s.Lease(t.Context(), queue.LeaseRequest{Queues: []string{evil}, Max: 1, TTL: time.Hour, Worker: evil})
		require.NoError(t, err)
		require.Len(t, items, 1)
		for _, width := range []int{0, 40, 200} {
			w.width = width
			w.env["NO_COLOR"] = "1"
			for _, args := range [][]string{
				{"stats"}, {"stats", evil}, {"ls"}, {"ls", evil}, {"dead"}, {"show", evil + "json"}, {"show", evil + "text"}, {"show", evil + "bytes"}, {"show", evil + "halfjson"},
				{"show", worse}, {"retry", items[0].ID, worse}, {"cancel", items[0].ID, worse}, {"drain", evil, "--for", "1ms"}, {"redrive", worse}, {"ls", "--after", worse}, {worse},
			} {
				for _, more := range []string{"--json=false", "--json"} {
					if width > 0 && more == "--json" {
						continue
					}
					r := w.run(t, queueLine(args, more)...)
					text := r.out + r.err
					assert.NotEmpty(t, text)
					for _, c := range text {
						if c != '\n' && !strconv.IsPrint(c) {
							assert.Fail(t, "not clean", "%q %s: %q in %q", args, more, c, text)
							break
						}
					}
				}
			}
		}
		assert.Contains(t, w.run(t, "queue", "show", evil+"text").out, `\x1b]0;owned\x07`)
		w.width = 0
		for id, want := range map[string]string{"text": worse, "bytes": "\xff\x00" + worse, "halfjson": "\"\xff\x1b\""} {
			it := decode[itemJSON](t, w.run(t, "queue", "show", evil+id, "--json"))
			assert.Equal(t, want, it.PayloadText+string(it.PayloadBase64), "JSON keeps every byte")
			assert.Nil(t, it.Payload)
		}
		it := decode[itemJSON](t, w.run(t, "queue", "show", evil+"json", "--json"))
		assert.JSONEq(t, "{\"\u009b\":\"\x7f\u202e\"}", string(it.Payload))
	})
}

// A terminal gets as much of a large payload as it has room for, a pipe and --json all of it.
func TestQueueShowsLargePayloads(t *testing.T) {
	s, url := memory(t)
	w := queueWorld(url)
	large := `{"text":"` + strings.Repeat("wörd ", 100_000) + `"}`
	deep := strings.Repeat("[", 9000) + strings.Repeat("]", 9000)
	enqueue(t, s, queue.Item{ID: "large", Queue: "mail", Payload: []byte(large)}, queue.Item{ID: "deep", Queue: "mail", Payload: []byte(deep)})
	for id, payload := range map[string]string{"large": large, "deep": deep} {
		assert.Contains(t, w.run(t, "queue", "show", id).out, payload)
		assert.Equal(t, payload, string(decode[itemJSON](t, w.run(t, "queue", "show", id, "--json")).Payload))
		w.width = 80
		r := w.run(t, "queue", "show", id)
		assert.Less(t, len(r.out), 2000)
		assert.Contains(t, r.out, "its beginning")
		w.width = 0
	}
}

// Tables fit the screen, and an ID is on it as a whole: it is there to be copied.
func TestQueueTablesFit(t *testing.T) {
	s, url := memory(t)
	id := queue.NewID()
	enqueue(t, s, queue.Item{ID: id, Queue: "a-queue-with-a-long-name", Name: "some.event.of.a.large.program", TID: "customer 4711"})
	kill(t, s, "a-queue-with-a-long-name", 1, strings.Repeat("a long reason ", 50))
	w := queueWorld(url)
	w.env["NO_COLOR"] = "1"
	for _, w.width = range []int{30, 40, 80, 120} {
		for _, command := range []string{"ls", "dead", "stats"} {
			r := w.run(t, "queue", command)
			for line := range strings.SplitSeq(r.out, "\n") {
				assert.LessOrEqual(t, cells(line), w.width, "%s: %q", command, line)
			}
			assert.Equal(t, command != "stats", strings.Contains(r.out, id), r.out)
		}
	}
}

func TestQueueJSONOfEach(t *testing.T) {
	for _, line := range append(queueLines, []string{"cron", "next", "@daily"}) {
		for i := range len(line) + 2 { // --json wherever it may stand
			args := queueLine(line)
			args = append(args[:i:i], append([]string{"--json"}, args[i:]...)...)
			if i > 0 && strings.HasPrefix(args[i-1], "--") && args[i-1] != "--all" {
				continue // there it would be a flag's value
			}
			s, url := memory(t)
			enqueue(t, s, queue.Item{ID: "ready-1", Queue: "mail"}, queue.Item{ID: "delayed-1", Queue: "mail", Delay: time.Hour})
			if len(line) > 0 && line[0] == "drain" {
				settle(t, s, lease(t, s, "mail", 1, time.Minute)[0].Ack())
			}
			r := queueWorld(url).run(t, args...)
			assert.Equal(t, exitOK, r.code, "%q: %s", args, r.err)
			decode[map[string]any](t, r)
		}
	}
}

func TestQueueOutputErrors(t *testing.T) {
	for _, args := range queueLines {
		for err, code := range map[error]int{syscall.EPIPE: exitOK, syscall.ENOSPC: exitFailed} {
			s, url := memory(t)
			enqueue(t, s, queue.Item{ID: "ready-1", Queue: "mail"}, queue.Item{ID: "delayed-1", Queue: "mail", Delay: time.Hour})
			switch {
			case len(args) > 0 && args[0] == "drain":
				settle(t, s, lease(t, s, "mail", 1, time.Minute)[0].Ack())
			case len(args) > 0 && args[0] == "dead":
				kill(t, s, "mail", 1, "no")
			}
			a := &app{out: writerFunc(func([]byte) (int, error) { return 0, err }), now: time.Now, env: func(string) string { return "" }, store: url}
			a.err = io.Discard
			assert.Equal(t, code, a.run(t.Context(), queueLine(args)), "%v %v", args, err)
		}
	}
}
