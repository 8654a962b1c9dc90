package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/event"
)

// A child is this test binary in another process, playing a role.
type child struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	in    io.WriteCloser
}

// startChild starts a child, which is killed at the test's end if it has not ended before.
func startChild(t testing.TB, role, path string, change func(*exec.Cmd), args ...string) *child {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	if exe, err := os.Executable(); err == nil && change == nil {
		cmd = exec.Command(exe)
	}
	cmd.Env = append(os.Environ(), "EARSHOT_CHILD="+role, "EARSHOT_CHILD_PATH="+path, "EARSHOT_CHILD_ARGS="+strings.Join(args, " "))
	cmd.Stderr = os.Stderr
	if change != nil {
		change(cmd)
	}
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	c := &child{cmd: cmd, lines: bufio.NewScanner(out), in: in}
	t.Cleanup(c.kill)
	return c
}

func (c *child) line(t testing.TB) string {
	t.Helper()
	late := time.AfterFunc(patience, func() { _ = c.cmd.Process.Kill() })
	defer late.Stop()
	require.True(t, c.lines.Scan(), "the child has ended, or was silent for %v: %v", patience, c.lines.Err())
	return c.lines.Text()
}

// rest reads all lines until the child has ended.
func (c *child) rest() (lines []string) {
	for c.lines.Scan() {
		lines = append(lines, c.lines.Text())
	}
	return lines
}

func (c *child) kill() {
	if c.cmd.ProcessState == nil {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
	}
}

// playChild does what a child does. It reports on its standard output, line by line.
func playChild(role string) int {
	path, args := os.Getenv("EARSHOT_CHILD_PATH"), strings.Fields(os.Getenv("EARSHOT_CHILD_ARGS"))
	ctx := context.Background()
	if role == "spill" {
		return spillChild(ctx, path, args)
	}
	if role == "store" || role == "acks" || role == "look" {
		return storeChild(ctx, role, path, args)
	}
	if role == "small" { // whose files may not grow beyond some size
		signal.Ignore(syscall.SIGXFSZ)
		limit, _ := strconv.ParseUint(args[0], 10, 64)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
			fmt.Println("setrlimit:", err)
			return 1
		}
	}
	b, err := OpenBus("sqlite:"+path, nil)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	switch role {
	case "publish": // prints the ID of what was accepted, until it is killed
		for g := range 4 {
			go func() {
				for n := 0; ; n++ {
					evs := make([]event.Event, 1+rand.N(20)*(n%2))
					for i := range evs {
						evs[i] = newEvent(fmt.Sprintf("%s-%d-%d-%d", args[0], g, n, i))
					}
					if err := b.Publish(ctx, evs...); err != nil {
						fmt.Println("error", err)
						os.Exit(1)
					}
					var ids strings.Builder // one write: a line is whole or missing
					for _, ev := range evs {
						ids.WriteString(ev.ID + "\n")
					}
					os.Stdout.WriteString(ids.String())
				}
			}()
		}
		select {}
	case "talk": // says ready, then what it hears; publishes what it reads
		f, err := b.Tail(ctx, bus.Tail{})
		if err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println("ready")
		go func() {
			for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
				if err := b.Publish(ctx, newEvent(lines.Text())); err != nil {
					fmt.Println(err)
				}
			}
			os.Exit(0)
		}()
		for {
			d, err := f.Next(ctx)
			if err != nil {
				fmt.Println(err)
				return 1
			}
			fmt.Println(d.Event.ID)
		}
	case "pour": // publishes without pause for a time, and prints how many events
		n, end := 0, time.Now().Add(time.Second)
		if len(args) > 1 {
			d, _ := time.ParseDuration(args[1])
			end = time.Now().Add(d)
		}
		fmt.Println("ready")
		for ; time.Now().Before(end); n++ {
			if err := b.Publish(ctx, newEvent(fmt.Sprintf("%s-%d", args[0], n))); err != nil {
				fmt.Println("error", err)
				return 1
			}
		}
		fmt.Println(n)
	case "once", "small": // publishes until there is an error, or n times, and prints that
		n := 1
		if role == "store" || role == "acks" || role == "look" {
			return storeChild(ctx, role, path, args)
		}
		if role == "small" {
			n = 100_000
		}
		for i := range n {
			ev := newEvent(fmt.Sprintf("once-%d", i))
			ev.Data = []byte(`"` + strings.Repeat("x", 1000) + `"`)
			if err = b.Publish(ctx, ev); err != nil {
				fmt.Println(i, err)
				break
			}
		}
		fmt.Println("tail:", tailError(b))
		fmt.Println("end", err == nil)
	}
	if err := b.Close(ctx); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func tailError(b *Bus) error {
	f, err := b.Tail(context.Background(), bus.Tail{From: bus.Start})
	if err == nil {
		f.Close()
	}
	return err
}

// spillChild pushes and drops until it is killed. It says what is durable: "+3" pushed up to 3, "-2" dropped up to 2.
func spillChild(ctx context.Context, path string, args []string) int {
	s, err := OpenSpill(path, nil)
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	next, _ := strconv.Atoi(args[0])
	for {
		evs := make([]event.Event, 1+rand.N(5))
		for i := range evs {
			evs[i] = newEvent(strconv.Itoa(next))
			next++
		}
		if err := s.Push(ctx, evs...); err != nil {
			fmt.Println("error", err)
			return 1
		}
		fmt.Printf("+%d\n", next)
		if rand.N(3) > 0 {
			continue
		}
		head, err := s.Peek(ctx, 1+rand.N(10))
		if err == nil {
			last, _ := strconv.Atoi(head[len(head)-1].ID)
			fmt.Printf("?%d\n", last+1) // will be dropped
			if err = s.Drop(ctx, len(head)); err == nil {
				fmt.Printf("-%d\n", last+1)
			}
		}
		if err != nil {
			fmt.Println("error", err)
			return 1
		}
	}
}
