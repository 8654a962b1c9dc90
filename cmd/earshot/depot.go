package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/queue"
)

const (
	farewell   = 300 * time.Millisecond // how long the end of the command may wait for the store
	findAtOnce = 100                    // payloads may be large, and come along
)

// noteAfter is when a call that has no answer yet is spoken of. A test has less patience.
var noteAfter = time.Second

// A depot is the store that a command looks into.
type depot struct {
	app     *app
	command string
	address string
	shown   string // the address without its password
	store   queue.Store
	waited  bool // the user knows that the store is slow
}

// depot opens the store that the flags and the environment name. Nothing is connected yet.
func (a *app) depot(command string) (*depot, error) {
	d := &depot{app: a, command: command, address: a.store}
	if d.address == "" {
		d.address = a.env("EARSHOT_STORE")
	}
	if d.address == "" {
		return nil, fail(exitUsage, "--store sqlite:jobs.db, or EARSHOT_STORE; the scheme may be redis, postgres or mongodb as well", "no store is named")
	}
	d.shown = bus.Redact(d.address)
	var err error
	if d.store, err = queue.Open(d.address); err != nil {
		what, _, _ := strings.Cut(d.words(err), "; an engine is known") // which is for programmers
		return nil, fail(exitUsage, "", "%s", what)
	}
	if err := d.missing(); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// missing returns an error if the store is a file that is not there: a store makes its file when it is asked
// for the first time, and one that is only looked at should not come to be.
func (d *depot) missing() error {
	named, ok := d.store.(fmt.Stringer)
	if !ok {
		return nil
	}
	u, err := url.Parse(named.String())
	if err != nil || u.Scheme != "sqlite" {
		return nil
	}
	if _, err := os.Stat(u.Path); errors.Is(err, fs.ErrNotExist) {
		return fail(exitConnect, "it is made by the program that uses it; a path without a slash in front begins at the working directory",
			"%s: no such file: %s", d.shown, u.Path)
	}
	return nil
}

func (d *depot) close() {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	d.store.Close(ctx) // what cannot end in time ends with the process
}

// words are what an error says, without the address as it was given.
func (d *depot) words(err error) string { return strings.ReplaceAll(err.Error(), d.address, d.shown) }

// explain says what went wrong, and what to do.
func (d *depot) explain(err error) error {
	code, hint := exitFailed, ""
	switch {
	case err == nil:
		return nil
	case errors.Is(err, queue.ErrDisconnected):
		code, hint = exitConnect, "is it running, and can it be reached from here? --store or EARSHOT_STORE names another one"
	case errors.Is(err, queue.ErrDenied):
		code, hint = exitRefused, "what this user may do is decided there: by the server's users, or the rights of the file"
	case errors.Is(err, queue.ErrInvalid), errors.Is(err, queue.ErrScheme):
		code = exitUsage
	case errors.Is(err, queue.ErrDamaged):
		hint = "if a newer version of earshot has written it, update this program"
	}
	return fail(code, hint, "%s", d.words(err))
}

// able returns what the store can do besides, or an error that says that it cannot.
func able[T any](d *depot, what string) (T, error) {
	ability, ok := d.store.(T)
	if !ok {
		return ability, fail(exitFailed, "an item can still be worked on; see the package of the store for what it can do",
			"%s: %v: it cannot %s", d.shown, queue.ErrUnsupported, what)
	}
	return ability, nil
}

// ask makes one call of the store. It ends at once when ctx does, whatever the store is at, and a store that
// is slow is spoken of.
func ask[T any](ctx context.Context, d *depot, call func(context.Context) (T, error)) (T, error) {
	type answer struct {
		v   T
		err error
	}
	answers := make(chan answer, 1)
	go func() { // ends with the call, which ctx ends
		v, err := call(ctx)
		answers <- answer{v, err}
	}()
	slow := time.NewTimer(noteAfter)
	defer slow.Stop()
	for {
		select {
		case got := <-answers:
			if got.err != nil && ctx.Err() != nil {
				return got.v, context.Cause(ctx)
			}
			return got.v, d.explain(got.err)
		case <-ctx.Done():
			var none T
			return none, context.Cause(ctx)
		case <-slow.C:
			if !d.waited {
				d.app.notef("[%s] waiting for %s", d.command, clean(d.shown))
			}
			d.waited = true
		}
	}
}

// now is the store's time: by it items are due.
func (d *depot) now(ctx context.Context) (time.Time, error) {
	clock, ok := d.store.(queue.Clock)
	if !ok {
		return d.app.now(), nil
	}
	return ask(ctx, d, clock.Now)
}

// find calls keep with items, and returns the cursor of the last one if there are more than the limit.
func (d *depot) find(ctx context.Context, q queue.Query, limit int, keep func(*queue.Record) error) (next string, err error) {
	finder, err := able[queue.Finder](d, "find items")
	if err != nil {
		return "", err
	}
	for n := 0; ; {
		q.Limit = min(limit+1-n, findAtOnce) // one more: is there any?
		page, err := ask(ctx, d, func(ctx context.Context) ([]queue.Record, error) { return finder.Find(ctx, q) })
		if err != nil {
			return "", err
		}
		for i := range page {
			if n == limit {
				return q.After, nil
			}
			if err := keep(&page[i]); err != nil {
				return "", err
			}
			q.After = page[i].Cursor
			n++
		}
		if len(page) < q.Limit {
			return "", nil
		}
	}
}

// one returns the item of an ID, or nil.
func (d *depot) one(ctx context.Context, id string) (found *queue.Record, err error) {
	_, err = d.find(ctx, queue.Query{ID: id}, 1, func(r *queue.Record) error {
		found = r
		return nil
	})
	return found, err
}

// stats counts the items of one queue, or of all.
func (d *depot) stats(ctx context.Context, only string) (queue.Stats, error) {
	statter, err := able[queue.Statter](d, "count items")
	if err != nil {
		return queue.Stats{}, err
	}
	all, err := ask(ctx, d, statter.Stats)
	if err != nil || only == "" {
		return all, err
	}
	some := queue.Stats{Now: all.Now}
	for _, s := range all.Queues {
		if s.Queue == only {
			some.Queues = append(some.Queues, s)
		}
	}
	return some, nil
}

// noteUnknown tells of a queue that the store does not know, since its name may be a slip.
func (d *depot) noteUnknown(s queue.Stats, only string) {
	if only != "" && len(s.Queues) == 0 {
		d.app.notef("[%s] the store knows no queue \"%s\": it has no items, and nothing is bound to it", d.command, clean(only))
	}
}
