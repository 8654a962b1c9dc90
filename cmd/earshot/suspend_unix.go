//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

func watchResize(c chan<- os.Signal) { signal.Notify(c, syscall.SIGWINCH) }

// suspend stops the program as Ctrl-Z does elsewhere, with all that it is in a pipeline with, and
// returns when it goes on. In raw mode Ctrl-Z is a key like any other.
func suspend() {
	goOn := make(chan os.Signal, 1)
	signal.Notify(goOn, syscall.SIGCONT)
	defer signal.Stop(goOn)
	if syscall.Kill(0, syscall.SIGTSTP) != nil {
		return
	}
	select {
	case <-goOn:
	case <-time.After(200 * time.Millisecond): // there is no shell that could let it go on: it was not stopped
	}
}
