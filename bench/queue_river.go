package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
)

// Kind makes a sale the arguments of a River job.
func (sale) Kind() string { return saleName }

// A riverCrew is River over one of its drivers.
type riverCrew[Tx any] struct {
	client   *river.Client[Tx] // adds
	driver   riverdriver.Driver[Tx]
	schema   string
	clearing func() error
	closing  func() error
}

func openRiver[Tx any](driver riverdriver.Driver[Tx], schema string, clearing, closing func() error) (crew, error) {
	c := &riverCrew[Tx]{driver: driver, schema: schema, clearing: clearing, closing: closing}
	m, err := rivermigrate.New(driver, &rivermigrate.Config{Schema: schema, Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		_, err = m.Migrate(ctx, rivermigrate.DirectionUp, nil)
	}
	if err == nil {
		c.client, err = river.NewClient(driver, c.config())
	}
	if err != nil {
		return nil, errors.Join(err, closing())
	}
	return c, nil
}

func (c *riverCrew[Tx]) config() *river.Config {
	return &river.Config{Schema: c.schema, Logger: slog.New(slog.DiscardHandler)}
}

func (c *riverCrew[Tx]) add(n int) error {
	if n == 1 {
		_, err := c.client.Insert(ctx, newSale(1), nil)
		return err
	}
	jobs := make([]river.InsertManyParams, n)
	for i := range jobs {
		jobs[i].Args = newSale(i)
	}
	_, err := c.client.InsertManyFast(ctx, jobs) // the faster one of two: it does not return the jobs
	return err
}

// work counts jobs that River has noted as completed, which it does in batches, some time after the handler.
func (c *riverCrew[Tx]) work(done func()) (func() error, error) {
	config := c.config()
	config.Workers = river.NewWorkers()
	river.AddWorker(config.Workers, river.WorkFunc(func(context.Context, *river.Job[sale]) error { return nil }))
	config.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: queueWorkers}}
	config.FetchCooldown, config.FetchPollInterval = 2*time.Millisecond, 20*time.Millisecond // the least, 1 ms each, is slower
	client, err := river.NewClient(c.driver, config)
	if err != nil {
		return nil, err
	}
	completed, cancel := client.SubscribeConfig(&river.SubscribeConfig{ChanSize: 10_000, Kinds: []river.EventKind{river.EventKindJobCompleted}})
	var counting sync.WaitGroup
	counting.Go(func() {
		for range completed {
			done()
		}
	})
	inserts := c.client
	stop := func() error {
		c.client = inserts
		cancel()
		counting.Wait()
		return client.Stop(ctx)
	}
	if err := client.Start(ctx); err != nil {
		cancel()
		counting.Wait()
		return nil, err
	}
	c.client = client // whose insertions wake its own workers, also where there is no LISTEN
	return stop, nil
}

func (c *riverCrew[Tx]) clear() error { return c.clearing() }

func (c *riverCrew[Tx]) close() error { return c.closing() }

func openRiverSQLite(s *queueServer, name string) (crew, error) {
	db, err := openPeerSQLite(s, name)
	if err != nil {
		return nil, err
	}
	return openRiver(riversqlite.New(db), "", func() error {
		_, err := db.Exec("DELETE FROM river_job")
		return err
	}, db.Close)
}

func openRiverPostgres(s *queueServer, name string) (crew, error) {
	config, err := pgxpool.ParseConfig(s.address)
	if err != nil {
		return nil, err
	}
	config.MaxConns = 64
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	schema := pgx.Identifier{s.prefix + name}.Sanitize()
	exec := func(statement string) error {
		_, err := pool.Exec(ctx, statement)
		return err
	}
	closing := func() error {
		defer pool.Close()
		return exec("DROP SCHEMA " + schema + " CASCADE")
	}
	if err := exec("CREATE SCHEMA " + schema); err != nil {
		pool.Close()
		return nil, err
	}
	return openRiver(riverpgxv5.New(pool), s.prefix+name, func() error { return exec("TRUNCATE " + schema + ".river_job") }, closing)
}
