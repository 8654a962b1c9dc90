package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/earshot-go/earshot"
	"github.com/earshot-go/earshot/cmd/earshot/internal/shop"
	"github.com/earshot-go/earshot/tap"
)

var demoCommand = &command{
	name: "demo", summary: "a server with traffic to look at: a small shop, until Ctrl-C", local: true,
	doc: "Nothing in it is real but the events. Payloads are permitted, and so is \"earshot emit\", to\nprograms on this machine. A subscriber hangs for some seconds each minute: find it.",
	examples: []example{
		{"earshot demo", "prints the URL of its page, and where to begin"},
		{"earshot demo --listen 127.0.0.1:0 --rate 200", "any free port, and a busy day"},
	},
	setup: func(a *app, fs *flag.FlagSet) func(context.Context, []string) error {
		listen := fs.String("listen", "127.0.0.1:8125", "`ADDRESS` to serve at; port 0 is any free port")
		rate := fs.Float64("rate", 2, "orders a second; each comes with some thirty other events")
		return func(ctx context.Context, _ []string) error {
			return a.demo(ctx, *listen, *rate)
		}
	},
}

func (a *app) demo(ctx context.Context, listen string, rate float64) (err error) {
	if !(rate > 0) || rate > 10_000 {
		return usage("--rate %v: more than 0 and at most 10000 orders a second", rate)
	}
	l, err := net.Listen("tcp", listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fail(exitFailed, "\"--listen 127.0.0.1:0\" takes any free port; perhaps a demo is running already", "%s is taken", clean(listen))
	} else if err != nil {
		return fail(exitFailed, "", "%v", err)
	}
	srv := earshot.NewServer(nil)
	defer func() { // the senders are gone by then
		grace, done := context.WithTimeout(context.Background(), 5*time.Second)
		defer done()
		err = errors.Join(err, srv.Shutdown(grace))
	}()
	sh, err := shop.New(srv, shop.Options{Rate: rate, Seed: uint64(time.Now().UnixNano())})
	if err != nil {
		return errors.Join(err, l.Close())
	}

	page := tap.Handler(srv, &tap.Options{Allow: tap.Loopback(tap.Look | tap.Payloads | tap.Emit)})
	mux := http.NewServeMux()
	mux.Handle(defaultPath, page)
	mux.Handle("GET /{$}", http.RedirectHandler(defaultPath, http.StatusSeeOther))
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	web.RegisterOnShutdown(func() { page.Close() })

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	wg.Go(func() { cancel(web.Serve(l)) })
	wg.Go(func() { sh.Run(ctx) })
	err = a.announce("http://"+l.Addr().String()+defaultPath, rate)
	if err == nil {
		<-ctx.Done()
		a.notef("[demo] stopping")
	} else {
		cancel(err)
	}
	grace, done := context.WithTimeout(context.Background(), 5*time.Second)
	defer done()
	err = errors.Join(err, web.Shutdown(grace), page.Close())
	wg.Wait()
	// Ctrl-C is how a server is ended, and no failure.
	var sig interrupted
	if cause := context.Cause(ctx); err == nil && !errors.As(cause, &sig) && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return err
}

// announce tells where the page is: the URL alone as data, the rest for people.
func (a *app) announce(url string, rate float64) error {
	if a.json {
		return a.writeJSON(map[string]any{"url": url, "pid": os.Getpid(), "rate": rate})
	}
	if _, err := fmt.Fprintln(a.out, url); err != nil {
		return err
	}
	at := ""
	if url != defaultURL {
		at = " --url " + url
	}
	for _, line := range []string{
		"[demo] open it in a browser, or in another terminal:",
		"[demo]   earshot" + at,
		"[demo]   earshot tap" + at + " 'chan:orders.* amount>5000'",
		"[demo]   earshot top" + at,
		"[demo]   earshot slow" + at + " --watch",
		"[demo] Ctrl-C stops it",
	} {
		a.notef("%s", line)
	}
	return nil
}
