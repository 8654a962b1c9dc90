package queue_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/queue"
	"github.com/earshot-go/earshot/queue/memstore"
)

// Two processes share the work of a queue. One of them loses its wire for good, and the other does what it has left.
func TestOneOfTwoCrashes(t *testing.T) {
	for name, crash := range map[string]func(context.Context, string, func() error) error{
		"silent": silent, "disconnected": answers(queue.ErrDisconnected),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				engine := memstore.New(nil)
				a, b := newSpy(engine), newSpy(engine)
				qa, qb := over(t, a, nil), over(t, b, nil)
				ctx := t.Context()
				var mu sync.Mutex
				done := map[string]int{}
				handler := func(ctx context.Context, l queue.Leased) error {
					select {
					case <-ctx.Done():
						return context.Cause(ctx)
					case <-time.After(time.Second):
					}
					mu.Lock()
					defer mu.Unlock()
					done[l.ID]++
					return nil
				}
				work := queue.Work{Concurrency: 4, TTL: 10 * time.Second}
				require.NoError(t, qa.Subscribe(ctx, "q", queue.All(), handler, work))
				require.NoError(t, qb.Subscribe(ctx, "q", queue.All(), handler, work))
				for range 100 {
					require.NoError(t, qb.Publish(ctx, queue.Event{Name: "x"}))
				}
				time.Sleep(3500 * time.Millisecond)
				synctest.Wait()
				require.EqualValues(t, 12, qa.Counts().Done)
				require.EqualValues(t, 12, qb.Counts().Done, "they share the work")
				a.when(crash)
				time.Sleep(time.Minute)
				synctest.Wait()
				require.Len(t, done, 100)
				twice := 0
				for _, n := range done {
					twice += n - 1
				}
				require.Equal(t, 4, twice, "what was under way is done again, and nothing else")
				require.Empty(t, items(t, qb))
			})
		})
	}
}

// a run is the time in which a handler had an item and could think that it was its own.
type run struct{ from, to time.Time }

// A record has what happened to items.
type record struct {
	mu     sync.Mutex
	stored map[string]bool  // by the ID of the event; Publish has answered nil
	done   map[string]int   // by the ID of the item
	runs   map[string][]run // by the ID of the item, and by its Serial
}

