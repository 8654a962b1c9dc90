package main

import (
	"context"
	"flag"
	"strings"
)

// A command is a row in the table from which the dispatch, the help and the completions are made.
type command struct {
	name     string // with that of its family: "queue ls"
	args     string // as in the usage line
	summary  string // one line
	doc      string // more about it, a few lines; may be empty
	examples []example
	minArgs  int
	maxArgs  int               // -1: any number
	local    bool              // does not look at the tap page, so that --url is of no use
	choices  []string          // what the first argument may be, for completions
	dashArgs func(string) bool // which arguments may begin with a dash

	// A family has members in place of something to do; its setup defines the flags that all of them have.
	members []*command

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
		queueCommand, demoCommand, doctorCommand, benchCommand, completionCommand, versionCommand, helpCommand,
	}
}

// find returns the one of the commands that is meant by a word, or nil.
func find(among []*command, word string) *command {
	for _, c := range among {
		if c.last() == word {
			return c
		}
	}
	return nil
}

// flatten returns commands with the members of families after them.
func flatten(list []*command) (all []*command) {
	for _, c := range list {
		all = append(append(all, c), flatten(c.members)...)
	}
	return all
}

// last returns the last word of the name: what the command is called in its family.
func (c *command) last() string { return c.name[strings.LastIndexByte(c.name, ' ')+1:] }

func lastWords(list []*command) (words []string) {
	for _, c := range list {
		words = append(words, c.last())
	}
	return words
}

// unknownCommand says that none of the commands has that name.
func unknownCommand(among []*command, name string) error {
	hint := ""
	words := lastWords(among)
	family := strings.TrimSuffix(among[0].name, words[0])
	if near := nearest(words, name); near != "" {
		hint = `did you mean "earshot ` + family + near + `"?`
	}
	return fail(exitUsage, hint, "there is no command \"%s\"", clean(family+name))
}

// nearest returns the word that somebody who typed name may have meant.
func nearest(words []string, name string) string {
	best, least := "", 3 // more than two letters wrong is another word
	for _, w := range words {
		if len(name) > 1 && strings.HasPrefix(w, name) {
			return w
		}
		if d := distance(name, w); d < least && d < len(w) {
			best, least = w, d
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
