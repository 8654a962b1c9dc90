// Dbhooks is a small key-value store with hooks that cost nothing until somebody listens.
//
// It shows a debug tap on "db.**" that comes and goes, totals that are sampled only while somebody wants
// them, a watcher for slow queries that survives its own bug, and what an operation costs with and
// without all that.
//
//	go run ./examples/dbhooks
//	go run ./examples/dbhooks -watch    and then goes on until Ctrl-C
//
// What to copy is in store.go: the events, their channels, and where they are sent.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/earshot-go/earshot"
)

const keys = 20_000 // as many as the store holds

func main() {
	watch := flag.Bool("watch", false, "go on until Ctrl-C")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := run(ctx, os.Stdout, time.Second, *watch); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "dbhooks:", err)
		os.Exit(1)
	}
}

// run shows everything once, and if watch is true goes on until ctx ends.
func run(ctx context.Context, out io.Writer, measure time.Duration, watch bool) (err error) {
	s := earshot.NewServer(nil)
	defer func() { err = errors.Join(err, s.Shutdown(ctx)) }()
	st := Open(s, keys)
	for i := range keys {
		st.Put(key(i), "some value")
	}
	d := &demo{srv: s, store: st, out: out}
	steps := []func(context.Context) error{
		d.tap,
		d.watchSlow,
		func(ctx context.Context) error { return d.cost(ctx, measure) },
	}
	if watch {
		steps = append(steps, d.watch)
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// A demo uses a store, and listens to it.
type demo struct {
	srv   *earshot.Server
	store *Store
	out   io.Writer
	done  int // pieces of work
}

// tap listens to everything that the store does for a third of a second.
func (d *demo) tap(ctx context.Context) error {
	fmt.Fprintf(d.out, "A store with %d keys\n\n", keys)
	d.ears()
	fmt.Fprint(d.out, "\nA tap on \"db.**\" comes\n\n")
	if err := d.listen(ctx, func() error { return d.work(ctx, 24, 15*time.Millisecond) }); err != nil {
		return err
	}
	fmt.Fprint(d.out, "\nand goes\n\n")
	d.ears()
	return nil
}

// ears says who listens, and how often the totals were sampled for them.
func (d *demo) ears() {
	fmt.Fprintf(d.out, "  listening to db.get: %v, to db.stats: %v; samples for db.stats: %d\n",
		d.store.onGet.Listening(), d.store.onStats.Listening(), d.store.samples.Load())
}

// listen prints all events of the store until the function has returned.
func (d *demo) listen(ctx context.Context, while func() error) error {
	m := earshot.NewMailbox[any](ctx, d.srv, &earshot.MailboxOptions{Name: "tap"})
	defer m.Close()
	if _, err := m.SubscribePattern("db.**"); err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for name, msg := range m.Named(ctx) {
			fmt.Fprintf(d.out, "  %-9v %v\n", name, msg.Event)
		}
	})
	err := while()
	return errors.Join(err, d.srv.Sync(ctx), m.Close()) // the rest is printed before the tap goes
}

// work uses the store now and then.
func (d *demo) work(ctx context.Context, steps int, pace time.Duration) error {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for range steps {
		i := d.done
		d.done++
		switch i % 6 {
		case 0:
			d.store.Get(key(i))
		case 2:
			d.store.Get("user/nobody")
		case 3:
			d.store.Put(key(i), "another value")
		case 4:
			d.store.Put(fmt.Sprintf("new/%d", i), "pushes the oldest out")
		case 5:
			d.store.Scan("user/77")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// slow is how long a scan may take. All of this store's do: it has no index.
const slow = 50 * time.Microsecond

// watchSlow reports slow scans, by a handler that has a bug: it panics when a scan has found nothing.
// It is started again, and goes on with the next event.
func (d *demo) watchSlow(ctx context.Context) error {
	fmt.Fprintf(d.out, "\nA watcher reports scans that take longer than %v\n\n", slow)
	failures := earshot.NewMailbox[earshot.Lifecycle](ctx, d.srv, nil)
	defer failures.Close()
	if _, err := d.srv.Lifecycle().Subscribe(failures); err != nil {
		return err
	}
	handle := func(_ context.Context, msg earshot.Message[Scan]) error {
		e := msg.Event
		perKey := e.Took.Nanoseconds() / int64(e.Found)
		if e.Took > slow {
			fmt.Fprintf(d.out, "  slow:   %-9s %6v, %d ns for each of %d keys\n", e.Prefix+"*", e.Took.Round(time.Microsecond), perKey, e.Found)
		}
		return nil
	}
	ref, err := d.store.onScan.Handle(ctx, handle, &earshot.SpawnOptions{
		Name:    "slow scans",
		Restart: earshot.Restart{Max: 3, Within: time.Second},
	})
	if err != nil {
		return err
	}
	d.store.Scan("user/1")
	d.store.Scan("nobody/")
	for msg := range failures.Messages(ctx) {
		if e := msg.Event; e.Kind == earshot.Failed {
			var panicked *earshot.PanicError
			if errors.As(e.Reason, &panicked) {
				fmt.Fprintf(d.out, "  failed: %s: %v; starts again\n", e.Subscriber, panicked.Value)
			}
			break
		}
	}
	failures.Close() // Sync would wait for somebody to read the rest
	d.store.Scan("user/")
	d.store.Scan("user/777")
	return errors.Join(d.srv.Sync(ctx), d.srv.Unsubscribe(ref))
}

// watch goes on using the store, with a tap that comes and goes.
func (d *demo) watch(ctx context.Context) error {
	fmt.Fprintln(d.out, "\nThe store is in use until Ctrl-C; the tap comes every other two seconds.")
	for {
		fmt.Fprintln(d.out)
		if err := d.listen(ctx, func() error { return d.work(ctx, 20, 100*time.Millisecond) }); err != nil {
			return err
		}
		if err := d.work(ctx, 20, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

func key(i int) string { return fmt.Sprintf("user/%d", i) }
