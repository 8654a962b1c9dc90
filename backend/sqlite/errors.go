package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	engine "modernc.org/sqlite"

	"github.com/earshot-go/earshot/bus"
	"github.com/earshot-go/earshot/queue"
)

// SQLite's result codes, of which the low byte is the kind.
const (
	codeError    = 1
	codePerm     = 3
	codeBusy     = 5
	codeLocked   = 6
	codeNoMem    = 7
	codeReadOnly = 8
	codeIOErr    = 10
	codeCorrupt  = 11
	codeFull     = 13
	codeCantOpen = 14
	codeProtocol = 15
	codeTooBig   = 18
	codeConstr   = 19
	codeAuth     = 23
	codeNotADB   = 26

	codeReadOnlyMoved = codeReadOnly | 4<<8
)

var (
	errReplaced = errors.New("the file was removed or replaced")
	errNewer    = errors.New("a newer version of earshot has written it: update this program")
	errNoStream = errors.New("the stream is not there any more")
	errTables   = errors.New("the tables of the queues are not as they should be")

	errDamagedRow = errors.New("a row is damaged")
)

// code returns what SQLite says about an error, and 0 if it is another's.
func code(err error) int {
	if e, ok := errors.AsType[*engine.Error](err); ok {
		return e.Code()
	}
	return 0
}

func kind(err error) int { return code(err) & 0xff }

func isBusy(err error) bool {
	k := kind(err)
	return k == codeBusy || k == codeLocked || k == codeProtocol
}

// refusesRows reports whether it may be the rows of a transaction, and not the file, that are at fault.
func refusesRows(err error) bool {
	k := kind(err)
	return k == codeConstr || k == codeTooBig
}

// spoils reports whether an open file is of no more use after an error: it has to be opened anew.
func spoils(err error) bool {
	switch kind(err) {
	case codeIOErr, codeCorrupt, codeNotADB, codeCantOpen, codePerm, codeReadOnly, codeAuth, codeNoMem:
		return true
	}
	return errors.Is(err, sql.ErrConnDone) || errors.Is(err, errReplaced)
}

// words are the errors that those who call match with errors.Is. Nil is one that has no name.
type words struct {
	closed, disconnected, denied, full, damaged error
}

var (
	busWords   = words{closed: bus.ErrClosed, disconnected: bus.ErrDisconnected, denied: bus.ErrDenied}
	storeWords = words{closed: queue.ErrClosed, disconnected: queue.ErrDisconnected, denied: queue.ErrDenied, full: queue.ErrFull, damaged: queue.ErrDamaged}
)

// over is what calls return after the end.
func (w *words) over(path string) error { return fmt.Errorf("sqlite: %s: %w", path, w.closed) }

// explain makes an answer of an error: which file, what happened, what to do.
func (w *words) explain(path, doing string, err error) error {
	if err == nil {
		return nil
	}
	say := func(as error, what string) error {
		if as == nil {
			return fmt.Errorf("sqlite: %s: %s %s: %w", doing, path, what, err)
		}
		return fmt.Errorf("sqlite: %s: %s %s: %w: %w", doing, path, what, as, err)
	}
	dir := filepath.Dir(path)
	switch k := kind(err); {
	case errors.Is(err, errReplaced), code(err) == codeReadOnlyMoved, errors.Is(err, sql.ErrConnDone):
		return fmt.Errorf("sqlite: %s: %s: %w: %w", doing, path, w.disconnected, errReplaced)
	case errors.Is(err, errNewer), errors.Is(err, errTables), errors.Is(err, errDamagedRow):
		if w.damaged == nil {
			return fmt.Errorf("sqlite: %s: %s: %w", doing, path, err)
		}
		return fmt.Errorf("sqlite: %s: %s: %w: %w", doing, path, w.damaged, err)
	case isBusy(err):
		return say(w.disconnected, "has been locked by another process or program all the time; let that finish")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return say(w.disconnected, "did not answer in time; see whether another program holds it locked, or the disk is slow")
	case k == codeFull:
		return say(w.full, "cannot grow: make room on the disk, or raise its quota")
	case k == codeReadOnly, k == codePerm, k == codeAuth:
		return say(w.denied, "cannot be written: this process needs the right to write to the file and to the directory "+dir)
	case k == codeCantOpen:
		info, statErr := os.Stat(dir)
		switch {
		case errors.Is(statErr, fs.ErrNotExist):
			return say(w.disconnected, "cannot be opened: make the directory "+dir)
		case statErr == nil && !info.IsDir():
			return say(w.disconnected, "cannot be opened: "+dir+" is no directory")
		}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			return say(w.disconnected, "cannot be opened: it is a directory, and has to be a file")
		}
		return say(w.denied, "cannot be opened: this process needs the right to read and write the file and its directory "+dir)
	case k == codeNotADB:
		return say(w.damaged, "is no SQLite database, and is left as it is: name another file, or move this one away")
	case k == codeCorrupt:
		return say(w.damaged, "is damaged, and is left as it is: move it away, and get what is left with sqlite3's .recover")
	case k == codeIOErr, k == codeNoMem:
		return say(w.disconnected, "cannot be read or written: look at the disk")
	case k == codeConstr:
		return say(nil, "refuses the row by a rule of its own: look for triggers on the table")
	}
	return fmt.Errorf("sqlite: %s: %s: %w", doing, path, err)
}
