// An inside test: what testsum promises is what it prints for a stream of
// events, and the stream is easier to hand to follow than to a process.
package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot-go/earshot/internal/need"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sum runs "go test -json ./..." over the given files and returns what testsum
// prints for it.
func sum(t *testing.T, files map[string]string) (s *summary, out string) {
	t.Helper()
	need.Program(t, "go")
	dir := t.TempDir()
	files["go.mod"] = "module example.test\n\ngo 1.26.0\n"
	for name, text := range files {
		name = filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
	}
	t.Chdir(dir)
	t.Setenv("GOWORK", "off")
	t.Setenv("GOFLAGS", "")
	var b bytes.Buffer
	s = newSummary(&b, []string{"example.test"})
	_ = run(s, []string{"go", "test", "-json", "./..."}) // its exit status is not what is tested
	s.print([]string{"a note"})
	return s, b.String()
}

func lastLine(out string) string {
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	return lines[len(lines)-1]
}

func TestCountsAndReasons(t *testing.T) {
	_, out := sum(t, map[string]string{
		"p.go": "package p\n",
		"p_test.go": `package p

import "testing"

func TestPass(t *testing.T)   { t.Log("nobody reads this") }
func TestSkip(t *testing.T)   { t.Skip("set EARSHOT_MOON_URL") }
func TestSilent(t *testing.T) { t.SkipNow() }
func TestFail(t *testing.T)   { t.Log("seed 42"); t.Fatal("got 1, want 2") }

func TestTable(t *testing.T) {
	t.Run("good", func(t *testing.T) {})
	t.Run("bad", func(t *testing.T) { t.Error("row is wrong") })
}

func TestPassingTable(t *testing.T) {
	t.Run("one", func(t *testing.T) {})
	t.Run("two", func(t *testing.T) {})
}

func TestFailsByItself(t *testing.T) {
	t.Run("fine", func(t *testing.T) {})
	t.Error("after its rows")
}
`,
		"q/q.go": "package q\n",
	})
	require.Equal(t, "5 passed, 3 failed, 2 skipped", lastLine(out))
	require.Contains(t, out, "example.test: 5 passed, 3 failed, 2 skipped\n")
	require.Contains(t, out, "example.test TestSkip: p_test.go:6: set EARSHOT_MOON_URL\n")
	require.Contains(t, out, "example.test TestSilent: no reason given\n")
	require.Contains(t, out, "seed 42\n")
	require.Contains(t, out, "got 1, want 2\n")
	require.Contains(t, out, "row is wrong\n")
	require.Contains(t, out, "  example.test TestTable/bad\n")
	require.Contains(t, out, "  example.test TestFailsByItself\n")
	require.Contains(t, out, "-    example.test/q: no tests\n")
	require.Contains(t, out, "  a note\n")
	require.NotContains(t, out, "nobody reads this")
	require.NotContains(t, out, "=== RUN")
}

// A failure that is no test's own must neither vanish nor be counted twice.
func TestFailuresOutsideOfTests(t *testing.T) {
	for _, row := range []struct {
		name, test string
		named      string // in the list of failures
		shown      string // in the output
		want       string
	}{{
		name:  "does not build",
		test:  "package p\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) { undefined() }\n",
		named: "example.test (did not build)",
		shown: "undefined: undefined",
		want:  "0 passed, 1 failed, 0 skipped",
	}, {
		name:  "TestMain",
		test:  "package p\n\nimport (\"os\"; \"testing\")\n\nfunc TestMain(m *testing.M) { m.Run(); println(\"a leak\"); os.Exit(1) }\nfunc TestX(t *testing.T) {}\n",
		named: "example.test (outside of its tests)",
		shown: "a leak",
		want:  "1 passed, 1 failed, 0 skipped",
	}, {
		name:  "exit",
		test:  "package p\n\nimport (\"os\"; \"testing\")\n\nfunc TestX(t *testing.T) { t.Run(\"sub\", func(t *testing.T) { println(\"half way\"); os.Exit(3) }) }\n",
		named: "example.test TestX/sub (did not end)",
		shown: "half way",
		want:  "0 passed, 1 failed, 0 skipped",
	}, {
		name:  "panic",
		test:  "package p\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) { panic(\"ouch\") }\n",
		named: "example.test TestX",
		shown: "panic: ouch",
		want:  "0 passed, 1 failed, 0 skipped",
	}} {
		t.Run(row.name, func(t *testing.T) {
			s, out := sum(t, map[string]string{"p.go": "package p\n", "p_test.go": row.test})
			require.Equal(t, row.want, lastLine(out))
			require.Len(t, s.failed, 1)
			require.Equal(t, row.named, s.failed[0])
			require.Contains(t, out, row.shown)
		})
	}
}

func TestStreamCutShort(t *testing.T) {
	var b bytes.Buffer
	s := newSummary(&b, nil)
	follow(s, strings.NewReader(`go: some warning
{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestX"}
{"Action":"output","Package":"p","Test":"TestX","Output":"half a"}`), time.Minute)
	s.cut()
	s.print(nil)
	require.Equal(t, "0 passed, 1 failed, 0 skipped", lastLine(b.String()))
	require.Contains(t, b.String(), "go: some warning\n")
	require.Contains(t, b.String(), "half a")
	require.Contains(t, b.String(), "p TestX (did not end)")
}

func TestCommandThatCannotStart(t *testing.T) {
	require.Error(t, run(newSummary(io.Discard, nil), []string{filepath.Join(t.TempDir(), "nothing")}))
}

func TestNestedModulesCountApart(t *testing.T) {
	s := newSummary(io.Discard, []string{"m", "m/bench"})
	for path, want := range map[string]string{"m": "m", "m/tap": "m", "m/bench": "m/bench", "m/bench/x": "m/bench", "mm": ""} {
		require.Equal(t, want, s.module(path), path)
	}
}

func TestSignsOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		r, w := io.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			follow(newSummary(&b, nil), r, 20*time.Second)
		}()
		time.Sleep(21 * time.Second)
		_, err := io.WriteString(w, `{"Action":"run","Package":"p","Test":"TestSlow"}`+"\n")
		require.NoError(t, err)
		time.Sleep(20 * time.Second)
		require.NoError(t, w.Close())
		<-done
		require.Contains(t, b.String(), "...  building\n")
		require.Contains(t, b.String(), "...  p: 0 passed, 0 failed, 0 skipped so far, 19s, last started TestSlow\n")
	})
}
