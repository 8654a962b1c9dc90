package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/earshot-go/earshot/queue"
)

const (
	recoveryPath   = "queues/SQLite/after kill -9"
	recoveryItems  = 100_000
	recoveryRounds = 3
)

// leaveBehind leaves a store as a process does that is killed at its work: many items wait, and some are leased.
func leaveBehind(s queue.Store, n int) error {
	for ; n > 0; n -= crowdAtOnce {
		if _, err := s.Enqueue(ctx, newItems(min(n, crowdAtOnce), queueName, 0)); err != nil {
			return err
		}
	}
	_, err := s.Lease(ctx, queue.LeaseRequest{Queues: []string{queueName}, Max: queueWorkers, TTL: queueTTL})
	return err
}

// recovery measures how long it takes from opening the file of a process that was killed until the first job is leased.
func (e *queueEngine) recovery(r *runner, start func() (*queueServer, error)) error {
	if e.name != "SQLite" || !r.wants(recoveryPath) {
		return nil
	}
	s, err := start()
	if err != nil {
		return err
	}
	for i := range min(r.rounds, recoveryRounds) {
		r.say(i == 0, "queues, SQLite, after kill -9")
		name := fmt.Sprintf("killed%d", i)
		ns, err := afterKill(s.url(name), r.size(recoveryItems, recoveryItems/10))
		if err != nil {
			return err
		}
		r.add(recoveryPath, ns)
		files, _ := filepath.Glob(s.file(name) + "*")
		for _, f := range files {
			os.Remove(f)
		}
	}
	return nil
}

// afterKill has a child fill a store and kills it, and returns the nanoseconds until this process has its first job.
func afterKill(url string, items int) (float64, error) {
	c, err := startQueueChild("leave", url, items)
	if err != nil {
		return 0, err
	}
	err = c.cmd.Process.Kill()
	if err := errors.Join(err, c.close()); err != nil {
		return 0, err
	}
	return firstLease(url)
}

func firstLease(url string) (float64, error) {
	begin := time.Now()
	s, err := queue.Open(url)
	if err != nil {
		return 0, err
	}
	wait, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	leased, err := s.Lease(wait, queue.LeaseRequest{Queues: []string{queueName}, Max: 1, TTL: queueTTL})
	took := time.Since(begin)
	if err == nil && len(leased) != 1 {
		err = errors.New("nothing was leased")
	}
	return float64(took), errors.Join(err, s.Close(ctx))
}
