package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// An app is what a command may use of the world, so that a test can give it another one.
type app struct {
	in   io.Reader
	out  io.Writer // data, and nothing else
	err  io.Writer // everything else
	env  func(string) string
	now  func() time.Time
	term terminal

	// What every command's flags may say.
	url   string
	store string // of the queue commands
	json  bool
}

// A terminal is what the app knows about the terminal that it may be connected to.
type terminal struct {
	out    bool // stdout is one
	err    bool // stderr is one
	size   func() (columns, rows int)
	colour bool
}

func newApp() *app {
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.Getenv, now: time.Now}
	a.term = terminal{
		out: term.IsTerminal(int(os.Stdout.Fd())),
		err: term.IsTerminal(int(os.Stderr.Fd())),
		size: func() (int, int) {
			w, h, err := term.GetSize(int(os.Stdout.Fd()))
			if err != nil || w <= 0 || h <= 0 {
				return 80, 24
			}
			return w, h
		},
	}
	// https://no-color.org: set and not empty, whatever it says.
	a.term.colour = a.term.out && a.env("NO_COLOR") == "" && a.env("TERM") != "dumb"
	return a
}

// run does what the command line says and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	name, err := a.dispatch(ctx, args)
	a.report(ctx, name, err)
	return code(ctx, err)
}

// dispatch finds the command and runs it. What stands before the command's name are flags that every
// command has; without a name it is the health that is asked for.
func (a *app) dispatch(ctx context.Context, args []string) (name string, err error) {
	fs := newFlags("")
	version := fs.Bool("version", false, "")
	a.commonFlags(fs)
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return "", a.help(nil)
	} else if err != nil {
		return "", flagError(nil, err)
	}
	rest := fs.Args()
	if *version {
		rest = append([]string{"version"}, rest...)
	}
	if len(rest) == 0 {
		rest = []string{"health"}
	}
	c := find(commands, rest[0])
	if c == nil {
		return "", unknownCommand(commands, rest[0])
	}
	rest = rest[1:]
	for len(c.members) > 0 && err == nil {
		c, rest, err = a.member(c, rest)
	}
	if err == nil {
		err = a.runCommand(ctx, c, rest)
	}
	if errors.Is(err, flag.ErrHelp) {
		err = a.help(c)
	}
	return c.name, err
}

// member finds the command of a family that is meant, and its arguments. What stands before its name are
// flags that all of the family have; without a name it is the first. After an error it is the family.
func (a *app) member(family *command, args []string) (*command, []string, error) {
	fs := newFlags(family.name)
	a.commonFlags(fs)
	family.setup(a, fs)
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return family, nil, err
	} else if err != nil {
		return family, nil, flagError(nil, err)
	}
	args = fs.Args()
	if len(args) == 0 {
		return family.members[0], nil, nil
	}
	if c := find(family.members, args[0]); c != nil {
		return c, args[1:], nil
	}
	return family, nil, unknownCommand(family.members, args[0])
}

func (a *app) runCommand(ctx context.Context, c *command, args []string) error {
	fs := newFlags(c.name)
	a.commonFlags(fs)
	run := c.setup(a, fs)
	args, err := parseMixed(fs, args, c.dashArgs)
	if errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return flagError(c, err)
	}
	if n := len(args); n < c.minArgs {
		return usage("needs %s", c.args)
	} else if c.maxArgs >= 0 && n > c.maxArgs {
		return usage("does not know what to do with %q", args[c.maxArgs])
	}
	return run(ctx, args)
}

// flagError words what package flag has to say.
func flagError(c *command, err error) error {
	text := strings.Replace(err.Error(), "flag provided but not defined:", "there is no flag", 1)
	hint := ""
	if c != nil && c.dashArgs != nil {
		hint = "what begins with a dash and is no flag goes after --"
	}
	return fail(exitUsage, hint, "%s", text)
}

func newFlags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors and help are shown by report and help
	return fs
}

// commonFlags are the flags of all commands. Their defaults are what has been said so far: "earshot
// --json ls" means the same as "earshot ls --json".
func (a *app) commonFlags(fs *flag.FlagSet) {
	fs.StringVar(&a.url, "url", a.url, "`URL` or host:port of the tap page (default $EARSHOT_URL)")
	fs.BoolVar(&a.json, "json", a.json, "write JSON")
}

// parseMixed parses flags wherever they stand among the arguments. An argument that begins with a dash
// and is no flag is an error, unless isArg says that it is an argument, as -chan:debug.* in a filter is.
func parseMixed(fs *flag.FlagSet, args []string, isArg func(string) bool) (rest []string, err error) {
	for len(args) > 0 {
		if arg := args[0]; arg == "--" {
			return append(rest, args[1:]...), nil
		} else if !strings.HasPrefix(arg, "-") || arg == "-" || isArg != nil && !isFlag(fs, arg) && isArg(arg) {
			rest, args = append(rest, arg), args[1:]
			continue
		}
		// Parse takes this flag and what follows up to the next argument, which may be one of isArg's:
		// so it gets one flag at a time.
		n := 1
		if needsValue(fs, args[0]) && len(args) > 1 {
			n = 2
		}
		if err := fs.Parse(args[:n]); err != nil {
			return nil, err
		}
		args = args[n:]
	}
	return rest, nil
}

func lookup(fs *flag.FlagSet, arg string) *flag.Flag {
	name := strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-")
	name, _, _ = strings.Cut(name, "=")
	return fs.Lookup(name)
}

func isFlag(fs *flag.FlagSet, arg string) bool {
	return lookup(fs, arg) != nil || arg == "-h" || arg == "-help"
}

func needsValue(fs *flag.FlagSet, arg string) bool {
	f := lookup(fs, arg)
	if f == nil || strings.Contains(arg, "=") {
		return false
	}
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return !ok || !b.IsBoolFlag()
}

// notef writes one line for people.
func (a *app) notef(format string, args ...any) { fmt.Fprintf(a.err, format+"\n", args...) }

// width is how wide a table may be, 0 for as wide as it likes: only a person has a screen.
func (a *app) width() int {
	if !a.term.out {
		return 0
	}
	w, _ := a.term.size()
	return w
}
