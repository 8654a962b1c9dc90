package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
	"github.com/earshot-go/earshot/internal/need"
)

// What is no good file is a clear error, which names the path, and is left as it is.
func TestBadFilesAreLeftAlone(t *testing.T) {
	t.Parallel()
	whole := filepath.Join(t.TempDir(), "whole.db")
	b := openBus(t, whole, nil)
	for i := range 50 {
		require.NoError(t, b.Publish(t.Context(), newEvent(fmt.Sprint(i))))
	}
	require.NoError(t, b.Close(t.Context()))
	sound(t, whole)
	text, err := os.ReadFile(whole)
	require.NoError(t, err)

	newer := filepath.Join(t.TempDir(), "newer.db")
	require.NoError(t, os.WriteFile(newer, text, 0o600))
	change(t, newer, "UPDATE earshot_meta SET value = '2' WHERE name = 'version'; PRAGMA wal_checkpoint(TRUNCATE)")
	newText, err := os.ReadFile(newer)
	require.NoError(t, err)

	for name, c := range map[string]struct {
		text []byte
		says string
	}{
		"text":      {[]byte(strings.Repeat("dear diary\n", 1000)), "no SQLite database"},
		"truncated": {text[:len(text)*2/3], "damaged"},
		"cut":       {text[:3000], ""},
		"scribbled": {append(append(bytes.Clone(text[:100]), bytes.Repeat([]byte{0xa5}, 4000)...), text[4100:]...), "damaged"},
		"newer":     {newText, "newer version"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "events.db")
			require.NoError(t, os.WriteFile(path, c.text, 0o600))
			b := openBus(t, path, nil)
			for _, err := range []error{b.Publish(t.Context(), newEvent("1")), b.Publish(t.Context()), tailError(b)} {
				require.ErrorContains(t, err, c.says)
				require.ErrorContains(t, err, path)
				require.NotErrorIs(t, err, bus.ErrDisconnected, "waiting does not help")
			}
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.True(t, bytes.Equal(c.text, after), "the file was changed")
			_, err = OpenSpill(path, nil)
			require.ErrorContains(t, err, c.says)
			after, err = os.ReadFile(path)
			require.NoError(t, err)
			require.True(t, bytes.Equal(c.text, after), "the file was changed by the spill")
			require.NoError(t, b.Close(t.Context()))
			released(t, path)
		})
	}
}

// released asks the system whether this process still has a file open: database/sql closes a connection that SQLite
// keeps, if a statement of it was forgotten.
func released(t testing.TB, path string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		return
	}
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, fd := range fds {
		to, err := os.Readlink("/proc/self/fd/" + fd.Name())
		require.False(t, err == nil && strings.HasPrefix(to, path), "%s is still open", to)
	}
}

func TestCloseGivesTheFileBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	b := openBus(t, path, nil)
	require.NoError(t, b.Publish(t.Context(), newEvent("1")))
	for range 3 {
		f := openTail(t, b, bus.Tail{From: bus.At(time.Now())})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := f.Next(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		cancel()
		require.NoError(t, f.Close())
	}
	require.NoError(t, b.Close(t.Context()))
	released(t, path)
}

func TestMissingDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "absent")
	b := openBus(t, filepath.Join(dir, "events.db"), nil)
	err := b.Publish(t.Context(), newEvent("1"))
	require.ErrorIs(t, err, bus.ErrDisconnected)
	require.ErrorContains(t, err, "make the directory "+dir)
	require.ErrorIs(t, tailError(b), bus.ErrDisconnected)
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, b.Publish(t.Context(), newEvent("1")), "it is there now")

	_, err = OpenSpill(filepath.Join(dir, "absent", "spill.db"), nil)
	require.ErrorContains(t, err, "make the directory")
}

// The path is a directory.
func TestDirectoryAsFile(t *testing.T) {
	t.Parallel()
	b := openBus(t, t.TempDir(), nil)
	require.ErrorContains(t, b.Publish(t.Context(), newEvent("1")), "it is a directory")
}

