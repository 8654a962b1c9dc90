package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every command has help that fits a screen, in its two ways, on stdout, and two examples or more.
func TestHelpOfEachCommand(t *testing.T) {
	for _, c := range flatten(commands) {
		t.Run(c.name, func(t *testing.T) {
			assert.GreaterOrEqual(t, len(c.examples), 2, "examples")
			words := strings.Fields(c.name)
			for _, args := range [][]string{append(slices.Clone(words), "-h"), append(slices.Clone(words), "--help"), append([]string{"help"}, words...)} {
				r := world{}.run(t, args...)
				assert.Equal(t, exitOK, r.code, args)
				assert.Empty(t, r.err, args)
				lines := strings.Split(strings.TrimSuffix(r.out, "\n"), "\n")
				assert.LessOrEqual(t, len(lines), 24, args)
				for _, line := range lines {
					assert.LessOrEqual(t, cells(line), 100, line)
				}
				assert.Contains(t, r.out, c.examples[0].line)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"-h"}, {"--help"}} {
		r := world{}.run(t, args...)
		assert.Equal(t, exitOK, r.code)
		assert.Empty(t, r.err)
		assert.LessOrEqual(t, strings.Count(r.out, "\n"), 24)
		for _, c := range commands {
			assert.Contains(t, r.out, "  "+c.name+" ")
		}
	}
}

// An example that the parser refuses helps nobody.
func TestExamplesParse(t *testing.T) {
	for _, c := range flatten(commands) {
		for _, e := range c.examples {
			line, ok := strings.CutPrefix(strings.TrimPrefix(e.line, "source <("), "earshot")
			require.True(t, ok, e.line)
			line, _, _ = strings.Cut(strings.TrimSuffix(line, ")"), " | ")
			line, _, _ = strings.Cut(line, " > ")
			line, _, _ = strings.Cut(line, " < ")
			args := shellWords(line)
			if len(args) == 0 || find(commands, args[0]) == nil {
				continue // flags before the command: the bare one
			}
			a := &app{}
			meant := find(commands, args[0])
			args = args[1:]
			for len(meant.members) > 0 {
				var err error
				meant, args, err = a.member(meant, args)
				require.NoError(t, err, e.line)
			}
			fs := newFlags(meant.name)
			a.commonFlags(fs)
			meant.setup(a, fs)
			rest, err := parseMixed(fs, args, meant.dashArgs)
			assert.NoError(t, err, e.line)
			assert.GreaterOrEqual(t, len(rest), meant.minArgs, e.line)
		}
	}
}

// shellWords splits as a shell does, as far as the examples go.
func shellWords(line string) (words []string) {
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		word := ""
		for line != "" && line[0] != ' ' {
			if q := line[0]; q == '\'' || q == '"' {
				end := strings.IndexByte(line[1:], q)
				word, line = word+line[1:end+1], line[end+2:]
				continue
			}
			word, line = word+line[:1], line[1:]
		}
		words = append(words, word)
	}
	return words
}

// Every command has --json, before its name and after, and writes nothing but JSON then.
func TestJSONOfEachCommand(t *testing.T) {
	url := serve(t, newFakeWithChannel())
	args := map[string][]string{
		"show": {"orders.paid"}, "emit": {"orders.paid", "{}"}, "completion": {"bash"}, "bench": {"--rounds", "1"},
		"tap": {"--count", "5"}, "queue": {"stats", "--store", "mem:"},
	}
	for _, c := range commands {
		if c.name == "demo" {
			continue // see TestDemo
		}
		t.Run(c.name, func(t *testing.T) {
			for _, line := range [][]string{
				append([]string{c.name, "--json"}, args[c.name]...),
				append([]string{"--json", c.name}, args[c.name]...),
				append(append([]string{c.name}, args[c.name]...), "--json"),
			} {
				r := world{url: url, width: 80}.run(t, line...)
				require.Equal(t, exitOK, r.code, "%v: %s", line, r.err)
				require.NotEmpty(t, r.out)
				for text := range strings.SplitSeq(strings.TrimSuffix(r.out, "\n"), "\n") {
					assert.True(t, json.Valid([]byte(text)), "%v: %s", line, text)
				}
				if c.name == "bench" || c.name == "doctor" {
					break // once is enough, they take their time
				}
			}
		})
	}
}

func newFakeWithChannel() *fake {
	f := newFake()
	f.set("channel.json", `{"title":"orders.paid","status":"ok","summary":"2 listen.","channel":[{"channel":"orders.paid","type":"shop.Order","doc":"somebody has paid"}],"subscribers":[{"ref":"ref#1","subscriber":"mailer"}]}`)
	return f
}

func TestUsage(t *testing.T) {
	cases := []struct {
		args []string
		says string
	}{
		{[]string{"tapp"}, `did you mean "earshot tap"?`},
		{[]string{"completions"}, `did you mean "earshot completion"?`},
		{[]string{"xyzzy"}, `there is no command "xyzzy"`},
		{[]string{"evil\x1b]0;x\a\u202e"}, `evil\x1b]0;x\x07\u202e`},
		{[]string{"--nonsense"}, "there is no flag -nonsense"},
		{[]string{"tap", "--nonsense"}, "there is no flag -nonsense"},
		{[]string{"tap", "-err"}, "goes after --"},
		{[]string{"tap", "--count", "x"}, "count"},
		{[]string{"tap", "--count", "-1"}, "count"},
		{[]string{"tap", "--for", "-1s"}, "must not be negative"},
		{[]string{"show"}, "needs NAME|REF"},
		{[]string{"show", "a", "b"}, `does not know what to do with "b"`},
		{[]string{"ls", "../../metrics"}, "no name of a page"},
		{[]string{"top", "../x"}, "no name of a page"},
		{[]string{"top"}, "needs a terminal"},
		{[]string{"top", "--every", "1ms"}, "too often"},
		{[]string{"slow", "--watch", "--every", "1ms"}, "too often"},
		{[]string{"emit", "x"}, "needs CHANNEL JSON"},
		{[]string{"emit", "x", "{"}, "not JSON at byte 1"},
		{[]string{"emit", "x", "hello"}, `'"hello"'`},
		{[]string{"emit", "x", `"` + strings.Repeat("a", maxEvent) + `"`}, "larger than 1 MiB"},
		{[]string{"completion", "tcsh"}, `not for "tcsh"`},
		{[]string{"help", "tapp"}, "did you mean"},
		{[]string{"help", "queue", "drian"}, `did you mean "earshot queue drain"?`},
		{[]string{"help", "tap", "x"}, `does not know what to do with "x"`},
		{[]string{"bench", "--rounds", "0"}, "between 1 and 1000"},
		{[]string{"demo", "--rate", "NaN"}, "more than 0"},
		{[]string{"--url", "http://me:secretword@host/", "ls"}, "EARSHOT_TOKEN"},
		{[]string{"--url", "ftp://host/", "ls"}, `scheme "ftp"`},
		{[]string{"--url", "http://host/?filter=x", "ls"}, "query"},
		{[]string{"--url", "http://ho st:secretword/", "ls"}, "is not a URL"},
		{[]string{"--url", "http:///x", "ls"}, "no host"},
	}
	for _, c := range cases {
		r := world{}.run(t, c.args...)
		assert.Equal(t, exitUsage, r.code, "%q: %s", c.args, r.err)
		assert.Contains(t, r.err, c.says, "%q", c.args)
		assert.Empty(t, r.out, "%q", c.args)
		assert.NotContains(t, r.err, "secretword")
	}
}

func TestParseMixed(t *testing.T) {
	cases := []struct {
		line, rest string
		json       bool
		count      uint64
	}{
		{"a b", "a b", false, 0},
		{"a --json b", "a b", true, 0},
		{"--count 3 a", "a", false, 3},
		{"a --count=3", "a", false, 3},
		{"-chan:debug.* --count 3", "-chan:debug.*", false, 3},
		{"chan:a -amount>100 --json", "chan:a -amount>100", true, 0},
		{"-- --json -err", "--json -err", false, 0},
		{"-json=false a", "a", false, 0},
		{"-", "-", false, 0},
	}
	for _, c := range cases {
		a := &app{}
		fs := newFlags("tap")
		count := fs.Uint64("count", 0, "")
		a.commonFlags(fs)
		rest, err := parseMixed(fs, strings.Fields(c.line), isFilterTerm)
		require.NoError(t, err, c.line)
		assert.Equal(t, c.rest, strings.Join(rest, " "), c.line)
		assert.Equal(t, c.json, a.json, c.line)
		assert.Equal(t, c.count, *count, c.line)
	}
}

func TestVersion(t *testing.T) {
	r := world{}.run(t, "version")
	assert.Equal(t, exitOK, r.code)
	assert.Regexp(t, `^earshot \S+.* go1\.\d+.*, \w+/\w+\n$`, r.out)
	assert.Equal(t, r, world{}.run(t, "--version"))
}

func TestUnits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 999: "999ns", 1500: "1.5µs", 1234567: "1.2ms", 90 * time.Second: "1m30s", time.Minute: "1m", time.Hour: "1h",
		time.Hour + 5*time.Minute: "1h5m", 50 * time.Hour: "2d2h", -time.Second: "-1s", 59_990 * time.Millisecond: "1m",
	} {
		assert.Equal(t, want, short(d), fmt.Sprint(int64(d)))
	}
	for digits, want := range map[string]string{"0": "0", "1234": "1,234", "-1234567": "-1,234,567", "18446744073709551615": "18,446,744,073,709,551,615", "1e6": "1e6", "1.5": "1.5"} {
		assert.Equal(t, want, grouped(digits))
	}
	assert.Equal(t, "now", age(-time.Hour), "a clock that is ahead")
}
