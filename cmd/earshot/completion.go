package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
)

var completionCommand = &command{
	name: "completion", args: "bash|zsh|fish", summary: "a script that completes commands and flags",
	minArgs: 1, maxArgs: 1, local: true, choices: []string{"bash", "zsh", "fish"},
	examples: []example{
		{"source <(earshot completion bash)", "in ~/.bashrc"},
		{"earshot completion zsh > \"${fpath[1]}/_earshot\"", "once"},
		{"earshot completion fish > ~/.config/fish/completions/earshot.fish", "once"},
	},
	setup: func(a *app, _ *flag.FlagSet) func(context.Context, []string) error {
		return func(_ context.Context, args []string) error {
			write := map[string]func() string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[args[0]]
			if write == nil {
				return usage("there are completions for bash, zsh and fish, not for \"%s\"", clean(args[0]))
			}
			if a.json {
				return a.writeJSON(map[string]string{"shell": args[0], "script": write()})
			}
			_, err := fmt.Fprint(a.out, write())
			return err
		}
	},
}

// allChoices returns what may be the command's first argument; help's are the commands.
func (c *command) allChoices() []string {
	switch {
	case c == helpCommand:
		return lastWords(commands)
	case len(c.members) > 0:
		return lastWords(c.members)
	}
	return c.choices
}

func dashed(f *flag.Flag) string {
	if len(f.Name) == 1 {
		return "-" + f.Name
	}
	return "--" + f.Name
}

// takesValue reports whether the next word belongs to the flag.
func takesValue(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return !ok || !b.IsBoolFlag()
}

func bashCompletion() string {
	var families, valued []string
	var cases strings.Builder
	seen := map[string]bool{}
	for _, c := range flatten(commands) {
		if len(c.members) > 0 {
			families = append(families, "'"+c.name+"'")
		}
		words := c.allChoices()
		for _, f := range c.flags(&app{}) {
			words = append(words[:len(words):len(words)], dashed(f))
			if takesValue(f) && !seen[f.Name] {
				seen[f.Name] = true
				valued = append(valued, dashed(f))
			}
		}
		fmt.Fprintf(&cases, "\t'%s') words='%s' ;;\n", c.name, strings.Join(words, " "))
	}
	return fmt.Sprintf(`# bash completion for earshot
_earshot() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= words i
	COMPREPLY=()
	case $prev in
	%s) return ;;
	esac
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--url | --store) # bash has divided the value at each : and =
			((i++))
			[[ ${COMP_WORDS[i]} == = ]] && ((i++)) ;;
		:) ((i++)) ;;
		-*) ;;
		*)
			command=${command:+$command }${COMP_WORDS[i]}
			case $command in
			%s) ;; # a family: who of it?
			*) break ;;
			esac ;;
		esac
	done
	case $command in
	'') words='%s --url --json --help' ;;
%s	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -o default -F _earshot earshot
`, strings.Join(valued, "|"), strings.Join(families, "|"), strings.Join(lastWords(commands), " "), cases.String())
}

func zshCompletion() string {
	var b strings.Builder
	b.WriteString("#compdef earshot\n# zsh completion for earshot\n")
	zshFamily(&b, "_earshot", commands)
	b.WriteString("if [ \"$funcstack[1]\" = _earshot ]; then\n\t_earshot \"$@\"\nelse\n\tcompdef _earshot earshot\nfi\n")
	return b.String()
}

// zshFamily writes a function that completes one of the commands; families among them have functions of
// their own.
func zshFamily(b *strings.Builder, name string, list []*command) {
	for _, c := range list {
		if len(c.members) > 0 {
			zshFamily(b, name+"_"+c.last(), c.members)
		}
	}
	fmt.Fprintf(b, "%s() {\n\tlocal -a commands\n\tcommands=(\n", name)
	for _, c := range list {
		fmt.Fprintf(b, "\t\t'%s:%s'\n", c.last(), zshText(c.summary))
	}
	b.WriteString("\t)\n\tif (( CURRENT == 2 )); then\n\t\t_describe command commands\n\t\treturn\n\tfi\n")
	b.WriteString("\tlocal command=$words[2]\n\tshift words\n\t(( CURRENT-- ))\n\tcase $command in\n")
	for _, c := range list {
		if len(c.members) > 0 {
			fmt.Fprintf(b, "\t%s) %s_%s ;;\n", c.last(), name, c.last())
			continue
		}
		fmt.Fprintf(b, "\t%s)\n\t\t_arguments", c.last())
		for _, f := range c.flags(&app{}) {
			value, text := flag.UnquoteUsage(f)
			spec := dashed(f) + "[" + zshText(text) + "]"
			if takesValue(f) {
				spec += ":" + zshText(value) + ":"
			}
			fmt.Fprintf(b, " \\\n\t\t\t'%s'", spec)
		}
		if words := c.allChoices(); len(words) > 0 {
			fmt.Fprintf(b, " \\\n\t\t\t'1:%s:(%s)'", c.last(), strings.Join(words, " "))
		} else if c.maxArgs != 0 {
			b.WriteString(" \\\n\t\t\t'*:file:_files'")
		}
		b.WriteString("\n\t\t;;\n")
	}
	b.WriteString("\tesac\n}\n")
}

// zshText escapes what has a meaning in the specifications of _arguments.
func zshText(s string) string {
	return strings.NewReplacer(`'`, `'\''`, `\`, `\\`, `[`, `\[`, `]`, `\]`, `:`, `\:`).Replace(s)
}

func fishCompletion() string {
	var b strings.Builder
	b.WriteString("# fish completion for earshot\ncomplete -c earshot -f\n")
	quote := func(s string) string {
		return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
	}
	for _, c := range commands {
		fmt.Fprintf(&b, "complete -c earshot -n __fish_use_subcommand -a %s -d %s\n", c.name, quote(c.summary))
	}
	for _, c := range flatten(commands) {
		when := quote(c.fishSeen())
		if words := c.allChoices(); len(words) > 0 {
			fmt.Fprintf(&b, "complete -c earshot -n %s -a %s\n", when, quote(strings.Join(words, " ")))
		}
		for _, f := range c.flags(&app{}) {
			_, text := flag.UnquoteUsage(f)
			option, value := "-l", ""
			if len(f.Name) == 1 {
				option = "-s"
			}
			if takesValue(f) {
				value = " -x"
			}
			fmt.Fprintf(&b, "complete -c earshot -n %s %s %s%s -d %s\n", when, option, f.Name, value, quote(text))
		}
	}
	return b.String()
}

// fishSeen returns the test that a command's name is on the line: that of a member after those of its
// family, and not one of its members for a family. "queue ls" is not "ls" as well.
func (c *command) fishSeen() string {
	const seen = "__fish_seen_subcommand_from "
	words := strings.Fields(c.name)
	test := seen + strings.Join(words, "; and "+seen)
	if len(c.members) > 0 {
		return test + "; and not " + seen + strings.Join(lastWords(c.members), " ")
	}
	for _, family := range commands {
		if len(words) == 1 && slices.Contains(lastWords(family.members), c.name) {
			test += "; and not " + seen + family.name
		}
	}
	return test
}