// A disk that is full refuses, keeps what it has, and accepts again when there is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	small := openBus(t, path, &BusOptions{pages: 60})
	accepted, err := 0, error(nil)
	for ; err == nil; accepted++ {
		require.Less(t, accepted, 10_000)
		ev := newEvent(fmt.Sprint(accepted))
		ev.Data = []byte(`"` + strings.Repeat("x", 1000) + `"`)
		err = small.Publish(t.Context(), ev)
	}
	accepted--
	require.ErrorContains(t, err, "make room on the disk")
	require.NotErrorIs(t, err, bus.ErrDisconnected)
	require.Error(t, small.Publish(t.Context(), many("more", 100)...))
	require.Equal(t, accepted, count(t, small))
	sound(t, path)
	large := openBus(t, path, nil)
	require.NoError(t, large.Publish(t.Context(), many("more", 100)...))
	require.Equal(t, accepted+100, count(t, large))
}

// The system refuses to let a file grow.
func TestFileSizeLimit(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	c := startChild(t, "small", path, nil, "300000")
	lines := c.rest()
	require.NotEmpty(t, lines)
	var accepted int
	_, err := fmt.Sscan(lines[0], &accepted)
	require.NoError(t, err, lines)
	require.Positive(t, accepted)
	require.Contains(t, lines[0], path)
	require.Equal(t, "end false", lines[len(lines)-1])
	require.GreaterOrEqual(t, count(t, openBus(t, path, nil)), accepted)
	sound(t, path)
}

// Whoever may not write reads what is there, and hears what to do.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		need.Missing(t, "makes processes of another user as Linux does")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "events.db")
	b := openBus(t, path, nil)
	require.NoError(t, b.Publish(t.Context(), newEvent("1")))
	for _, p := range []string{dir, filepath.Dir(dir)} {
		require.NoError(t, os.Chmod(p, 0o755))
	}
	var other func(*exec.Cmd)
	if os.Getuid() == 0 { // who may write everything
		other = func(cmd *exec.Cmd) {
			cmd.Dir = "/"
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		if _, err := exec.Command("setpriv", "--reuid=65534", "--clear-groups", "cat", path).Output(); err != nil {
			need.Missing(t, "another user cannot read "+path+": set TMPDIR to a directory that all users can enter")
		}
	} else {
		require.NoError(t, os.Chmod(path, 0o400))
		require.NoError(t, os.Chmod(dir, 0o500))
		t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	}
	lines := startChild(t, "once", path, other).rest()
	require.Len(t, lines, 3)
	require.Contains(t, lines[0], bus.ErrDenied.Error())
	require.Contains(t, lines[0], "right to write")
	require.Equal(t, "tail: <nil>", lines[1], "reading needs no more than the right to read")

	missing := filepath.Join(dir, "other.db")
	lines = startChild(t, "once", missing, other).rest()
	require.Contains(t, lines[0], bus.ErrDenied.Error())
	require.Contains(t, lines[0], missing)
	require.NoFileExists(t, missing)
}

// While another program holds the lock Publish waits, and gives up before its caller does.
func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	old := lockPatience
	lockPatience = 300 * time.Millisecond
	t.Cleanup(func() { lockPatience = old })
	b := openBus(t, path, nil)
	f := openTail(t, b, bus.Tail{})
	holder, err := openFile(t.Context(), path, openMode{sync: SyncFull, create: createStreams})
	require.NoError(t, err)
	defer holder.close(nil)
	require.NoError(t, holder.begin(t.Context()))

	err = b.Publish(t.Context(), newEvent("1"))
	require.ErrorIs(t, err, bus.ErrDisconnected)
	require.ErrorContains(t, err, "locked")
	require.ErrorIs(t, b.Publish(t.Context()), bus.ErrDisconnected)

	done := make(chan error, 1)
	go func() { done <- b.Publish(context.Background(), newEvent("2")) }()
	require.Error(t, holder.end(errors.New("never mind")))
	require.NoError(t, <-done)
	want(t, f, "2")

	require.NoError(t, holder.begin(t.Context()))
	go func() { done <- b.Publish(context.Background(), newEvent("3")) }()
	require.Eventually(t, func() bool { return b.inFlight.Load() == 1 }, patience, time.Millisecond)
	require.NoError(t, b.Close(t.Context()), "it does not wait for the lock")
	require.ErrorIs(t, <-done, bus.ErrClosed)
}

func many(prefix string, n int) []event.Event {
	evs := make([]event.Event, n)
	for i := range evs {
		evs[i] = newEvent(fmt.Sprintf("%s-%d", prefix, i))
	}
	return evs
}

func count(t testing.TB, b *Bus) (n int) {
	t.Helper()
	f := openTail(t, b, bus.Tail{From: bus.Start, Past: true})
	for {
		if _, err := next(t, f); err != nil {
			require.ErrorContains(t, err, "EOF")
			return n
		}
		n++
	}
}
