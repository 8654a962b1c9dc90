// Command earshot looks into a running program through its tap page, and shows what its channels do.
//
//	earshot                      is all well? one screen
//	earshot tap 'chan:orders.*'  the events, as they are sent
//	earshot top                  who sends, who listens, who is slow; full screen
//	earshot demo                 a server with traffic, to try all this on
//	earshot help                 everything else
//
// The program has to mount the page, which is one line of Go:
//
//	mux.Handle("/debug/earshot/", tap.Handler(srv, nil))
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(realMain(os.Args[1:])) }

// realMain is main with an exit code, so that the tests can be this program.
func realMain(args []string) int {
	// With a handler of our own, writing to a pipe whose reader has left is an error to deal with (see
	// code), not the silent death of the process before its summary is out.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	ctx, stop := untilSignal(context.Background())
	defer stop()
	return newApp().run(ctx, args)
}

// An interrupted is the cause of a context that a signal has ended.
type interrupted struct{ sig os.Signal }

func (i interrupted) Error() string { return fmt.Sprintf("interrupted by signal: %v", i.sig) }

// code is what a shell expects of a program that a signal has ended.
func (i interrupted) code() int {
	if n, ok := i.sig.(syscall.Signal); ok {
		return 128 + int(n)
	}
	return exitInterrupted
}

// untilSignal returns a context that ends with the first signal, with an interrupted as its cause. A
// second signal then ends the program at once.
func untilSignal(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	watched := []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}
	signal.Notify(signals, watched...)
	go func() { // ends with ctx, which stop ends
		select {
		case sig := <-signals:
			signal.Stop(signals)
			cancel(interrupted{sig})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}
