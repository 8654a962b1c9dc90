// Command ferret is a server that speaks MongoDB's protocol, for tests: FerretDB on SQLite files, which takes one
// message at a time.
//
//	cd internal/ferret && GOWORK=off go run . -listen 127.0.0.1:27018 -dir /tmp/data
//
// It prints "ready" and its address, and ends when its input ends, so that it does not outlive the test that gave it a
// pipe. What it has answered for is in the folder, also when it is killed.
//
// It is outside of go.work: FerretDB's many dependencies would decide over the versions of ours.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("ferret: ")
	listen := flag.String("listen", "127.0.0.1:0", "`address` to listen on")
	dir := flag.String("dir", "", "`folder` of the SQLite files; it has to exist")
	flag.Parse()
	if *dir == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	address, err := database(*dir)
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		p := proxy{dir: *dir}
		log.Fatal(p.serve(l, address))
	}()
	fmt.Printf("ready mongodb://%s/\n", l.Addr())
	io.Copy(io.Discard, os.Stdin)
}

// database runs FerretDB on a port of its own until the process ends, and returns its address.
func database(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	// Without waiting for the disk: the end of the process loses nothing, and no test ends the machine.
	files := url.URL{Scheme: "file", Path: dir + "/", RawQuery: "_pragma=synchronous(off)"}
	files.Opaque, files.Path = files.Path, ""
	f, err := ferretdb.New(&ferretdb.Config{
		Logger:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		Listener:  ferretdb.ListenerConfig{TCP: "127.0.0.1:0"},
		Handler:   "sqlite",
		SQLiteURL: files.String(),
	})
	if err != nil {
		return "", fmt.Errorf("FerretDB in %s: %w", dir, err)
	}
	go func() {
		log.Fatalf("FerretDB has ended: %v", f.Run(context.Background()))
	}()
	u, err := url.Parse(f.MongoDBURI()) // waits for Run
	if err != nil {
		return "", err
	}
	return u.Host, nil
}
