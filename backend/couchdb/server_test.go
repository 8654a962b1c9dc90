package couchdb_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/earshot-go/earshot/internal/need"
)

// A process is a server that the tests have started, which they may kill. It is the server of all tests if the
// environment has EARSHOT_COUCHDB_SERVER: express-pouchdb then, in scripts/test.
type process struct {
	command, dir, port string
	cmd                *exec.Cmd
	life               io.Closer // the server ends when this is closed, and so does not outlive the tests
}

func (p *process) start() error {
	p.cmd = exec.Command("sh", "-c", p.command+" "+p.port+" "+p.dir)
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if p.life, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if lines.Text() == "ready" {
			return nil
		}
	}
	p.kill()
	return fmt.Errorf("the server of EARSHOT_COUCHDB_SERVER has ended before it was ready")
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait() // closes the pipes too
}

var own struct {
	once sync.Once
	p    *process
	err  error
}

// ownServer is the process, or nil if there is none.
func ownServer(t testing.TB) *process {
	t.Helper()
	command := os.Getenv("EARSHOT_COUCHDB_SERVER")
	if command == "" {
		return nil
	}
	own.once.Do(func() {
		dir, err := os.MkdirTemp("", "couchdb")
		if err != nil {
			own.err = err
			return
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			own.err = err
			return
		}
		p := &process{command: command, dir: dir, port: strconv.Itoa(l.Addr().(*net.TCPAddr).Port)}
		l.Close()
		if own.err = p.start(); own.err == nil {
			own.p = p
		}
	})
	if own.err != nil {
		t.Fatal(own.err)
	}
	return own.p
}

func stopServers() {
	if p := own.p; p != nil {
		p.kill()
		os.RemoveAll(p.dir)
	}
	http.DefaultClient.CloseIdleConnections()
}

// serverURL is the server of the tests, as a bus has it, without a database.
func serverURL(t testing.TB) *url.URL {
	t.Helper()
	text := os.Getenv("EARSHOT_COUCHDB_URL")
	if p := ownServer(t); p != nil {
		text = "couchdb://127.0.0.1:" + p.port
	}
	if text == "" {
		need.Missing(t, "no server: set EARSHOT_COUCHDB_URL to couchdb://admin:password@host:port, or EARSHOT_COUCHDB_SERVER to a command that takes a port and a folder")
	}
	u, err := url.Parse(strings.TrimRight(text, "/"))
	if err != nil {
		t.Fatal("EARSHOT_COUCHDB_URL is no URL")
	}
	return u
}

// call sends a request to a server, past the bus, and returns status and answer.
func call(t testing.TB, server *url.URL, method, path string, body any) (status int, answer map[string]any) {
	t.Helper()
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		in = bytes.NewReader(text)
	}
	r, err := http.NewRequest(method, "http://"+server.Host+path, in)
	if err != nil {
		t.Fatal(err)
	}
	if server.User != nil {
		password, _ := server.User.Password()
		r.SetBasicAuth(server.User.Username(), password)
	}
	r.Header.Set("Content-Type", "application/json")
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if bytes.HasPrefix(text, []byte("{")) {
		if err := json.Unmarshal(text, &answer); err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
	}
	return got.StatusCode, answer
}

// must is call, and the status is below 300.
func must(t testing.TB, server *url.URL, method, path string, body any) map[string]any {
	t.Helper()
	status, answer := call(t, server, method, path, body)
	if status >= 300 {
		t.Fatalf("%s %s: status %d, %v", method, path, status, answer)
	}
	return answer
}
