package main

import (
	"context"
	"flag"
	"strings"
)

// A command is a row in the table from which the dispatch, the help and the completions are made.
type command struct {
	name     string
	args     string // as in the usage line
	summary  string // one line
	doc      string // more about it, a few lines; may be empty
	examples []example
	minArgs  int
	maxArgs  int               // -1: any number
	local    bool              // talks to no server, so that --url is of no use
	choices  []string          // what the first argument may be, for completions
	dashArgs func(string) bool // which arguments may begin with a dash

	// setup defines the command's flags and returns what it does.
	setup func(*app, *flag.FlagSet) func(ctx context.Context, args []string) error
}

// An example is a command line and what it is for.
type example struct{ line, does string }

// commands is filled in by init, since help and completion are in it and look at it.
var commands []*command

func init() {
	commands = []*command{
		healthCommand, tapCommand, topCommand, lsCommand, showCommand, slowCommand, emitCommand,
		demoCommand, doctorCommand, benchCommand, completionCommand, versionCommand, helpCommand,
	}
}

func find(name string) *command {
	for _, c := range commands {
		if c.name == name {
			return c
		}
	}
	return nil
}

func unknownCommand(name string) error {
	hint := ""
	if near := nearest(name); near != "" {
		hint = `did you mean "earshot ` + near + `"?`
	}
	return fail(exitUsage, hint, "there is no command \"%s\"", clean(name))
}

// nearest returns the command that somebody who typed name may have meant.
func nearest(name string) string {
	best, least := "", 3 // more than two letters wrong is another word
	for _, c := range commands {
		if len(name) > 1 && strings.HasPrefix(c.name, name) {
			return c.name
		}
		if d := distance(name, c.name); d < least && d < len(c.name) {
			best, least = c.name, d
		}
	}
	return best
}

// distance is how many letters must be added, removed or replaced to make b of a.
func distance(a, b string) int {
	if len(a) > 40 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left := row[0] // of the row above
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			cost := left
			if a[i] != b[j] {
				cost++
			}
			row[j+1] = min(above+1, row[j]+1, cost)
			left = above
		}
	}
	return row[len(b)]
}
