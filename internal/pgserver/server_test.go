package pgserver

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv("EARSHOT_PGSERVER_CHILD") != "" {
		child()
		return
	}
	goleak.VerifyTestMain(m)
}

// child is a process with a server. Its parent kills it.
func child() {
	s, err := Start(Options{})
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
	fmt.Println(s.port, s.dir)
	select {}
}

// client is psql with some SQL.
func client(t *testing.T, s *Server, sql string) *exec.Cmd {
	t.Helper()
	bin, err := programs()
	require.NoError(t, err)
	return exec.Command(filepath.Join(bin, "psql"), "-X", "-qtA", "-v", "ON_ERROR_STOP=1", "-d", s.URL(), "-c", sql)
}

// psql runs SQL and returns what it prints.
func psql(t *testing.T, s *Server, sql string) string {
	t.Helper()
	out, err := client(t, s, sql).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return strings.TrimSpace(string(out))
}

func requireGone(t *testing.T, s *Server) {
	t.Helper()
	require.Empty(t, s.processes())
	_, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.Port()))
	require.Error(t, err)
}

func TestKillAndRestart(t *testing.T) {
	begin := time.Now()
	s := ForTest(t, Options{Settings: []string{"max_connections = 7"}})
	t.Logf("started in %v", time.Since(begin))
	require.Equal(t, "7", psql(t, s, "SHOW max_connections"))
	require.Equal(t, "off", psql(t, s, "SHOW fsync"))
	psql(t, s, "CREATE TABLE t AS SELECT 1 AS n")
	for n := range 3 {
		// A client that keeps the server busy while it is killed.
		busy := client(t, s, "SELECT count(*) FROM generate_series(1, 1e15::bigint)")
		require.NoError(t, busy.Start())
		require.Eventually(t, func() bool {
			return psql(t, s, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%1e15%' AND pid <> pg_backend_pid()") == "1"
		}, 20*time.Second, 10*time.Millisecond)
		psql(t, s, "UPDATE t SET n = n + 1")

		begin := time.Now()
		require.NoError(t, s.Kill())
		killed := time.Since(begin)
		requireGone(t, s)
		require.Error(t, busy.Wait())
		require.NoError(t, s.Kill(), "again")
		require.NoError(t, s.Restart())
		t.Logf("killed in %v, restarted after %v", killed, time.Since(begin))
		require.Equal(t, fmt.Sprint(n+2), psql(t, s, "SELECT n FROM t"))
	}
	require.NoError(t, s.Kill())
	require.NoError(t, s.Stop(), "of a killed server")
	require.NoDirExists(t, s.dir)
	require.NoError(t, s.Stop(), "again")
}

func TestFsync(t *testing.T) {
	s := ForTest(t, Options{Fsync: true})
	require.Equal(t, "on", psql(t, s, "SHOW fsync"))
	require.NoError(t, s.Stop())
	requireGone(t, s)
	require.NoDirExists(t, s.dir)
}

func TestWrongSetting(t *testing.T) {
	ForTest(t, Options{}) // or is PostgreSQL missing?
	_, err := Start(Options{Settings: []string{"no_such_setting = 1"}})
	require.ErrorContains(t, err, "no_such_setting")
}

func TestServerEndsWithItsProcess(t *testing.T) {
	ForTest(t, Options{}) // or is PostgreSQL missing?
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "EARSHOT_PGSERVER_CHILD=1")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	s := &Server{}
	_, err = fmt.Sscan(line, &s.port, &s.dir)
	require.NoError(t, err, line)
	require.NotEmpty(t, s.processes())

	require.NoError(t, cmd.Process.Kill())
	cmd.Wait()
	require.Eventually(t, func() bool {
		_, err := os.Stat(s.dir)
		return os.IsNotExist(err)
	}, 20*time.Second, 10*time.Millisecond)
	requireGone(t, s)
}

func TestMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); len(found) == 0 {
		_, err := Start(Options{})
		require.ErrorIs(t, err, ErrMissing)
		require.ErrorContains(t, err, "apt-get install postgresql")
		return
	}
	bin, err := programs()
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(bin, "pg_ctl"))

	// A link in PATH, without the programs that it needs beside it.
	require.NoError(t, os.Symlink(filepath.Join(bin, "initdb"), filepath.Join(os.Getenv("PATH"), "initdb")))
	linked, err := programs()
	require.NoError(t, err)
	require.Equal(t, bin, linked)
}
