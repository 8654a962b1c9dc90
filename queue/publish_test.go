package queue_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/memstore"
)

// items returns all items that the store has, in the order in which they were enqueued.
func items(t *testing.T, q *queue.Queue) []queue.Record {
	t.Helper()
	all, err := q.Find(context.Background(), queue.Query{Limit: 10000})
	require.NoError(t, err)
	return all
}

func TestPublishRefuses(t *testing.T) {
	long := strings.Repeat("x", queue.MaxName+1)
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		ev   queue.Event
		want error
		text string
	}{
		"no name":               {queue.Event{}, queue.ErrInvalid, "Name is empty"},
		"long name":             {queue.Event{Name: long}, queue.ErrInvalid, "Name has 256 bytes"},
		"control character":     {queue.Event{Name: "a\nb"}, queue.ErrInvalid, "control"},
		"no UTF-8":              {queue.Event{Name: "a\xff"}, queue.ErrInvalid, "UTF-8"},
		"long ID":               {queue.Event{Name: "x", ID: long}, queue.ErrInvalid, "ID"},
		"long TID":              {queue.Event{Name: "x", TID: long}, queue.ErrInvalid, "TID"},
		"long parent":           {queue.Event{Name: "x", Parent: long}, queue.ErrInvalid, "Parent"},
		"long queue":            {queue.Event{Name: "x", Queue: long}, queue.ErrInvalid, "Queue"},
		"long key":              {queue.Event{Name: "x", Key: long}, queue.ErrInvalid, "Key"},
		"long serial":           {queue.Event{Name: "x", Serial: long}, queue.ErrInvalid, "Serial"},
		"header":                {queue.Event{Name: "x", Headers: map[string]string{"a": "\xff"}}, queue.ErrInvalid, "header"},
		"large headers":         {queue.Event{Name: "x", Headers: map[string]string{"a": strings.Repeat("x", queue.MaxHeaders)}}, queue.ErrInvalid, "headers"},
		"payload without JSON":  {queue.Event{Name: "x", Payload: func() {}}, queue.ErrInvalid, "Payload"},
		"large payload":         {queue.Event{Name: "x", Payload: make([]byte, 101)}, queue.ErrTooLarge, "101"},
		"large JSON":            {queue.Event{Name: "x", Payload: strings.Repeat("x", 100)}, queue.ErrTooLarge, "102"},
		"unreadable when":       {queue.Event{Name: "x", When: "next week or so"}, queue.ErrInvalid, "When"},
		"months":                {queue.Event{Name: "x", When: "2 months"}, queue.ErrInvalid, "months"},
		"blank when":            {queue.Event{Name: "x", When: " "}, queue.ErrInvalid, "When"},
		"another type":          {queue.Event{Name: "x", When: 7}, queue.ErrInvalid, "int"},
		"negative":              {queue.Event{Name: "x", When: -time.Second}, queue.ErrInvalid, "Delay"},
		"over 100 years":        {queue.Event{Name: "x", When: "5218 weeks"}, queue.ErrInvalid, "100 years"},
		"the longest duration":  {queue.Event{Name: "x", When: time.Duration(math.MaxInt64)}, queue.ErrInvalid, "100 years"},
		"year 10000":            {queue.Event{Name: "x", When: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, queue.ErrInvalid, "10000"},
		"year 10000, elsewhere": {queue.Event{Name: "x", When: time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("", -2*3600))}, queue.ErrInvalid, "10000"},
		"year 10000, text":      {queue.Event{Name: "x", When: "10000-01-01T00:00:00Z"}, queue.ErrInvalid, "9999"},
		"year 0":                {queue.Event{Name: "x", When: time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)}, queue.ErrInvalid, "year 0"},
		"hold without key":      {queue.Event{Name: "x", Hold: day}, queue.ErrInvalid, "Key"},
		"replace without key":   {queue.Event{Name: "x", Replace: true}, queue.ErrInvalid, "Key"},
		"long hold":             {queue.Event{Name: "x", Key: "k", Hold: queue.MaxDelay + 1}, queue.ErrInvalid, "Hold"},
		"unknown scope":         {queue.Event{Name: "x", Key: "k", Scope: 7}, queue.ErrInvalid, "Scope"},
		"once in the past":      {queue.Event{Name: "x", Once: queue.OnceEvery(-day)}, queue.ErrInvalid, "Once"},
		"once and when":         {queue.Event{Name: "x", Once: queue.OnceEvery(day), When: day}, queue.ErrInvalid, "When"},
		"once and hold":         {queue.Event{Name: "x", Key: "k", Once: queue.OnceEvery(day), Hold: day}, queue.ErrInvalid, "Hold"},
		"once and scope":        {queue.Event{Name: "x", Key: "k", Once: queue.OnceEvery(day), Scope: queue.UntilLeased}, queue.ErrInvalid, "Scope"},
		"once and replace":      {queue.Event{Name: "x", Key: "k", Once: queue.OnceEvery(day), Replace: true}, queue.ErrInvalid, "Replace"},
	} {
		t.Run(name, func(t *testing.T) {
			q := over(t, memstore.New(&memstore.Options{MaxBytes: 100}), nil)
			require.NoError(t, q.Bind(t.Context(), "q", queue.All()))
			err := q.Publish(t.Context(), queue.Event{Name: "good"}, c.ev)
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.text)
			require.Empty(t, items(t, q), "nothing is stored")
			_, err = q.Find(t.Context(), queue.Query{})
			require.NoError(t, err)
		})
	}
}

func TestPublishStoresWhatIsGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, nil)
		ctx := t.Context()
		require.NoError(t, q.Bind(ctx, "a", queue.All()))
		require.NoError(t, q.Bind(ctx, "b", queue.All()))
		require.NoError(t, q.Publish(ctx))
		require.NoError(t, q.Publish(ctx,
			queue.Event{
				ID: "e1", Name: "n", TID: "t", Parent: "p", Payload: map[string]int{"x": 1}, Headers: map[string]string{"h": "v"},
				Priority: 3, MaxFails: 7, Serial: "s", Key: "k", Scope: queue.UntilLeased, Hold: time.Hour, Replace: true, When: time.Minute,
			},
			queue.Event{Name: "direct", Queue: "c"},
		))
		all := items(t, q)
		require.Len(t, all, 3)
		for i, name := range []string{"a", "b"} {
			require.Equal(t, queue.Item{
				ID: queue.ItemID("e1", name), Queue: name, Name: "n", TID: "t", Parent: "p", Payload: []byte(`{"x":1}`),
				Headers: map[string]string{"h": "v"}, Priority: 3, MaxFails: 7, Serial: "s",
				Key: "k", Scope: queue.UntilLeased, Hold: time.Hour, Replace: true, Due: time.Now().Add(time.Minute).UTC(),
			}, all[i].Item)
		}
		require.Equal(t, "c", all[2].Queue)
		require.Empty(t, all[2].Payload)
		require.EqualValues(t, 3, q.Counts().Published)
	})
}

func TestUnboundIsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, nil)
		require.NoError(t, q.Publish(t.Context(), queue.Event{Name: "nobody"}, queue.Event{Name: "nobody"}))
		require.NoError(t, q.Bind(t.Context(), "q", queue.Name("x")))
		require.NoError(t, q.Publish(t.Context(), queue.Event{Name: "nobody"}, queue.Event{Name: "x"}))
		require.Len(t, items(t, q), 1)
		require.EqualValues(t, 3, q.Counts().Unbound)
		require.NoError(t, q.Unbind(t.Context(), "q", queue.Name("x")))
		require.NoError(t, q.Unbind(t.Context(), "q", queue.Name("x")))
		require.NoError(t, q.Publish(t.Context(), queue.Event{Name: "x"}))
		require.Len(t, items(t, q), 1, "what it has stays")
		require.EqualValues(t, 4, q.Counts().Unbound)
	})
}

// More names than are remembered.
func TestManyNames(t *testing.T) {
	q, _ := open(t, nil)
	ctx := t.Context()
	require.NoError(t, q.Bind(ctx, "q", queue.Regexp("7$")))
	var events []queue.Event
	for i := range 10500 {
		events = append(events, queue.Event{Name: fmt.Sprint("n", i)})
	}
	require.NoError(t, q.Publish(ctx, events...))
	require.NoError(t, q.Publish(ctx, events[:10]...))
	require.EqualValues(t, 1051, q.Counts().Published)
}

func TestRepeatedIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, store := open(t, nil)
		another := over(t, store, nil)
		ctx := t.Context()
		require.NoError(t, q.Bind(ctx, "q", queue.All()))
		ev := queue.Event{ID: "e", Name: "x"}
		require.NoError(t, q.Publish(ctx, ev, ev))
		require.NoError(t, another.Publish(ctx, ev))
		require.Len(t, items(t, q), 1)
		require.EqualValues(t, 1, q.Counts().Published)
		require.EqualValues(t, 1, q.Counts().Repeated)
		require.EqualValues(t, 1, another.Counts().Repeated)

		require.NoError(t, q.Bind(ctx, "q2", queue.All()))
		require.NoError(t, another.Publish(ctx, ev), "what a half-failed publish has left out is made up for")
		require.Len(t, items(t, q), 2)

		var d diary
		require.NoError(t, q.Subscribe(ctx, "q", queue.All(), d.handle))
		synctest.Wait()
		require.NoError(t, q.Publish(ctx, ev), "it is gone from one queue")
		synctest.Wait()
		require.Equal(t, 2, d.count())
	})
}

func TestPayloads(t *testing.T) {
	q, _ := open(t, nil)
	ctx := t.Context()
	type user struct{ Name string }
	for _, c := range []struct {
		payload any
		bytes   string
	}{
		{nil, ""}, {[]byte("\x00\xff"), "\x00\xff"}, {json.RawMessage(`{"Name": "ann"}`), `{"Name": "ann"}`},
		{user{"ann"}, `{"Name":"ann"}`}, {"text", `"text"`}, {(*user)(nil), "null"},
	} {
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "x", Queue: "q", Payload: c.payload}))
		r := only(t, q)
		require.Equal(t, c.bytes, string(r.Payload))
		var b []byte
		var raw json.RawMessage
		require.NoError(t, r.Decode(&b))
		require.NoError(t, r.Decode(&raw))
		require.Equal(t, c.bytes, string(b))
		require.Equal(t, c.bytes, string(raw))
		switch c.payload.(type) {
		case user, json.RawMessage:
			var u user
			require.NoError(t, r.Decode(&u))
			require.Equal(t, "ann", u.Name)
		case nil, *user:
			u := &user{"was there"}
			require.NoError(t, r.Decode(&u))
			require.Nil(t, u)
		default:
			require.ErrorContains(t, r.Decode(&user{}), "queue_test.user")
		}
		_, err := q.Remove(ctx, queue.Query{ID: r.ID})
		require.NoError(t, err)
	}
}

func TestPublishContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, store := open(t, nil)
		require.NoError(t, q.Bind(t.Context(), "q", queue.All()))
		gone := errors.New("gone")
		ended, end := context.WithCancelCause(t.Context())
		end(gone)
		require.ErrorIs(t, q.Publish(ended, queue.Event{Name: "x"}), gone)
		require.ErrorIs(t, q.Bind(ended, "q2", queue.All()), gone)
		require.ErrorIs(t, q.Subscribe(ended, "q2", queue.All(), new(diary).handle), gone)
		synctest.Wait()
		require.Empty(t, items(t, q))

		store.Freeze()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		payload := []byte("mine")
		headers := map[string]string{"mine": "yes"}
		begin := time.Now()
		err := q.Publish(short, queue.Event{Name: "x", Payload: payload, Headers: headers}, queue.Event{Name: "x", Payload: json.RawMessage(payload)})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(begin))
		copy(payload, "free") // the call is under way, and the slice belongs to the caller again
		headers["mine"] = "no"
		store.Thaw()
		synctest.Wait()
		all := items(t, q)
		require.Len(t, all, 2)
		require.Equal(t, "mine", string(all[0].Payload))
		require.Equal(t, "mine", string(all[1].Payload))
		require.Equal(t, "yes", all[0].Headers["mine"])
	})
}

