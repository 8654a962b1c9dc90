package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/mikestefanello/backlite"
)

var (
	riverSQLite = library{name: "River", open: openRiverSQLite,
		note: "v0.31.0, one connection as its driver asks for, looks for jobs every 2 to 20 ms"}
	riverPostgres = library{name: "River", open: openRiverPostgres,
		note: "v0.31.0, pgx, 64 connections, LISTEN, looks for jobs every 2 to 20 ms"}
	backliteSQLite = library{name: "backlite", open: openBacklite, note: "v0.6.0, one connection"}
	asynqRedis     = library{name: "asynq", open: openAsynq, only: []string{oneProducer, manyProducers, fullCycles},
		note: "v0.26.0, 64 connections, an idle server looks for jobs every millisecond; it has no call for many jobs"}
	goChannel = library{name: "Go channel", open: openGoChannel, note: "buffered; nothing is kept", only: []string{fullCycles}}
)

// openPeerSQLite opens a file as River and backlite advise, with what a program that cares for its jobs sets.
func openPeerSQLite(s *queueServer, name string) (*sql.DB, error) {
	query := url.Values{"_txlock": {"immediate"}, "_pragma": {"journal_mode(wal)", "synchronous(full)", "busy_timeout(5000)"}}
	db, err := sql.Open("sqlite", "file:"+s.file(name)+"?"+query.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// Config makes a sale a task of backlite.
func (sale) Config() backlite.QueueConfig {
	return backlite.QueueConfig{Name: queueName, MaxAttempts: queueAttempts, Timeout: queueTTL}
}

const queueAttempts = 25

type backliteCrew struct {
	db     *sql.DB
	client *backlite.Client // adds, and works
	done   func()
}

func openBacklite(s *queueServer, name string) (crew, error) {
	db, err := openPeerSQLite(s, name)
	if err != nil {
		return nil, err
	}
	c := &backliteCrew{db: db}
	if c.client, err = c.newClient(); err == nil {
		err = c.client.Install()
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return c, nil
}

func (c *backliteCrew) newClient() (*backlite.Client, error) {
	client, err := backlite.NewClient(backlite.ClientConfig{DB: c.db, NumWorkers: queueWorkers, ReleaseAfter: time.Minute})
	if err == nil {
		client.Register(backlite.NewQueue(func(context.Context, sale) error { c.done(); return nil }))
	}
	return client, err
}

func (c *backliteCrew) add(n int) error {
	tasks := make([]backlite.Task, n)
	for i := range tasks {
		tasks[i] = newSale(i)
	}
	_, err := c.client.Add(tasks...).Save()
	return err
}

func (c *backliteCrew) work(done func()) (func() error, error) {
	c.done = done
	life, cancel := context.WithCancel(ctx)
	c.client.Start(life)
	return func() error {
		defer cancel()
		if !c.client.Stop(ctx) {
			return errors.New("backlite has not stopped")
		}
		client, err := c.newClient() // one that was stopped does not start again
		c.client = client
		return err
	}, nil
}

func (c *backliteCrew) clear() error {
	_, err := c.db.Exec("DELETE FROM backlite_tasks")
	return err
}

func (c *backliteCrew) close() error { return c.db.Close() }

type asynqCrew struct {
	client    *asynq.Client
	inspector *asynq.Inspector
	at        asynq.RedisClientOpt
	queue     string
}

func openAsynq(s *queueServer, name string) (crew, error) {
	at, err := asynq.ParseRedisURI(s.address)
	if err != nil {
		return nil, err
	}
	c := &asynqCrew{at: at.(asynq.RedisClientOpt), queue: s.prefix + name}
	c.at.PoolSize = 64
	c.client, c.inspector = asynq.NewClient(c.at), asynq.NewInspector(c.at)
	return c, nil
}

func (c *asynqCrew) add(n int) error {
	for i := range n {
		payload, err := encodeSale(i)
		if err != nil {
			return err
		}
		if _, err := c.client.EnqueueContext(ctx, asynq.NewTask(saleName, payload), asynq.Queue(c.queue)); err != nil {
			return err
		}
	}
	return nil
}

type noLog struct{}

func (noLog) Debug(...any) {}
func (noLog) Info(...any)  {}
func (noLog) Warn(...any)  {}
func (noLog) Error(...any) {}
func (noLog) Fatal(...any) {}

func (c *asynqCrew) work(done func()) (func() error, error) {
	server := asynq.NewServer(c.at, asynq.Config{
		Concurrency: queueWorkers, Queues: map[string]int{c.queue: 1}, TaskCheckInterval: time.Millisecond, Logger: noLog{},
	})
	err := server.Start(asynq.HandlerFunc(func(_ context.Context, t *asynq.Task) error {
		var s sale
		defer done()
		return json.Unmarshal(t.Payload(), &s)
	}))
	return func() error { server.Shutdown(); return nil }, err
}

func (c *asynqCrew) clear() error {
	_, err := c.inspector.DeleteAllPendingTasks(c.queue)
	if errors.Is(err, asynq.ErrQueueNotFound) {
		return nil
	}
	return err
}

func (c *asynqCrew) close() error {
	err := c.inspector.DeleteQueue(c.queue, true)
	if errors.Is(err, asynq.ErrQueueNotFound) || err != nil && strings.Contains(err.Error(), "not found") {
		err = nil
	}
	return errors.Join(err, c.inspector.Close(), c.client.Close())
}

// A channelCrew is what the work costs when nothing is kept.
type channelCrew struct{ jobs chan *sale }

func openGoChannel(*queueServer, string) (crew, error) {
	return &channelCrew{make(chan *sale, queueWaiting)}, nil
}

func (c *channelCrew) add(n int) error {
	for i := range n {
		c.jobs <- newSale(i)
	}
	return nil
}

func (c *channelCrew) work(done func()) (func() error, error) {
	var all sync.WaitGroup
	end := make(chan struct{})
	for range queueWorkers {
		all.Go(func() {
			for {
				select {
				case <-c.jobs:
					done()
				case <-end:
					return
				}
			}
		})
	}
	return func() error { close(end); all.Wait(); return nil }, nil
}

func (c *channelCrew) clear() error { return nil }
func (c *channelCrew) close() error { return nil }