func (r *record) handler(random func(int) int) queue.Handler {
	return func(ctx context.Context, l queue.Leased) error {
		from := time.Now()
		ended := make(chan time.Time, 1)
		stop := context.AfterFunc(ctx, func() { ended <- time.Now() })
		defer func() {
			to := time.Now()
			if !stop() {
				to = <-ended
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.runs[l.ID] = append(r.runs[l.ID], run{from, to})
			if l.Serial != "" {
				r.runs["serial "+l.Serial] = append(r.runs["serial "+l.Serial], run{from, to})
			}
		}()
		takes := time.Duration(random(500)) * time.Millisecond
		if random(20) == 0 {
			takes *= 40
		}
		switch random(20) {
		case 0:
			time.Sleep(takes) // deaf
		default:
			select {
			case <-time.After(takes):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		switch random(20) {
		case 0:
			return errors.New("it did not work out")
		case 1:
			return queue.Later(time.Duration(random(5)) * time.Second)
		case 2:
			panic("oh")
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.done[l.ID]++
		return nil
	}
}

// A thousand times something happens to the store, the wires or the processes. In the end everything is done that Publish
// has answered for, and nothing was worked on by two at the same time, unless the first had lost its lease.
func TestOutages(t *testing.T) {
	seed := rand.Uint64()
	if text := os.Getenv("EARSHOT_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("EARSHOT_SEED=%d", seed)
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		source := rand.New(rand.NewPCG(seed, 0))
		random := func(n int) int {
			mu.Lock()
			defer mu.Unlock()
			return source.IntN(n)
		}
		o := &outages{T: t, random: random, engine: memstore.New(nil), rec: record{stored: map[string]bool{}, done: map[string]int{}, runs: map[string][]run{}}}
		for range 3 {
			o.start()
		}
		stop := make(chan struct{})
		var publishers sync.WaitGroup
		for p := range 3 {
			publishers.Go(func() { o.publish(p, stop) })
		}
		for range 1000 {
			o.disturb()
		}
		close(stop)
		publishers.Wait()
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		o.check()
	})
}

type outages struct {
	*testing.T
	random  func(int) int
	engine  *memstore.Store
	rec     record
	procs   [3]process // those that live; guarded by mu
	started int
	mu      sync.Mutex
}

type process struct {
	spy *spy
	q   *queue.Queue
}

// start starts a process in place of the oldest.
func (o *outages) start() {
	p := process{spy: newSpy(o.engine)}
	p.q = over(o.T, p.spy, &queue.Options{Worker: fmt.Sprint("w", o.started)})
	for {
		err := p.q.Subscribe(context.Background(), "q", queue.All(), o.rec.handler(o.random),
			queue.Work{Concurrency: 4, TTL: 10 * time.Second, Backoff: queue.Exponential(time.Second, 10*time.Second)})
		if err == nil {
			break
		}
		time.Sleep(time.Second)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.procs[o.started%len(o.procs)] = p
	o.started++
}

func (o *outages) publish(p int, stop <-chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(o.random(2000)) * time.Millisecond):
		}
		o.mu.Lock()
		q := o.procs[p].q
		o.mu.Unlock()
		ev := queue.Event{ID: fmt.Sprint(p, " ", i), Name: "x", MaxFails: -1}
		if o.random(3) == 0 {
			ev.Serial = fmt.Sprint(o.random(4))
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(o.random(5000))*time.Millisecond)
		err := q.Publish(ctx, ev)
		if err != nil && o.random(2) == 0 {
			err = q.Publish(ctx, ev) // the same again
		}
		cancel()
		if err == nil {
			o.rec.mu.Lock()
			o.rec.stored[ev.ID] = true
			o.rec.mu.Unlock()
		}
	}
}

// disturb does something to the store or to a process, for a while.
func (o *outages) disturb() {
	o.mu.Lock()
	p := o.procs[o.random(len(o.procs))]
	oldest := o.procs[o.started%len(o.procs)]
	o.mu.Unlock()
	while := func() {
		d := time.Duration(o.random(3000)) * time.Millisecond
		if o.random(4) == 0 {
			d *= 6
		}
		time.Sleep(d)
	}
	switch o.random(9) {
	case 0:
		o.engine.Fail(queue.ErrDisconnected)
		while()
		o.engine.Fail(nil)
	case 1:
		o.engine.FailAnswers(queue.ErrDisconnected)
		while()
		o.engine.FailAnswers(nil)
	case 2:
		o.engine.Freeze()
		while()
		o.engine.Thaw()
	case 3:
		p.spy.when(answers(queue.ErrDisconnected))
		while()
		p.spy.when(nil)
	case 4:
		back := make(chan struct{})
		p.spy.when(func(ctx context.Context, _ string, _ func() error) error {
			select {
			case <-back:
				return queue.ErrDisconnected
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
		while()
		p.spy.when(nil)
		close(back)
	case 5:
		p.spy.when(func(_ context.Context, _ string, do func() error) error {
			switch o.random(4) {
			case 0:
				return queue.ErrDisconnected
			case 1:
				do()
				return queue.ErrDisconnected
			}
			return do()
		})
		while()
		p.spy.when(nil)
	case 6:
		p.spy.when(func(_ context.Context, _ string, do func() error) error {
			time.Sleep(time.Duration(o.random(2000)) * time.Millisecond)
			err := do()
			time.Sleep(time.Duration(o.random(2000)) * time.Millisecond)
			return err
		})
		while()
		p.spy.when(nil)
	case 7: // a process ends in an orderly way, with little time
		if o.random(5) == 0 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(o.random(1000))*time.Millisecond)
			oldest.q.Close(ctx)
			cancel()
			o.start()
		}
	case 8: // or in another one
		if o.random(5) == 0 {
			oldest.spy.when(silent)
			o.start()
		}
	}
	time.Sleep(time.Duration(o.random(3000)) * time.Millisecond)
}

func (o *outages) check() {
	o.rec.mu.Lock()
	defer o.rec.mu.Unlock()
	left, err := o.engine.Find(context.Background(), queue.Query{})
	require.NoError(o, err)
	require.Empty(o, left, "everything is done")
	require.Greater(o, len(o.rec.stored), 1000)
	for id := range o.rec.stored {
		require.NotZero(o, o.rec.done[queue.ItemID(id, "q")], "event %s was stored and is lost", id)
	}
	again := 0
	for _, n := range o.rec.done {
		again += n - 1
	}
	for id, runs := range o.rec.runs { // stores count microseconds
		slices.SortFunc(runs, func(a, b run) int { return a.from.Compare(b.from) })
		for i := 1; i < len(runs); i++ {
			require.False(o, runs[i].from.Before(runs[i-1].to.Truncate(time.Microsecond)), "%s: two at a time: %v and %v", id, runs[i-1], runs[i])
		}
	}
	o.Logf("%d events stored, %d items done, %d of them more than once, %d processes", len(o.rec.stored), len(o.rec.done), again, o.started)
}
