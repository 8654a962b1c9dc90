package sqlite

import (
	"strings"
	"sync"
	"testing"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// A fakeDisk stands below SQLite, and sees or refuses what is written to one database, its WAL included.
type fakeDisk struct {
	path string

	mu    sync.Mutex // guards the fields below
	fault func(op diskOp) int32
	log   []diskOp // if recorded
	keeps bool
}

// A diskOp is one thing that SQLite does to a file.
type diskOp struct {
	wal  bool   // to the WAL, and not to the database itself
	kind string // "write", "sync", "truncate"; and "ack", which is of a test
	at   int64  // the offset, or the new size
	data []byte
	id   string // of ack
}

const diskVFS = "earshot-disk"

// newFakeDisk has the files at path be on a disk of its own. They have to be opened with diskVFS.
func newFakeDisk(t testing.TB, path string) *fakeDisk {
	t.Helper()
	disks.once.Do(registerDisks)
	d := &fakeDisk{path: path}
	disks.mu.Lock()
	defer disks.mu.Unlock()
	disks.by[path] = d
	t.Cleanup(func() {
		disks.mu.Lock()
		defer disks.mu.Unlock()
		delete(disks.by, path)
	})
	return d
}

// fail has f decide, with a result code of SQLite, which operations fail. Nil: none do.
func (d *fakeDisk) fail(f func(op diskOp) int32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = f
}

// note puts something of a test between what SQLite does.
func (d *fakeDisk) note(op diskOp) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.keeps {
		d.log = append(d.log, op)
	}
}

func (d *fakeDisk) do(op diskOp, data []byte) int32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fault != nil {
		if code := d.fault(op); code != 0 {
			return code
		}
	}
	if d.keeps {
		op.data = append([]byte(nil), data...)
		d.log = append(d.log, op)
	}
	return 0
}

var disks struct {
	once sync.Once
	vfs  uintptr // the real one
	open uintptr // its xOpen

	mu      sync.Mutex // guards the maps
	by      map[string]*fakeDisk
	files   map[uintptr]openFileOf              // by the sqlite3_file
	methods map[uintptr]uintptr                 // our methods, by the real ones
	real    map[uintptr]lib.Tsqlite3_io_methods // the real ones, by the sqlite3_file
}

type openFileOf struct {
	disk *fakeDisk
	wal  bool
}

// memory makes a pointer of an address outside of Go's memory.
func memory[T any](address uintptr) *T { return (*T)(*(*unsafe.Pointer)(unsafe.Pointer(&address))) }

// Functions are pointers to closures for the translated C.
func pointerTo[F any](f F) uintptr {
	functions = append(functions, &struct{ f F }{f}) // for ever
	return *(*uintptr)(unsafe.Pointer(functions[len(functions)-1].(*struct{ f F })))
}

func function[F any](pointer uintptr) F { return *(*F)(unsafe.Pointer(&struct{ p uintptr }{pointer})) }

var functions []any

type (
	openFunc     = func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32
	writeFunc    = func(*libc.TLS, uintptr, uintptr, int32, int64) int32
	truncateFunc = func(*libc.TLS, uintptr, int64) int32
	syncFunc     = func(*libc.TLS, uintptr, int32) int32
)

func registerDisks() {
	tls := libc.NewTLS()
	disks.by, disks.files = map[string]*fakeDisk{}, map[uintptr]openFileOf{}
	disks.methods, disks.real = map[uintptr]uintptr{}, map[uintptr]lib.Tsqlite3_io_methods{}
	disks.vfs = lib.Xsqlite3_vfs_find(tls, 0)
	ours := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(lib.Tsqlite3_vfs{})))
	*memory[lib.Tsqlite3_vfs](ours) = *memory[lib.Tsqlite3_vfs](disks.vfs)
	v := memory[lib.Tsqlite3_vfs](ours)
	disks.open = v.FxOpen
	name, err := libc.CString(diskVFS)
	if err != nil {
		panic(err)
	}
	v.FzName, v.FpNext = name, 0
	v.FxOpen = pointerTo[openFunc](diskOpen)
	if lib.Xsqlite3_vfs_register(tls, ours, 0) != 0 {
		panic("the VFS was not registered")
	}
}

// diskOpen opens a file as SQLite does, and puts itself before three of its methods.
func diskOpen(tls *libc.TLS, _, name, f uintptr, flags int32, out uintptr) int32 {
	path := ""
	if name != 0 {
		path = libc.GoString(name)
	}
	rc := function[openFunc](disks.open)(tls, disks.vfs, name, f, flags, out)
	disks.mu.Lock()
	defer disks.mu.Unlock()
	base, wal := strings.CutSuffix(path, "-wal")
	d := disks.by[base]
	methods := memory[lib.Tsqlite3_file](f)
	if rc != 0 || d == nil || methods.FpMethods == 0 {
		return rc
	}
	real := methods.FpMethods
	ours := disks.methods[real]
	if ours == 0 {
		ours = libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(lib.Tsqlite3_io_methods{})))
		m := memory[lib.Tsqlite3_io_methods](ours)
		*m = *memory[lib.Tsqlite3_io_methods](real)
		m.FxWrite, m.FxTruncate, m.FxSync = pointerTo[writeFunc](diskWrite), pointerTo[truncateFunc](diskTruncate), pointerTo[syncFunc](diskSync)
		disks.methods[real] = ours
	}
	disks.files[f], disks.real[f] = openFileOf{d, wal}, *memory[lib.Tsqlite3_io_methods](real)
	methods.FpMethods = ours
	return rc
}

func fileOf(f uintptr) (openFileOf, lib.Tsqlite3_io_methods) {
	disks.mu.Lock()
	defer disks.mu.Unlock()
	return disks.files[f], disks.real[f]
}

func diskWrite(tls *libc.TLS, f, data uintptr, n int32, at int64) int32 {
	of, real := fileOf(f)
	if code := of.disk.do(diskOp{wal: of.wal, kind: "write", at: at}, unsafe.Slice(memory[byte](data), n)); code != 0 {
		return code
	}
	return function[writeFunc](real.FxWrite)(tls, f, data, n, at)
}

func diskTruncate(tls *libc.TLS, f uintptr, size int64) int32 {
	of, real := fileOf(f)
	if code := of.disk.do(diskOp{wal: of.wal, kind: "truncate", at: size}, nil); code != 0 {
		return code
	}
	return function[truncateFunc](real.FxTruncate)(tls, f, size)
}

func diskSync(tls *libc.TLS, f uintptr, flags int32) int32 {
	of, real := fileOf(f)
	if code := of.disk.do(diskOp{wal: of.wal, kind: "sync"}, nil); code != 0 {
		return code
	}
	return function[syncFunc](real.FxSync)(tls, f, flags)
}
