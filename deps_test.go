package earshot_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/earshot-go/earshot/internal/need"
	"github.com/stretchr/testify/require"
)

// mayLink are the modules that packages of this module may be linked with,
// outside of tests. Every program that embeds earshot pays for these, so the
// list grows only on purpose; all else belongs in a nested module.
var mayLink = []string{
	"github.com/earshot-go/earshot",
	"github.com/puzpuzpuz/xsync/v3",
	"golang.org/x/sync",
}

// mayRequire are the direct requirements in go.mod: the above and what tests use.
var mayRequire = []string{
	"github.com/puzpuzpuz/xsync/v3",
	"github.com/stretchr/testify",
	"go.uber.org/goleak",
	"golang.org/x/sync",
}

func TestLinkedModules(t *testing.T) {
	// Files for one system only may import what the others do not.
	for _, goos := range []string{"linux", "darwin", "windows"} {
		t.Run(goos, func(t *testing.T) {
			for _, p := range listDeps(t, goos, "./...") {
				watchDir(t, p)
				if !p.Standard && !slices.Contains(mayLink, p.Module.Path) {
					t.Errorf("go list -deps ./...: %s of module %s is linked, want only %v", p.ImportPath, p.Module.Path, mayLink)
				}
			}
		})
	}
}

// Importing earshot must not drag in a web server or templates: the linker
// cannot drop what reflection may reach, and net/http alone is megabytes.
func TestRootImportsNothingHeavy(t *testing.T) {
	for _, p := range listDeps(t, "linux", ".") {
		switch p.ImportPath {
		case "net/http", "html/template", "text/template", "expvar":
			t.Errorf("go list -deps .: %s is linked into the root package", p.ImportPath)
		}
	}
}

func TestDirectRequirements(t *testing.T) {
	// Read for the test cache's sake: it knows the files a test opens, not
	// those the go command opens for it.
	_, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
		Replace []struct{ Old struct{ Path string } }
		Tool    []struct{ Path string }
	}
	require.NoError(t, json.Unmarshal(goCommand(t, nil, "mod", "edit", "-json"), &mod))
	// Fewer is fine: "go mod tidy" drops what nothing imports at the moment.
	for _, r := range mod.Require {
		if !r.Indirect && !slices.Contains(mayRequire, r.Path) {
			t.Errorf("go.mod requires %s directly, want only %v", r.Path, mayRequire)
		}
	}
	// The module list of every embedder would name a tool's modules too; ours
	// are in internal/tools. A replace would not reach embedders at all.
	require.Empty(t, mod.Tool, "tool lines in go.mod")
	require.Empty(t, mod.Replace, "replace lines in go.mod")
}

type listed struct {
	Dir        string
	ImportPath string
	Standard   bool
	Module     *struct{ Path string }
}

// listDeps returns the packages matching pattern and all they import.
func listDeps(t *testing.T, goos, pattern string) []listed {
	t.Helper()
	// A fixed amd64: not every system exists on the architecture under test.
	env := []string{"GOOS=" + goos, "GOARCH=amd64", "CGO_ENABLED=0"}
	out := goCommand(t, env, "list", "-mod=readonly", "-deps", "-json=Dir,ImportPath,Standard,Module", pattern)
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		all = append(all, p)
	}
	require.NotEmpty(t, all, "go list -deps %s", pattern)
	return all
}

// watchDir makes a cached result of this test stale when a file of p changes.
// The root's own files need no watching: they are part of the test binary.
func watchDir(t *testing.T, p listed) {
	t.Helper()
	if p.Standard || p.Module.Path != mayLink[0] || p.ImportPath == mayLink[0] {
		return
	}
	_, err := os.ReadDir(p.Dir)
	require.NoError(t, err)
}

// goCommand runs the go command on this module alone, as an embedder gets it.
func goCommand(t *testing.T, env []string, args ...string) []byte {
	t.Helper()
	need.Program(t, "go")
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), append([]string{"GOWORK=off"}, env...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "go %v: %s", args, stderr.Bytes())
	return out
}
