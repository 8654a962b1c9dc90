package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"strings"
	"time"
)

// The tables that all streams of a file share; each stream has one of its own besides.
const streamsTable = `CREATE TABLE IF NOT EXISTS earshot_streams (
	name  TEXT PRIMARY KEY,
	epoch TEXT NOT NULL, -- drawn when the stream is made: a token of another epoch is foreign
	made  INTEGER NOT NULL
)`

func createStreams(ctx context.Context, c *sql.Conn) error {
	_, err := c.ExecContext(ctx, streamsTable)
	return err
}

// streamsReady reports whether the table is there: a Store may have made the file.
func streamsReady(ctx context.Context, c *sql.Conn) (there bool, err error) {
	err = c.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'earshot_streams'").Scan(&there)
	return there, err
}

// AUTOINCREMENT: a seq never comes again, not even after all rows were pruned.
const streamTable = `CREATE TABLE TABLE_NAME (
	seq    INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of the commits
	at     INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000000 AS INTEGER)), -- microseconds, never less than in the row before
	id     TEXT NOT NULL,
	source TEXT NOT NULL,
	event  TEXT NOT NULL, -- CloudEvents 1.0, JSON
	UNIQUE (id, source)
)`

// tableOf is the name of a stream's table. A stream's name has no quotes in it.
func tableOf(stream string) string { return "earshot:" + stream }

// statement puts the name of a table into SQL.
func statement(query, table string) string {
	return strings.ReplaceAll(query, "TABLE_NAME", `"`+table+`"`)
}

// makeStream makes a stream anew, within a transaction. What is left of an old one goes.
func makeStream(c *sql.Conn, stream string) (epoch string, err error) {
	ctx, table := context.Background(), tableOf(stream)
	epoch = rand.Text()
	for _, query := range []string{"DROP TABLE IF EXISTS TABLE_NAME", streamTable} {
		if _, err = c.ExecContext(ctx, statement(query, table)); err != nil {
			return "", err
		}
	}
	_, err = c.ExecContext(ctx, "INSERT OR REPLACE INTO earshot_streams (name, epoch, made) VALUES (?, ?, ?)",
		stream, epoch, time.Now().UnixMicro())
	return epoch, err
}

const selectEpoch = `SELECT s.epoch FROM earshot_streams s, sqlite_schema t
	WHERE s.name = ?1 AND t.type = 'table' AND t.name = ?2`

// readEpoch returns the epoch of a stream, and "" if there is no such stream.
func readEpoch(ctx context.Context, c *sql.Conn, stream string) (string, error) {
	return scanEpoch(c.QueryRowContext(ctx, selectEpoch, stream, tableOf(stream)))
}

func scanEpoch(r *sql.Row) (epoch string, err error) {
	if err = r.Scan(&epoch); err == sql.ErrNoRows {
		return "", nil
	}
	return epoch, err
}
