// An inside test: the test binary plays the program.
package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/earshot-go/earshot/internal/program"
)

func TestMain(m *testing.M) {
	program.Main(main)
	goleak.VerifyTestMain(m)
}

// A site is what a server of the example serves.
type site struct{ program.Site }

func visit(t *testing.T, p *program.Program) site { return site{p.Site(t)} }

// create makes users, named after the prefix and a number.
func (s site) create(t *testing.T, prefix string, n int) (names []string) {
	t.Helper()
	for i := range n {
		name := fmt.Sprintf("%s%02d", prefix, i)
		status, body := s.Do(t, http.MethodPost, "/users/"+name+"/new")
		require.Equal(t, http.StatusCreated, status, body)
		names = append(names, name)
	}
	return names
}

// A mailbox is the file that a mailer writes to.
type mailbox string

func (m mailbox) users(t testing.TB) (names []string) {
	text, err := os.ReadFile(string(m))
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, "@")
		require.Equal(t, "example.com: welcome to our great platform!!!\n", rest)
		names = append(names, name)
	}
	return names
}

// has waits until the mailbox has n mails, and requires that they are for these, once each, in this order if the engine
// promises one.
func (m mailbox) has(t *testing.T, ordered bool, want ...string) {
	t.Helper()
	program.Until(t, fmt.Sprintf("%d mails", len(want)), func() bool { return len(m.users(t)) >= len(want) })
	if ordered {
		require.Equal(t, want, m.users(t))
	} else {
		require.ElementsMatch(t, want, m.users(t))
	}
}
