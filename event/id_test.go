package event_test

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/earshot-go/earshot/event"
	"github.com/stretchr/testify/require"
)

func TestNewID(t *testing.T) {
	const each = 20_000
	lists := make([][]string, 8)
	var wg sync.WaitGroup
	for i := range lists {
		wg.Go(func() {
			for range each {
				lists[i] = append(lists[i], event.NewID())
			}
		})
	}
	wg.Wait()
	seen := make(map[string]bool)
	for _, list := range lists {
		for _, id := range list {
			if len(id) != 26 || strings.Trim(id, "0123456789abcdefghjkmnpqrstvwxyz") != "" {
				t.Fatalf("NewID() = %q, want 26 digits and small letters", id)
			}
			seen[id] = true
		}
	}
	require.Len(t, seen, each*len(lists))
}

// Another process has another prefix.
func TestNewIDOfAnotherProcess(t *testing.T) {
	const child = "EARSHOT_EVENT_ID"
	if os.Getenv(child) != "" {
		_, _ = os.Stdout.WriteString("id=" + event.NewID() + "\n")
		return
	}
	prefixes := map[string]bool{event.NewID()[:16]: true}
	for range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestNewIDOfAnotherProcess$")
		cmd.Env = append(os.Environ(), child+"=1")
		out, err := cmd.Output()
		require.NoError(t, err)
		_, id, ok := strings.Cut(string(out), "id=")
		require.True(t, ok, "%s", out)
		prefixes[id[:16]] = true
	}
	require.Len(t, prefixes, 4)
}
