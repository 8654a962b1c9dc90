package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// The exit codes. Scripts rely on them, and "earshot help" lists them.
const (
	exitOK          = 0
	exitFailed      = 1   // it was tried, and did not work; or doctor has found a fault
	exitUsage       = 2   // the command line, or the filter, makes no sense
	exitConnect     = 3   // nobody answers at the URL
	exitRefused     = 4   // the server does not allow it
	exitIncomplete  = 5   // tap --strict, and events were shed
	exitInterrupted = 130 // Ctrl-C
)

// A failure is an error that knows its exit code, and what to do about it.
type failure struct {
	code int
	what string
	hint string // what to do; may be several lines; empty if there is nothing to say
}

func (f *failure) Error() string { return f.what }

func fail(code int, hint, format string, args ...any) error {
	return &failure{code, fmt.Sprintf(format, args...), hint}
}

func usage(format string, args ...any) error {
	return fail(exitUsage, "", format, args...)
}

// errHelp is what a command returns that has shown its help.
var errHelp = errors.New("help was shown")

// code returns the exit code for what a command returned.
func code(ctx context.Context, err error) int {
	var f *failure
	var sig interrupted
	switch {
	// Whoever reads our output has seen enough: "earshot tap | head -1" has worked.
	case err == nil, errors.Is(err, errHelp), errors.Is(err, syscall.EPIPE):
		return exitOK
	case errors.As(err, &f):
		return f.code
	case errors.As(err, &sig), ctx.Err() != nil && errors.As(context.Cause(ctx), &sig):
		return sig.code()
	}
	return exitFailed
}

// report writes an error as people read it, unless it is one that needs no words.
func (a *app) report(ctx context.Context, name string, err error) {
	var sig interrupted
	var f *failure
	if err == nil || errors.Is(err, errHelp) || errors.Is(err, syscall.EPIPE) {
		return
	}
	if !errors.As(err, &f) && (errors.As(err, &sig) || ctx.Err() != nil) {
		return
	}
	if f != nil && f.what == "" { // the data has said it
		return
	}
	who := "earshot"
	if name != "" {
		who += " " + name
	}
	a.notef("%s: %s", who, cleanLines(err.Error()))
	if f == nil {
		return
	}
	for line := range strings.SplitSeq(f.hint, "\n") {
		if line != "" {
			a.notef("  %s", cleanLines(line))
		}
	}
	if f.code == exitUsage {
		a.notef("  \"%s\" has the flags and examples", strings.TrimSpace("earshot help "+name))
	}
}
