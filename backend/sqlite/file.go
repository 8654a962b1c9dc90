package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// version is that of the tables. A file with a higher one is not touched.
const version = 1

// A file is an open database: one connection that writes, and some that read. It is one inode: when another file
// comes to be at the path, this one is given up.
type file struct {
	path  string
	bell  *bell
	turn  bool        // it is this file's turn to write; of the goroutine that does
	info  os.FileInfo // which inode it is
	write *sql.DB     // has one connection
	conn  *sql.Conn   // that one, of the goroutine that writes
	read  *sql.DB

	beginning, commit *sql.Stmt
	known             map[string]*sql.Stmt // of conn; see stmt

	gone chan struct{} // closed when the file is given up
	once sync.Once
	why  error // set before gone is closed

	mu    sync.Mutex // guards the fields below
	shut  bool
	stmts []*sql.Stmt // of single connections; see prepare
	fetch *sql.Stmt
	feeds int
	rest  context.CancelFunc // ends the watching
}

// openMode is what differs between those who open files.
type openMode struct {
	sync      Sync
	exclusive bool   // for this connection alone, as long as it is open
	pages     int    // limit of the size; 0: none
	vfs       string // of tests that have the disk fail
	cache     int    // KiB of memory for pages; 0: as SQLite likes
	create    func(ctx context.Context, c *sql.Conn) error
	// ready, if it is not nil, reports whether what create makes is there already.
	ready func(ctx context.Context, c *sql.Conn) (bool, error)
}

