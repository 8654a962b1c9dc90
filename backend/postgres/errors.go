package postgres

import (
	"errors"
	"fmt"
	"strings"

	"github.com/earshot-go/earshot/queue"
	"github.com/jackc/pgx/v5/pgconn"
)

// code is what the server calls an error, five letters and digits, or empty if the error is not the server's.
func code(err error) string {
	if said, ok := errors.AsType[*pgconn.PgError](err); ok {
		return said.Code
	}
	return ""
}

// undone reports whether a call had no effect since others were in its way, and may be made again.
func undone(err error) bool {
	c := code(err)
	return c == "40P01" || c == "40001"
}

// gone reports whether the schema is not there any more.
func gone(err error) bool {
	switch code(err) {
	case "3F000", "42P01", "42883":
		return true
	}
	return false
}

// meanings says what the server's errors are for package queue, by the beginnings of their codes, and what to do.
var meanings = []struct {
	code string
	as   error
	what string
}{
	{"28", queue.ErrDenied, "see user and password, and pg_hba.conf of the server"},
	{"3D000", queue.ErrDenied, "create the database"},
	{"42501", queue.ErrDenied, "the role needs rights: see the documentation of this package"},
	{"25006", queue.ErrDenied, "this server only reads: connect to the primary, as target_session_attrs=read-write does"},
	{"53100", queue.ErrFull, "the disk of the server is full: make room"},
	{"53200", queue.ErrFull, "the server is out of memory: see its log, or raise max_locks_per_transaction"},
	{"53300", queue.ErrDisconnected, "the server has no connection left: raise max_connections, or lower conns"},
	{"53400", queue.ErrFull, "a limit of the server is reached"},
	{"54", queue.ErrTooLarge, "send less in one call"},
	{"57014", queue.ErrDisconnected, "the server has cancelled the call: see statement_timeout"},
	{"55P03", queue.ErrDisconnected, "another transaction has locked what is needed, and goes on for long: see lock_timeout"},
	{"57", queue.ErrDisconnected, "the server is shutting down or starting"},
	{"08", queue.ErrDisconnected, "the connection broke"},
	{"40", queue.ErrDisconnected, "other transactions were in the way: try again"},
	{"25P03", queue.ErrDisconnected, "the server has ended the transaction"},
	{"25P02", queue.ErrInvalid, "an earlier statement of the transaction has failed: roll it back"},
	{"3F000", queue.ErrDamaged, "the schema was removed: the next call makes it anew"},
	{"42P01", queue.ErrDamaged, "a table was removed: the next call makes what is missing if the whole schema is"},
	{"42883", queue.ErrDamaged, "a function was removed, or the transaction is of another database"},
	{"42703", queue.ErrDamaged, "a column is missing: somebody has changed the tables"},
	{"XX", queue.ErrDamaged, "see the log of the server"},
	{"58", queue.ErrDamaged, "see the log of the server"},
}

// meaning wraps what a call met in the error of package queue that it means.
func meaning(err error) error {
	for _, known := range []error{queue.ErrDisconnected, queue.ErrDenied, queue.ErrFull, queue.ErrDamaged, queue.ErrTooLarge,
		queue.ErrClosed, queue.ErrInvalid, queue.ErrUnsupported, queue.ErrStaleBindings} {
		if errors.Is(err, known) {
			return err
		}
	}
	found := code(err)
	if found == "" {
		// Not wrapped: that a deadline of ours has passed must not look as if one of the caller's had.
		return fmt.Errorf("%w: %v", queue.ErrDisconnected, err)
	}
	for _, m := range meanings {
		if strings.HasPrefix(found, m.code) {
			return fmt.Errorf("%w: %w (%s)", m.as, err, m.what)
		}
	}
	return err
}
