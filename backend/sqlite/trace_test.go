package sqlite

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/internal/need"
)

// What the system is asked to do, with the names of files: "123 pwrite64(5</tmp/jobs.db-wal>, …) = 4096".
var traced = regexp.MustCompile(`^(\d+) +(?:(\w+)\(\d+<([^>]*)>(.*)|<\.\.\. (\w+) resumed>.*)$`)

// The system is a witness: before the first byte that tells of an acknowledgement, all that was written to the WAL
// was synced, and something was.
func TestSyncedBeforeAcknowledged(t *testing.T) {
	t.Parallel()
	strace := need.Program(t, "strace")
	path, trace := filepath.Join(t.TempDir(), "jobs.db"), filepath.Join(t.TempDir(), "trace")
	if out, err := exec.Command(strace, "-o", trace, "true").CombinedOutput(); err != nil {
		need.Missing(t, fmt.Sprintf("strace may not trace here (%v: %s): allow ptrace", err, out))
	}
	c := startChild(t, "acks", path, func(cmd *exec.Cmd) {
		exe, err := os.Executable()
		require.NoError(t, err)
		cmd.Path = strace
		cmd.Args = []string{strace, "-f", "-y", "-s", "32", "-e", "trace=write,pwrite64,fsync,fdatasync", "-o", trace, exe}
	})
	require.Len(t, c.rest(), 20)
	require.NoError(t, c.cmd.Wait())
	text, err := os.ReadFile(trace)
	require.NoError(t, err)
	dirty, synced, acks := false, false, 0
	syncing := map[string]bool{} // threads that are within a sync of the WAL
	for line := range strings.Lines(string(text)) {
		m := traced.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			continue
		}
		thread, call, file, rest := m[1], m[2]+m[5], m[3], m[4]
		wal := strings.HasSuffix(file, "-wal")
		switch {
		case call == "pwrite64" && wal:
			dirty, synced = true, false
		case (call == "fsync" || call == "fdatasync") && wal && strings.Contains(rest, "unfinished"):
			syncing[thread] = true
		case (call == "fsync" || call == "fdatasync") && (wal || m[5] != "" && syncing[thread]):
			delete(syncing, thread)
			require.True(t, strings.HasSuffix(strings.TrimSpace(line), "= 0"), line)
			dirty, synced = false, true
		case call == "write" && strings.Contains(rest, `"acknowledged`):
			acks++
			require.True(t, synced && !dirty, "acknowledgement %d came before the sync:\n%s", acks, line)
			synced = false
		}
	}
	require.Equal(t, 20, acks)
}
