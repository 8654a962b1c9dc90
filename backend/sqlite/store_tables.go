package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"fmt"
	"time"
)

// storeVersion is that of the tables of queues, which is told apart from that of streams. Tables with a higher one are
// not touched.
const storeVersion = 1

// The states of an item, as they stand in the table.
const (
	pending = 0
	leased  = 1
	dead    = 2
	parked  = 3 // pending and due, but its serial is busy
)

// noTime stands where there is no lease. It takes as many bytes as a time: while the size of a row stays the same
// SQLite writes over it in place, and leaves the pages alone that only hold a large payload.
const noTime = 1 << 62

// noWorker is the number of nobody. The numbers of workers follow, and take as many bytes.
const noWorker = 1 << 24

// What changes stands before what does not, and the payload last, so that it is not read where it is not needed. An
// item without key and serial is a row and an entry in two indexes: one of all IDs, and one of those of its state.
//
// AUTOINCREMENT: a seq never comes again, so that the receipt of a lease names no other one.
const storeTables = `
CREATE TABLE IF NOT EXISTS earshot_items (
	seq        INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of enqueueing
	id         TEXT NOT NULL,
	queue      TEXT NOT NULL,
	state      INTEGER NOT NULL DEFAULT 0, -- 0 pending, 1 leased, 2 dead, 3 pending while another of its serial is leased
	prio       INTEGER NOT NULL DEFAULT 0,
	due        INTEGER NOT NULL, -- microseconds since 1970, as all times
	until      INTEGER NOT NULL DEFAULT 4611686018427387904, -- when the lease ends; or when it died
	deliveries INTEGER NOT NULL DEFAULT 0,
	fails      INTEGER NOT NULL DEFAULT 0,
	maxfails   INTEGER NOT NULL DEFAULT 0,
	worker     INTEGER NOT NULL DEFAULT 16777216, -- in earshot_workers
	key        TEXT NOT NULL DEFAULT '',
	scope      INTEGER NOT NULL DEFAULT 0, -- 0 the key is held until it is done, 1 until it is leased
	serial     TEXT NOT NULL DEFAULT '',
	sum        INTEGER NOT NULL, -- CRC-32C of id, queue, name, tid, more and payload
	created    INTEGER NOT NULL,
	reason     TEXT NOT NULL DEFAULT '',
	name       TEXT NOT NULL,
	tid        TEXT NOT NULL DEFAULT '',
	more       TEXT NOT NULL DEFAULT '', -- JSON: parent, headers; or nothing
	payload    BLOB NOT NULL DEFAULT x''
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS earshot_items_id ON earshot_items (id);
CREATE INDEX IF NOT EXISTS earshot_items_pending ON earshot_items (queue, prio DESC, due) WHERE state = 0; -- and seq, as in all
CREATE INDEX IF NOT EXISTS earshot_items_leased ON earshot_items (until) WHERE state = 1;
CREATE INDEX IF NOT EXISTS earshot_items_dead ON earshot_items (queue) WHERE state = 2;
CREATE INDEX IF NOT EXISTS earshot_items_parked ON earshot_items (queue, serial, prio DESC, due) WHERE state = 3;
CREATE TABLE IF NOT EXISTS earshot_keys (
	queue TEXT NOT NULL,
	key   TEXT NOT NULL,
	id    TEXT NOT NULL,
	seq   INTEGER, -- of the item that holds it; NULL: only until hold
	hold  INTEGER NOT NULL,
	PRIMARY KEY (queue, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS earshot_keys_hold ON earshot_keys (hold) WHERE seq IS NULL;
CREATE TABLE IF NOT EXISTS earshot_serials ( -- those that are busy
	queue  TEXT NOT NULL,
	serial TEXT NOT NULL,
	seq    INTEGER NOT NULL,
	PRIMARY KEY (queue, serial)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS earshot_workers (
	worker INTEGER PRIMARY KEY,
	name   TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE IF NOT EXISTS earshot_bindings (
	queue TEXT NOT NULL,
	kind  TEXT NOT NULL,
	text  TEXT NOT NULL,
	PRIMARY KEY (queue, kind, text)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS earshot_queue (
	one     INTEGER PRIMARY KEY CHECK (one = 1),
	version INTEGER NOT NULL,
	epoch   INTEGER NOT NULL, -- drawn when the tables are made: receipts of other tables are worth nothing
	rev     INTEGER NOT NULL  -- of the bindings
) STRICT;
`

// makeStore makes the tables, within a transaction.
func makeStore(c interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}) error {
	ctx := context.Background()
	if _, err := c.ExecContext(ctx, storeTables); err != nil {
		return err
	}
	var draw [8]byte
	rand.Read(draw[:])
	epoch := int64(binary.LittleEndian.Uint64(draw[:]) >> 1)
	_, err := c.ExecContext(ctx, "INSERT OR IGNORE INTO earshot_queue (one, version, epoch, rev) VALUES (1, ?, ?, ?)",
		storeVersion, epoch, time.Now().UnixMicro())
	if err == nil {
		_, err = c.ExecContext(ctx, "INSERT OR IGNORE INTO earshot_workers (worker, name) VALUES (?, '')", noWorker)
	}
	return err
}

type rowQuerier interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

// storeReady reports whether the tables are there. Those of a newer version are an error.
func storeReady(ctx context.Context, c rowQuerier) (bool, error) {
	var tables, have int
	err := c.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('earshot_queue', 'earshot_items')").Scan(&tables)
	if err != nil || tables < 2 {
		return false, err
	}
	switch err := c.QueryRowContext(ctx, "SELECT version FROM earshot_queue").Scan(&have); {
	case err == sql.ErrNoRows:
		return false, nil
	case err != nil:
		return false, err
	case have > storeVersion:
		return false, fmt.Errorf("%w (its tables of queues are version %d, known here is %d)", errNewer, have, storeVersion)
	}
	return true, nil
}