// One caller that gives up does not take along those who went together with it.
func TestPublishTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spy := newSpy(memstore.New(nil))
		q := over(t, spy, nil)
		require.NoError(t, q.Bind(t.Context(), "q", queue.All()))
		spy.Freeze()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		errs := make(chan error, 101)
		go func() { errs <- q.Publish(short, queue.Event{Name: "first"}) }()
		synctest.Wait()
		for i := range 50 {
			go func() { errs <- q.Publish(short, queue.Event{Name: fmt.Sprint("a", i)}) }()
			go func() { errs <- q.Publish(t.Context(), queue.Event{Name: fmt.Sprint("b", i)}) }()
		}
		time.Sleep(2 * time.Second)
		spy.Thaw()
		failed := 0
		for range cap(errs) {
			if err := <-errs; err != nil {
				require.ErrorIs(t, err, context.DeadlineExceeded)
				failed++
			}
		}
		require.Equal(t, 51, failed)
		require.Len(t, items(t, q), 51, "the first was under way, the others that gave up were not")
		require.LessOrEqual(t, spy.count("enqueue"), 3)
	})
}

func TestPublishTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, store := open(t, nil)
		ctx := t.Context()
		require.NoError(t, q.Bind(ctx, "q", queue.All()))
		for _, c := range []struct {
			away, took time.Duration
			want       error
		}{
			{40 * time.Millisecond, 50 * time.Millisecond, nil},
			{240 * time.Millisecond, 250 * time.Millisecond, nil},
			{time.Second, 250 * time.Millisecond, queue.ErrDisconnected},
		} {
			begin := time.Now()
			store.Fail(queue.ErrDisconnected)
			time.AfterFunc(c.away, func() { store.Fail(nil) })
			require.ErrorIs(t, q.Publish(ctx, queue.Event{Name: "x"}), c.want)
			require.Equal(t, c.took, time.Since(begin))
			time.Sleep(time.Minute)
		}
		require.Len(t, items(t, q), 2)

		store.FailAnswers(queue.ErrDisconnected)
		time.AfterFunc(40*time.Millisecond, func() { store.FailAnswers(nil) })
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "cut"}))
		require.Len(t, items(t, q), 3, "the answer was lost, and the repetition finds its items")
		store.FailAnswers(queue.ErrDisconnected)
		time.AfterFunc(40*time.Millisecond, func() { store.FailAnswers(nil) })
		require.NoError(t, q.Bind(ctx, "q3", queue.All()))

		store.Fail(queue.ErrDisconnected)
		short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		err := q.Publish(short, queue.Event{Name: "x"})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, queue.ErrDisconnected)

		for _, final := range []error{queue.ErrFull, queue.ErrDenied, queue.ErrDamaged, queue.ErrClosed} {
			store.Fail(final)
			begin := time.Now()
			require.ErrorIs(t, q.Publish(ctx, queue.Event{Name: "x"}), final)
			require.ErrorIs(t, q.Bind(ctx, "new", queue.All()), final)
			require.Zero(t, time.Since(begin), "to try again does not help")
		}
		store.Fail(nil)
	})
}

func TestPublishAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, store := open(t, nil)
		ctx := t.Context()
		require.NoError(t, q.Bind(ctx, "q", queue.All()))
		store.Freeze()
		errs := make(chan error, 2)
		for range cap(errs) {
			go func() { errs <- q.Publish(ctx, queue.Event{Name: "x"}) }()
			synctest.Wait()
		}
		require.NoError(t, q.Close(ctx))
		for range cap(errs) {
			require.ErrorIs(t, <-errs, queue.ErrClosed, "what is under way ends")
		}
		store.Thaw()
		require.ErrorIs(t, q.Publish(ctx, queue.Event{Name: "x"}), queue.ErrClosed)
		require.ErrorIs(t, q.FollowUp(ctx, queue.Leased{}, queue.Event{Name: "x"}), queue.ErrClosed)
		require.ErrorIs(t, q.Bind(ctx, "q", queue.All()), queue.ErrClosed)
		require.ErrorIs(t, q.Unbind(ctx, "q", queue.All()), queue.ErrClosed)
		require.ErrorIs(t, q.Subscribe(ctx, "q", queue.All(), new(diary).handle), queue.ErrClosed)
		require.ErrorIs(t, q.Cron(queue.Schedule{Name: "c", Spec: "@daily", Event: queue.Event{Name: "x"}}), queue.ErrClosed)
		require.NoError(t, q.Close(ctx))
		require.NoError(t, q.Drain(ctx))
		require.Empty(t, items(t, q))
	})
}

