package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/earshot-go/earshot/queue"
	"github.com/jackc/pgx/v5"
)

// version is that of the tables and functions together: a program uses a schema of its own version, and leaves a
// another one as it is.
const version = 1

// advisory is the first number of our advisory locks, the letters "ears". The second one is a hash of the schema.
const advisory = 0x65617273

var (
	//go:embed tables.sql
	tables string
	//go:embed enqueue.sql
	enqueueFunctions string
	//go:embed lease.sql
	leaseFunctions string
	//go:embed settle.sql
	settleFunctions string
	//go:embed manage.sql
	manageFunctions string
)

// sql puts the schema's name and the server's time into a statement.
func (s *Store) sql(text string) string {
	return strings.NewReplacer("{s}", s.schema, "{now}", s.opts.clock).Replace(text)
}

// script makes a schema. Revisions and numbers begin with the time, so that those of a schema which was dropped do not
// come again.
func (s *Store) script(start int64) string {
	return s.sql(strings.NewReplacer(
		"{start}", strconv.FormatInt(start, 10),
		"{version}", strconv.Itoa(version),
		"{lock}", strconv.Itoa(advisory),
		"{spent}", fmt.Sprintf("(i.maxfails >= 0 AND i.fails + 1 >= CASE i.maxfails WHEN 0 THEN %d ELSE i.maxfails END)", queue.DefaultMaxFails),
	).Replace(tables + enqueueFunctions + leaseFunctions + settleFunctions + manageFunctions))
}

// A server is what Store has to know of it.
type server struct {
	version  int
	encoding string
	fsync    string
	commit   string
	isolates string // how, by default
	start    int64
	schema   bool // there is one
	made     bool // it has our tables
}

// look asks the tables of the system, and not to_regclass, which within a transaction may go by what was before it.
func (s *Store) look(ctx context.Context, q interface {
	QueryRow(context.Context, string, ...any) pgx.Row
}) (v server, err error) {
	err = q.QueryRow(ctx, s.sql(`SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), current_setting('fsync'),
		current_setting('synchronous_commit'), current_setting('default_transaction_isolation'), (extract(epoch FROM {now}) * 1000000)::bigint,
		EXISTS (SELECT FROM pg_namespace WHERE nspname = $1),
		EXISTS (SELECT FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid WHERE n.nspname = $1 AND c.relname = 'meta')`), s.opts.Schema).
		Scan(&v.version, &v.encoding, &v.fsync, &v.commit, &v.isolates, &v.start, &v.schema, &v.made)
	return v, err
}

// prepare sees to it that the schema is there and can be used.
func (s *Store) prepare(ctx context.Context, c *pgx.Conn) error {
	v, err := s.look(ctx, c)
	switch {
	case err != nil:
		return err
	case v.version < 130000:
		return fmt.Errorf("%w: the server is older than PostgreSQL 13", queue.ErrUnsupported)
	case v.encoding != "UTF8":
		return fmt.Errorf("%w: the encoding of the database is %s: make one with ENCODING 'UTF8' TEMPLATE template0", queue.ErrUnsupported, v.encoding)
	case v.isolates != "read committed" && v.isolates != "read uncommitted": // which are the same
		// A statement has to see what was committed while the one before it waited for a lock.
		return fmt.Errorf("%w: default_transaction_isolation is %s here: say ALTER ROLE ... SET default_transaction_isolation = 'read committed' of the store's role",
			queue.ErrUnsupported, v.isolates)
	case !v.made:
		if err := s.create(ctx, c); err != nil {
			return fmt.Errorf("making the schema %s: %w", s.opts.Schema, err)
		}
	}
	var found int
	if err := c.QueryRow(ctx, s.sql(`SELECT version FROM {s}.meta`)).Scan(&found); err != nil {
		if code(err) == "42703" || errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("%w: the tables in the schema %s are not of earshot: choose another one with schema=", queue.ErrDamaged, s.opts.Schema)
		}
		return err
	}
	switch {
	case found > version:
		return fmt.Errorf("%w: a newer version of earshot has made the schema %s (%d, this program knows %d): update this program",
			queue.ErrDamaged, s.opts.Schema, found, version)
	case found < version:
		return fmt.Errorf("%w: an older version of earshot has made the schema %s (%d, this program knows %d): choose another one with schema=, and let the older program work off what is in this one",
			queue.ErrDamaged, s.opts.Schema, found, version)
	}
	return nil
}

// create makes the schema, unless somebody else has made it just now.
func (s *Store) create(ctx context.Context, c *pgx.Conn) error {
	tx, err := c.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // without effect after Commit
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1::int, hashtext($2))`, advisory, s.schema); err != nil {
		return err
	}
	v, err := s.look(ctx, tx)
	if err != nil || v.made {
		return err
	}
	script := s.script(v.start)
	if !v.schema {
		script = s.sql("CREATE SCHEMA {s};") + script
	}
	if _, err := c.PgConn().Exec(ctx, script).ReadAll(); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// Durability asks the server how safe a commit is there: "on" if it is on disk before a call returns, and otherwise
// which settings say that it is not.
func (s *Store) Durability(ctx context.Context) (string, error) {
	var v server
	err := s.call(ctx, "durability", 0, func(ctx context.Context, c *pgx.Conn) (err error) {
		v, err = s.look(ctx, c)
		return err
	})
	switch {
	case err != nil:
		return "", err
	case v.fsync != "on":
		return "fsync = off: what was stored may be lost with the machine", nil
	case v.commit == "off":
		return "synchronous_commit = off: what was stored in the last half second may be lost with the server", nil
	}
	return "on", nil
}
