package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A drain waits for the worker, shows how it comes on, and ends when all is done.
func TestQueueDrain(t *testing.T) {
	was := progressEvery
	progressEvery = 0
	defer func() { progressEvery = was }()
	onStores(t, func(t *testing.T, s queue.Store, w world) {
		enqueue(t, s, manyItems("mail", 20)...)
		enqueue(t, s, queue.Item{ID: "later", Queue: "mail", Delay: time.Hour})
		seen := make(chan string, 1000)
		a := &app{now: time.Now, env: func(string) string { return "" }, store: w.env["EARSHOT_STORE"]}
		var out bytes.Buffer
		a.out = &out
		a.err = writerFunc(func(b []byte) (int, error) { seen <- string(b); return len(b), nil })
		done := make(chan int, 1)
		ctx := t.Context()
		go func() { done <- a.run(ctx, []string{"queue", "drain", "mail", "--every", "100ms"}) }()
		var said strings.Builder
		await := func(text string) {
			t.Helper()
			for end := time.After(patience); !strings.Contains(said.String(), text); {
				select {
				case s := <-seen:
					said.WriteString(s)
				case <-end:
					require.Fail(t, "it does not say "+text, said.String())
				}
			}
		}
		await("[queue drain] 20 ready, 1 delayed, 0 leased, 0 dead\n")
		items := lease(t, s, "mail", 20, time.Minute)
		for _, l := range items[:15] {
			settle(t, s, l.Ack())
		}
		await("0 ready, 1 delayed, 5 leased, 0 dead; ")
		await("/s, done in about ")
		for _, l := range items[15:] {
			settle(t, s, l.Ack())
		}
		select {
		case code := <-done:
			assert.Equal(t, exitOK, code)
		case <-time.After(patience):
			require.Fail(t, "it does not end")
		}
		assert.Regexp(t, `^empty after \S+\n$`, out.String())
		await("there are 0 ready, 1 delayed, 0 leased, 0 dead\n")
	})
}

// When the time is over it says what is left.
func TestQueueDrainGivesUp(t *testing.T) {
	onStores(t, func(t *testing.T, s queue.Store, w world) {
		seed(t, s)
		r := w.run(t, "queue", "drain", "--for", "250ms", "--every", "100ms")
		assert.Equal(t, exitFailed, r.code)
		assert.Regexp(t, `(?m)^mail +2 +1 +1 +1 `, r.out)
		assert.Equal(t, "earshot queue drain: not done after 250ms: 2 ready, 1 delayed, 1 leased, 1 dead\n", r.err)
		r = w.run(t, "queue", "drain", "mail", "--for", "250ms", "--every", "100ms", "--json")
		assert.Equal(t, exitFailed, r.code)
		type end struct {
			Empty  bool
			Totals tally
			Took   float64 `json:"took_seconds"`
		}
		says := decode[end](t, r)
		assert.False(t, says.Empty)
		assert.Equal(t, tally{2, 1, 1, 1}, says.Totals)
		assert.Greater(t, says.Took, 0.2)

		// Of a queue that is empty, or that nobody knows, there is nothing to wait for.
		r = w.run(t, "queue", "drain", "news", "--every", "100ms")
		assert.Equal(t, exitOK, r.code, r.err)
		assert.Empty(t, r.err)
		r = w.run(t, "queue", "drain", "nwes", "--every", "100ms")
		assert.Equal(t, exitOK, r.code)
		assert.Contains(t, r.err, `knows no queue "nwes"`)

		enqueue(t, s, queue.Item{ID: "later", Queue: "other", Delay: time.Hour})
		assert.Equal(t, exitOK, w.run(t, "queue", "drain", "other", "--every", "100ms").code)
		assert.Equal(t, exitFailed, w.run(t, "queue", "drain", "other", "--delayed", "--every", "100ms", "--for", "200ms").code)
	})
}

// A lookedStore counts how often its items are counted.
type lookedStore struct {
	keptStore
	looks  atomic.Int64
	blinks bool // every second look shows no items, as it may be while an item changes its state
}

func (s *lookedStore) Stats(ctx context.Context) (queue.Stats, error) {
	if s.looks.Add(1)%2 == 0 && s.blinks {
		return queue.Stats{Now: time.Now()}, nil
	}
	return s.keptStore.Stats(ctx)
}

func TestQueueDrainLooksTwice(t *testing.T) {
	s, _ := memory(t)
	seed(t, s)
	r := queueWorld(testStore(t, &lookedStore{keptStore: keptStore{s}, blinks: true})).run(t, "queue", "drain", "--for", "1s", "--every", "100ms")
	assert.Equal(t, exitFailed, r.code, r.out)
}

// A store that goes away for a while is asked again, by a drain and by a watch; one that never answers is not
// waited for longer than was said.
func TestQueueStoreComesBack(t *testing.T) {
	for _, args := range [][]string{{"drain", "--every", "100ms"}, {"stats", "--watch", "--every", "100ms"}} {
		s, _ := memory(t)
		seed(t, s)
		looked := &lookedStore{keptStore: keptStore{s}}
		url := testStore(t, looked)
		ctx, cancel := context.WithCancelCause(t.Context())
		said := make(chan string, 1000)
		a := &app{now: time.Now, env: func(string) string { return "" }, store: url}
		a.out = io.Discard
		a.err = writerFunc(func(b []byte) (int, error) { said <- string(b); return len(b), nil })
		if args[0] == "stats" {
			a.out = a.err
		}
		done := make(chan int, 1)
		go func() { done <- a.run(ctx, queueLine(args)) }()
		await := func(text string) {
			t.Helper()
			for end := time.After(patience); ; {
				select {
				case s := <-said:
					if strings.Contains(s, text) {
						return
					}
				case <-end:
					require.Fail(t, "it does not say "+text, args)
				}
			}
		}
		if args[0] == "stats" {
			await("mail ")
		} else { // it has looked once: what fails now is not the first look
			require.Eventually(t, func() bool { return looked.looks.Load() > 1 }, patience, time.Millisecond)
		}
		s.Fail(queue.ErrDisconnected)
		await("no connection to the store; trying again")
		s.Fail(nil)
		await("connected again")
		cancel(interrupted{sigint})
		assert.Equal(t, exitInterrupted, <-done)
	}

	s, url := memory(t)
	s.Freeze()
	r := queueWorld(url).run(t, "queue", "drain", "--for", "150ms", "--every", "100ms")
	assert.Equal(t, exitConnect, r.code)
	assert.Contains(t, r.err, "did not answer within 150ms")
}
