package program

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	Main(play)
	goleak.VerifyTestMain(m)
}

// play is the program of these tests: it says its arguments and ends as the first of them says.
func play() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	fmt.Println("args", os.Args[1:])
	switch os.Args[1] {
	case "wait":
		<-asked
		fmt.Println("asked to end")
		os.Exit(4)
	case "fail":
		fmt.Fprintln(os.Stderr, "it has failed")
		os.Exit(1)
	}
}

func TestStatus(t *testing.T) {
	p := Start(t, "return", "x")
	require.Equal(t, "[return x]", p.Saying(t, `^args (.*)$`)[1])
	require.Zero(t, p.Status(t))
	p = Start(t, "fail")
	require.Equal(t, 1, p.Status(t))
	require.Equal(t, []string{"args [fail]", "it has failed"}, p.Said())
}

func TestStopAndKill(t *testing.T) {
	p := Start(t, "wait")
	p.Saying(t, `^args`)
	require.Equal(t, 4, p.Stop(t))
	p.Saying(t, `asked to end`)
	p = Start(t, "wait")
	p.Saying(t, `^args`)
	p.Kill()
	require.Equal(t, -1, p.Status(t))
	require.Len(t, p.Said(), 1)
}

// A program whose test has died ends: it finds its input closed.
func TestOutlivesNoTest(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, "wait")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.NoError(t, in.Close())
	require.Error(t, cmd.Wait())
	require.Equal(t, 3, cmd.ProcessState.ExitCode())
}

func TestSite(t *testing.T) {
	serving := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, r.Method+" "+r.URL.Path, http.StatusTeapot)
	}))
	s := NewSite(t, serving.URL)
	status, body := s.Do(t, http.MethodPost, "/users/ann")
	require.Equal(t, http.StatusTeapot, status)
	require.Equal(t, "POST /users/ann\n", body)
	s.Client.CloseIdleConnections()
	serving.Close()
	_, _, err := s.Try(http.MethodGet, "/")
	require.Error(t, err)
}