// openFile opens the database at path, or makes it, until ctx ends.
func openFile(ctx context.Context, path string, mode openMode) (*file, error) {
	for {
		before, _ := os.Stat(path)
		f, err := connect(ctx, path, mode)
		if isBusy(err) && !mode.exclusive {
			// Others are opening it as well, or recover it.
			if !pause(ctx, time.Millisecond, 10*time.Millisecond) {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		// Which file SQLite has opened is known if the same was there before and after.
		f.info, err = os.Stat(path)
		if err == nil && (before == nil || os.SameFile(before, f.info)) {
			return f, nil
		}
		f.close(errReplaced)
		if !pause(ctx, time.Millisecond, 2*time.Millisecond) {
			return nil, errReplaced
		}
	}
}

func connect(ctx context.Context, path string, mode openMode) (_ *file, err error) {
	f := &file{path: path, bell: bellOf(path), gone: make(chan struct{})}
	defer func() {
		if err != nil {
			f.close(err)
		}
	}()
	// The writer waits for locks by itself (see begin): SQLite's own waiting grows to 100 ms between two looks.
	pragmas := []string{"busy_timeout(0)", "synchronous(" + string(mode.sync) + ")", "journal_size_limit(67108864)", "cell_size_check(1)"}
	if mode.exclusive {
		pragmas = append(pragmas, "locking_mode(exclusive)")
	}
	if mode.pages > 0 {
		pragmas = append(pragmas, fmt.Sprintf("max_page_count(%d)", mode.pages))
	}
	if mode.cache > 0 {
		pragmas = append(pragmas, fmt.Sprintf("cache_size(-%d)", mode.cache))
	}
	if f.write, err = sql.Open("sqlite", dsn(path, pragmas...)+mode.more()); err != nil {
		return nil, err
	}
	f.write.SetMaxOpenConns(1)
	if f.conn, err = f.write.Conn(ctx); err != nil {
		return nil, err
	}
	if f.beginning, err = f.prepare(f.conn, "BEGIN IMMEDIATE"); err != nil {
		return nil, err
	}
	if f.commit, err = f.prepare(f.conn, "COMMIT"); err != nil {
		return nil, err
	}
	// Nothing is changed before it is known that this is a database, and not one of a newer version.
	have, err := readVersion(ctx, f.conn)
	if err != nil {
		return nil, err
	}
	if have > version {
		return nil, fmt.Errorf("%w (its tables are version %d, known here is %d)", errNewer, have, version)
	}
	ready := true
	if mode.ready != nil {
		if ready, err = mode.ready(ctx, f.conn); err != nil {
			return nil, err
		}
	}
	if have < version || mode.exclusive || !ready {
		if err = f.make(ctx, mode); err != nil {
			return nil, err
		}
	}
	if f.read, err = sql.Open("sqlite", dsn(path, "busy_timeout(2000)", "query_only(1)", "cell_size_check(1)")+mode.more()); err != nil {
		return nil, err
	}
	f.read.SetMaxOpenConns(4)
	f.read.SetMaxIdleConns(4)
	return f, nil
}

func (m *openMode) more() string {
	if m.vfs == "" {
		return ""
	}
	return "&vfs=" + m.vfs
}

// dsn writes a path and pragmas as the driver wants them. In a path of Windows the slashes are turned.
func dsn(path string, pragmas ...string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return "file://" + (&url.URL{Path: path}).EscapedPath() + "?" + url.Values{"_pragma": pragmas}.Encode()
}

func readVersion(ctx context.Context, c *sql.Conn) (have int, err error) {
	var tables int
	err = c.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'earshot_meta'").Scan(&tables)
	if err != nil || tables == 0 {
		return 0, err
	}
	err = c.QueryRowContext(ctx, "SELECT CAST(value AS INTEGER) FROM earshot_meta WHERE name = 'version'").Scan(&have)
	if err == sql.ErrNoRows {
		return 0, nil
	}
	return have, err
}

// make turns an empty file, or an application's database, into one with the tables that all streams share.
func (f *file) make(ctx context.Context, mode openMode) error {
	var journal string
	if err := f.conn.QueryRowContext(ctx, "PRAGMA journal_mode = wal").Scan(&journal); err != nil {
		return err
	}
	if journal != "wal" {
		return fmt.Errorf("it cannot be in WAL mode, only in %q: is it on a network file system, or in memory?", journal)
	}
	if err := f.begin(ctx); err != nil {
		return err
	}
	have, err := readVersion(ctx, f.conn) // another process may have been quicker
	if err == nil && have < version {
		_, err = f.conn.ExecContext(context.Background(), `
			CREATE TABLE IF NOT EXISTS earshot_meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
			INSERT OR REPLACE INTO earshot_meta (name, value) VALUES ('version', '1')`)
	}
	if err == nil {
		err = mode.create(ctx, f.conn)
	}
	return f.end(err)
}

// begin starts a transaction that writes. It waits for the others that do, until ctx ends.
func (f *file) begin(ctx context.Context) error {
	select {
	case f.bell.turn <- struct{}{}:
		f.turn = true
	case <-ctx.Done(): // SQLite says why
	}
	start := time.Now()
	for {
		_, err := f.beginning.Exec()
		if err == nil {
			return nil
		}
		least, most := 200*time.Microsecond, 2*time.Millisecond
		if time.Since(start) > 200*time.Millisecond {
			// Another process is always busy, and the lock free for a moment only.
			least, most = least/10, most/10
		}
		if !isBusy(err) || !pause(ctx, least, most) {
			f.passTurn()
			return err
		}
	}
}

func (f *file) passTurn() {
	if f.turn {
		f.turn = false
		<-f.bell.turn
	}
}

// end commits a transaction in which err happened, or takes it back.
func (f *file) end(err error) error {
	defer f.passTurn()
	if err == nil {
		_, err = f.commit.Exec()
	}
	if err != nil {
		// After some errors SQLite has done so by itself, and says there is nothing to take back.
		_, _ = f.conn.ExecContext(context.Background(), "ROLLBACK")
	}
	return err
}

// moved reports whether another file is at the path now, or none. It does not open the file: to close it again
// would take away the locks that SQLite has on it.
func (f *file) moved() bool {
	info, err := os.Stat(f.path)
	return err != nil || !os.SameFile(info, f.info)
}

// prepare prepares a statement on one connection. Nobody but us closes it: database/sql forgets it, and SQLite keeps
// a connection with its file and locks, though it was closed, for as long as it has a statement.
func (f *file) prepare(c *sql.Conn, query string) (*sql.Stmt, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.shut {
		return nil, sql.ErrConnDone
	}
	stmt, err := c.PrepareContext(context.Background(), query)
	if err == nil {
		f.stmts = append(f.stmts, stmt)
	}
	return stmt, err
}

// stmt returns the prepared statement of a query, for the goroutine that writes.
func (f *file) stmt(query string) (*sql.Stmt, error) {
	stmt := f.known[query]
	if stmt != nil {
		return stmt, nil
	}
	stmt, err := f.prepare(f.conn, query)
	if err == nil {
		if f.known == nil {
			f.known = map[string]*sql.Stmt{}
		}
		f.known[query] = stmt
	}
	return stmt, err
}

// exec is for the goroutine that writes.
func (f *file) exec(query string, args ...any) (sql.Result, error) {
	stmt, err := f.stmt(query)
	if err != nil {
		return nil, err
	}
	return stmt.Exec(args...)
}

// query is for the goroutine that writes.
func (f *file) query(query string, args ...any) (*sql.Rows, error) {
	stmt, err := f.stmt(query)
	if err != nil {
		return nil, err
	}
	return stmt.Query(args...)
}

// fetcher returns the statement of feeds. The table has to be there.
func (f *file) fetcher(stream string) (_ *sql.Stmt, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fetch == nil {
		f.fetch, err = f.read.Prepare(statement(fetchRows, tableOf(stream)))
	}
	return f.fetch, err
}

// close gives the file up. The first reason counts. It waits for the statements that run.
func (f *file) close(why error) {
	f.once.Do(func() {
		f.why = why
		close(f.gone)
		f.mu.Lock()
		f.shut = true
		stmts := f.stmts
		f.mu.Unlock()
		for _, stmt := range stmts {
			stmt.Close()
		}
		if f.read != nil {
			f.read.Close()
		}
		if f.conn != nil {
			f.conn.Close()
		}
		if f.write != nil {
			f.write.Close()
		}
		f.bell.leave(f.path)
	})
}

// pause waits for a random time between two, and reports whether ctx is still alive.
func pause(ctx context.Context, least, most time.Duration) bool {
	timer := time.NewTimer(least + rand.N(most-least))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
