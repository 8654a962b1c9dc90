// Httpserver is a web server whose requests are events.
//
// It begins with a tour: it measures what the events cost while nobody listens, while somebody does, and
// while somebody has subscribed and never reads, and shows some of them as they come. Then it is a
// playground until Ctrl-C: every request to it is printed while the tap is on.
//
//	go run ./examples/httpserver
//	go run ./examples/httpserver -once                   only the tour
//	go run ./examples/httpserver -listen 127.0.0.1:8080
//
// What to copy is in app.go: the event, its channel, and the middleware that sends it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

type config struct {
	listen string
	once   bool
	tour   time.Duration // how long to measure
}

func main() {
	var cfg config
	flag.StringVar(&cfg.listen, "listen", "127.0.0.1:0", "`address` to serve at; port 0 is any free port")
	flag.BoolVar(&cfg.once, "once", false, "end after the tour")
	flag.DurationVar(&cfg.tour, "tour", 4*time.Second, "how long to measure")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := run(ctx, cfg, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "httpserver:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, or the tour if that is all that is asked for. What it has to say goes to
// out, signs of life to progress.
func run(ctx context.Context, cfg config, out, progress io.Writer) (err error) {
	l, err := net.Listen("tcp", cfg.listen)
	if err != nil {
		return err
	}
	a := newApp(out)
	srv := &http.Server{Handler: a.handler(), ReadHeaderTimeout: 5 * time.Second}
	srv.RegisterOnShutdown(func() { a.page.Close() }) // its streams would have Shutdown wait
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	wg.Go(func() { cancel(srv.Serve(l)) })
	printing := false
	defer func() {
		// First the requests, then the events that they sent, then those who print them.
		grace, done := context.WithTimeout(context.Background(), 5*time.Second)
		defer done()
		if !printing {
			a.console.Close() // Shutdown would wait for somebody to read
		}
		err = errors.Join(err, srv.Shutdown(grace), a.shutdown(grace))
		wg.Wait()
	}()

	url := "http://" + l.Addr().String()
	t := &tour{app: a, url: url, out: out, progress: progress, client: &http.Client{Transport: &http.Transport{}}}
	defer t.client.CloseIdleConnections()
	if err := t.run(ctx, cfg.tour); err != nil {
		return unlessInterrupted(ctx, err)
	}
	if cfg.once {
		return nil
	}
	if err := a.tapOn(); err != nil {
		return err
	}
	fmt.Fprintf(out, `
Playground at %[1]s/ until Ctrl-C. The tap is on.

  curl %[1]s/hello/you    any request is printed here
  curl %[1]s/tap/off      the next ones are not (/tap/on)
  curl %[1]s/stuck/on     one that never reads (/stuck/off)
  curl %[1]s/stats        who listens, and what they missed
  %[1]s/debug/earshot/    the live page, for a browser

`, url)
	wg.Go(a.print)
	printing = true
	<-ctx.Done()
	fmt.Fprintln(progress, "\nshutting down")
	return unlessInterrupted(ctx, context.Cause(ctx))
}

// unlessInterrupted returns err, or nil if it is only that somebody has pressed Ctrl-C.
func unlessInterrupted(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return nil
	}
	return err
}