// What one queue binds another one heeds at once, on stores that check the revision and on those that cannot.
func TestBindingsAreSeenAtOnce(t *testing.T) {
	for name, wrap := range map[string]func(*memstore.Store) queue.Store{
		"with RevEnqueuer": func(s *memstore.Store) queue.Store { return s },
		"without":          func(s *memstore.Store) queue.Store { return bare{s} },
	} {
		t.Run(name, func(t *testing.T) {
			engine := memstore.New(nil)
			one, two := over(t, wrap(engine), nil), over(t, wrap(engine), nil)
			view := over(t, engine, nil)
			ctx := t.Context()
			for i := range 20 {
				require.NoError(t, one.Publish(ctx, queue.Event{Name: "before"}))
				queueName := fmt.Sprint("q", i)
				require.NoError(t, two.Bind(ctx, queueName, queue.Name("x")))
				require.NoError(t, one.Publish(ctx, queue.Event{Name: "x"}))
				require.Len(t, items(t, view), i+1)
				require.NoError(t, two.Unbind(ctx, queueName, queue.Name("x")))
				require.NoError(t, two.Bind(ctx, fmt.Sprint("r", i), queue.Name(queueName)))
			}
		})
	}
}

func TestBindingsAreAskedForOnce(t *testing.T) {
	spy := newSpy(memstore.New(nil))
	q := over(t, spy, nil)
	ctx := t.Context()
	require.NoError(t, q.Publish(ctx, queue.Event{Name: "x", Queue: "direct"}))
	require.Zero(t, spy.count("bindings"), "nobody needs them")
	for range 5 {
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}))
	}
	require.Equal(t, 1, spy.count("bindings"))
}

func TestStaleBindings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spy := newSpy(memstore.New(nil))
		q := over(t, spy, nil)
		ctx := t.Context()
		stale := 3
		spy.when(onlyOn("enqueue", func(_ context.Context, do func() error) error {
			if stale--; stale >= 0 {
				return queue.ErrStaleBindings
			}
			return do()
		}))
		require.NoError(t, q.Bind(ctx, "q", queue.Name("x")))
		require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}, queue.Event{Name: "nobody"}))
		require.EqualValues(t, 1, q.Counts().Published)
		require.EqualValues(t, 1, q.Counts().Unbound, "counted once, however often it was tried")
		stale = 1 << 30
		require.ErrorIs(t, q.Publish(ctx, queue.Event{Name: "x"}), queue.ErrStaleBindings, "a store that never agrees is an error")
		require.EqualValues(t, 1, q.Counts().Published)
	})
}

// newer is a store with a binding that this version does not know.
type newer struct{ *memstore.Store }

func (n newer) Bindings(context.Context, queue.Rev) ([]queue.Binding, queue.Rev, error) {
	return []queue.Binding{{Queue: "q", Selector: queue.Selector{Kind: "jsonpath", Text: "$"}}}, 7, nil
}

func TestUnknownBinding(t *testing.T) {
	q := over(t, newer{memstore.New(nil)}, nil)
	err := q.Publish(t.Context(), queue.Event{Name: "x"})
	require.ErrorIs(t, err, queue.ErrInvalid, "better than to lose it")
	require.ErrorContains(t, err, "newer version")
	require.NoError(t, q.Publish(t.Context(), queue.Event{Name: "x", Queue: "q"}))
}

