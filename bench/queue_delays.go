package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/earshot-go/earshot/queue"
)

// What is measured of how late a handler begins.
const (
	lateAtOnce = "from Publish"  // a job that is due at once: from just before Publish is called
	lateDue    = "from due time" // a job that has waited for its time: from then on
	lateOther  = "from Publish of another process"
)

const queueLate = 100 // of each in one measurement

// delays measures how late the handler of a job begins while nothing else happens.
func (e *queueEngine) delays(r *runner, start func() (*queueServer, error)) error {
	paths := []string{e.path(publishing.name, lateAtOnce), e.path(publishing.name, lateDue)}
	if e.shared() {
		paths = append(paths, e.path(publishing.name, lateOther))
	}
	if !r.wantsAny(paths) {
		return nil
	}
	s, err := start()
	if err != nil {
		return err
	}
	w, err := newWatch(s.url("delays"))
	if err != nil {
		return err
	}
	n := r.size(queueLate, queueLate/2)
	r.each("queues, "+e.name, paths, func(i int) {
		samples, err := w.late(i, n)
		if err != nil {
			must(fmt.Errorf("%s: %w", paths[i], err))
		}
		for _, ns := range samples {
			r.add(paths[i], ns)
		}
	})
	return w.close()
}

// shared reports whether other processes can publish.
func (e *queueEngine) shared() bool { return e.name != "memory" }

// A watch is a worker that notes how late it gets jobs.
type watch struct {
	*queueCrew
	url   string
	began chan float64
	stop  func() error
}

func newWatch(url string) (*watch, error) {
	c, err := newQueueCrew(url)
	if err != nil {
		return nil, err
	}
	w := &watch{queueCrew: c, url: url, began: make(chan float64, queueLate)}
	w.stop, err = c.handle(func(l queue.Leased) error {
		now := time.Now()
		var sent int64 // 0 for a job that has waited
		if err := l.Decode(&sent); err != nil {
			return err
		}
		since := l.Due
		if sent != 0 {
			since = time.Unix(0, sent)
		}
		w.began <- float64(now.Sub(since))
		return nil
	})
	if err == nil {
		_, err = w.late(0, 10) // what is done for the first time
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return w, nil
}

// late returns how late n jobs are, in nanoseconds: those of lateAtOnce, lateDue or lateOther.
func (w *watch) late(which, n int) (samples []float64, err error) {
	switch which {
	case 0:
		err = publishAtOnce(w.q, n)
	case 1:
		err = publishDelayed(w.q, n)
	case 2:
		c, err2 := startQueueChild("publish", w.url, n)
		if err2 != nil {
			return nil, err2
		}
		defer func() { err = errors.Join(err, c.close()) }() // it stays until its jobs have come
	}
	if err != nil {
		return nil, err
	}
	timeout := time.After(10 * time.Second)
	for range n {
		select {
		case ns := <-w.began:
			samples = append(samples, ns)
		case <-timeout:
			return nil, fmt.Errorf("%d of %d jobs have begun", len(samples), n)
		}
	}
	return samples, nil
}

func (w *watch) close() error { return errors.Join(w.stop(), w.clear(), w.queueCrew.close()) }

// publishAtOnce publishes jobs that are due, some milliseconds apart, so that the worker has come to rest in between.
func publishAtOnce(q *queue.Queue, n int) error {
	for range n {
		time.Sleep(2*time.Millisecond + rand.N(4*time.Millisecond))
		if err := q.Publish(ctx, queue.Event{Name: saleName, Payload: time.Now().UnixNano()}); err != nil {
			return err
		}
	}
	return nil
}

// publishDelayed publishes jobs that have to wait, and are due at some time apart from each other.
func publishDelayed(q *queue.Queue, n int) error {
	for range n {
		time.Sleep(2 * time.Millisecond)
		due := time.Now().Add(30*time.Millisecond + rand.N(50*time.Millisecond))
		if err := q.Publish(ctx, queue.Event{Name: saleName, When: due, Payload: 0}); err != nil {
			return err
		}
	}
	return nil
}

// A queue child is this program, in the part of another process. These variables say so.
const (
	childPart = "EARSHOT_BENCH_QUEUE_CHILD"
	childURL  = "EARSHOT_BENCH_QUEUE_URL"
	childJobs = "EARSHOT_BENCH_QUEUE_JOBS"
)

// startQueueChild starts a child, and returns when it has done its work. It stays until it is closed or killed.
func startQueueChild(part, url string, jobs int) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return newChild(func(string, string) *exec.Cmd {
		cmd := exec.Command(program)
		cmd.Env = append(os.Environ(), childPart+"="+part, childURL+"="+url, childJobs+"="+strconv.Itoa(jobs))
		return cmd
	})
}

// isQueueChild does the work of a child, if this process is one.
func isQueueChild() bool {
	part := os.Getenv(childPart)
	if part == "" {
		return false
	}
	n, err := strconv.Atoi(os.Getenv(childJobs))
	must(err)
	c, err := newQueueCrew(os.Getenv(childURL))
	must(err)
	if part == "publish" {
		must(publishAtOnce(c.q, n))
	} else {
		must(leaveBehind(c.store, n))
	}
	fmt.Println("ready")
	os.Stdin.Read(make([]byte, 1)) // until the parent has gone, or closes it
	must(c.close())
	return true
}
