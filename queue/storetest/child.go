package storetest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// childEnv is set in children, and says what they have to do.
const childEnv = "EARSHOT_STORETEST_CHILD"

// A job is what a child does.
type job struct {
	URL    string
	Do     string // "work", "hang", "die"
	Worker worker
	Items  []queue.Item  // to enqueue, for die
	TTL    time.Duration // of the lease, for hang
}

// ready is the first line of a child.
const ready = "storetest: ready"

// Main is what TestMain of an engine begins with, for the tests that kill processes: those are the test binary itself,
// started once more. In such a child Main opens the store and works on it, and does not return. Otherwise it does
// nothing.
func Main(open func(url string) (queue.Store, error)) {
	text := os.Getenv(childEnv)
	if text == "" {
		return
	}
	if err := work(text, open); err != nil {
		fmt.Fprintln(os.Stderr, "storetest: child:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func work(text string, open func(url string) (queue.Store, error)) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	fmt.Println(ready)
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil {
		return nil // the parent is gone
	}
	stop := make(chan struct{})
	go func() {
		if _, err := in.ReadString('\n'); err != nil {
			os.Exit(1)
		}
		close(stop)
	}()
	s, err := open(j.URL)
	if err != nil {
		return err
	}
	ctx := context.Background()
	watched := Tell(os.Stdout, s)
	switch j.Do {
	case "hang":
		for {
			ls, err := watched.Lease(ctx, queue.LeaseRequest{Queues: j.Worker.Queues, Max: 100, TTL: j.TTL, Worker: j.Worker.Name})
			if err != nil {
				return err
			}
			if len(ls) > 0 {
				<-stop
			}
		}
	case "die":
		if _, err := s.Enqueue(ctx, j.Items); err != nil {
			return err
		}
		self, _ := os.FindProcess(os.Getpid())
		self.Kill() // before anybody knows
		select {}
	}
	if err := j.Worker.workOn(ctx, watched, stop); err != nil {
		return err
	}
	return s.Close(ctx)
}

// A child is a process that works on the store.
type child struct {
	t    testing.TB
	cmd  *exec.Cmd
	in   io.WriteCloser
	done chan struct{} // closed when its output has ended

	mu    sync.Mutex // guards the fields below
	lines int        // without the first
	ready bool
	err   error
	tail  *lastBytes
}

// lastBytes keeps the end of what a child says on stderr.
type lastBytes struct {
	mu  sync.Mutex
	all []byte
}

func (b *lastBytes) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, p...)
	b.all = b.all[max(0, len(b.all)-8<<10):]
	return len(p), nil
}

func (b *lastBytes) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.all)
}

// start starts a child, which waits for begin. What it tells goes into the history.
func (e Engine) start(t testing.TB, h *History, j job) *child {
	t.Helper()
	j.URL = e.URL
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatalf("storetest: %v", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatalf("storetest: %v", err)
	}
	c := &child{t: t, cmd: exec.Command(self, "-test.run=^$"), done: make(chan struct{}), tail: &lastBytes{}}
	c.cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	c.cmd.Stderr = c.tail
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatalf("storetest: %v", err)
	}
	c.in = in
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatalf("storetest: %v", err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatalf("storetest: a child process: %v", err)
	}
	t.Cleanup(c.kill)
	go c.read(out, h)
	return c
}

func (c *child) read(out io.Reader, h *History) {
	defer close(c.done)
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil { // also a line that was not written to its end
			return
		}
		c.mu.Lock()
		if !c.ready {
			c.ready = string(line) == ready+"\n"
			if !c.ready && c.err == nil {
				c.err = fmt.Errorf("storetest: a child process has said %.100q: TestMain has to begin with storetest.Main", line)
			}
		} else {
			c.lines++
			if err := h.line(line); err != nil && c.err == nil {
				c.err = err
			}
		}
		c.mu.Unlock()
	}
}

// begin has the child do its job.
func (c *child) begin() {
	c.t.Helper()
	if _, err := c.in.Write([]byte("go\n")); err != nil {
		c.fail("does not listen: " + err.Error())
	}
}

// says waits until the child has told n lines.
func (c *child) says(n int) {
	c.t.Helper()
	for end := time.Now().Add(patience); ; <-time.After(500 * time.Microsecond) {
		c.mu.Lock()
		lines, err := c.lines, c.err
		c.mu.Unlock()
		if err != nil {
			c.fail(err.Error())
		}
		if lines >= n {
			return
		}
		select {
		case <-c.done:
			c.fail("has ended")
		default:
		}
		if time.Now().After(end) {
			c.fail(fmt.Sprintf("has said %d lines after %v", lines, patience))
		}
	}
}

// ends waits until the child has ended by itself.
func (c *child) ends() {
	c.t.Helper()
	receive(c.t, c.done, "a child process to end")
	c.cmd.Wait()
}

// stop has a child that works come to its end.
func (c *child) stop() {
	c.t.Helper()
	c.in.Write([]byte("stop\n"))
	c.ends()
	if !c.cmd.ProcessState.Success() {
		c.fail("has ended with " + c.cmd.ProcessState.String())
	}
}

// kill ends the child as kill -9 does, and waits until all that it has said is read.
func (c *child) kill() {
	c.cmd.Process.Kill()
	<-c.done
	c.cmd.Wait()
	c.in.Close()
}

func (c *child) fail(what string) {
	c.t.Helper()
	c.kill()
	c.t.Fatalf("a child process %s; it has said on stderr: %s", what, c.tail)
}