// What a store does not promise is refused before it, so that it fails nobody who publishes at the same time.
func TestUnsupported(t *testing.T) {
	engine := memstore.New(nil)
	caps := engine.Caps()
	caps.Unique, caps.Serial = false, false
	q := over(t, capped{engine, caps}, nil)
	ctx := t.Context()
	require.ErrorIs(t, q.Publish(ctx, queue.Event{Name: "x", Key: "k"}), queue.ErrUnsupported)
	require.ErrorIs(t, q.Publish(ctx, queue.Event{Name: "x", Serial: "k"}), queue.ErrUnsupported)
	require.ErrorIs(t, q.Publish(ctx, queue.Event{Name: "x", Once: queue.OnceEvery(time.Hour)}), queue.ErrUnsupported)
	require.ErrorIs(t, q.Cron(queue.Schedule{Name: "c", Spec: "@daily", Event: queue.Event{Name: "x"}}), queue.ErrUnsupported)
	require.NoError(t, q.Publish(ctx, queue.Event{Name: "x"}))
	_, err := q.Find(ctx, queue.Query{})
	require.ErrorIs(t, err, queue.ErrUnsupported)
	_, err = q.Remove(ctx, queue.Query{ID: "x"})
	require.ErrorIs(t, err, queue.ErrUnsupported)
	_, err = q.Redrive(ctx, queue.Query{ID: "x"})
	require.ErrorIs(t, err, queue.ErrUnsupported)
	_, err = q.Stats(ctx)
	require.ErrorIs(t, err, queue.ErrUnsupported)
	require.ErrorIs(t, queue.PublishTx(ctx, q, "tx", queue.Event{Name: "x"}), queue.ErrUnsupported)
	require.Equal(t, capped{engine, caps}, q.Store())
}

// A ledger is a store with transactions, which are the names of books.
type ledger struct {
	*memstore.Store
	books map[string][]queue.Item
}

func (l *ledger) EnqueueTx(_ context.Context, tx string, items []queue.Item) ([]queue.Enqueued, error) {
	l.books[tx] = append(l.books[tx], items...)
	return make([]queue.Enqueued, len(items)), nil
}

func TestPublishTx(t *testing.T) {
	l := &ledger{memstore.New(nil), map[string][]queue.Item{}}
	q := over(t, l, nil)
	ctx := t.Context()
	require.NoError(t, q.Bind(ctx, "a", queue.Name("x")))
	require.NoError(t, q.Publish(ctx, queue.Event{Name: "y"}))
	require.NoError(t, over(t, bare{l.Store}, nil).Bind(ctx, "b", queue.Name("x")))
	require.NoError(t, queue.PublishTx(ctx, q, "tx", queue.Event{ID: "e", Name: "x"}, queue.Event{Name: "nobody"}))
	require.Len(t, l.books["tx"], 2)
	require.Equal(t, queue.ItemID("e", "a"), l.books["tx"][0].ID)
	require.Equal(t, "b", l.books["tx"][1].Queue)
	for tx, when := range map[string]any{"text": "7 days", "duration": 7 * 24 * time.Hour} {
		require.NoError(t, queue.PublishTx(ctx, q, tx, queue.Event{Name: "x", Queue: "q", When: when}))
		require.Equal(t, 7*24*time.Hour, l.books[tx][0].Delay, "from now is by the store's clock, and not by that of this process")
		require.Zero(t, l.books[tx][0].Due)
	}
	require.Empty(t, items(t, q))
	require.ErrorIs(t, queue.PublishTx(ctx, q, "tx", queue.Event{}), queue.ErrInvalid)
	require.ErrorIs(t, queue.PublishTx(ctx, q, 7, queue.Event{Name: "x"}), queue.ErrUnsupported)
	require.NoError(t, queue.PublishTx(ctx, q, "tx", queue.Event{Name: "nobody"}))
	require.NoError(t, queue.PublishTx(ctx, q, "tx"))
	l.Fail(queue.ErrDisconnected)
	require.ErrorIs(t, queue.PublishTx(ctx, q, "tx", queue.Event{Name: "x"}), queue.ErrDisconnected)
	require.Len(t, l.books["tx"], 2)
}

// For the race detector: everybody publishes and binds.
func TestPublishFromMany(t *testing.T) {
	q, store := open(t, nil)
	another := over(t, store, nil)
	ctx := t.Context()
	require.NoError(t, q.Bind(ctx, "all", queue.All()))
	var everybody sync.WaitGroup
	errs := make(chan error, 1000)
	for g := range 8 {
		everybody.Go(func() {
			for i := range 50 {
				mine := []*queue.Queue{q, another}[i%2]
				errs <- mine.Publish(ctx, queue.Event{Name: fmt.Sprint("n", g)}, queue.Event{Name: "x"})
				if i%10 == 0 {
					errs <- mine.Bind(ctx, fmt.Sprint("q", g, i), queue.Name("never"))
				}
			}
		})
	}
	everybody.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	require.Len(t, items(t, q), 800)
}
