// Package need is for tests that need something of the machine. Without it they skip and say what is missing; in
// CI, which sees to it that everything is there, that is a failure.
package need

import (
	"os"
	"os/exec"
	"testing"
)

// Program returns the path of a program that the test runs.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, name+" is not in PATH: install it to have this tested")
	}
	return path
}

// Missing ends a test that cannot do its work here.
func Missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}
