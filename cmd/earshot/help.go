package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
)

var helpCommand = &command{
	name: "help", args: "[COMMAND]", summary: "what there is, or one command with examples",
	maxArgs: -1, local: true,
	examples: []example{
		{"earshot help", "all commands"},
		{"earshot help tap", "one of them; \"earshot tap -h\" is the same"},
	},
	setup: func(a *app, _ *flag.FlagSet) func(context.Context, []string) error {
		return func(_ context.Context, args []string) error {
			var c *command
			for among := commands; len(args) > 0; among, args = c.members, args[1:] {
				if len(among) == 0 {
					return usage("does not know what to do with \"%s\"", clean(args[0]))
				}
				if c = find(among, args[0]); c == nil {
					return unknownCommand(among, args[0])
				}
			}
			return a.help(c)
		}
	},
}

// help writes the help for a command, or for all of them if it is nil, to stdout: it is what was asked for.
func (a *app) help(c *command) error {
	if a.json {
		return a.helpJSON(c)
	}
	var b strings.Builder
	if c != nil {
		c.help(&b, a)
	} else {
		helpAll(&b)
	}
	_, err := fmt.Fprint(a.out, b.String())
	return err
}

func helpAll(b *strings.Builder) {
	b.WriteString("earshot looks into a running program through its tap page.\n\n")
	b.WriteString("  earshot [--url URL] [--json] [COMMAND] [ARGUMENTS]\n\n")
	helpList(b, commands)
	fmt.Fprintf(b, `
Where: --url, $EARSHOT_URL, %s
Who:   $EARSHOT_TOKEN is sent as a bearer token
Exit:  0 ok, 1 failed, 2 usage, 3 cannot connect, 4 refused, 5 shed (tap --strict), 130 Ctrl-C
`, defaultURL)
}

func helpList(b *strings.Builder, list []*command) {
	for _, c := range list {
		fmt.Fprintf(b, "  %-11s %s\n", c.last(), c.summary)
	}
}

func (c *command) help(b *strings.Builder, a *app) {
	fmt.Fprintf(b, "earshot %s: %s\n\n", strings.TrimSpace(c.name+" "+c.args), c.summary)
	if len(c.members) > 0 {
		helpList(b, c.members)
		b.WriteString("\n")
	}
	for _, e := range c.examples {
		fmt.Fprintf(b, "  %s\n      %s\n", e.line, e.does)
	}
	if c.doc != "" {
		fmt.Fprintf(b, "\n%s\n", strings.TrimSpace(c.doc))
	}
	b.WriteString("\n")
	for _, f := range c.flags(a) {
		value, text := flag.UnquoteUsage(f)
		name := "--" + f.Name
		if len(f.Name) == 1 {
			name = "-" + f.Name
		}
		fmt.Fprintf(b, "  %-18s %s\n", strings.TrimSpace(name+" "+value), text)
	}
}

// flags returns the command's own flags, and then those that all have.
func (c *command) flags(a *app) (all []*flag.Flag) {
	own, common := newFlags(c.name), newFlags(c.name)
	scratch := *a // defining a flag sets its variable
	scratch.commonFlags(common)
	c.setup(&scratch, own)
	own.VisitAll(func(f *flag.Flag) { all = append(all, f) })
	common.VisitAll(func(f *flag.Flag) {
		if !c.local || f.Name != "url" {
			all = append(all, f)
		}
	})
	return all
}

func (a *app) helpJSON(only *command) error {
	type flagHelp struct {
		Name    string `json:"name"`
		Value   string `json:"value,omitempty"`
		Default string `json:"default,omitempty"`
		Doc     string `json:"doc"`
	}
	type exampleHelp struct {
		Line string `json:"line"`
		Does string `json:"does"`
	}
	type commandHelp struct {
		Name     string        `json:"name"`
		Args     string        `json:"args,omitempty"`
		Summary  string        `json:"summary"`
		Doc      string        `json:"doc,omitempty"`
		Examples []exampleHelp `json:"examples"`
		Flags    []flagHelp    `json:"flags"`
	}
	all := []commandHelp{}
	list := commands
	if only != nil {
		list = []*command{only}
	}
	for _, c := range flatten(list) {
		h := commandHelp{Name: c.name, Args: c.args, Summary: c.summary, Doc: strings.TrimSpace(c.doc)}
		for _, e := range c.examples {
			h.Examples = append(h.Examples, exampleHelp{e.line, e.does})
		}
		for _, f := range c.flags(&app{}) {
			value, text := flag.UnquoteUsage(f)
			h.Flags = append(h.Flags, flagHelp{f.Name, value, f.DefValue, text})
		}
		all = append(all, h)
	}
	return a.writeJSON(map[string]any{"commands": all})
}
